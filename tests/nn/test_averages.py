from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import InputError, Optimizer, Regularizer, Step
from tunekit.components import KINDS, State
from tunekit.nn.network import Network
from tunekit.nn.normalization import BatchNorm
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Run, layout_of
from tunekit.nn.training import advance, score_on, start, trained
from tunekit.plugins import load
from tunekit.records import Fold

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
DEFAULTS: dict[str, str | int | float] = {
    "activation": "tanh",
    "initializer": "he_normal",
    "loss": "cross_entropy",
    "optimizer": "adam",
    "optimizer.adam.lr": 0.02,
    "schedule": "constant",
    "network.hidden": "8-6",
    "network.normalization": "none",
    "epochs": 8,
    "batch_size": 60,
    "patience": 0,
    "warmup": 0.0,
    "dtype": "float64",
}
ROWS, CLASSES = 60, 3
DECAY = 0.7


def component(kind: str, name: str, **values: Any) -> Any:
    return REGISTRY.find(KINDS[kind], name)(**values)


EMA = component("regularizer", "ema", decay_rate=DECAY)
SWA = component("regularizer", "swa", begin=0.5)


def fold(rows: int = ROWS, noise: float = 0.3) -> Fold:
    """Classes by the largest of the first inputs; the training rows are sorted by the first."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows + 50, 5))
    target = np.argmax(x[:, :CLASSES] + noise * rng.normal(size=(len(x), CLASSES)), axis=1)
    order = np.argsort(x[:rows, 0])
    return Fold(x[:rows][order], target[:rows][order], None, x[rows:], target[rows:], None)


def begin(some: Fold, *averages: Regularizer, **changes: Any) -> Run:
    recipe = Recipe.of(DEFAULTS, REGISTRY, "log_loss")
    recipe = dataclasses.replace(recipe, regularizers=averages, **changes)
    return start(recipe, some, CLASSES, np.random.SeedSequence(5))


def epochs(run: Run) -> list[Run]:
    """The run after each of its epochs, from 1 on, advanced one by one."""
    runs = [run]
    while runs[-1].checkpoint.status == "running":
        runs.append(advance(runs[-1], 1))
    return runs[1:]


def mean_from(first: int, runs: list[Run]) -> Array:
    """The mean of the weights at the ends of the epochs from this one on."""
    weights: Array = np.mean([run.checkpoint.weights for run in runs[first - 1 :]], axis=0)
    return weights


def discounted(runs: list[Run]) -> Array:
    """The exponential average of the weights at the ends of the epochs."""
    shares = DECAY ** np.arange(len(runs))[::-1]
    weights = np.array([run.checkpoint.weights for run in runs])
    average: Array = shares @ weights / shares.sum()
    return average


def network(run: Run, weights: Array, running: Array) -> Network:
    layout = layout_of(run.recipe, run.fold, CLASSES)
    return Network(run.recipe.architecture, layout, weights.copy(), running.copy(), rows=ROWS)


def assert_is_kept(run: Run, expected: Network) -> None:
    """See that this network is the one that was scored and that predicts."""
    some, recipe = run.fold, run.recipe
    output = expected.infer(some.x_validation)
    np.testing.assert_allclose(trained(run).infer(some.x_validation), output, rtol=1e-8)
    one_hot = np.eye(CLASSES)[some.target_validation]
    loss, _ = recipe.loss.value_and_gradient(output, one_hot, None)
    score = recipe.metric.score(some.target_validation, recipe.loss.predict(output), None)
    assert run.checkpoint.metrics["val_loss"][-1] == pytest.approx(loss, rel=1e-9)
    assert run.score == pytest.approx(score, rel=1e-9)
    on_the_same_rows = score_on(run, some.x_validation, some.target_validation, None)
    assert on_the_same_rows == pytest.approx(score, rel=1e-9)


# Whose score it is.


def test_an_exponential_average_over_the_steps_is_scored_and_kept() -> None:
    # A batch is all rows: each step ends an epoch, so that all weights can be seen from outside.
    some = fold()
    plain, averaged = epochs(begin(some)), epochs(begin(some, EMA))
    assert len(plain) == len(averaged) == 8
    for epoch, run in enumerate(averaged, 1):
        average = discounted(plain[:epoch])
        assert_is_kept(run, network(run, average, run.checkpoint.running))
    assert averaged[-1].score != plain[-1].score


def test_the_mean_over_the_last_epochs_is_scored_and_kept() -> None:
    some = fold()
    plain, averaged = (epochs(begin(some, *r, batch_size=16)) for r in ((), (SWA,)))
    for epoch in range(4, 9):
        run = averaged[epoch - 1]
        assert_is_kept(run, network(run, mean_from(4, plain[:epoch]), run.checkpoint.running))
    assert averaged[-1].score != plain[-1].score


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_before_its_beginning_the_trained_weights_and_running_values_are_evaluated(
    normalization: str,
) -> None:
    some, changes = fold(), {"normalization": normalization, "batch_size": 16}
    plain, averaged = (epochs(begin(some, *r, **changes)) for r in ((), (SWA,)))
    for one, other in zip(plain[:3], averaged[:3], strict=True):
        assert repr(one.checkpoint.metrics) == repr(other.checkpoint.metrics)
        outputs = [trained(run).infer(some.x_validation).tobytes() for run in (one, other)]
        assert outputs[0] == outputs[1]


class Shrunk(Regularizer):
    """Evaluates halfway between the weights and 0, from the beginning on."""

    name = "shrunk"

    def evaluation_weights(self, w: Array, state: State) -> Array:
        return 0.5 * w


@pytest.mark.parametrize("average", [EMA, SWA, Shrunk()], ids=["ema", "swa", "shrunk"])
def test_the_untrained_network_is_evaluated_at_its_own_weights(average: Regularizer) -> None:
    some = fold()
    plain, averaged = begin(some), begin(some, average)
    assert repr(plain.checkpoint.metrics) == repr(averaged.checkpoint.metrics)


# What batch normalization does at averaged weights.


def test_with_batch_normalization_the_average_has_statistics_of_its_own() -> None:
    some = fold()
    changes = {"normalization": "batch", "batch_size": 16}
    plain, averaged = (epochs(begin(some, *r, **changes)) for r in ((), (SWA,)))
    for epoch in range(4, 9):
        run = averaged[epoch - 1]
        expected = network(run, mean_from(4, plain[:epoch]), run.checkpoint.running)
        # So few rows are all taken.
        expected.take_statistics(some.x)
        assert_is_kept(run, expected)


@pytest.mark.parametrize("average", [EMA, SWA], ids=["ema", "swa"])
def test_the_statistics_are_of_rows_from_all_over_the_fold(average: Regularizer) -> None:
    # The rows are sorted by the first input: those at the beginning have another mean.
    some = fold(rows=3000)
    changes = {"normalization": "batch", "batch_size": 500, "hidden": (8,), "epochs": 2}
    run = advance(begin(some, average, **changes), 2)
    first = trained(run).layers[0]
    assert isinstance(first.norm, BatchNorm)
    z = some.x @ first.weights
    mean, variance = first.norm.running
    np.testing.assert_allclose(mean, z.mean(axis=0), atol=0.1 * z.std())
    np.testing.assert_allclose(variance, z.var(axis=0), rtol=0.1)
    of_the_first = z[:2048].mean(axis=0)
    assert np.abs(of_the_first - z.mean(axis=0)).max() > 0.3 * z.std()


def test_the_score_is_that_of_the_network_with_these_statistics() -> None:
    some = fold(rows=3000)
    changes = {"normalization": "batch", "batch_size": 500, "hidden": (8,), "epochs": 2}
    run = advance(begin(some, SWA, **changes), 2)
    again = score_on(run, some.x_validation, some.target_validation, None)
    assert again == pytest.approx(run.score, rel=1e-12)


# Looking at an average is no part of the training.


@pytest.mark.parametrize("patience", [0, 3])
@pytest.mark.parametrize("normalization", ["none", "batch"])
@pytest.mark.parametrize("average", [EMA, SWA], ids=["ema", "swa"])
def test_evaluation_leaves_the_trained_weights_and_running_values_alone(
    average: Regularizer, normalization: str, patience: int
) -> None:
    some = fold()
    changes = {"normalization": normalization, "batch_size": 16}
    plain = epochs(begin(some, **changes))
    averaged = epochs(begin(some, average, patience=patience, **changes))
    for one, other in zip(plain, averaged, strict=False):
        trained(other)
        assert one.checkpoint.weights.tobytes() == other.checkpoint.weights.tobytes()
        assert one.checkpoint.running.tobytes() == other.checkpoint.running.tobytes()
        losses = [run.checkpoint.metrics["train_loss"] for run in (one, other)]
        assert repr(losses[0]) == repr(losses[1])


# Early stopping.


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_early_stopping_keeps_the_averaged_network_of_the_best_epoch(normalization: str) -> None:
    some = fold(noise=3)  # labels that hardly depend on the inputs are soon learned by heart
    changes = {"normalization": normalization, "epochs": 60, "hidden": (20,)}
    plain = epochs(begin(some, **changes))
    run = epochs(begin(some, EMA, patience=3, **changes))[-1]
    checkpoint = run.checkpoint
    assert checkpoint.status == "stopped"
    assert 1 < checkpoint.best_epoch == checkpoint.epoch - 3
    average = discounted(plain[: checkpoint.best_epoch])
    assert checkpoint.best_weights is not None
    np.testing.assert_allclose(checkpoint.best_weights, average, rtol=1e-9)
    expected = network(run, average, checkpoint.running)
    expected.take_statistics(some.x)
    output = expected.infer(some.x_validation)
    np.testing.assert_allclose(trained(run).infer(some.x_validation), output, rtol=1e-8)
    score = run.recipe.metric.score(some.target_validation, run.recipe.loss.predict(output), None)
    assert run.score == pytest.approx(score, rel=1e-9)
    assert run.score == min(checkpoint.metrics["val_log_loss"][1:])


# One average only.


class Halfway(Optimizer):
    """Evaluates halfway between the weights and 0."""

    name = "halfway"
    lr: float = 0.1

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return g

    def evaluation_weights(self, w: Array, state: State) -> Array:
        return 0.5 * w


@pytest.mark.parametrize(
    ("changes", "averages", "names"),
    [
        ({}, (EMA, SWA), ("regularizer 'ema'", "regularizer 'swa'")),
        ({"optimizer": Halfway()}, (EMA,), ("optimizer 'halfway'", "regularizer 'ema'")),
    ],
    ids=["ema_and_swa", "optimizer_and_ema"],
)
def test_two_choices_of_the_weights_to_evaluate_are_refused(
    changes: dict[str, Any], averages: tuple[Regularizer, ...], names: tuple[str, str]
) -> None:
    with pytest.raises(InputError) as refused:
        begin(fold(), *averages, **changes)
    assert all(name in refused.value.message for name in names)
    assert refused.value.key == "search.regularizers"


def test_regularizers_that_evaluate_nothing_of_their_own_go_with_an_average() -> None:
    dropout = component("regularizer", "dropout", rate=0.1)
    assert advance(begin(fold(), dropout, EMA), 1).checkpoint.status == "running"
    assert advance(begin(fold(), dropout, optimizer=Halfway()), 1).checkpoint.status == "running"
