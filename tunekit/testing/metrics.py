"""What every metric has to keep."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tunekit.components import Array, Metric, Task
from tunekit.testing.arguments import (
    UNREPEATABLE,
    described,
    expect_repeatable,
    expect_untouched,
    repeats,
)
from tunekit.testing.check import CheckFailure, check

ROWS, CLASSES = 60, 7  # more than a top-5 accuracy counts as right
TASKS: dict[str, tuple[Task, ...]] = {
    "labels": ("classification", "multilabel"),
    "probabilities": ("classification", "multilabel"),
    "values": ("regression",),
}
"""What each form of predictions may be for."""
ALMOST_SURE = 0.97  # the probability of a right answer that no logarithm makes infinite


@dataclass(frozen=True)
class Case:
    """Predictions on rows whose targets are known.

    Attributes:
        target: The targets.
        right: The best predictions there are.
        wrong: Predictions that are those of other rows in two rows of three.
    """

    task: Task
    target: Array
    right: Array
    wrong: Array

    def score(self, metric: Metric, prediction: Array, weight: Array | None = None) -> Any:
        """The score of predictions for all rows."""
        weight = None if weight is None else weight.copy()
        return metric.score(self.target.copy(), prediction.copy(), weight)


def _cases(metric: Metric, rows: int = ROWS, seed: int = 8) -> list[Case]:
    """What a metric may be given, for each of its tasks."""
    rng, form = np.random.default_rng(seed), metric.needs
    cases = []
    for task in metric.tasks:
        target: Array
        if task not in TASKS[form]:
            continue
        if task == "classification":
            target = rng.permutation(np.arange(rows) % CLASSES)
            sure = np.full((rows, CLASSES), (1 - ALMOST_SURE) / (CLASSES - 1))
            sure[np.arange(rows), target] = ALMOST_SURE
            right = target if form == "labels" else sure
        elif task == "multilabel":
            target = rng.integers(0, 2, (rows, CLASSES))
            target[0] = 1
            right = target if form == "labels" else np.where(target, ALMOST_SURE, 1 - ALMOST_SURE)
        else:
            # Above 0, for metrics that divide by them or take their logarithm.
            target = rng.uniform(0.5, 9.0, (rows, 2))
            right = target
        wrong = right.copy()
        others = np.arange(rows) % 3 > 0  # more than half, for medians
        wrong[others] = np.roll(right, 7, axis=0)[others]
        if form == "probabilities":
            # As many different ones as rows, as a network gives them.
            wrong = wrong * rng.uniform(0.8, 1.0, wrong.shape)
            if task == "classification":
                wrong /= wrong.sum(axis=1, keepdims=True)
        cases.append(Case(task, target, right.copy(), wrong))
    return cases


def _unjudged(metric: Metric) -> str | None:
    """Why scores are not to be compared with each other, if they are not."""
    for case in _cases(metric):
        if not isinstance(case.score(metric, case.wrong), (int, float, np.number)):
            return "not judged: the score is no number"
        if not repeats(
            partial(case.score, metric, case.wrong), partial(case.score, metric, case.right)
        ):
            return UNREPEATABLE
    return None


@check("metric")
def tasks(metric: Metric) -> None:
    """Its tasks fit the predictions that it needs."""
    fitting = TASKS[metric.needs]
    if not metric.tasks or not set(metric.tasks) <= set(fitting):
        raise CheckFailure(
            expected=f'with needs = "{metric.needs}", tasks out of {fitting}',
            found=f"tasks = {metric.tasks}, needs = {metric.needs!r}",
            likely="without the line `tasks = ...` a metric is taken to suit every task, and "
            'without `needs = ...` to want "values"',
        )


@check("metric")
def number(metric: Metric) -> None:
    """A finite number, also of one row or one class."""
    for case in _cases(metric):
        predictions = [case.wrong]
        if metric.needs != "labels":
            predictions.append(case.wrong.astype(np.float32))
        for prediction in predictions:
            for rows in (slice(None), slice(0, 1), _same(case.target)):
                for weight in (None, np.linspace(0.5, 2, ROWS)[rows]):
                    target = case.target[rows]
                    found: object = metric.score(target.copy(), prediction[rows].copy(), weight)
                    told = f"for {len(target)} row{'s' if len(target) > 1 else ''} of {case.task}"
                    if not isinstance(found, (int, float, np.number)):
                        raise CheckFailure(
                            expected=f"one number {told}",
                            found=described(found),
                            likely="the mean over the rows or the outputs is missing",
                        )
                    if not math.isfinite(float(found)):
                        raise CheckFailure(
                            expected=f"a finite score {told}",
                            found=f"{float(found)}",
                            likely="a division by 0 where a class is missing or a target does "
                            "not vary",
                        )


def _same(target: Array) -> Array:
    """Rows whose first target is the same (or all, where targets are values)."""
    first = target.reshape(len(target), -1)[:, 0]
    return np.flatnonzero(first == first[0]) if target.dtype.kind == "i" else np.arange(len(first))


@check("metric")
def extreme_inputs(metric: Metric) -> str | None:
    """A prediction that is far off leaves it finite."""
    if why := _unjudged(metric):
        return why
    for case in _cases(metric):
        prediction = case.right.copy()
        if metric.needs == "probabilities":
            prediction = np.round(prediction)
            prediction[0] = np.roll(prediction[0], 1) if case.task == "classification" else 0
        elif metric.needs == "values":
            prediction[0] *= 1e4
        found = case.score(metric, prediction)
        if not math.isfinite(found):
            raise CheckFailure(
                expected="a finite score, though one prediction is certain and wrong",
                found=f"{found}",
                likely="the logarithm of a probability of 0; limit it from below with np.maximum. "
                "A run whose score is not finite counts as diverged",
            )
    return None


@check("metric")
def direction(metric: Metric) -> str:
    """Right predictions score better than wrong ones."""
    if why := _unjudged(metric):
        return why
    told = []
    for case in _cases(metric):
        right, wrong = case.score(metric, case.right), case.score(metric, case.wrong)
        is_better = right > wrong if metric.larger_is_better else right < wrong
        if not is_better:
            raise CheckFailure(
                expected=f"a {'higher' if metric.larger_is_better else 'lower'} score for right "
                f"predictions than for wrong ones, since larger_is_better = "
                f"{metric.larger_is_better}",
                found=f"{right:.6g} for right ones, {wrong:.6g} where two rows of three are wrong",
                likely="the score does not depend on the predictions"
                if right == wrong
                else f"larger_is_better = {not metric.larger_is_better} is meant; as it is, a "
                "search would look for the worst network",
            )
        told.append(f"{right:.3g} for right predictions, {wrong:.3g} where two thirds are wrong")
    return "; ".join(told)


@check("metric")
def weights(metric: Metric) -> str | None:
    """A row of weight 2 counts like two rows."""
    if why := _unjudged(metric):
        return why
    for case in _cases(metric):
        times = np.random.default_rng(9).integers(1, 4, ROWS)
        plain = case.score(metric, case.wrong)
        weighted = case.score(metric, case.wrong, times.astype(float))
        repeated = float(
            metric.score(case.target.repeat(times, axis=0), case.wrong.repeat(times, axis=0), None)
        )
        if not math.isclose(weighted, repeated, rel_tol=1e-6, abs_tol=1e-9):
            raise CheckFailure(
                expected=f"{repeated:.6g} with weights 1, 2 and 3, as with rows repeated as often",
                found=f"{weighted:.6g} (without weights {plain:.6g})",
                likely="the weights are not used"
                if math.isclose(weighted, plain, rel_tol=1e-9)
                else "a weighted mean is sum(weight * x) / sum(weight): np.average(x, weights=...)",
            )
        equal = case.score(metric, case.wrong, np.full(ROWS, 2.0))
        if not math.isclose(equal, plain, rel_tol=1e-6, abs_tol=1e-9):
            raise CheckFailure(
                expected=f"{plain:.6g} with equal weights, as without",
                found=f"{equal:.6g}",
                likely="the sum is not divided by the sum of the weights",
            )
    return None


@check("metric")
def row_order(metric: Metric) -> str | None:
    """The order of the rows does not matter."""
    if why := _unjudged(metric):
        return why
    for case in _cases(metric):
        order = np.random.default_rng(10).permutation(ROWS)
        plain = case.score(metric, case.wrong)
        other = float(metric.score(case.target[order], case.wrong[order], None))
        if not math.isclose(plain, other, rel_tol=1e-6, abs_tol=1e-9):
            raise CheckFailure(
                expected=f"{plain:.6g} in any order of the rows",
                found=f"{other:.6g} with the rows shuffled",
                likely="neighbouring rows are compared with each other; splits shuffle them",
            )
    return None


@check("metric")
def inputs_not_modified(metric: Metric) -> None:
    """It does not write into its arguments."""
    for case in _cases(metric):
        weight = np.linspace(0.5, 2, ROWS)

        def unweighted(target: Array, prediction: Array) -> Any:
            return metric.score(target, prediction, None)

        expect_untouched("score", unweighted, target=case.target, prediction=case.wrong)
        expect_untouched(
            "score", metric.score, target=case.target, prediction=case.wrong, weight=weight
        )


@check("metric")
def deterministic(metric: Metric) -> None:
    """The same predictions score the same, always."""
    others = _cases(metric, seed=9)
    for case, other in zip(_cases(metric), others, strict=True):
        expect_repeatable(
            "score",
            partial(case.score, metric, case.wrong),
            partial(other.score, metric, other.right),
        )
