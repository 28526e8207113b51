from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Activation, Component, LearnedActivation
from tunekit.builtin.activations.exponential import Celu, Elu
from tunekit.builtin.activations.gated import Gelu, Swish
from tunekit.builtin.activations.periodic import Snake
from tunekit.builtin.activations.piecewise import Prelu
from tunekit.plugins import load
from tunekit.testing import Check, CheckFailure, checks_for, parametrize_with_checks

Array = NDArray[Any]
Caught = Callable[[Component], dict[str, CheckFailure]]

REGISTRY = load(entry_points=False)
BUILT_IN = [REGISTRY.find(Activation, name) for name in REGISTRY.names("activation")]


@parametrize_with_checks(
    *BUILT_IN,
    Gelu(exact=True),
    Elu(alpha=0.0),
    Elu(alpha=0.3),
    Celu(alpha=0.3),
    Prelu(initial=-0.5),
    Swish(initial=0.0),
    Snake(initial=20.0),
)
def test_the_built_ins_pass(component: Activation, check: Check) -> None:
    check(component)


# Activations that are right, and into which one mistake is put.


class Tanh(Activation):
    name = "mine"
    gain = 1.6

    def forward(self, z: Array) -> Array:
        return np.tanh(z)

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        dz: Array = da * (1 - a * a)
        return dz


class Leaky(Tanh):
    gain = 1.4

    def forward(self, z: Array) -> Array:
        return np.where(z > 0, z, z * 0.1)

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        return np.where(z > 0, da, da * 0.1)


class Softplus(Tanh):
    gain = 1.0

    def forward(self, z: Array) -> Array:
        a: Array = np.logaddexp(z, 0)
        return a

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        dz: Array = da * -np.expm1(-a)
        return dz


class Scaled(LearnedActivation):
    """p tanh(z)."""

    name = "mine"

    def evaluate(self, z: Array, p: Array) -> Array:
        a: Array = np.tanh(z) * p
        return a

    def gradients(self, da: Array, z: Array, p: Array) -> tuple[Array, Array]:
        a = np.tanh(z)
        return da * (1 - a * a) * p, (da * a).sum(axis=0)


@pytest.mark.parametrize("cls", [Tanh, Leaky, Softplus, Scaled])
def test_what_is_right_passes(cls: type[Activation], caught: Caught) -> None:
    assert caught(cls()) == {}


def in_place(self: Any, z: Array) -> Array:
    z *= 0.5
    return np.tanh(z)


BUFFER: dict[Any, Array] = {}


def kept(self: Any, z: Array) -> Array:
    return np.tanh(z, out=BUFFER.setdefault((z.shape, z.dtype), np.empty_like(z)))


def remembering(self: Any, z: Array) -> Array:
    calls = type(self).calls = getattr(type(self), "calls", 0) + 1
    return np.tanh(z) * (1 - 1e-7 / calls)


def random_slope(self: Any, z: Array) -> Array:
    return np.where(z > 0, z, z * np.random.uniform(0.0, 0.2))  # noqa: NPY002


