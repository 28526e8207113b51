"""A finished trial in the record's own form: Optuna's fields, and notes for the rest."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import optuna
from optuna.trial import FrozenTrial, TrialState

from tunekit.records import Curve, Diagnosis, FinishedTrial, Span, State
from tunekit.search import rows

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


def noted_curves(noted: Iterable[Mapping[str, Any]]) -> tuple[Curve, ...]:
    """A trial's curves, from its notes."""
    return tuple(
        Curve(
            curve["fold"],
            tuple(curve["epochs"]),
            {
                name: tuple(_number(value) for value in values)
                for name, values in curve["metrics"].items()
            },
        )
        for curve in noted
    )


def finished(trial: FrozenTrial, curves: Sequence[Curve]) -> FinishedTrial:
    """A recorded trial, from Optuna's fields and the notes."""
    kept = trial.user_attrs["tunekit"]
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


class RecordedCurves(Sequence[Curve]):
    """A trial's curves, read whenever they are asked for: they are the most of a record.

    Args:
        storage: Optuna's storage.
        trial_id: The trial's id there.
    """

    def __init__(self, storage: optuna.storages.RDBStorage, trial_id: int) -> None:
        self._storage, self._trial_id = storage, trial_id

    def _read(self) -> tuple[Curve, ...]:
        return noted_curves(rows.curves(self._storage, self._trial_id))

    @overload
    def __getitem__(self, index: int) -> Curve: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Curve]: ...

    def __getitem__(self, index: int | slice) -> Curve | Sequence[Curve]:
        """One curve, or some."""
        return self._read()[index]

    def __len__(self) -> int:
        """How many folds were trained."""
        return len(self._read())

    def __iter__(self) -> Iterator[Curve]:
        """The curves, read once."""
        return iter(self._read())

    def __eq__(self, other: object) -> bool:
        """Whether these are the same curves, wherever they come from."""
        return isinstance(other, Sequence) and self._read() == tuple(other)

    __hash__ = None  # type: ignore[assignment]
