"""The learning-rate range test."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Activation, Optimizer, Step
from tunekit.components import KINDS, State
from tunekit.nn.explain.lr_range import HIGHEST, LOWEST, STEPS, LearningRateRange, _read, range_test
from tunekit.nn.recipe import Recipe
from tunekit.nn.training import advance, start
from tunekit.plugins import load
from tunekit.records import Fold

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
SEED = np.random.SeedSequence(1, spawn_key=(0, 0))


def component(kind: str, name: str, **values: Any) -> Any:
    return REGISTRY.find(KINDS[kind], name)(**values)


def recipe(**changes: Any) -> Recipe:
    made = Recipe(
        hidden=(16,),
        activation=component("activation", "tanh"),
        initializer=component("initializer", "he_normal"),
        loss=component("loss", "squared_error"),
        metric=component("metric", "rmse"),
        optimizer=component("optimizer", "sgd"),
        schedule=component("schedule", "constant"),
        batch_size=16,
        epochs=5,
    )
    return dataclasses.replace(made, **changes)


def fold(rows: int = 200, slope: float = 1.0) -> Fold:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4)).astype("float32")
    y = slope * np.sin(x[:, :1].astype(float)) + x[:, 1:2] + 0.05 * rng.normal(size=(rows, 1))
    return Fold(x, y, None, x, y, None)


def found(made: Recipe | None = None, rows: Fold | None = None) -> LearningRateRange:
    return range_test(made or recipe(), rows or fold(), 1, SEED)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lion"])
def test_the_suggested_rate_trains_better_than_a_hundredth_or_a_hundred_times_of_it(
    optimizer: str,
) -> None:
    rule = component("optimizer", optimizer)
    suggested = found(recipe(optimizer=rule)).suggested
    assert suggested is not None

    def loss(lr: float) -> float:
        made = recipe(optimizer=dataclasses.replace(rule, lr=lr), epochs=40)
        run = advance(start(made, fold(), 1, SEED), 40)
        return run.score if run.checkpoint.status != "diverged" else np.inf

    assert loss(suggested) < min(loss(suggested / 100), loss(suggested * 100))


def test_the_marks_are_in_their_order_within_what_was_swept() -> None:
    sweep = found()
    marks = [LOWEST, sweep.steepest, sweep.lowest, sweep.rises, sweep.diverged, HIGHEST]
    known = [rate for rate in marks if rate is not None]
    assert len(known) == 6
    assert known == sorted(known)
    assert sweep.suggested == pytest.approx(known[2] / 10)
    assert sweep.search is not None
    low, high = sweep.search
    assert low < known[2] / 10 < high
    assert len(sweep.rates) == len(sweep.losses) == len(sweep.smoothed) < STEPS


def test_rates_grow_by_the_same_factor() -> None:
    ratios = np.diff(np.log(found().rates))
    np.testing.assert_allclose(ratios, ratios[0])


def test_the_same_seed_gives_the_same_result() -> None:
    first, again = found(), found()
    assert first.smoothed.tobytes() == again.smoothed.tobytes()


def test_the_configured_rate_schedule_and_warm_up_have_no_say() -> None:
    other = recipe(
        optimizer=component("optimizer", "sgd", lr=0.3),
        schedule=component("schedule", "cosine"),
        warmup=0.5,
    )
    assert found(other).smoothed.tobytes() == found().smoothed.tobytes()


def test_nothing_is_found_where_the_loss_never_falls() -> None:
    class Still(Optimizer):
        name = "still"

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            return np.zeros_like(g)

    sweep = found(recipe(optimizer=Still()))
    assert (sweep.steepest, sweep.lowest, sweep.rises, sweep.diverged) == (None,) * 4
    assert (sweep.suggested, sweep.search) == (None, None)
    assert len(sweep.rates) == STEPS


def test_a_rule_that_sets_the_length_of_its_steps_itself_is_recognised() -> None:
    sweep = found(recipe(optimizer=component("optimizer", "rprop")))
    assert sweep.falls_at_once
    assert (sweep.steepest, sweep.lowest, sweep.rises, sweep.suggested) == (None,) * 4


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lion", "muon", "adadelta"])
@pytest.mark.parametrize("batch_size", [1, 16, 200])
def test_a_rule_that_goes_by_the_rate_does_not_fall_at_once(
    optimizer: str, batch_size: int
) -> None:
    made = recipe(optimizer=component("optimizer", optimizer), batch_size=batch_size)
    assert not found(made).falls_at_once


def test_a_loss_that_falls_up_to_the_highest_rate_has_no_lowest() -> None:
    class Slow(Optimizer):
        name = "slow"

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            return 1e-3 * g

    sweep = found(recipe(optimizer=Slow()))
    assert sweep.still_falls
    assert sweep.steepest is not None
    assert (sweep.lowest, sweep.rises, sweep.diverged) == (None,) * 3
    assert (sweep.suggested, sweep.search) == (None, None)


def test_a_rule_that_goes_uphill_diverges_without_a_suggestion() -> None:
    class Uphill(Optimizer):
        name = "uphill"

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            return -g

    sweep = found(recipe(optimizer=Uphill()))
    assert sweep.diverged is not None
    assert sweep.suggested is None


def test_a_loss_that_is_not_finite_from_the_start_ends_the_test_at_the_lowest_rate() -> None:
    class Endless(Activation):
        name = "endless"

        def forward(self, z: Array) -> Array:
            return z * np.float32(np.inf)

        def backward(self, da: Array, z: Array, a: Array) -> Array:
            return da

    sweep = found(recipe(activation=Endless()))
    assert len(sweep.rates) == 0
    assert sweep.diverged == pytest.approx(LOWEST)
    assert sweep.suggested is None


@pytest.mark.parametrize(
    ("rows", "normalization"),
    [(1, "none"), (1, "layer"), (2, "none"), (2, "batch"), (17, "none"), (17, "batch")],
)
def test_tiny_data_are_no_trouble(rows: int, normalization: Any) -> None:
    sweep = found(recipe(normalization=normalization), fold(rows))
    assert len(sweep.rates) > 0


def test_the_steepest_fall_and_the_lowest_loss_are_read_off_the_curve() -> None:
    rates = np.geomspace(1e-7, 10, 321)
    log = np.log10(rates)
    smoothed = 2 - 1 / (1 + np.exp(-4 * (log + 3))) + np.where(log > -1, 3 * (log + 1) ** 2, 0)
    steepest, lowest, rises = _read(rates, smoothed)
    assert steepest == pytest.approx(1e-3, rel=0.1)
    assert lowest == pytest.approx(0.1, rel=0.1)
    assert rises == pytest.approx(10 ** (-1 + (0.1 / 3) ** 0.5), rel=0.1)


def test_noise_is_no_fall() -> None:
    rng = np.random.default_rng(0)
    assert _read(np.geomspace(1e-7, 10, 300), 1 + 0.01 * rng.normal(size=300))[0] is None
