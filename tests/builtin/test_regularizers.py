from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Regularizer
from tunekit.plugins import load

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
REGULARIZERS = [REGISTRY.find(Regularizer, name) for name in REGISTRY.names("regularizer")]
MOMENTS = ("on_batch", "on_targets", "on_hidden", "on_gradient", "penalty", "on_weights")
every_regularizer = pytest.mark.parametrize("cls", REGULARIZERS, ids=lambda cls: cls.name)


def regularizer(name: str, **values: Any) -> Regularizer:
    return REGISTRY.find(Regularizer, name)(**values)


def acting_at(moment: str) -> list[type[Regularizer]]:
    return [c for c in REGULARIZERS if getattr(c, moment) is not getattr(Regularizer, moment)]


@every_regularizer
def test_it_acts_at_some_moment(cls: type[Regularizer]) -> None:
    assert any(cls in acting_at(moment) for moment in MOMENTS)


@every_regularizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_keeps_shapes_and_dtypes_and_leaves_its_arguments_alone(
    cls: type[Regularizer], dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    rule = cls()
    flat = rng.normal(scale=5, size=60).astype(dtype)
    matrix = flat.reshape(12, 5).copy()
    y = np.eye(5, dtype=dtype)[rng.integers(0, 5, 12)]
    for array in (flat, matrix, y):
        array.flags.writeable = False
    value, gradient = rule.penalty(flat)
    a, factor = rule.on_hidden(matrix, rng)
    x, soft = rule.on_batch(matrix, y, rng)
    assert type(value) is float
    pairs = [
        (gradient, flat),
        (rule.on_gradient(flat), flat),
        (rule.on_weights(matrix), matrix),
        (a, matrix),
        (matrix if factor is None else factor, matrix),
        (x, matrix),
        (soft, y),
        (rule.on_targets(y), y),
    ]
    for found, given in pairs:
        assert found.dtype == dtype
        assert found.shape == given.shape


@pytest.mark.parametrize("cls", acting_at("penalty"), ids=lambda cls: cls.name)
class TestPenalty:
    def test_its_gradient_is_what_finite_differences_say(self, cls: type[Regularizer]) -> None:
        w = np.random.default_rng(1).normal(size=30)
        _, gradient = cls().penalty(w)
        h = 1e-6
        for i in range(len(w)):
            shift = h * np.eye(len(w))[i]
            slope = (cls().penalty(w + shift)[0] - cls().penalty(w - shift)[0]) / (2 * h)
            assert gradient[i] == pytest.approx(slope, rel=1e-6, abs=1e-9)

    def test_it_is_the_sum_of_its_blocks(self, cls: type[Regularizer]) -> None:
        w = np.random.default_rng(1).normal(size=30)
        whole, gradient = cls().penalty(w)
        blocks = [cls().penalty(w[i : i + 7]) for i in range(0, 30, 7)]
        assert whole == pytest.approx(sum(value for value, _ in blocks))
        assert np.array_equal(gradient, np.concatenate([part for _, part in blocks]))


def test_l1_is_strength_times_the_sum_of_absolute_values() -> None:
    value, gradient = regularizer("l1", strength=0.5).penalty(np.array([1.0, -3.0, 0.0]))
    assert value == 2.0
    assert gradient.tolist() == [0.5, -0.5, 0.0]


def test_l2_is_half_the_strength_times_the_sum_of_squares() -> None:
    value, gradient = regularizer("l2", strength=0.5).penalty(np.array([1.0, -3.0, 0.0]))
    assert value == 2.5
    assert gradient.tolist() == [0.5, -1.5, 0.0]


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5])
def test_dropout_drops_its_rate_and_keeps_the_mean(rate: float) -> None:
    a = np.full((400, 100), 2.0, np.float32)
    found, factor = regularizer("dropout", rate=rate).on_hidden(a, np.random.default_rng(0))
    assert factor is not None
    assert np.mean(found == 0) == pytest.approx(rate, abs=0.01)
    assert found.mean() == pytest.approx(2.0, rel=0.02)
    assert np.array_equal(found, a * factor)
    assert np.unique(factor) == pytest.approx([0, 1 / (1 - rate)])


def test_dropout_draws_from_the_given_generator_only() -> None:
    rule = regularizer("dropout")
    a = np.ones((8, 8))
    first, again, other = (rule.on_hidden(a, np.random.default_rng(s))[0] for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_clipping_leaves_a_short_gradient_alone() -> None:
    g = np.array([0.3, -0.4])
    assert regularizer("gradient_clipping", limit=0.5).on_gradient(g) is g


def test_clipping_shortens_a_long_gradient_and_keeps_its_direction() -> None:
    g = np.array([30.0, -40.0])
    found = regularizer("gradient_clipping", limit=0.5).on_gradient(g)
    np.testing.assert_allclose(found, [0.3, -0.4])


def test_clipping_tames_a_gradient_whose_square_overflows() -> None:
    g = np.array([3e30, -4e30], np.float32)
    found = regularizer("gradient_clipping", limit=0.5).on_gradient(g)
    np.testing.assert_allclose(found, [0.3, -0.4], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_clipping_does_not_hide_that_a_gradient_is_not_finite(bad: float) -> None:
    with np.errstate(invalid="ignore"):
        found = regularizer("gradient_clipping").on_gradient(np.array([1.0, bad]))
    assert not np.isfinite(found).all()


def test_max_norm_scales_back_the_columns_that_are_too_long() -> None:
    matrix = np.array([[3.0, 0.3, 0.0], [4.0, 0.4, 0.0]])
    found = regularizer("max_norm", limit=1.0).on_weights(matrix)
    np.testing.assert_allclose(found, [[0.6, 0.3, 0.0], [0.8, 0.4, 0.0]])


def test_max_norm_leaves_short_columns_alone() -> None:
    matrix = np.array([[0.3], [0.4]])
    assert regularizer("max_norm", limit=1.0).on_weights(matrix) is matrix


def test_label_smoothing_moves_a_share_to_all_classes() -> None:
    found = regularizer("label_smoothing", smoothing=0.2).on_targets(np.eye(4))
    np.testing.assert_allclose(np.diag(found), 0.85)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_label_smoothing_treats_a_single_column_as_two_classes() -> None:
    found = regularizer("label_smoothing", smoothing=0.2).on_targets(np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(found, [[0.1], [0.9]])


def test_label_smoothing_is_for_classification_only() -> None:
    assert regularizer("label_smoothing").tasks == ("classification",)
