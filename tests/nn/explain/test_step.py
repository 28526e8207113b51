"""The step as the textbook has it, against the trainer's."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit.components import KINDS, Activation, LearnedActivation, Regularizer
from tunekit.nn.explain.step import ROWS, Explanation, explain
from tunekit.nn.recipe import Recipe
from tunekit.nn.trainer import Trainer
from tunekit.nn.training import start
from tunekit.plugins import load
from tunekit.records import Fold

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
SEED = np.random.SeedSequence(3, spawn_key=(0, 0))
CLASSES = 3


def component(kind: str, name: str, **values: Any) -> Any:
    return REGISTRY.find(KINDS[kind], name)(**values)


def recipe(**changes: Any) -> Recipe:
    made = Recipe(
        hidden=(5, 5, 4),
        activation=component("activation", "tanh"),
        initializer=component("initializer", "he_normal"),
        loss=component("loss", "cross_entropy"),
        metric=component("metric", "accuracy"),
        optimizer=component("optimizer", "sgd"),
        schedule=component("schedule", "constant"),
        batch_size=8,
        dtype="float64",
    )
    return dataclasses.replace(made, **changes)


def fold(target: str = "classes", *, weighted: bool = False) -> Fold:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 6))
    y: Array = rng.integers(0, CLASSES, 30)
    if target == "values":
        y = rng.normal(size=(30, CLASSES))
    weight = rng.uniform(0.5, 2, 30) if weighted else None
    return Fold(x, y, weight, x[:5], y[:5], None if weight is None else weight[:5])


def assert_like_the_trainer(made: Recipe, rows: Fold) -> Explanation:
    """Gradients and parameters after the step are the trainer's own, to rounding."""
    explanation = explain(made, rows, CLASSES, SEED)
    trainer = Trainer(start(made, rows, CLASSES, SEED))
    loss = trainer.step(explanation.rows, explanation.rate)
    assert explanation.loss == pytest.approx(loss, rel=1e-12)
    changes = {(c.parameter.layer, c.parameter.part): c for c in explanation.changes}
    assert len(changes) == len(trainer.layout.tensors)
    for tensor in trainer.layout.tensors:
        change = changes[tensor.layer, tensor.part]
        np.testing.assert_allclose(
            change.gradient, tensor.view(trainer.network.gradient), rtol=1e-9, atol=1e-14
        )
        np.testing.assert_allclose(
            change.after, tensor.view(trainer.checkpoint.weights), rtol=1e-12
        )
    return explanation


@pytest.mark.parametrize(
    ("normalization", "residual", "input_scaling"),
    list(itertools.product(["none", "batch", "layer", "rms"], [False, True], [False, True])),
)
def test_every_architecture_gives_the_trainers_gradients(
    normalization: Any, residual: bool, input_scaling: bool
) -> None:
    made = recipe(normalization=normalization, residual=residual, input_scaling=input_scaling)
    assert_like_the_trainer(made, fold())


@pytest.mark.parametrize("name", REGISTRY.names("activation"))
def test_every_activation_gives_the_trainers_gradients(name: str) -> None:
    activation: Activation = component("activation", name)
    explanation = assert_like_the_trainer(recipe(activation=activation), fold())
    slopes = [c for c in explanation.changes if c.parameter.part == "slope"]
    assert len(slopes) == (3 if isinstance(activation, LearnedActivation) else 0)


@pytest.mark.parametrize("name", REGISTRY.names("regularizer"))
def test_every_regularizer_gives_the_trainers_step(name: str) -> None:
    regularizer: Regularizer = component("regularizer", name)
    explanation = assert_like_the_trainer(recipe(regularizers=(regularizer,)), fold())
    assert name in {effect.regularizer for effect in explanation.effects}


@pytest.mark.parametrize("name", REGISTRY.names("optimizer"))
def test_every_optimizer_takes_the_trainers_step(name: str) -> None:
    explanation = assert_like_the_trainer(recipe(optimizer=component("optimizer", name)), fold())
    for change in explanation.changes:
        assert change.direction is not None
        np.testing.assert_allclose(
            change.parameter.value - explanation.rate * change.direction, change.after, atol=1e-12
        )


@pytest.mark.parametrize(
    "name", [n for n in REGISTRY.names("loss") if component("loss", n).targets == "values"]
)
def test_every_loss_of_values_gives_the_trainers_gradients(name: str) -> None:
    made = recipe(loss=component("loss", name), metric=component("metric", "rmse"))
    explanation = assert_like_the_trainer(made, fold("values"))
    assert explanation.loss == pytest.approx(explanation.row_losses.mean())


def test_weighted_rows_share_the_loss_by_their_weights() -> None:
    explanation = assert_like_the_trainer(recipe(), fold(weighted=True))
    assert len(set(explanation.share)) == ROWS
    assert explanation.share @ explanation.row_losses == pytest.approx(explanation.loss)


@pytest.mark.parametrize("hidden", [(), (1,), (3,)])
def test_any_depth_is_explained(hidden: tuple[int, ...]) -> None:
    explanation = assert_like_the_trainer(recipe(hidden=hidden), fold())
    assert explanation.sizes == (6, *hidden, CLASSES)


def test_every_gradient_is_what_finite_differences_say() -> None:
    made = recipe(normalization="layer", hidden=(3,))
    explanation = explain(made, fold(), CLASSES, SEED)
    w = explanation.changes[0].parameter
    trainer = Trainer(start(made, fold(), CLASSES, SEED))
    losses = []
    for shift in (1e-6, -2e-6):
        trainer.network.layers[0].weights[1, 2] += shift
        losses.append(trainer.backpropagate(explanation.rows))
    assert w.gradient is not None
    assert w.gradient[1, 2] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-6)


def test_the_rate_has_the_schedules_and_the_warm_ups_factor() -> None:
    schedule = component("schedule", "one_cycle")
    explanation = assert_like_the_trainer(recipe(schedule=schedule, warmup=0.5), fold())
    assert 0 < explanation.factor < 1
    assert 0 < explanation.warmup < 1
    assert explanation.rate == pytest.approx(
        explanation.recipe.optimizer.lr * explanation.factor * explanation.warmup
    )


def test_the_loss_after_is_that_of_the_same_batch_and_the_same_noise() -> None:
    dropout = component("regularizer", "dropout")
    still = component("optimizer", "sgd", lr=0.0)
    explanation = explain(recipe(regularizers=(dropout,), optimizer=still), fold(), CLASSES, SEED)
    assert explanation.loss_after == explanation.loss
    assert all(change.direction is None for change in explanation.changes)


def test_a_float32_study_is_explained_with_all_digits() -> None:
    single = recipe(dtype="float32")
    rows = dataclasses.replace(fold(), x=fold().x.astype("float32"))
    explanation = explain(single, rows, CLASSES, SEED)
    assert {q.value.dtype for q in explanation.path} == {np.dtype("float64")}


def test_the_batch_is_the_beginning_of_the_first_mini_batch() -> None:
    explanation = explain(recipe(), fold(), CLASSES, SEED)
    order = start(recipe(), fold(), CLASSES, SEED).checkpoint.shuffle.permutation(30)
    assert explanation.rows.tolist() == order[:ROWS].tolist()