# The activation, the methods that are wrong, the checks that find it, and what is told.
MISTAKES: dict[str, tuple[type[Activation], dict[str, Any], set[str], str]] = {
    "a missing factor": (
        Tanh,
        {"backward": lambda self, da, z, a: 0.5 * da * (1 - a * a)},
        {"derivative"},
        "everything is too small by a factor 2",
    ),
    "a wrong sign": (
        Tanh,
        {"backward": lambda self, da, z, a: -da * (1 - a * a)},
        {"derivative", "learns"},
        "the sign is turned round",
    ),
    "no chain rule": (
        Tanh,
        {"backward": lambda self, da, z, a: 1 - a * a},
        {"derivative", "learns"},
        "the derivative alone is returned",
    ),
    "z where a is meant": (
        Tanh,
        {"backward": lambda self, da, z, a: da * (1 - z * z)},
        {"derivative"},
        "the derivative of something else",
    ),
    "wrong on one side of a kink": (
        Leaky,
        {"backward": lambda self, da, z, a: np.where(z > 0, da, da * 0.01)},
        {"derivative"},
        "it is right above 0 and wrong below",
    ),
    "limited far away, the derivative not": (
        Leaky,
        {
            "forward": lambda self, z: np.where(z > 0, np.minimum(z, 20), z * 0.1),
        },
        {"derivative"},
        "it is right below 0 and wrong above",
    ),
    "a step with another gradient on purpose": (
        Tanh,
        {
            "forward": lambda self, z: np.sign(z),
            "backward": lambda self, da, z, a: da * (np.abs(z) <= 1),
        },
        {"derivative"},
        "name it in `expected_failures`",
    ),
    "a float64 number": (
        Tanh,
        {"forward": lambda self, z: np.float64(1.0) * np.tanh(z)},
        {"shape_and_dtype", "learns"},
        "use Python floats",
    ),
    "another shape": (
        Tanh,
        {"backward": lambda self, da, z, a: (da * (1 - a * a)).sum(axis=0)},
        {"shape_and_dtype", "derivative", "learns"},
        "a sum over an axis",
    ),
    "writing into z": (
        Tanh,
        {"forward": in_place},
        {"inputs_not_modified", "derivative", "learns"},
        "an in-place operation (`z *= ...`",
    ),
    "writing into da": (
        Tanh,
        {"backward": lambda self, da, z, a: np.multiply(da, 1 - a * a, out=da)},
        {"inputs_not_modified", "learns"},
        "the trainer's own",
    ),
    "a result that is written into again": (
        Tanh,
        {"forward": kept},
        {"deterministic"},
        "return a new array",
    ),
    "the shared generator": (
        Leaky,
        {"forward": random_slope},
        {"deterministic"},
        "np.random.something(...)",
    ),
    "memory": (
        Tanh,
        {"forward": remembering},
        {"deterministic"},
        "something is remembered between calls",
    ),
    "a sum over the units": (
        Tanh,
        {"forward": lambda self, z: z - z.mean(axis=1, keepdims=True)},
        {"elementwise", "derivative", "gain"},
        "an activation is applied element by element",
    ),
    "an overflow": (
        Softplus,
        {"forward": lambda self, z: np.log(1 + np.exp(z))},
        {"extreme_inputs"},
        "np.exp or a power overflows",
    ),
    "lost digits": (
        Softplus,
        {
            "forward": lambda self, z: (
                np.logaddexp(z, 0) + (z.dtype.type(1e5) + z) - z - z.dtype.type(1e5)
            )
        },
        {"precision", "derivative"},
        "the difference of two large numbers",
    ),
    "tiny values and a gain of 1": (
        Tanh,
        {
            "gain": 1.0,
            "forward": lambda self, z: 0.01 * np.tanh(z),
            "backward": lambda self, da, z, a: da * (0.01 - 100 * a * a),
        },
        {"gain", "learns"},
        "`gain` is left at 1",
    ),
    "p without the sum over the rows": (
        Scaled,
        {"gradients": lambda self, da, z, p: (da * (1 - np.tanh(z) ** 2) * p, da * np.tanh(z))},
        {"shape_and_dtype", "parameter_gradient", "learns"},
        "the sum over the rows: np.einsum",
    ),
    "p with the mean over the rows": (
        Scaled,
        {
            "gradients": lambda self, da, z, p: (
                da * (1 - np.tanh(z) ** 2) * p,
                (da * np.tanh(z)).mean(axis=0),
            )
        },
        {"parameter_gradient"},
        "the mean over the rows",
    ),
    "p without the chain rule": (
        Scaled,
        {
            "gradients": lambda self, da, z, p: (
                da * (1 - np.tanh(z) ** 2) * p,
                np.tanh(z).sum(axis=0),
            )
        },
        {"parameter_gradient"},
        "the derivative times `da`",
    ),
    "another forward": (
        Scaled,
        {"forward": lambda self, z: 2 * np.tanh(z)},
        {"initial_parameter", "derivative"},
        "a learned activation has `evaluate`",
    ),
}


def broken(mistake: str) -> Activation:
    cls, methods, *_ = MISTAKES[mistake]
    made: Activation = type("Mine", (cls,), methods)()
    return made


def test_every_check_finds_some_mistake() -> None:
    checks = {check.name for cls in (Tanh, Scaled) for check in checks_for(cls) if check.kind}
    assert {name for *_, names, _ in MISTAKES.values() for name in names} == checks


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_caught_by_name(mistake: str, caught: Caught) -> None:
    *_, names, told = MISTAKES[mistake]
    failures = caught(broken(mistake))
    assert set(failures) == names
    assert any(told in failure.likely for failure in failures.values())


def test_a_wrong_derivative_is_told_with_its_place_and_numbers(caught: Caught) -> None:
    failure = caught(broken("a missing factor"))["derivative"]
    assert "by finite differences, at z = " in failure.expected
    assert "with da = " in failure.expected
    assert "backward gives" in failure.found


class Saw(Tanh):
    """A zigzag with a kink every 0.0005: many are next to the places that are looked at."""

    def forward(self, z: Array) -> Array:
        a: Array = np.abs(z % 0.001 - 0.0005)
        return a

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        dz: Array = da * np.sign(z % 0.001 - 0.0005)
        return dz


def test_kinks_have_no_derivative_to_be_wrong(caught: Caught) -> None:
    assert "derivative" not in caught(Saw())


def test_values_rounded_on_the_way_have_no_derivative_at_all(caught: Caught) -> None:
    rounded = {"forward": lambda self, z: np.tanh(z.astype(np.float32)).astype(z.dtype)}
    failure = caught(type("Mine", (Tanh,), rounded)())["derivative"]
    assert "rounded to float32 on the way" in failure.likely
