"""A finished trial in the record's own form: Optuna's fields, and notes for the rest."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tunekit.records import Curve, Diagnosis, FinishedTrial, Span, State

STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


def notes(trial: FinishedTrial) -> dict[str, Any]:
    """What a trial has beyond Optuna's own fields, as its user attributes."""
    return {
        "configuration": dict(trial.configuration),
        "curves": [
            {
                "fold": curve.fold,
                "epochs": list(curve.epochs),
                "metrics": {
                    name: [_finite(value) for value in values]
                    for name, values in curve.metrics.items()
                },
            }
            for curve in trial.curves
        ],
        "tunekit": {
            "ask": trial.ask,
            "scores": list(trial.scores),
            "started": trial.started,
            "finished": trial.finished,
            "training_seconds": trial.training_seconds,
            "reason": trial.reason,
            "diverged": trial.diverged,
            "parameters": trial.parameters,
            "provenance": dict(trial.provenance),
            "diagnosis": dataclasses.asdict(trial.diagnosis) if trial.diagnosis else None,
            "measured": {name: _finite(value) for name, value in trial.measured.items()},
            "violation": trial.violation,
            "spans": [list(dataclasses.astuple(span)) for span in trial.spans],
            "carried": trial.carried,
            "repeats": list(trial.repeats),
        },
    }


def finished(trial: FrozenTrial) -> FinishedTrial:
    """A recorded trial, from Optuna's fields and the notes."""
    kept = trial.user_attrs["tunekit"]
    curves = tuple(
        Curve(
            curve["fold"],
            tuple(curve["epochs"]),
            {
                name: tuple(_number(value) for value in values)
                for name, values in curve["metrics"].items()
            },
        )
        for curve in trial.user_attrs["curves"]
    )
    return FinishedTrial(
        number=trial.number,
        ask=kept["ask"],
        state=STATES[trial.state],
        value=trial.values[0] if trial.values else None,
        params=trial.params,
        configuration=trial.user_attrs["configuration"],
        curves=curves,
        scores=tuple(kept["scores"]),
        started=kept["started"],
        finished=kept["finished"],
        training_seconds=kept["training_seconds"],
        reason=kept["reason"],
        diverged=kept["diverged"],
        parameters=kept["parameters"],
        provenance=kept["provenance"],
        diagnosis=Diagnosis(**kept["diagnosis"]) if kept.get("diagnosis") else None,
        measured={name: _number(value) for name, value in kept.get("measured", {}).items()},
        violation=kept.get("violation", 0.0),
        spans=tuple(Span(*span) for span in kept.get("spans", ())),
        carried=kept.get("carried"),
        repeats=tuple(kept.get("repeats", ())),
    )


def optuna_state(state: State) -> TrialState:
    """Optuna's name of a state."""
    return next(known for known, name in STATES.items() if name == state)


def _finite(value: float) -> float | None:
    """A number for JSON, which has no NaN."""
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value
