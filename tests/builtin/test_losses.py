from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Loss, Regularizer
from tunekit.plugins import load

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
LOSSES = [REGISTRY.find(Loss, name) for name in REGISTRY.names("loss")]
every_loss = pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.name)
ROWS = 6


GOLDEN: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "losses.json").read_text(encoding="utf-8")
)
"""Values and gradients of PyTorch's losses, by tests/golden/make_losses.py."""


def loss(name: str, **values: Any) -> Loss:
    return REGISTRY.find(Loss, name)(**values)


def problem(cls: type[Loss], *, soft: bool = False, dtype: Any = np.float64) -> tuple[Array, ...]:
    """Outputs, encoded targets and row weights as the trainer would hand them to this loss."""
    rng = np.random.default_rng(11)
    columns = {"one-hot": 4, "binary": 1}.get(cls.targets, 3)
    output = rng.normal(scale=2.0, size=(ROWS, columns))
    if cls.targets == "one-hot":
        target = np.eye(columns)[rng.integers(0, columns, ROWS)]
    elif cls.targets in ("binary", "labels"):
        target = rng.integers(0, 2, (ROWS, columns)).astype(float)
    elif cls.targets == "counts":
        target = rng.integers(0, 9, (ROWS, columns)).astype(float)
    else:
        target = rng.normal(size=(ROWS, columns))
    if soft:
        target = 0.8 * target + 0.2 / max(columns, 2)
    weight = rng.uniform(0.1, 3.0, ROWS)
    return output.astype(dtype), target.astype(dtype), weight.astype(dtype)


def relative(found: Any, expected: Any) -> float:
    """The largest deviation, relative to the largest expected number."""
    found, expected = np.asarray(found), np.asarray(expected)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def golden_deviations() -> Iterator[tuple[str, float]]:
    for case in GOLDEN:
        rule = loss(case["loss"], **case["hyperparameters"])
        output, target = np.array(case["output"]), np.array(case["target"])
        if "smoothing" in case:
            smoothing = {"smoothing": case["smoothing"]}
            rule_of_targets = REGISTRY.find(Regularizer, "label_smoothing")(**smoothing)
            target = rule_of_targets.on_targets(target)
        for key, weight in (("plain", None), ("weighted", np.array(case["weight"]))):
            value, gradient = rule.value_and_gradient(output, target, weight)
            yield case["loss"], relative(value, case[key]["value"])
            yield case["loss"], relative(gradient, case[key]["gradient"])


@cache
def deviations() -> dict[str, float]:
    """The largest relative deviation of each loss from PyTorch's, values and gradients."""
    largest: dict[str, float] = {}
    for name, deviation in golden_deviations():
        largest[name] = max(deviation, largest.get(name, 0.0))
    return largest


@every_loss
def test_it_agrees_with_torch(cls: type[Loss]) -> None:
    assert deviations()[cls.name] < 1e-10


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
def test_weights_of_another_dtype_do_not_change_the_gradients(cls: type[Loss]) -> None:
    output, target, weight = problem(cls, dtype=np.float32)
    value, gradient = cls().value_and_gradient(output, target, weight.astype(np.float64))
    assert type(value) is float
    assert gradient.dtype == np.float32


@every_loss
def test_it_is_smallest_at_the_target(cls: type[Loss]) -> None:
    output, target, _ = problem(cls)
    if cls.targets == "counts":
        target += 1  # the logarithm of a rate of 0 is not finite
        best = np.log(target)
    else:
        best = 50 * (target - 0.5) if cls.targets != "values" else target
    at_target, gradient = cls().value_and_gradient(best, target, None)
    elsewhere, _ = cls().value_and_gradient(output, target, None)
    assert at_target < elsewhere - 0.1
    np.testing.assert_allclose(gradient, 0, atol=1e-9)
    np.testing.assert_allclose(cls().predict(best)[:, -target.shape[1] :], target, atol=1e-9)


