from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from tunekit import Dataset, Initializer
from tunekit.components import KINDS
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Run
from tunekit.nn.training import advance, start, trained
from tunekit.plugins import load
from tunekit.records import Fold

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
DEFAULTS: dict[str, str | int | float] = {
    "activation": "relu",
    "initializer": "he_normal",
    "loss": "cross_entropy",
    "optimizer": "adam",
    "schedule": "constant",
    "network.hidden": "64",
    "network.normalization": "none",
    "epochs": 20,
    "batch_size": 32,
    "patience": 0,
    "warmup": 0.0,
    "dtype": "float32",
}


def component(kind: str, name: str, **values: Any) -> Any:
    return REGISTRY.find(KINDS[kind], name)(**values)


def recipe(metric: str, **changes: Any) -> Recipe:
    return dataclasses.replace(Recipe.of(DEFAULTS, REGISTRY, metric), **changes)


def learned(recipe: Recipe, fold: Fold, outputs: int, seed: int = 0) -> Run:
    run = start(recipe, fold, outputs, np.random.SeedSequence(seed))
    return advance(run, recipe.epochs)


def split(x: Array, target: Array, rows: int) -> Fold:
    """The first rows to train on; inputs of mean 0 and variance 1 there."""
    scale = x[:rows].std(axis=0)
    x = ((x - x[:rows].mean(axis=0)) / np.where(scale > 0, scale, 1)).astype(np.float32)
    return Fold(x[:rows], target[:rows], None, x[rows:], target[rows:], None)


def digits() -> Fold:
    x, target = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return split(x[order], target[order], 1350)


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_it_reads_handwritten_digits(normalization: str) -> None:
    fast = component("optimizer", "adam", lr=3e-3)
    run = learned(recipe("accuracy", optimizer=fast, normalization=normalization), digits(), 10)
    assert run.score >= 0.97
    assert run.checkpoint.metrics["train_loss"][-1] < 0.05


@pytest.mark.parametrize("optimizer", REGISTRY.names("optimizer"))
def test_every_optimizer_reads_digits_at_its_defaults(optimizer: str) -> None:
    rule = component("optimizer", optimizer)
    run = learned(recipe("accuracy", optimizer=rule), digits(), 10)
    assert run.score >= 0.85


@pytest.mark.parametrize(
    "activation", [name for name in REGISTRY.names("activation") if name != "identity"]
)
def test_every_activation_bends_the_line(activation: str) -> None:
    # Friedman's function has a sine, a product and a square: a line explains 0.75 of it.
    dataset: Dataset = component("dataset", "friedman", rows=1000, noise=0.0)
    table = dataset.load()
    fold = split(np.column_stack(list(table.columns.values())), table.target, 750)
    plan = recipe(
        "r2",
        loss=component("loss", "squared_error"),
        activation=component("activation", activation),
        optimizer=component("optimizer", "adam", lr=1e-2),
        schedule=component("schedule", "cosine"),
        epochs=30,
    )
    line = learned(dataclasses.replace(plan, hidden=()), fold, 1)
    bent = learned(plan, fold, 1)
    assert bent.score > line.score + 0.008


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("hidden", [(8, 8), (8, 8, 8)])
def test_it_learns_exclusive_or(hidden: tuple[int, ...], loss: str) -> None:
    x = np.tile(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), (8, 1))
    target = (x[:, 0] != x[:, 1]).astype(np.int64)
    plan = recipe(
        "accuracy",
        hidden=hidden,
        loss=component("loss", loss),
        activation=component("activation", "tanh"),
        optimizer=component("optimizer", "adam", lr=1e-2),
        epochs=150,
    )
    run = learned(plan, Fold(x, target, None, x, target, None), 2)
    assert run.score == 1.0
    assert run.checkpoint.metrics["train_loss"][-1] < 0.05


class Given(Initializer):
    """The weights of the example below."""

    name = "given"

    def draw(self, rng: np.random.Generator, fan_in: int, fan_out: int, gain: float) -> Array:
        return np.array([[1.0, -1.0], [0.5, 2.0]] if fan_out == 2 else [[0.5], [-0.25]])


def test_one_step_of_a_2_2_1_network_is_the_one_computed_by_hand() -> None:
    x = np.array([[1.0, 2.0], [-1.0, 1.0]])
    target = np.array([[10.0], [30.0]])  # mean 20, standard deviation 10: encoded as -1 and 1
    plan = recipe(
        "rmse",
        hidden=(2,),
        loss=component("loss", "squared_error"),
        initializer=Given(),
        optimizer=component("optimizer", "sgd", lr=0.1, momentum=0.0),
        epochs=1,
        dtype="float64",
    )
    untrained = start(plan, Fold(x, target, None, x, target, None), 1, np.random.SeedSequence(0))
    run = advance(untrained, 1)

    # Forward. Row 1: z = (1 + 1, -1 + 4) = (2, 3), both pass the relu, output 1 - 0.75 = 0.25.
    #          Row 2: z = (-1 + 0.5, 1 + 2) = (-0.5, 3), a = (0, 3), output -0.75.
    # Errors 1.25 and -1.75, so the loss is (1.5625 + 3.0625) / 2.
    assert run.checkpoint.metrics["train_loss"][1] == pytest.approx(2.3125)
    assert untrained.score == pytest.approx(10 * 2.3125**0.5)

    # Backward. d output = 2 error / 2 rows = (1.25, -1.75).
    #   d W2 = a' d = (2 * 1.25, 3 * 1.25 - 3 * 1.75) = (2.5, -1.5),        d b2 = -0.5
    #   d z  = d W2', where the relu passed: (0.625, -0.3125) and (0, 0.4375)
    #   d W1 = x' d z = ((0.625, -0.75), (1.25, -0.1875)),                  d b1 = (0.625, 0.125)
    # Update with the learning rate 0.1.
    hidden, output = trained(run).layers
    assert hidden.weights.tolist() == [
        pytest.approx([1 - 0.0625, -1 + 0.075]),
        pytest.approx([0.5 - 0.125, 2 + 0.01875]),
    ]
    assert hidden.bias is not None
    assert output.bias is not None
    assert hidden.bias.tolist() == pytest.approx([-0.0625, -0.0125])
    assert output.weights.ravel().tolist() == pytest.approx([0.5 - 0.25, -0.25 + 0.15])
    assert output.bias.tolist() == pytest.approx([0.05])
