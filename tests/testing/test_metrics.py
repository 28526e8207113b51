from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Component, Metric
from tunekit.plugins import load
from tunekit.testing import Check, CheckFailure, checks_for, parametrize_with_checks

Array = NDArray[Any]
Caught = Callable[[Component], dict[str, CheckFailure]]

REGISTRY = load(entry_points=False)
BUILT_IN = [REGISTRY.find(Metric, name) for name in REGISTRY.names("metric")]


@parametrize_with_checks(*BUILT_IN)
def test_the_built_ins_pass(component: Metric, check: Check) -> None:
    check(component)


# Metrics that are right, and into which one mistake is put.


class Share(Metric):
    name = "mine"
    tasks = ("classification",)
    needs = "labels"

    def score(self, target: Array, prediction: Array, weight: Array | None) -> float:
        return float(np.average(target == prediction, weights=weight))


class Surprise(Metric):
    name = "mine"
    tasks = ("classification",)
    needs = "probabilities"
    larger_is_better = False

    def score(self, target: Array, prediction: Array, weight: Array | None) -> float:
        given = np.maximum(prediction[np.arange(len(target)), target], 1e-9)
        return float(np.average(-np.log(given), weights=weight))


class Distance(Metric):
    name = "mine"
    tasks = ("regression",)
    larger_is_better = False

    def score(self, target: Array, prediction: Array, weight: Array | None) -> float:
        return float(np.average(np.abs(target - prediction).mean(axis=1), weights=weight))


@pytest.mark.parametrize("cls", [Share, Surprise, Distance])
def test_what_is_right_passes(cls: type[Metric], caught: Caught) -> None:
    assert caught(cls()) == {}


def scored(formula: Callable[[Array, Array, Any], Any]) -> dict[str, Any]:
    return {"score": lambda self, target, prediction, weight: formula(target, prediction, weight)}


def per_class(target: Array, prediction: Array, weight: Any) -> float:
    right = [
        np.average(
            prediction[target == k] == k, weights=None if weight is None else weight[target == k]
        )
        for k in range(7)
    ]
    return float(np.mean(right))


def written(target: Array, prediction: Array, weight: Any) -> float:
    prediction -= target
    return float(np.average(np.abs(prediction).mean(axis=1), weights=weight))


def smoothed(self: Any, target: Array, prediction: Array, weight: Any) -> float:
    score = float(np.average(target == prediction, weights=weight))
    cls = type(self)
    cls.last = 0.9 * getattr(cls, "last", score) + 0.1 * score
    return float(cls.last)


def summed(target: Array, prediction: Array, weight: Any) -> float:
    weight = np.ones(len(target)) if weight is None else weight
    return float((weight * (target == prediction)).sum())


# The metric, what is wrong, the checks that find it, and what is told.
MISTAKES: dict[str, tuple[type[Metric], dict[str, Any], set[str], str]] = {
    "an error whose direction is not declared": (
        Distance,
        {"larger_is_better": True},
        {"direction"},
        "larger_is_better = False is meant",
    ),
    "a share that is taken for an error": (
        Share,
        {"larger_is_better": False},
        {"direction"},
        "larger_is_better = True is meant",
    ),
    "the target compared with itself": (
        Share,
        scored(lambda target, prediction, weight: float(np.average(target == target))),
        {"direction"},
        "does not depend on the predictions",
    ),
    "weights that are not used": (
        Share,
        scored(lambda target, prediction, weight: float(np.mean(target == prediction))),
        {"weights"},
        "the weights are not used",
    ),
    "a sum instead of a mean": (
        Share,
        scored(summed),
        {"weights"},
        "divided by the sum of the weights",
    ),
    "weights in the sum only": (
        Distance,
        scored(
            lambda target, prediction, weight: float(
                np.mean(np.abs(target - prediction) * (1 if weight is None else weight[:, None]))
            )
        ),
        {"weights"},
        "a weighted mean is sum(weight * x) / sum(weight)",
    ),
    "a logarithm of 0": (
        Surprise,
        scored(
            lambda target, prediction, weight: float(
                np.average(-np.log(prediction[np.arange(len(target)), target]), weights=weight)
            )
        ),
        {"extreme_inputs"},
        "limit it from below with np.maximum",
    ),
    "a class that is missing": (
        Share,
        scored(per_class),
        {"number"},
        "where a class is missing",
    ),
    "a score for each row": (
        Distance,
        scored(lambda target, prediction, weight: np.abs(target - prediction).mean(axis=1)),
        {"number"},
        "the mean over the rows or the outputs is missing",
    ),
    "neighbouring rows": (
        Distance,
        scored(
            lambda target, prediction, weight: float(
                np.average(
                    np.abs(np.cumsum(target - prediction, axis=0)).mean(axis=1), weights=weight
                )
            )
        ),
        {"row_order", "weights"},
        "neighbouring rows are compared",
    ),
    "writing into the predictions": (
        Distance,
        scored(written),
        {"inputs_not_modified"},
        "an in-place operation (`prediction *= ...`",
    ),
    "memory": (
        Share,
        {"score": smoothed},
        {"deterministic"},
        "something is remembered between calls",
    ),
    "the shared generator": (
        Share,
        scored(
            lambda target, prediction, weight: float(
                np.average(target == prediction, weights=weight) + np.random.normal(0, 1e-12)  # noqa: NPY002
            )
        ),
        {"deterministic"},
        "no trial could be repeated",
    ),
    "every task": (
        Share,
        {"tasks": ("classification", "multilabel", "regression")},
        {"tasks", "number", "weights", "inputs_not_modified"},
        "a metric is taken to suit every task",
    ),
}


def broken(mistake: str) -> Metric:
    cls, wrong, *_ = MISTAKES[mistake]
    made: Metric = type("Mine", (cls,), wrong)()
    return made


def test_every_check_finds_some_mistake() -> None:
    checks = {check.name for check in checks_for(Share) if check.kind}
    assert {name for *_, names, _ in MISTAKES.values() for name in names} == checks


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_caught_by_name(mistake: str, caught: Caught) -> None:
    *_, names, told = MISTAKES[mistake]
    failures = caught(broken(mistake))
    assert set(failures) == names
    assert any(told in failure.likely for failure in failures.values())
