from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Component, Loss
from tunekit.builtin.losses import Huber
from tunekit.plugins import load
from tunekit.testing import Check, CheckFailure, checks_for, parametrize_with_checks

Array = NDArray[Any]
Weight = Array | None
Caught = Callable[[Component], dict[str, CheckFailure]]
Rows = Callable[[Array, Array], tuple[Array, Array]]

REGISTRY = load(entry_points=False)
BUILT_IN = [REGISTRY.find(Loss, name) for name in REGISTRY.names("loss")]


@parametrize_with_checks(*BUILT_IN, Huber(delta=0.1), Huber(delta=3.0))
def test_the_built_ins_pass(component: Loss, check: Check) -> None:
    check(component)


# Losses that are right, and into which one mistake is put.


def mean(values: Array, slopes: Array, weight: Weight) -> tuple[float, Array]:
    """The weighted mean of the losses of rows, and its gradient."""
    weight = np.ones(len(values), slopes.dtype) if weight is None else weight
    share = weight / weight.sum()
    return float(share @ values), slopes * share[:, None]


class Squares(Loss):
    name = "mine"
    tasks = ("regression",)

    def value_and_gradient(
        self, output: Array, target: Array, weight: Weight
    ) -> tuple[float, Array]:
        error = output - target
        return mean((error * error).sum(axis=1), 2 * error, weight)

    def predict(self, output: Array) -> Array:
        return output


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p: Array = e / e.sum(axis=1, keepdims=True)
    return p


class Surprise(Loss):
    name = "mine"
    tasks = ("classification",)
    targets = "one-hot"

    def value_and_gradient(
        self, output: Array, target: Array, weight: Weight
    ) -> tuple[float, Array]:
        shifted = output - output.max(axis=1, keepdims=True)
        total = np.log(np.exp(shifted).sum(axis=1))
        values = total * target.sum(axis=1) - (target * shifted).sum(axis=1)
        slopes = softmax(output) * target.sum(axis=1, keepdims=True) - target
        return mean(values, slopes, weight)

    def predict(self, output: Array) -> Array:
        return softmax(output)


def sigmoid(z: Array) -> Array:
    p: Array = 0.5 + 0.5 * np.tanh(0.5 * z)
    return p


class TwoClasses(Loss):
    name = "mine"
    tasks = ("classification",)
    targets = "binary"

    def value_and_gradient(
        self, output: Array, target: Array, weight: Weight
    ) -> tuple[float, Array]:
        values = np.logaddexp(output, 0) - target * output
        return mean(values.sum(axis=1), sigmoid(output) - target, weight)

    def predict(self, output: Array) -> Array:
        return np.hstack([sigmoid(-output), sigmoid(output)])


@pytest.mark.parametrize("cls", [Squares, Surprise, TwoClasses])
def test_what_is_right_passes(cls: type[Loss], caught: Caught) -> None:
    assert caught(cls()) == {}


def found(formula: Callable[[Array, Array, Any], Any]) -> dict[str, Any]:
    return {
        "value_and_gradient": lambda self, output, target, weight: formula(output, target, weight)
    }


def of_rows(rows: Rows) -> dict[str, Any]:
    """With these losses of rows and their gradients."""
    return found(lambda output, target, weight: mean(*rows(output, target), weight))


def predicted(formula: Callable[[Array], Any]) -> dict[str, Any]:
    return {"predict": lambda self, output: formula(output)}


def squares(output: Array, target: Array) -> tuple[Array, Array]:
    error = output - target
    return (error * error).sum(axis=1), 2 * error


def summed(output: Array, target: Array, weight: Weight) -> tuple[float, Array]:
    values, slopes = squares(output, target)
    weight = np.ones(len(values), slopes.dtype) if weight is None else weight
    return float(weight @ values), slopes * weight[:, None]


def divided_by_rows(output: Array, target: Array, weight: Weight) -> tuple[float, Array]:
    value, slopes = summed(output, target, weight)
    return value / len(output), slopes / len(output)


def mean_value_only(output: Array, target: Array, weight: Weight) -> tuple[float, Array]:
    return divided_by_rows(output, target, weight)[0], squares(output, target)[1]


def rooted(output: Array, target: Array, weight: Weight) -> tuple[float, Array]:
    values, slopes = squares(output, target)
    if weight is not None:
        return mean(values, slopes, weight)
    root = float(np.sqrt(np.mean(values**2)))
    return root, slopes * values[:, None] / (len(values) * root)


def written(output: Array, target: Array, weight: Weight) -> tuple[float, Array]:
    output -= target
    return mean((output * output).sum(axis=1), 2 * output, weight)


def counting(self: Any, output: Array, target: Array, weight: Weight) -> tuple[float, Array]:
    type(self).calls = getattr(type(self), "calls", 0) + 1
    values, slopes = squares(output, target)
    growth = 1 + 1e-3 * type(self).calls
    return mean(growth * values, growth * slopes, weight)


def unprotected(output: Array, target: Array) -> tuple[Array, Array]:
    e = np.exp(output)
    p = e / e.sum(axis=1, keepdims=True)
    return -(target * np.log(p)).sum(axis=1), p - target


