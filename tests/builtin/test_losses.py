from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Loss
from tunekit.plugins import load

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
LOSSES = [REGISTRY.find(Loss, name) for name in REGISTRY.names("loss")]
every_loss = pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.name)
ROWS = 6


def loss(name: str) -> Loss:
    return REGISTRY.find(Loss, name)()


def problem(cls: type[Loss], *, soft: bool = False, dtype: Any = np.float64) -> tuple[Array, ...]:
    """Outputs, encoded targets and row weights as the trainer would hand them to this loss."""
    rng = np.random.default_rng(11)
    columns = {"one-hot": 4, "binary": 1, "values": 3}[cls.targets]
    output = rng.normal(scale=2.0, size=(ROWS, columns))
    if cls.targets == "one-hot":
        target = np.eye(columns)[rng.integers(0, columns, ROWS)]
    elif cls.targets == "binary":
        target = rng.integers(0, 2, (ROWS, 1)).astype(float)
    else:
        target = rng.normal(size=(ROWS, columns))
    if soft:
        target = 0.8 * target + 0.2 / max(columns, 2)
    weight = rng.uniform(0.1, 3.0, ROWS)
    return output.astype(dtype), target.astype(dtype), weight.astype(dtype)


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("soft", [False, True])
def test_its_gradient_is_what_finite_differences_say(
    cls: type[Loss], weighted: bool, soft: bool
) -> None:
    output, target, weight = problem(cls, soft=soft)
    weights = weight if weighted else None
    _, gradient = cls().value_and_gradient(output, target, weights)
    h = 1e-5
    for place in np.ndindex(output.shape):
        shift = np.zeros_like(output)
        shift[place] = h
        above, _ = cls().value_and_gradient(output + shift, target, weights)
        below, _ = cls().value_and_gradient(output - shift, target, weights)
        assert gradient[place] == pytest.approx((above - below) / (2 * h), rel=1e-6, abs=1e-9)


@every_loss
def test_the_mean_is_weighted(cls: type[Loss]) -> None:
    output, target, weight = problem(cls)
    rows = [
        cls().value_and_gradient(output[i : i + 1], target[i : i + 1], None)[0] for i in range(ROWS)
    ]
    plain, _ = cls().value_and_gradient(output, target, None)
    weighted, _ = cls().value_and_gradient(output, target, weight)
    assert plain == pytest.approx(np.mean(rows))
    assert weighted == pytest.approx(np.average(rows, weights=weight))


@every_loss
def test_a_row_without_weight_does_not_count(cls: type[Loss]) -> None:
    output, target, _ = problem(cls)
    weight = np.array([1.0, 1, 1, 0, 0, 0])
    value, gradient = cls().value_and_gradient(output, target, weight)
    expected, expected_gradient = cls().value_and_gradient(output[:3], target[:3], None)
    assert value == pytest.approx(expected)
    np.testing.assert_allclose(gradient[:3], expected_gradient)
    assert not gradient[3:].any()


@every_loss
def test_a_batch_without_any_weight_teaches_nothing(cls: type[Loss]) -> None:
    output, target, _ = problem(cls)
    value, gradient = cls().value_and_gradient(output, target, np.zeros(ROWS))
    assert value == 0
    assert not gradient.any()


@every_loss
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_returns_a_float_and_keeps_the_outputs_dtype(cls: type[Loss], dtype: Any) -> None:
    output, target, weight = problem(cls, dtype=dtype)
    for array in (output, target, weight):
        array.flags.writeable = False
    for weights in (None, weight, weight.astype(np.float64)):
        value, gradient = cls().value_and_gradient(output, target, weights)
        assert type(value) is float
        assert gradient.dtype == dtype
        assert gradient.shape == output.shape
    assert cls().predict(output).dtype == dtype


@every_loss
def test_it_is_smallest_at_the_target(cls: type[Loss]) -> None:
    output, target, _ = problem(cls)
    best = 50 * (target - 0.5) if cls.targets != "values" else target
    at_target, _ = cls().value_and_gradient(best, target, None)
    elsewhere, _ = cls().value_and_gradient(output, target, None)
    assert at_target < 1e-9 < elsewhere


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_any_size_are_safe(name: str, dtype: Any) -> None:
    # The rows are far apart: one shift for the whole batch would lose the second row.
    columns = 3 if name == "cross_entropy" else 1
    output = np.full((2, columns), 1e4, dtype)
    output[1] = -1e4
    output[:, 0] += dtype(1)
    target = np.zeros_like(output)
    target[:, 0] = 1
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        value, gradient = loss(name).value_and_gradient(output, target, None)
        probability = loss(name).predict(output)
    assert math.isfinite(value)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)


def test_cross_entropy_of_a_hopeless_row_is_its_distance() -> None:
    output = np.array([[0.0, 1e4], [2e4, 1e4]])
    target = np.array([[1.0, 0.0], [0.0, 1.0]])
    value, gradient = loss("cross_entropy").value_and_gradient(output, target, None)
    assert value == pytest.approx(1e4)
    np.testing.assert_allclose(gradient, [[-0.5, 0.5], [0.5, -0.5]])


def test_two_classes_are_the_same_with_one_output_and_with_two() -> None:
    z = np.random.default_rng(0).normal(scale=3, size=(ROWS, 1))
    y = np.array([[0.0], [1], [1], [0], [0.3], [1]])
    one, gradient_one = loss("binary_cross_entropy").value_and_gradient(z, y, None)
    two, gradient_two = loss("cross_entropy").value_and_gradient(
        np.hstack([np.zeros_like(z), z]), np.hstack([1 - y, y]), None
    )
    assert one == pytest.approx(two)
    np.testing.assert_allclose(gradient_one[:, 0], gradient_two[:, 1])
    np.testing.assert_allclose(
        loss("binary_cross_entropy").predict(z),
        loss("cross_entropy").predict(np.hstack([np.zeros_like(z), z])),
    )


def test_small_probabilities_keep_their_digits() -> None:
    found = loss("binary_cross_entropy").predict(np.array([[-40.0], [40.0]]))
    np.testing.assert_allclose(found[0, 1], math.exp(-40), rtol=1e-12)
    np.testing.assert_allclose(found[1, 0], math.exp(-40), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"), [("squared_error", (4 + 0 + 1 + 1) / 4), ("absolute_error", 1.0)]
)
def test_regression_losses_are_means_over_rows_and_outputs(name: str, expected: float) -> None:
    output = np.array([[2.0, 0.0], [1.0, -1.0]])
    value, _ = loss(name).value_and_gradient(output, np.zeros((2, 2)), None)
    assert value == expected
    assert np.array_equal(loss(name).predict(output), output)


def test_the_absolute_error_has_no_slope_where_it_is_zero() -> None:
    _, gradient = loss("absolute_error").value_and_gradient(np.ones((2, 1)), np.ones((2, 1)), None)
    assert not gradient.any()
