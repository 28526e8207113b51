from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Activation, LearnedActivation
from tunekit.builtin.activations import functions
from tunekit.plugins import load

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
ACTIVATIONS = [REGISTRY.find(Activation, name) for name in REGISTRY.names("activation")]
GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden" / "activations.json").read_text(encoding="utf-8")
)
HARD_SIGMOID = REGISTRY.find(Activation, "hard_sigmoid")
LEARNED = ["prelu", "snake", "swish"]
every_learned = pytest.mark.parametrize("name", LEARNED)


def activation(name: str, **values: Any) -> Activation:
    return REGISTRY.find(Activation, name)(**values)


def learned(name: str, **values: Any) -> LearnedActivation:
    f = activation(name, **values)
    assert isinstance(f, LearnedActivation)
    return f


every_activation = pytest.mark.parametrize(
    "f",
    [
        *(cls() for cls in ACTIVATIONS),
        activation("gelu", exact=True),
        activation("elu", alpha=0.3),
        activation("celu", alpha=0.3),
        activation("snake", initial=20.0),
    ],
    ids=str,
)


def deviations() -> dict[str, float]:
    """The largest deviation of each activation and its derivatives from torch, in float64.

    Relative to the expected number, or absolute where that is below 1.
    """
    largest: dict[str, float] = {}
    z = np.array([GOLDEN["z"]])
    for case in GOLDEN["cases"]:
        f, ones = activation(case["name"], **case["values"]), np.ones_like(z)
        if "parameter" in case:
            assert isinstance(f, LearnedActivation)
            p = np.full(z.shape[1], case["parameter"])
            dz, dp = f.gradients(ones, z, p)
            found = {"a": f.evaluate(z, p), "dz": dz, "dp": dp}
        else:
            a = f.forward(z)
            found = {"a": a, "dz": f.backward(ones, z, a)}
        for key, values in found.items():
            expected = np.array(case[key])
            deviation = float(np.max(np.abs(values - expected) / np.maximum(np.abs(expected), 1)))
            largest[f.name] = max(largest.get(f.name, 0.0), deviation)
    return largest


@pytest.mark.parametrize("cls", ACTIVATIONS, ids=lambda cls: cls.name)
def test_values_and_derivatives_are_those_of_torch(cls: type[Activation]) -> None:
    # torch multiplies with a sixth that is rounded to float32, also in float64.
    assert deviations()[cls.name] < (5e-9 if cls is HARD_SIGMOID else 1e-12)


def apart_from_kinks(rows: int, units: int) -> Array:
    """Numbers that have no kink of any activation within 0.01."""
    z = np.random.default_rng(3).normal(scale=2.0, size=(rows, units))
    distance = np.min([np.abs(z - kink) for kink in (-3, -1, 0, 1, 3, 6)], axis=0)
    return np.where(distance < 1e-2, 0.5, z)


def differences(f: Any, x: Array) -> Array:
    """The derivative of `f` at `x` from four points: far more precise than from two."""
    h = 1e-4
    slope = 8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))
    return np.asarray(slope / (12 * h))


