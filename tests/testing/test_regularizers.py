from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Component, Float, Progress, Regularizer, State
from tunekit.builtin.regularizers.averaging import ExponentialAverage, StochasticWeightAveraging
from tunekit.builtin.regularizers.gradients import GradientClipping
from tunekit.builtin.regularizers.noise import Dropout
from tunekit.builtin.regularizers.targets import LabelSmoothing, Mixup
from tunekit.builtin.regularizers.weights import L1, L2, ElasticNet, MaxNorm
from tunekit.plugins import load
from tunekit.testing import Check, CheckFailure, checks_for, parametrize_with_checks

Array = NDArray[Any]
Rng = np.random.Generator
Caught = Callable[[Component], dict[str, CheckFailure]]

REGISTRY = load(entry_points=False)
BUILT_IN = [REGISTRY.find(Regularizer, name) for name in REGISTRY.names("regularizer")]


@parametrize_with_checks(
    *BUILT_IN,
    Dropout(rate=0.5),
    Dropout(rate=0.0),
    L1(strength=0.01),
    L2(strength=0.1),
    ElasticNet(ratio=1.0),
    MaxNorm(limit=1.0),
    GradientClipping(limit=0.1),
    LabelSmoothing(smoothing=0.3),
    Mixup(alpha=1.0),
    ExponentialAverage(decay_rate=0.0),
    StochasticWeightAveraging(begin=0.0),
)
def test_the_built_ins_pass(component: Regularizer, check: Check) -> None:
    check(component)


# Regularizers that are right, and into which one mistake is put.


class Squares(Regularizer):
    name = "mine"
    strength: float = Float(1e-3)

    def penalty(self, w: Array) -> tuple[float, Array]:
        return self.strength * float(np.sum(w * w)), 2 * self.strength * w


class Shrink(Regularizer):
    name = "mine"

    def decay(self, w: Array) -> Array:
        return w * 1e-3


class Drop(Regularizer):
    name = "mine"

    def on_hidden(self, a: Array, rng: Rng) -> tuple[Array, Array | None]:
        factor: Array = (rng.random(a.shape) > 0.2).astype(a.dtype)
        factor *= 1 / 0.8
        return a * factor, factor