@every_loss
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [50, 100, 1e4])
@pytest.mark.parametrize("soft", [False, True])
def test_outputs_of_any_size_are_safe(cls: type[Loss], dtype: Any, size: float, soft: bool) -> None:
    # The rows are far apart: one shift for the whole batch would lose one of them.
    _, target, weight = problem(cls, soft=soft, dtype=dtype)
    output = np.full_like(target, size)
    output[1::2] = -size
    output[:3, 0] += 1
    output[4, 0] *= -1
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for weights in (None, weight):
            value, gradient = cls().value_and_gradient(output, target, weights)
            assert math.isfinite(value)
            assert np.isfinite(gradient).all()
        prediction = cls().predict(output)
    assert np.isfinite(prediction).all()
    if cls.tasks == ("classification",):
        np.testing.assert_allclose(prediction.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [-1000.0, -100.0, -30.0, 0.0, 39.0, 41.0, 1000.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_an_offset_of_a_rows_logits_changes_no_cross_entropy(
    dtype: Any, offset: float, weighted: bool
) -> None:
    output, target, weight = problem(type(loss("cross_entropy")), soft=True)
    weights = weight if weighted else None
    expected, expected_gradient = loss("cross_entropy").value_and_gradient(output, target, weights)
    output[2] += offset
    value, gradient = loss("cross_entropy").value_and_gradient(
        output.astype(dtype), target.astype(dtype), weights
    )
    precision = 10 * float(np.finfo(dtype).eps) * max(abs(offset), 10)
    assert value == pytest.approx(expected, rel=precision)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=precision, atol=precision)


@pytest.mark.parametrize("size", [5.0, 20.0, 38.0, 45.0])
def test_the_cross_entropy_of_a_sure_network_is_small_and_never_negative(size: float) -> None:
    rng = np.random.default_rng(0)
    target = np.eye(10)[rng.integers(0, 10, 1000)]
    output = (size * target + rng.normal(size=target.shape)).astype(np.float32)
    exact, _ = loss("cross_entropy").value_and_gradient(output.astype(float), target, None)
    for rows in (slice(0, 32), slice(None)):
        value, _ = loss("cross_entropy").value_and_gradient(
            output[rows], target[rows].astype(np.float32), None
        )
        assert value >= 0
    assert value == pytest.approx(exact, rel=1e-6, abs=5e-6)


def test_logits_that_are_not_finite_give_no_finite_loss() -> None:
    for bad in (np.nan, np.inf):
        output = np.array([[bad, 0.0], [0.0, 1.0]])
        with np.errstate(invalid="ignore"):
            value, gradient = loss("cross_entropy").value_and_gradient(output, np.eye(2), None)
        assert not math.isfinite(value)
        assert not np.isfinite(gradient).all()


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


def test_labels_are_each_a_question_of_their_own() -> None:
    output, target, _ = problem(type(loss("multilabel_cross_entropy")))
    value, gradient = loss("multilabel_cross_entropy").value_and_gradient(output, target, None)
    binary = loss("binary_cross_entropy")
    alone = [
        binary.value_and_gradient(output[:, [i]], target[:, [i]], None)
        for i in range(output.shape[1])
    ]
    assert value == pytest.approx(np.mean([part for part, _ in alone]))
    np.testing.assert_allclose(gradient * 3, np.hstack([part for _, part in alone]))
    np.testing.assert_allclose(
        loss("multilabel_cross_entropy").predict(output)[:, 1], binary.predict(output[:, [1]])[:, 1]
    )


@pytest.mark.parametrize("z", [-700.0, -40.0, -20.0, 20.0, 40.0, 700.0])
def test_a_small_binary_loss_keeps_its_digits(z: float) -> None:
    right = np.array([[float(z > 0)]])
    value, gradient = loss("binary_cross_entropy").value_and_gradient(np.array([[z]]), right, None)
    assert value == pytest.approx(math.log1p(math.exp(-abs(z))), rel=1e-14, abs=0)
    if z < 0:
        assert gradient[0, 0] == pytest.approx(math.exp(z), rel=1e-8, abs=0)


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


def test_huber_is_half_the_squared_error_near_the_target_and_linear_far_from_it() -> None:
    output = np.array([[0.5], [-0.5], [3.0], [-3.0]])
    target = np.zeros((4, 1))
    parts = [
        loss("huber", delta=1.0).value_and_gradient(output[[i]], target[[i]], None)
        for i in range(4)
    ]
    assert [value for value, _ in parts] == [0.125, 0.125, 2.5, 2.5]
    assert [gradient.item() for _, gradient in parts] == [0.5, -0.5, 1.0, -1.0]
    squared, _ = loss("squared_error").value_and_gradient(output, target, None)
    wide, _ = loss("huber", delta=100.0).value_and_gradient(output, target, None)
    assert wide == pytest.approx(squared / 2)


def test_poisson_predicts_the_rate_and_is_best_at_the_mean_count() -> None:
    rule = loss("poisson")
    counts = np.array([[0.0], [3.0], [6.0]])
    _, gradient = rule.value_and_gradient(np.full((3, 1), math.log(3)), counts, None)
    assert gradient.sum() == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(rule.predict(np.log([[3.0]])), [[3.0]])
    assert rule.targets == "counts"


def test_the_poisson_loss_goes_on_along_its_tangent_beyond_the_largest_rate() -> None:
    rule, one = loss("poisson"), np.ones((1, 1))
    near, slope = rule.value_and_gradient(30.0 * one, one, None)
    far, far_slope = rule.value_and_gradient(1000.0 * one, one, None)
    assert slope == far_slope == pytest.approx(math.exp(30), rel=1e-12)
    assert far - near == pytest.approx(970 * slope.item(), rel=1e-12)