@every_activation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_inputs_raise_no_warning(f: Activation, dtype: Any) -> None:
    z = np.array([[-1e4, -100.0, -0.0, 0.0, 1e-30, 100.0, 1e4]], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        f.backward(np.ones_like(z), z, f.forward(z))


@every_activation
def test_single_precision_loses_nothing_but_the_last_digits(f: Activation) -> None:
    z = apart_from_kinks(20, 30)
    da = np.ones_like(z)
    single, da_single = z.astype(np.float32), da.astype(np.float32)
    a, a_single = f.forward(z), f.forward(single)
    np.testing.assert_allclose(a_single, a, rtol=1e-5, atol=1e-6)
    dz, dz_single = f.backward(da, z, a), f.backward(da_single, single, a_single)
    # A wave of 20 periods turns the rounding of its angle into an error 20 times as large.
    np.testing.assert_allclose(dz_single, dz, rtol=1e-5, atol=5e-5 if f.name == "snake" else 1e-6)


GAINS: list[tuple[str, dict[str, Any]]] = [
    (cls.name, {}) for cls in ACTIVATIONS if cls.name not in ("tanh", "sigmoid", "hard_sigmoid")
] + [
    ("leaky_relu", {"slope": 0.3}),
    ("prelu", {"initial": -0.5}),
    ("elu", {"alpha": 0.3}),
    ("celu", {"alpha": 2.0}),
    ("swish", {"initial": 0.0}),
    ("snake", {"initial": 20.0}),
    ("gelu", {"exact": True}),
]


@pytest.mark.parametrize(("name", "values"), GAINS, ids=str)
def test_its_gain_restores_the_second_moment(name: str, values: dict[str, Any]) -> None:
    f = activation(name, **values)
    z = np.linspace(-12, 12, 200_001)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    second_moment = float(np.sum(f.forward(z[:, None])[:, 0] ** 2 * density) * (z[1] - z[0]))
    assert f.gain**2 * second_moment == pytest.approx(1, abs=1e-3 if name == "gelu" else 1e-5)


def test_the_gain_of_snake_is_that_of_its_integral() -> None:
    for p in (0.2, 1.0, 20.0):
        excess = (3 - 4 * math.exp(-2 * p**2) + math.exp(-8 * p**2)) / (8 * p**2)
        assert activation("snake", initial=p).gain == pytest.approx(1 / math.sqrt(1 + excess))


def test_the_gain_of_a_leaky_unit_follows_its_slope() -> None:
    assert activation("leaky_relu", slope=1.0).gain == 1
    assert activation("leaky_relu", slope=0.0).gain == math.sqrt(2)


def test_gelu_stays_near_the_exact_function() -> None:
    z = np.linspace(-8, 8, 1001)
    exact = [x * 0.5 * math.erfc(-x / math.sqrt(2)) for x in z]
    assert np.abs(activation("gelu").forward(z[None, :]) - exact).max() < 5e-4


def test_exact_gelu_and_its_derivative_are_precise_far_into_the_tail() -> None:
    z = np.linspace(-35, 8, 2001)
    cdf = np.array([math.erfc(-x / math.sqrt(2)) / 2 for x in z])
    f = activation("gelu", exact=True)
    np.testing.assert_allclose(f.forward(z[None])[0], z * cdf, rtol=1e-12)
    slope = cdf + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    found = f.backward(np.ones((1, 2001)), z[None], z[None])[0]
    np.testing.assert_allclose(found, slope, rtol=0, atol=1e-15)


def test_the_normal_tail_has_the_coefficients_of_its_script() -> None:
    assert GOLDEN["normal_tail"] == {
        "numerator": pytest.approx(functions.TAIL_NUMERATOR, rel=1e-15),
        "denominator": pytest.approx(functions.TAIL_DENOMINATOR, rel=1e-15),
    }


@pytest.mark.parametrize("name", ["elu", "selu", "celu", "softplus", "mish", "softsign"])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 30.0])
def test_no_digit_is_lost_next_to_zero_or_in_a_tail(name: str, scale: float) -> None:
    formulas: dict[str, Callable[[float], float]] = {
        "elu": math.expm1,
        "selu": lambda z: 1.0507009873554805 * 1.6732632423543772 * math.expm1(z),
        "celu": math.expm1,
        "softplus": lambda z: math.log1p(math.exp(z)),
        "mish": lambda z: z * math.tanh(math.log1p(math.exp(z))),
        "softsign": lambda z: z / (1 - z),
    }
    z = -scale * np.linspace(0.1, 1, 10)
    found = activation(name).forward(z[None])[0]
    np.testing.assert_allclose(found, [formulas[name](x) for x in z.tolist()], rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "place", "slope"),
    [
        ("relu", 0.0, 0.0),
        ("relu6", 0.0, 0.0),
        ("relu6", 6.0, 0.0),
        ("relu6", 1e-30, 1.0),
        ("leaky_relu", 0.0, 0.01),
        ("prelu", 0.0, 0.25),
        ("elu", 0.0, 1.0),
        ("selu", 0.0, 1.7580993408473766),
        ("hard_tanh", 1.0, 0.0),
        ("hard_sigmoid", -3.0, 0.0),
        ("hard_swish", -3.0, 0.0),
        ("hard_swish", 3.0, 1.0),
    ],
)
def test_a_kink_has_the_documented_derivative(name: str, place: float, slope: float) -> None:
    f, z = activation(name), np.array([[place]])
    assert f.backward(np.ones((1, 1)), z, f.forward(z)).item() == pytest.approx(slope)


@every_learned
@pytest.mark.parametrize("start", [-0.8, 0.3, 2.0])
def test_the_gradients_of_a_learned_one_are_what_finite_differences_say(
    name: str, start: float
) -> None:
    f, rng = learned(name), np.random.default_rng(6)
    z, da = apart_from_kinks(20, 5), rng.normal(size=(20, 5))
    p = start * rng.uniform(0.5, 1.5, size=5)
    dz, dp = f.gradients(da, z, p)
    slope = da * differences(lambda z: f.evaluate(z, p), z)
    np.testing.assert_allclose(dz, slope, rtol=1e-6, atol=1e-9)
    # A unit's parameter moves that unit alone, so all units can be moved at once.
    slope = (da * differences(lambda p: f.evaluate(z, p) + 0 * z, p)).sum(axis=0)
    np.testing.assert_allclose(dp, slope, rtol=1e-6, atol=1e-9)


@every_learned
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("parameter", [-30.0, -1.0, -0.0, 0.0, 1e-9, 1.0, 30.0])
def test_a_learned_one_keeps_dtype_and_stays_finite(
    name: str, dtype: Any, parameter: float
) -> None:
    f = learned(name)
    z = np.array([[-1e4, -3.0, 0.0, 1e-30, 1e4], [1e4, 1e-3, -0.0, 2.0, 100.0]], dtype)
    p = np.full(5, parameter, dtype)
    da = np.ones_like(z)
    for array in (z, p, da):
        array.flags.writeable = False
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        a, (dz, dp) = f.evaluate(z, p), f.gradients(da, z, p)
    assert (a.shape, dz.shape, dp.shape) == (z.shape, z.shape, p.shape)
    assert a.dtype == dz.dtype == dp.dtype == dtype
    assert all(np.isfinite(array).all() for array in (a, dz, dp))


def test_learned_ones_start_as_the_fixed_ones_that_they_extend() -> None:
    z = apart_from_kinks(4, 6)
    pairs = [
        (activation("prelu", initial=0.1), activation("leaky_relu", slope=0.1)),
        (activation("swish"), activation("silu")),
    ]
    for flexible, fixed in pairs:
        np.testing.assert_allclose(flexible.forward(z), fixed.forward(z), rtol=1e-14)


def test_snake_is_the_identity_where_its_frequency_vanishes() -> None:
    z = apart_from_kinks(4, 6)
    found = learned("snake").evaluate(z, np.zeros(6))
    np.testing.assert_allclose(found, z, rtol=1e-4)


def test_the_form_of_gelu_is_not_searched() -> None:
    assert activation("gelu").hyperparameters()["exact"].search is None