class Mix(Regularizer):
    name = "mine"

    def on_batch(self, x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
        share, order = float(rng.uniform(0, 1)), rng.permutation(len(x))
        return mixed(x, order, share), mixed(y, order, share)


def mixed(a: Array, order: Array, share: float) -> Array:
    return share * a + (1 - share) * a[order]


class Smooth(Regularizer):
    name = "mine"
    tasks = ("classification",)

    def on_targets(self, y: Array) -> Array:
        soft: Array = 0.9 * y + 0.1 / max(y.shape[1], 2)
        return soft


class Unit(Regularizer):
    name = "mine"

    def on_weights(self, matrix: Array) -> Array:
        lengths = np.sqrt(np.sum(matrix * matrix, axis=0))
        short: Array = matrix / np.maximum(lengths / 3, 1)
        return short


class Average(Regularizer):
    name = "mine"
    slots = ("sum",)

    def initial_state(self, w: Array) -> State:
        return super().initial_state(w) | {"steps": 0}

    def on_step(self, w: Array, state: State, progress: Progress) -> None:
        state["sum"] = state["sum"] + w
        state["steps"] += 1

    def evaluation_weights(self, w: Array, state: State) -> Array:
        average: Array = state["sum"] * (1 / max(state["steps"], 1))
        return average if state["steps"] else w


@pytest.mark.parametrize("cls", [Squares, Shrink, Drop, Mix, Smooth, Unit, Average])
def test_what_is_right_passes(cls: type[Regularizer], caught: Caught) -> None:
    assert caught(cls()) == {}


class Nothing(Regularizer):
    name = "mine"


def written(self: Any, w: Array) -> Array:
    w *= 1e-3
    return w


def mask_only(self: Any, a: Array, rng: Rng) -> tuple[Array, Array]:
    mask = (rng.random(a.shape) > 0.2).astype(a.dtype)
    return a * mask * 1.25, mask


def dropped(a: Array, rng: Rng, scale: float) -> tuple[Array, Array]:
    factor: Array = (rng.random(a.shape) > 0.3).astype(a.dtype)
    factor *= scale
    return a * factor, factor


def own_generator(self: Any, a: Array, rng: Rng) -> tuple[Array, Array]:
    factor = np.random.default_rng().random(a.shape, a.dtype)
    return a * factor, factor


def shared_generator(self: Any, a: Array, rng: Rng) -> tuple[Array, Array]:
    factor = np.random.random(a.shape).astype(a.dtype)  # noqa: NPY002
    return a * factor, factor


def scheduled(self: Any, w: Array) -> Array:
    type(self).calls = getattr(type(self), "calls", 0) + 1
    decay: Array = w * (1e-3 / type(self).calls)
    return decay


def remembered_outside(self: Any, w: Array, state: State) -> Array:
    kept = type(self).kept = 0.9 * getattr(type(self), "kept", 0.0) + 0.1 * w
    return np.asarray(kept, w.dtype)


def noted(self: Any, w: Array, state: State, progress: Progress) -> None:
    state["previous"] = w.copy()


# The regularizer, what is wrong, the checks that find it, and what is told.
MISTAKES: dict[str, tuple[type[Regularizer], dict[str, Any], set[str], str]] = {
    "a misspelt moment": (
        Nothing,
        {"on_weight": lambda self, matrix: matrix},
        {"moments"},
        "it is meant to be `on_weights`",
    ),
    "another word for a moment": (
        Nothing,
        {"penalise": Squares.penalty},
        {"moments"},
        "it is meant to be `penalty`",
    ),
    "a misspelt moment among others": (
        Squares,
        {"on_gradients": lambda self, g: g},
        {"moments"},
        "it is meant to be `on_gradient`",
    ),
    "no moment": (
        Nothing,
        {},
        {"moments"},
        "the moment has another name",
    ),
    "slots that nobody is given": (
        Squares,
        {"slots": ("m",)},
        {"moments"},
        "the slots are not needed",
    ),
    "a penalty gradient without its factor 2": (
        Squares,
        {"penalty": lambda self, w: (1e-3 * float(w @ w), 1e-3 * w)},
        {"penalty_gradient"},
        "everything is too small by a factor 2",
    ),
    "a penalty gradient turned round": (
        Squares,
        {"penalty": lambda self, w: (1e-3 * float(w @ w), -2e-3 * w)},
        {"penalty_gradient", "pulls_to_0"},
        "the sign is turned round",
    ),
    "a norm as a penalty": (
        Squares,
        {
            "penalty": lambda self, w: (
                1e-3 * float(np.sqrt(w @ w)),
                w * (1e-3 / max(float(np.sqrt(w @ w)), 1e-9)),
            )
        },
        {"penalty_sum"},
        "a norm (a root of a sum) or a mean",
    ),
    "a mean as a penalty": (
        Squares,
        {"penalty": lambda self, w: (float(w @ w) / len(w), w * (2 / len(w)))},
        {"penalty_sum"},
        "block by block",
    ),
    "a penalty for each weight": (
        Squares,
        {"penalty": lambda self, w: (w * w, 2 * w)},
        {"shape_and_dtype", "penalty_gradient", "penalty_sum", "learns"},
        "the sum over the elements is missing",
    ),
    "a decay by the norm": (
        Shrink,
        {"decay": lambda self, w: w * (1e-3 / (1e-9 + float(np.sqrt(w @ w))))},
        {"decay_elementwise"},
        "the trainer calls the decay block by block",
    ),
    "writing into the weights": (
        Shrink,
        {"decay": written},
        {"inputs_not_modified", "learns"},
        "an in-place operation (`w *= ...`",
    ),
    "a float64 number": (
        Shrink,
        {"decay": lambda self, w: np.float64(1e-3) * w},
        {"shape_and_dtype", "learns"},
        "use Python floats",
    ),
    "memory": (
        Shrink,
        {"decay": scheduled},
        {"deterministic", "decay_elementwise"},
        "something is remembered between calls",
    ),
    "a decay of the wrong sign": (
        Shrink,
        {"decay": lambda self, w: w * -1e-3},
        {"pulls_to_0"},
        "takes `lr` times the penalty's gradient, or the decay, off the weights",
    ),
    "a penalty of the wrong sign": (
        Squares,
        {"penalty": lambda self, w: (-1e-4 * float(w @ w), -2e-4 * w)},
        {"pulls_to_0"},
        "the sign is turned round",
    ),
    "a dropout divided by its rate": (
        Drop,
        {"on_hidden": lambda self, a, rng: dropped(a, rng, 1 / 0.3)},
        {"hidden_scale"},
        "1 / (1 - rate): not with 1 / rate",
    ),
    "a dropout that is not rescaled": (
        Drop,
        {"on_hidden": lambda self, a, rng: dropped(a, rng, 1.0)},
        {"hidden_scale"},
        "not left as it is",
    ),
    "the mask without the scale": (
        Drop,
        {"on_hidden": mask_only},
        {"hidden_factor"},
        "the mask is returned without the scale, 1 / (1 - rate)",
    ),
    "no factor": (
        Drop,
        {"on_hidden": lambda self, a, rng: (a * rng.random(a.shape, a.dtype), None)},
        {"hidden_factor", "hidden_scale"},
        "None stands for a derivative of 1",
    ),
    "a generator of its own": (
        Drop,
        {"on_hidden": own_generator},
        {"deterministic", "hidden_scale"},
        "drawn from a generator of its own",
    ),
    "the shared generator": (
        Drop,
        {"on_hidden": shared_generator},
        {"deterministic", "hidden_scale"},
        "np.random.something(...)",
    ),
    "normal noise in float64": (
        Drop,
        {"on_hidden": lambda self, a, rng: (a + 0.1 * rng.normal(size=a.shape), None)},
        {"shape_and_dtype", "learns"},
        "rng.normal(...)",
    ),
    "inputs mixed, targets not": (
        Mix,
        {
            "on_batch": lambda self, x, y, rng: (
                mixed(x, rng.permutation(len(x)), float(rng.uniform(0, 1))),
                y,
            )
        },
        {"batch_rows"},
        "the inputs are shuffled or mixed, and the targets are not",
    ),
    "inputs and targets in two orders": (
        Mix,
        {"on_batch": lambda self, x, y, rng: (rng.permutation(x), rng.permutation(y))},
        {"batch_rows", "learns"},
        "draw the order once for both",
    ),
    "targets that do not add up": (
        Smooth,
        {"on_targets": lambda self, y: 0.9 * y + 0.1},
        {"class_targets"},
        "the share that the right class loses",
    ),
    "targets above 1": (
        Smooth,
        {"on_targets": lambda self, y: 1.1 * y - 0.1 / max(y.shape[1], 2)},
        {"class_targets"},
        "something is added that is not taken away",
    ),
    "a division by the length of nothing": (
        Unit,
        {"on_weights": lambda self, matrix: matrix / np.sqrt((matrix * matrix).sum(axis=0))},
        {"extreme_inputs"},
        "something is divided by 0",
    ),
    "the matrix transposed": (
        Unit,
        {"on_weights": lambda self, matrix: matrix.T},
        {"shape_and_dtype", "learns"},
        "it is transposed",
    ),
    "memory outside of the state": (
        Average,
        {"evaluation_weights": remembered_outside},
        {"deterministic", "state_pickles", "learns"},
        "instead of in the state",
    ),
    "a slot that is not declared": (
        Average,
        {"on_step": noted},
        {"slots", "learns"},
        "a name that is neither among the `slots`",
    ),
    "a float64 number in a slot": (
        Average,
        {"on_step": lambda self, w, state, progress: state.update(sum=w * np.float64(1.0))},
        {"slots", "learns"},
        "a float64 number in the formula",
    ),
    "a generator in the state": (
        Average,
        {"initial_state": lambda self, w: {"sum": w * 0, "steps": 0, "draw": lambda: 0}},
        {"state_pickles"},
        "a function or a generator is kept",
    ),
    "too strong": (
        Squares,
        {"penalty": lambda self, w: (100 * float(w @ w), 200 * w)},
        {"learns"},
        "so strong that nothing else is learned",
    ),
}


def broken(mistake: str) -> Regularizer:
    cls, wrong, *_ = MISTAKES[mistake]
    made: Regularizer = type("Mine", (cls,), wrong)()
    return made


def test_every_check_finds_some_mistake() -> None:
    right = (Squares, Shrink, Drop, Mix, Smooth, Average)
    checks = {check.name for cls in right for check in checks_for(cls) if check.kind}
    assert {name for *_, names, _ in MISTAKES.values() for name in names} == checks


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_caught_by_name(mistake: str, caught: Caught) -> None:
    *_, names, told = MISTAKES[mistake]
    failures = caught(broken(mistake))
    assert set(failures) == names
    assert any(told in failure.likely for failure in failures.values())


def test_a_wrong_factor_is_told_with_its_place_and_numbers(caught: Caught) -> None:
    failure = caught(broken("the mask without the scale"))["hidden_factor"]
    assert failure.expected.startswith("1.25, by finite differences, where a = ")
    assert "the factor gives 1;" in failure.found


class Helped(Squares):
    """A regularizer with methods of its own."""

    def penalties(self) -> int:
        return 1

    def weights_of(self) -> int:
        return 1


def test_helpers_with_names_like_the_moments_that_are_there_are_left_alone(caught: Caught) -> None:
    assert caught(Helped()) == {}
