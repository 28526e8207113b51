"""What a finished trial is in MLflow: metrics, parameters and tags, each derived from the trial.

Everything follows from the trial alone, times included, so that delivering it twice writes the
same rows twice, which MLflow stores once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from tunekit.records import FinishedTrial
from tunekit.space import Scalar

STUDY_TAG = "tunekit.study"
REPLACED_TAG = "tunekit.replaced"
"""On the run of a study's record that another one took the place of."""
TRIAL_TAG = "tunekit.trial"
MOST_LAYER_POINTS = 40
"""Of so many epochs at most is shown what happened in each layer."""

STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}


class Point(NamedTuple):
    """One value of a metric; `time` is Unix time in milliseconds."""

    key: str
    value: float
    time: int
    step: int


def milliseconds(seconds: float) -> int:
    """Unix time as MLflow counts it."""
    return round(seconds * 1000)


def points(trial: FinishedTrial) -> list[Point]:
    """All metrics of a trial: the curves of its folds, then what describes it as a whole.

    The first fold's curves have the metrics' own names (``val_accuracy``), those of the others
    an ending (``val_accuracy.fold2``); of these only losses and scores are there, since what the
    layers did is much the same again. That is there at `MOST_LAYER_POINTS` epochs at most: MLflow
    takes 0.1 ms a value, and the record has them all. Epochs are spread evenly over the trial's
    time, as the record does not keep theirs. Values that are not finite are left out: a gap is what
    they are, while MLflow's page draws NaN as 0 and stores infinity as 1.8e308.
    """
    found: list[Point] = []
    curves = tuple(trial.curves)  # read once
    measured = sum(len(curve.epochs) for curve in curves)
    done = 0
    for curve in curves:
        ending = f".fold{curve.fold + 1}" if curve.fold else ""
        every = math.ceil(len(curve.epochs) / MOST_LAYER_POINTS)
        for i, epoch in enumerate(curve.epochs):
            done += 1
            is_shown = i % every == 0 or i == len(curve.epochs) - 1
            passed = (trial.finished - trial.started) * done / measured
            time = milliseconds(trial.started + passed)
            for name, values in curve.metrics.items():
                if curve.fold and not name.startswith(("train_", "val_")):
                    continue
                if ".layer" in name and not is_shown:
                    continue
                found.append(Point(name + ending, float(values[i]), time, epoch))
    end = milliseconds(trial.finished)
    # A pruned trial's value is of an early epoch, or stands in for folds that it was not trained
    # on: among objectives it might be taken for the best.
    value = "objective" if trial.state == "complete" else "last_report"
    found += [Point("fold_score", score, end, k) for k, score in enumerate(trial.scores, 1)]
    whole = {
        value: trial.value,
        "trial_number": trial.number,
        **_learning_rate(trial),
        "epochs_trained": max((c.epochs[-1] for c in curves if c.epochs), default=0),
        "training_seconds": trial.training_seconds,
        "parameters": trial.parameters,
        # By their plain names: means over folds, as the objective is, where curves are of a fold.
        **trial.measured,
    }
    found += [Point(key, float(value), end, 0) for key, value in whole.items() if value is not None]
    return [point for point in found if math.isfinite(point.value)]


def _learning_rate(trial: FinishedTrial) -> dict[str, float]:
    """The chosen optimizer's rate: one name for what each optimizer has under its own.

    Its logarithm too, as MLflow's scatter charts have no logarithmic axis.
    """
    rate = trial.configuration.get(f"optimizer.{trial.configuration.get('optimizer')}.lr")
    if not isinstance(rate, int | float) or rate <= 0:
        return {}
    return {"learning_rate": rate, "log10_learning_rate": math.log10(rate)}


def parameters(trial: FinishedTrial) -> dict[str, str]:
    """The configuration by qualified name."""
    return {name: text(value) for name, value in trial.configuration.items()}


def tags(trial: FinishedTrial) -> dict[str, str]:
    """What says how the trial ended and what it was made from."""
    found = {TRIAL_TAG: str(trial.number), "state": trial.state, "ask": str(trial.ask)}
    if trial.reason:
        # Databases refuse halves of characters (of a file's name, say), and PostgreSQL a NUL.
        words = trial.reason.replace("\0", "")
        found["reason"] = words.encode("utf-8", "backslashreplace").decode()
    if trial.diverged:
        found["diverged"] = "true"
    if trial.violation > 0:
        found["feasible"] = "false"
    if trial.diagnosis is not None:
        found["diagnosis"] = trial.diagnosis.verdict
        found["diagnosis.words"] = trial.diagnosis.words
    return found | {name: text(value) for name, value in trial.provenance.items()}


def text(value: Scalar) -> str:
    """A value in full precision, written as in a study file."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def batches(
    points: list[Point], params: dict[str, str]
) -> Iterator[tuple[list[Point], dict[str, str]]]:
    """Split what MLflow would refuse in one call: 1000 entries, 100 of them parameters."""
    names = list(params)
    while points or names:
        yield points[:900], {name: params[name] for name in names[:100]}
        points, names = points[900:], names[100:]
