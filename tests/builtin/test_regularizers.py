from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Progress, Regularizer, State
from tunekit.plugins import load

Array = NDArray[Any]

REGISTRY = load(entry_points=False)


def regularizer(name: str, **values: Any) -> Regularizer:
    return REGISTRY.find(Regularizer, name)(**values)


def progress(step: int, steps: int = 20, epochs: int = 5) -> Progress:
    return Progress(step, steps, step * epochs // steps, epochs, step / steps)


def test_l1_is_strength_times_the_sum_of_absolute_values() -> None:
    value, gradient = regularizer("l1", strength=0.5).penalty(np.array([1.0, -3.0, 0.0]))
    assert value == 2.0
    assert gradient.tolist() == [0.5, -0.5, 0.0]


def test_l2_is_half_the_strength_times_the_sum_of_squares() -> None:
    value, gradient = regularizer("l2", strength=0.5).penalty(np.array([1.0, -3.0, 0.0]))
    assert value == 2.5
    assert gradient.tolist() == [0.5, -1.5, 0.0]


def test_the_elastic_net_lies_between_l1_and_l2() -> None:
    w = np.random.default_rng(1).normal(size=30)
    l1, l2 = (regularizer(name, strength=0.5).penalty(w) for name in ("l1", "l2"))
    for ratio in (0.0, 0.3, 1.0):
        value, gradient = regularizer("elastic_net", strength=0.5, ratio=ratio).penalty(w)
        assert value == pytest.approx(ratio * l1[0] + (1 - ratio) * l2[0])
        np.testing.assert_allclose(gradient, ratio * l1[1] + (1 - ratio) * l2[1])


def test_weight_decay_is_no_penalty_but_part_of_the_direction() -> None:
    rule = regularizer("weight_decay", strength=0.5)
    assert rule.decay(np.array([1.0, -3.0, 0.0])).tolist() == [0.5, -1.5, 0.0]
    assert type(rule).penalty is Regularizer.penalty


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2, 0.5, 0.99])
@pytest.mark.parametrize(
    "source", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64]
)
def test_dropout_drops_its_rate_and_keeps_the_mean(rate: float, source: Any) -> None:
    a = np.full((403, 101), 2.0, np.float32)
    rng = np.random.Generator(source(0))
    found, factor = regularizer("dropout", rate=rate).on_hidden(a, rng)
    assert factor is not None
    # Five standard errors.
    error = 5 * math.sqrt(rate * (1 - rate) / a.size)
    assert np.mean(found == 0) == pytest.approx(rate, abs=error + 1e-12)
    assert found.mean() == pytest.approx(2.0, rel=error / (1 - rate) + 1e-6)
    assert np.array_equal(found, a * factor)
    assert np.unique(factor) == pytest.approx([0, 1 / (1 - rate)] if rate else [1], rel=1e-3)


def test_dropout_drops_every_unit_and_row_independently() -> None:
    a = np.ones((4000, 8))
    found, _ = regularizer("dropout", rate=0.5).on_hidden(a, np.random.default_rng(0))
    units, rows = np.corrcoef(found.T), np.corrcoef(found[:-1, 0], found[1:, 0])
    assert np.abs(units - np.eye(8)).max() < 5 / math.sqrt(len(a))
    assert abs(rows[0, 1]) < 5 / math.sqrt(len(a))


@pytest.mark.parametrize("name", ["hidden_noise", "input_noise"])
def test_noise_is_normal_and_added(name: str) -> None:
    a = np.random.default_rng(1).normal(size=(400, 50))
    rule, rng = regularizer(name, std=0.3), np.random.default_rng(0)
    if name == "hidden_noise":
        found, factor = rule.on_hidden(a, rng)
        assert factor is None
    else:
        y = np.zeros((400, 1))
        found, target = rule.on_batch(a, y, rng)
        assert target is y
    noise = found - a
    assert noise.mean() == pytest.approx(0, abs=5 * 0.3 / math.sqrt(a.size))
    assert noise.std() == pytest.approx(0.3, rel=5 / math.sqrt(2 * a.size))
    assert np.mean(noise**4) / noise.std() ** 4 == pytest.approx(3, abs=0.2)


class TestMixup:
    @pytest.mark.parametrize(
        "y", [np.eye(7), np.linspace(-1, 1, 7)[:, None]], ids=["soft", "values"]
    )
    def test_inputs_and_targets_are_mixed_alike(self, y: Array) -> None:
        # The identity as inputs shows which rows were mixed, and with which share.
        shares, soft = regularizer("mixup", alpha=1.0).on_batch(
            np.eye(7), y, np.random.default_rng(2)
        )
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        np.testing.assert_allclose(soft, shares @ y)
        assert (shares > 0).sum() > 7
        assert len(np.unique(np.diag(shares).round(12))) <= 2

    @pytest.mark.parametrize("alpha", [0.2, 1.0])
    def test_the_share_is_a_beta_variable(self, alpha: float) -> None:
        rng, rule = np.random.default_rng(0), regularizer("mixup", alpha=alpha)
        x, y = np.array([[1.0], [0.0]]), np.zeros((2, 1))
        found = np.array([rule.on_batch(x, y, rng)[0].ravel() for _ in range(4000)])
        mixed = found[found[:, 0] + found[:, 1] > 0][:, 0]
        mixed = mixed[mixed < 1]
        assert mixed.mean() == pytest.approx(0.5, abs=0.05)
        assert mixed.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


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