# The loss, what is wrong, the checks that find it, and what is told.
MISTAKES: dict[str, tuple[type[Loss], dict[str, Any], set[str], str]] = {
    "a missing factor": (
        Squares,
        of_rows(lambda o, t: (((o - t) ** 2).sum(axis=1), o - t)),
        {"gradient"},
        "everything is too small by a factor 2",
    ),
    "limited for far outputs, the gradient not": (
        Squares,
        of_rows(
            lambda o, t: (
                np.where(np.abs(o - t) > 12, 24 * np.abs(o - t) - 144, (o - t) ** 2).sum(axis=1),
                2 * (o - t),
            )
        ),
        {"gradient"},
        "the derivative of something else",
    ),
    "a root mean square without weights": (
        Squares,
        found(rooted),
        {"weights"},
        "what is done without weights is no mean",
    ),
    "a gradient turned round": (
        Squares,
        of_rows(lambda o, t: (((o - t) ** 2).sum(axis=1), 2 * (t - o))),
        {"gradient", "right_answer", "learns"},
        "the sign is turned round",
    ),
    "all turned round": (
        Squares,
        of_rows(lambda o, t: (-((o - t) ** 2).sum(axis=1), 2 * (t - o))),
        {"right_answer", "learns"},
        "the error is turned round",
    ),
    "summed instead of averaged": (
        Squares,
        found(summed),
        {"mean_over_rows", "weights"},
        "a sum over the rows instead of the mean",
    ),
    "the value averaged, the gradient not": (
        Squares,
        found(mean_value_only),
        {"gradient", "mean_over_rows", "weights"},
        "the value is a mean over the rows, the gradient is not",
    ),
    "weights that are not used": (
        Squares,
        found(lambda o, t, weight: mean(*squares(o, t), None)),
        {"weights"},
        "the weights are not used",
    ),
    "divided by the rows": (
        Squares,
        found(divided_by_rows),
        {"weights"},
        "divided by the number of rows instead of by the sum of weights",
    ),
    "a loss for each row": (
        Squares,
        found(lambda o, t, weight: squares(o, t)),
        {"shape_and_dtype", "gradient", "mean_over_rows", "weights", "learns"},
        "the mean over the rows is missing",
    ),
    "a float64 number": (
        Squares,
        of_rows(lambda o, t: (((o - t) ** 2).sum(axis=1), np.float64(2) * (o - t))),
        {"shape_and_dtype", "learns"},
        "use Python floats",
    ),
    "one value returned": (
        Squares,
        found(lambda o, t, weight: mean(*squares(o, t), weight)[0]),
        {
            *("shape_and_dtype", "deterministic", "gradient", "mean_over_rows", "weights"),
            *("right_answer", "extreme_inputs", "learns"),
        },
        "one of the two is forgotten",
    ),
    "writing into the output": (
        Squares,
        found(written),
        {"inputs_not_modified", "learns"},
        "an in-place operation (`output *= ...`",
    ),
    "memory": (
        Squares,
        {"value_and_gradient": counting},
        {"deterministic"},
        "something is remembered between calls",
    ),
    "an overflow": (
        Surprise,
        of_rows(unprotected),
        {"extreme_inputs"},
        "np.exp or a power overflows",
    ),
    "wrong for soft targets": (
        Surprise,
        of_rows(lambda o, t: (-np.log(softmax(o)[t == t.max(axis=1)[:, None]]), softmax(o) - t)),
        {"gradient", "extreme_inputs"},
        "the derivative of something else",
    ),
    "no softmax in predict": (
        Surprise,
        predicted(lambda output: output),
        {"predictions"},
        "apply the softmax or sigmoid",
    ),
    "a sigmoid instead of a softmax": (
        Surprise,
        predicted(sigmoid),
        {"predictions"},
        "a sigmoid for each class where a softmax is meant",
    ),
    "labels predicted": (
        Surprise,
        predicted(lambda output: output.argmax(axis=1)),
        {"predictions", "right_answer", "learns"},
        "instead of all probabilities",
    ),
    "one probability for two classes": (
        TwoClasses,
        predicted(sigmoid),
        {"predictions", "right_answer", "learns"},
        "both probabilities are returned",
    ),
    "the classes turned round": (
        TwoClasses,
        predicted(lambda output: np.hstack([sigmoid(output), sigmoid(-output)])),
        {"right_answer", "learns"},
        "`predict` belongs to another loss",
    ),
    "every task": (
        Squares,
        {"tasks": ("classification", "multilabel", "regression")},
        {"tasks", "learns"},
        "a loss is taken to suit every task",
    ),
}


def broken(mistake: str) -> Loss:
    cls, wrong, *_ = MISTAKES[mistake]
    made: Loss = type("Mine", (cls,), wrong)()
    return made


def test_every_check_finds_some_mistake() -> None:
    checks = {check.name for check in checks_for(Squares) if check.kind}
    assert {name for *_, names, _ in MISTAKES.values() for name in names} == checks


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_caught_by_name(mistake: str, caught: Caught) -> None:
    *_, names, told = MISTAKES[mistake]
    failures = caught(broken(mistake))
    assert set(failures) == names
    assert any(told in failure.likely for failure in failures.values())


def test_a_wrong_gradient_is_told_with_its_place_and_numbers(caught: Caught) -> None:
    failure = caught(broken("a missing factor"))["gradient"]
    assert "by finite differences, for an output of " in failure.expected
    assert "without weights" in failure.expected
    assert "wrong at 18 of 18 places" in failure.found
