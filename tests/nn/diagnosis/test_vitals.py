from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit.components import KINDS
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Run
from tunekit.nn.trainer import TRACED_STEPS
from tunekit.nn.training import advance, start, trained
from tunekit.plugins import load
from tunekit.records import Fold

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
ROWS, FEATURES, CLASSES = 48, 5, 3


def component(kind: str, name: str, **values: Any) -> Any:
    return REGISTRY.find(KINDS[kind], name)(**values)


def begin(activation: str = "relu", **changes: Any) -> Run:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(ROWS + 20, FEATURES))
    target = rng.integers(0, CLASSES, ROWS + 20)
    recipe = Recipe(
        hidden=(8, 6),
        activation=component("activation", activation),
        initializer=component("initializer", "he_normal"),
        loss=component("loss", "cross_entropy"),
        metric=component("metric", "accuracy"),
        optimizer=component("optimizer", "sgd", lr=0.1, momentum=0.0),
        schedule=component("schedule", "constant"),
        epochs=5,
        batch_size=ROWS,
        dtype="float64",
    )
    fold = Fold(x[:ROWS], target[:ROWS], None, x[ROWS:], target[ROWS:], None)
    return start(dataclasses.replace(recipe, **changes), fold, CLASSES, np.random.SeedSequence(0))


def series(run: Run, name: str) -> list[float]:
    return run.checkpoint.metrics[name]


def test_gradient_norms_and_update_ratios_are_those_of_the_last_step() -> None:
    # One batch an epoch and plain descent: the change of the weights is rate times gradient.
    before = begin()
    after = advance(before, 1)
    old, new = trained(before).layers, trained(after).layers
    for k in (1, 2, 3):
        moved = np.linalg.norm(new[k - 1].weights - old[k - 1].weights)
        assert series(after, f"gradient_norm.layer{k}")[1] == pytest.approx(moved / 0.1, rel=1e-9)
        ratio = moved / np.linalg.norm(old[k - 1].weights)
        assert series(after, f"update_ratio.layer{k}")[1] == pytest.approx(ratio, rel=1e-9)


def test_the_gradient_is_that_of_the_data_loss_before_clipping_and_penalties() -> None:
    clipping = component("regularizer", "gradient_clipping", limit=1e-3)
    penalty = component("regularizer", "l2", strength=100.0)
    plain = advance(begin(), 1)
    changed = advance(begin(regularizers=(clipping, penalty)), 1)
    for k in (1, 2, 3):
        name = f"gradient_norm.layer{k}"
        assert series(changed, name)[1] == pytest.approx(series(plain, name)[1], rel=1e-12)


def test_the_scale_of_the_activations_is_their_root_mean_square_on_validation_rows() -> None:
    run = begin()
    network = trained(run)
    a = network.layers[0].infer(run.fold.x_validation)
    rms = float(np.sqrt((a**2).mean()))
    assert series(run, "activation_scale.layer1")[0] == pytest.approx(rms, rel=1e-12)


def edited(run: Run, part: str, value: float) -> Run:
    """The run with one part of its first layer set to a value, or multiplied with it."""
    network = trained(run)
    weights = run.checkpoint.weights.copy()
    if part == "bias":
        start = sum(layer.weights.size for layer in network.layers)
        weights[start : start + network.layers[0].weights.shape[1]] = value
    else:
        weights[: network.layers[0].weights.size] *= value
    return dataclasses.replace(run, checkpoint=dataclasses.replace(run.checkpoint, weights=weights))


def test_units_that_never_answer_are_dead() -> None:
    run = advance(edited(begin(), "bias", -100.0), 1)
    assert series(run, "dead.layer1")[1] == 1.0
    assert series(run, "gradient_norm.layer1")[1] == 0.0
    assert series(begin(), "dead.layer1")[0] == 0.0


def test_bounded_units_that_are_driven_to_their_limits_are_saturated() -> None:
    run = advance(edited(begin("tanh"), "weights", 100.0), 1)
    assert series(run, "saturated.layer1")[1] > 0.9
    assert series(begin("tanh"), "saturated.layer1")[0] < 0.3


@pytest.mark.parametrize("activation", REGISTRY.names("activation"))
def test_only_activations_that_level_off_on_both_sides_can_saturate(activation: str) -> None:
    level = {"tanh", "sigmoid", "hard_tanh", "hard_sigmoid", "softsign"}
    names = begin(activation).checkpoint.metrics
    assert ("saturated.layer1" in names) == (activation in level)


def test_every_series_has_a_value_for_every_epoch() -> None:
    run = advance(begin(), 3)
    assert {len(values) for values in run.checkpoint.metrics.values()} == {4}
    assert math.isnan(series(run, "gradient_norm.layer1")[0])


def test_the_steps_before_a_divergence_are_traced() -> None:
    fold = begin().fold
    target, validation = fold.target[:, None] * 1.0, fold.target_validation[:, None] * 1.0
    fold = dataclasses.replace(fold, target=target, target_validation=validation)
    recipe = dataclasses.replace(
        begin("identity").recipe,
        loss=component("loss", "squared_error"),
        metric=component("metric", "rmse"),
        optimizer=component("optimizer", "sgd", lr=3.0, momentum=0.0),
        batch_size=1,
    )
    run = advance(start(recipe, fold, 1, np.random.SeedSequence(0)), 5)
    assert run.checkpoint.status == "diverged"
    trace = run.checkpoint.trace
    assert 3 <= len(trace) <= min(run.checkpoint.step, TRACED_STEPS)
    assert trace[-1] > 1e6 * trace[0] or not math.isfinite(trace[-1])


def test_a_run_that_stays_finite_leaves_no_trace() -> None:
    assert advance(begin(), 5).checkpoint.trace == []