def test_value_clipping_limits_each_element() -> None:
    g = np.array([0.3, -0.4, 0.5, 30.0, -np.inf, np.nan])
    found = regularizer("value_clipping", limit=0.4).on_gradient(g)
    assert np.array_equal(found, [0.3, -0.4, 0.4, 0.4, -0.4, np.nan], equal_nan=True)


@pytest.mark.parametrize("step", [0, 9, 999])
def test_gradient_noise_fades_as_its_paper_says(step: int) -> None:
    rule = regularizer("gradient_noise", eta=0.3, gamma=0.55)
    found = rule.noise(np.zeros(40_000), progress(step, 2000), np.random.default_rng(0))
    t = step + 1
    assert found.var() == pytest.approx(0.3 / (1 + t) ** 0.55, rel=5 * math.sqrt(2 / found.size))
    assert found.mean() == pytest.approx(0, abs=5 * found.std() / math.sqrt(found.size))


def averaged(rule: Regularizer, weights: Array, epochs: int) -> tuple[Array, State]:
    """What is evaluated after each of the steps, whose weights are rows."""
    state = rule.initial_state(weights[0])
    found = []
    for step, w in enumerate(weights, start=1):
        rule.on_step(w, state, progress(step, len(weights), epochs))
        found.append(rule.evaluation_weights(w, state).copy())
    return np.array(found), state


class TestAveraging:
    weights = np.random.default_rng(3).normal(size=(20, 6))

    @pytest.mark.parametrize("name", ["ema", "swa"])
    def test_before_the_first_step_the_weights_themselves_are_evaluated(self, name: str) -> None:
        rule, w = regularizer(name), self.weights[0]
        assert rule.evaluation_weights(w, rule.initial_state(w)) is w

    @pytest.mark.parametrize("rate", [0.0, 0.9, 0.9995])
    def test_the_exponential_average_weighs_a_step_by_its_age(self, rate: float) -> None:
        found, _ = averaged(regularizer("ema", decay_rate=rate), self.weights, 5)
        average = np.zeros(6)
        for t, w in enumerate(self.weights, start=1):
            average = rate * average + (1 - rate) * w
            np.testing.assert_allclose(found[t - 1], average / (1 - rate**t), rtol=1e-9)

    def test_an_exponential_average_of_a_constant_is_that_constant(self) -> None:
        constant = np.full((500, 3), 0.7, np.float32)
        found, _ = averaged(regularizer("ema"), constant, 5)
        np.testing.assert_allclose(found, 0.7, rtol=1e-5)

    def test_swa_is_the_mean_over_the_ends_of_the_last_epochs(self) -> None:
        # Five epochs of four steps; the third ends at 0.6 of the run.
        found, _ = averaged(regularizer("swa", begin=0.6), self.weights, 5)
        assert np.array_equal(found[:11], self.weights[:11])
        ends = self.weights[[11, 15, 19]]
        np.testing.assert_allclose(found[[11, 14]], ends[[0, 0]], rtol=1e-12)
        np.testing.assert_allclose(found[[15, 18]], [ends[:2].mean(axis=0)] * 2, rtol=1e-12)
        np.testing.assert_allclose(found[19], ends.mean(axis=0), rtol=1e-12)

    @pytest.mark.parametrize("epochs", [1, 2, 3, 7, 55, 100])
    @pytest.mark.parametrize("begin", [0.0, 0.55, 0.7, 0.9, 1.0])
    def test_swa_averages_the_last_epoch_at_least(self, epochs: int, begin: float) -> None:
        weights = np.arange(3.0 * epochs)[:, None]
        found, state = averaged(regularizer("swa", begin=begin), weights, epochs)
        ends = [3 * e + 2 for e in range(epochs) if 3 * (e + 1) >= round(begin * 3 * epochs, 9)]
        assert state["epochs"] == len(ends) >= 1
        assert found[-1, 0] == pytest.approx(np.mean(ends))

    def test_what_swa_gave_does_not_change_later(self) -> None:
        rule, w = regularizer("swa", begin=0.0), self.weights
        state = rule.initial_state(w[0])
        rule.on_step(w[3], state, progress(4))
        given = rule.evaluation_weights(w[3], state)
        rule.on_step(w[7], state, progress(8))
        assert np.array_equal(given, w[3])


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
