from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Activation
from tunekit.plugins import load

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
ACTIVATIONS = [REGISTRY.find(Activation, name) for name in REGISTRY.names("activation")]
every_activation = pytest.mark.parametrize("cls", ACTIVATIONS, ids=lambda cls: cls.name)


def activation(name: str, **values: Any) -> Activation:
    return REGISTRY.find(Activation, name)(**values)


def apart_from_kinks(rows: int, units: int) -> Array:
    z = np.random.default_rng(3).normal(scale=2.0, size=(rows, units))
    return np.where(np.abs(z) < 1e-2, 0.5, z)


@every_activation
def test_its_derivative_is_what_finite_differences_say(cls: type[Activation]) -> None:
    f = cls()
    z = apart_from_kinks(20, 30)
    da = np.random.default_rng(4).normal(size=z.shape)
    h = 1e-5
    # Four points instead of two: the error of the difference itself stays far below 1e-6.
    slope = 8 * (f.forward(z + h) - f.forward(z - h))
    slope -= f.forward(z + 2 * h) - f.forward(z - 2 * h)
    expected = da * slope / (12 * h)
    np.testing.assert_allclose(f.backward(da, z, f.forward(z)), expected, rtol=1e-6, atol=1e-10)


@every_activation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_keeps_shape_and_dtype_and_leaves_its_arguments_alone(
    cls: type[Activation], dtype: Any
) -> None:
    f = cls()
    z = np.random.default_rng(5).normal(size=(4, 3)).astype(dtype)
    da = np.ones_like(z)
    z.flags.writeable = da.flags.writeable = False
    a = f.forward(z)
    a.flags.writeable = False
    dz = f.backward(da, z, a)
    assert a.shape == dz.shape == z.shape
    assert a.dtype == dz.dtype == dtype


@every_activation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_inputs_give_finite_values_without_a_warning(
    cls: type[Activation], dtype: Any
) -> None:
    f = cls()
    z = np.array([[-1e4, -100.0, -0.0, 0.0, 1e-30, 100.0, 1e4]], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        a = f.forward(z)
        dz = f.backward(np.ones_like(z), z, a)
    assert np.isfinite(a).all()
    assert np.isfinite(dz).all()


@every_activation
def test_it_acts_on_each_element_alone(cls: type[Activation]) -> None:
    f = cls()
    z = apart_from_kinks(3, 4)
    one_by_one = [f.forward(z[i : i + 1, j : j + 1]).item() for i in range(3) for j in range(4)]
    np.testing.assert_allclose(f.forward(z).ravel(), one_by_one, rtol=1e-12)


@pytest.mark.parametrize("name", ["identity", "relu", "leaky_relu", "gelu", "silu"])
def test_its_gain_restores_the_second_moment(name: str) -> None:
    f = activation(name)
    z = np.linspace(-12, 12, 200_001)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    second_moment = float(np.sum(f.forward(z) ** 2 * density) * (z[1] - z[0]))
    assert f.gain**2 * second_moment == pytest.approx(1, abs=1e-3)


def test_the_gain_of_a_leaky_unit_follows_its_slope() -> None:
    assert activation("leaky_relu", slope=1.0).gain == 1
    assert activation("leaky_relu", slope=0.0).gain == math.sqrt(2)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("identity", [-2.0, 0.0, 2.0]),
        ("relu", [0.0, 0.0, 2.0]),
        ("leaky_relu", [-0.02, 0.0, 2.0]),
        ("tanh", [-0.9640275800758169, 0.0, 0.9640275800758169]),
        ("sigmoid", [0.11920292202211755, 0.5, 0.8807970779778823]),
        ("silu", [-0.2384058440442351, 0.0, 1.7615941559557649]),
        ("gelu", [-0.04540230591222494, 0.0, 1.954597694087775]),
    ],
)
def test_values_at_minus_two_zero_and_two(name: str, values: list[float]) -> None:
    found = activation(name).forward(np.array([[-2.0, 0.0, 2.0]]))
    np.testing.assert_allclose(found, [values], rtol=1e-12)


def test_gelu_stays_near_the_exact_function() -> None:
    z = np.linspace(-8, 8, 1001)
    exact = [x * 0.5 * math.erfc(-x / math.sqrt(2)) for x in z]
    assert np.abs(activation("gelu").forward(z[None, :]) - exact).max() < 5e-4


def test_the_kinks_have_the_documented_derivative() -> None:
    zero = np.zeros((1, 1))
    for name, slope in (("relu", 0.0), ("leaky_relu", 0.01)):
        f = activation(name)
        assert f.backward(np.ones((1, 1)), zero, f.forward(zero)).item() == pytest.approx(slope)
