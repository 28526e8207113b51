from __future__ import annotations

import dataclasses
import math
import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunekit import (
    Activation,
    ComponentError,
    InputError,
    Metric,
    Optimizer,
    Progress,
    Regularizer,
    Schedule,
    Step,
)
from tunekit.components import KINDS, State
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Checkpoint, Run
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
    "schedule": "constant",
    "network.hidden": "8-6",
    "network.normalization": "none",
    "epochs": 6,
    "batch_size": 16,
    "patience": 0,
    "warmup": 0.0,
    "dtype": "float32",
}
CLASSES = 3


def component(kind: str, name: str, **values: Any) -> Any:
    return REGISTRY.find(KINDS[kind], name)(**values)


def recipe(metric: str = "accuracy", **changes: Any) -> Recipe:
    return dataclasses.replace(Recipe.of(DEFAULTS, REGISTRY, metric), **changes)


def regression(metric: str = "rmse", **changes: Any) -> Recipe:
    return recipe(metric, loss=component("loss", "squared_error"), **changes)


def sgd(lr: float, momentum: float = 0.0) -> Any:
    return component("optimizer", "sgd", lr=lr, momentum=momentum)


def fold(
    rows: int = 45, classes: int = CLASSES, *, dtype: str = "float32", noise: float = 0.1
) -> Fold:
    """Classes that a line through six inputs can tell apart, but for `noise`."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows + 30, 6))
    target = np.argmax(x[:, :classes] + noise * rng.normal(size=(rows + 30, classes)), axis=1)
    x = x.astype(dtype)
    return Fold(x[:rows], target[:rows], None, x[rows:], target[rows:], None)


def values_fold(rows: int = 200, *, unit: float = 1.0, dtype: str = "float64") -> Fold:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(rows + 50, 4))
    y = unit * (1000 + 50 * x @ rng.normal(size=(4, 2)) + rng.normal(size=(rows + 50, 2)))
    x = x.astype(dtype)
    return Fold(x[:rows], y[:rows], None, x[rows:], y[rows:], None)


def begin(recipe: Recipe, fold: Fold, outputs: int = CLASSES, seed: int = 0) -> Run:
    return start(recipe, fold, outputs, np.random.SeedSequence(seed, spawn_key=(1, 2)))


def bits(value: Any) -> Any:
    """Something that is equal for values of the same bits only, NaN included."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, dict):
        return {key: bits(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [bits(inner) for inner in value]
    if isinstance(value, Checkpoint):
        return {f.name: bits(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return repr(value)


def arrays(value: Any) -> list[Array]:
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, Checkpoint):
        return arrays([getattr(value, f.name) for f in dataclasses.fields(value)])
    if isinstance(value, dict):
        return arrays(list(value.values()))
    return [array for inner in value for array in arrays(inner)] if isinstance(value, list) else []


# Rules of the scopes that no built-in has, with states that are not arrays of w's shape.


class Relative(Optimizer):
    """A step as long as the tensor that it moves, counted in a state of its own."""

    name = "test_tensor"
    scope = "tensor"
    lr: float = 0.01

    def initial_state(self, w: Array) -> State:
        return {"m": np.zeros_like(w), "norms": np.zeros(2, w.dtype), "calls": 0}

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["m"] = 0.9 * state["m"] + g
        state["calls"] += 1
        state["norms"] = np.array([np.linalg.norm(w), np.linalg.norm(state["m"])], w.dtype)
        length, along = state["norms"].tolist()
        return state["m"] * ((1 + length) / (1e-6 + along))  # type: ignore[no-any-return]


class OneScalar(Optimizer):
    """Adapts one number for the whole network."""

    name = "test_vector"
    scope = "vector"
    slots = ("old",)
    lr: float = 0.1

    def initial_state(self, w: Array) -> State:
        return {"old": np.zeros_like(w), "scale": 1.0}

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["scale"] *= 1.1 if float(np.vdot(g, state["old"])) > 0 else 0.7
        state["old"] = g
        scale: float = state["scale"]
        return g * scale


class Averaging(Optimizer):
    """Evaluates at the mean of the points it came through."""

    name = "test_averaging"
    lr: float = 0.1

    def initial_state(self, w: Array) -> State:
        return {"sum": np.zeros_like(w), "count": 0}

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["sum"] += w
        state["count"] += 1
        return g

    def evaluation_weights(self, w: Array, state: State) -> Array:
        return state["sum"] / state["count"]  # type: ignore[no-any-return]


class Plateau(Schedule):
    """Halves the rate after each epoch that was no better than the one before."""

    name = "test_plateau"
    every = "epoch"

    def factor(self, progress: Progress) -> float:
        worse = [later <= earlier for earlier, later in pairwise(progress.validation)]
        return float(0.5 ** sum(worse))


class Falling(Schedule):
    """Falls with the fraction of the run, but once an epoch only."""

    name = "test_falling"
    every = "epoch"

    def factor(self, progress: Progress) -> float:
        return 1 - progress.fraction


class Rotation(Regularizer):
    """Draws at the batch as well: swaps rows, smooths nothing."""

    name = "test_rotation"

    def on_batch(self, x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        share = float(rng.beta(0.4, 0.4))
        order = rng.permutation(len(x))
        return share * x + (1 - share) * x[order], share * y + (1 - share) * y[order]


EVERYTHING_RANDOM = (component("regularizer", "dropout"), Rotation())
RECIPES = {
    "plain": recipe(),
    "sgd": recipe(optimizer=sgd(0.1, 0.9)),
    "tensor scope": recipe(optimizer=Relative()),
    "vector scope": recipe(optimizer=OneScalar()),
    "evaluation weights": recipe(optimizer=Averaging(), patience=2),
    "dropout and mixup": recipe(regularizers=EVERYTHING_RANDOM),
    "batch normalization": recipe(normalization="batch", regularizers=EVERYTHING_RANDOM),
    "early stopping": recipe(patience=1, optimizer=sgd(2.0)),
    "best network kept": recipe(patience=4, normalization="batch"),
    "schedule by step": recipe(schedule=component("schedule", "one_cycle")),
    "schedule by epoch": recipe(schedule=Plateau(), optimizer=sgd(2.0), warmup=0.3),
    "warm-up": recipe(schedule=component("schedule", "cosine"), warmup=0.4),
    "divergence": regression(optimizer=sgd(1e12), epochs=6),
    "slow divergence": regression(optimizer=sgd(2.5), epochs=6, hidden=(), batch_size=3),
    "exponential average": recipe(
        regularizers=(component("regularizer", "ema"),), normalization="batch", patience=3
    ),
    "average of the last epochs": recipe(
        regularizers=(component("regularizer", "swa", begin=0.5),)
    ),
    "noisy gradients": recipe(
        regularizers=tuple(
            component("regularizer", name) for name in ("gradient_noise", "weight_decay")
        )
    ),
    "everything learned": recipe(
        activation=component("activation", "prelu"),
        normalization="layer",
        hidden=(8, 8),
        residual=True,
        input_scaling=True,
        class_weights="balanced",
    ),
    "regression": regression(
        normalization="batch",
        regularizers=tuple(component("regularizer", name) for name in ("l1", "max_norm")),
    ),
}
every_recipe = pytest.mark.parametrize("name", RECIPES)


def begun(name: str) -> Run:
    if RECIPES[name].loss.targets == "values":
        return begin(RECIPES[name], values_fold(45, dtype="float32"), outputs=2)
    return begin(RECIPES[name], fold())


@every_recipe
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 6), max_size=4).map(sorted), through_pickle=st.booleans())
def test_training_split_anywhere_ends_in_the_same_bits(
    name: str, cuts: list[int], through_pickle: bool
) -> None:
    run = begun(name)
    whole = advance(run, 6)
    for first, last in pairwise([0, *cuts, 6]):
        run = advance(run, last - first)
        if through_pickle:
            checkpoint = pickle.loads(pickle.dumps(run.checkpoint))
            run = Run(run.recipe, run.fold, run.outputs, checkpoint)
    assert bits(run.checkpoint) == bits(whole.checkpoint)
    assert repr(run.score) == repr(whole.score)


@every_recipe
def test_a_run_is_never_changed(name: str) -> None:
    run = advance(begun(name), 2)
    before = bits(run.checkpoint)
    data = bits([run.fold.x, run.fold.target, run.fold.x_validation])
    advance(run, 3)
    trained(run)
    score_on(run, run.fold.x_validation, run.fold.target_validation, None)
    assert bits(run.checkpoint) == before
    assert bits([run.fold.x, run.fold.target, run.fold.x_validation]) == data


@every_recipe
def test_a_later_run_shares_no_array_with_the_earlier_one(name: str) -> None:
    run = advance(begun(name), 2)
    later = advance(run, 1)
    for ours in arrays(run.checkpoint):
        assert not any(np.shares_memory(ours, theirs) for theirs in arrays(later.checkpoint))


@every_recipe
def test_the_seed_alone_decides(name: str) -> None:
    run = begun(name)
    first = advance(run, 6)
    again = advance(begun(name), 6)
    other = advance(begin(run.recipe, run.fold, run.outputs, seed=1), 6)
    assert bits(first.checkpoint) == bits(again.checkpoint)
    assert bits(first.checkpoint.weights) != bits(other.checkpoint.weights)


def test_starting_a_run_does_not_use_its_seed_up() -> None:
    seed = np.random.SeedSequence(5)
    first = start(recipe(), fold(), CLASSES, seed)
    assert bits(start(recipe(), fold(), CLASSES, seed).checkpoint) == bits(first.checkpoint)
    assert seed.n_children_spawned == 0


def test_two_trainings_in_turns_do_not_disturb_each_other() -> None:
    names = ("dropout and mixup", "batch normalization")
    alone = [advance(begun(name), 6) for name in names]
    turns = [begun(name) for name in names]
    for _ in range(6):
        turns = [advance(run, 1) for run in turns]
    assert [bits(run.checkpoint) for run in turns] == [bits(run.checkpoint) for run in alone]


def test_a_run_that_has_ended_stays_as_it_is() -> None:
    run = advance(begun("plain"), 100)
    assert run.checkpoint.status == "finished"
    assert run.checkpoint.epoch == 6
    assert bits(advance(run, 100).checkpoint) == bits(run.checkpoint)


def test_no_epochs_change_nothing() -> None:
    run = begun("plain")
    assert bits(advance(run, 0).checkpoint) == bits(run.checkpoint)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("normalization", ["none", "batch", "layer", "rms"])
@pytest.mark.parametrize("optimizer", REGISTRY.names("optimizer"))
def test_every_array_keeps_the_dtype_under_every_optimizer(
    optimizer: str, normalization: str, dtype: str
) -> None:
    regularizers = tuple(
        component("regularizer", name)
        for name in REGISTRY.names("regularizer")
        if "classification" in REGISTRY.find(Regularizer, name).tasks and name != "swa"
    )
    run = begin(
        recipe(
            optimizer=component("optimizer", optimizer),
            normalization=normalization,
            regularizers=regularizers,
            patience=2,
            dtype=dtype,
        ),
        fold(dtype=dtype),
    )
    run = advance(run, 2)
    assert run.checkpoint.best_weights is not None
    assert {array.dtype for array in arrays(run.checkpoint)} == {np.dtype(dtype)}
    assert trained(run).infer(run.fold.x_validation).dtype == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", REGISTRY.names("activation"))
def test_every_array_keeps_the_dtype_under_every_activation(activation: str, dtype: str) -> None:
    run = begin(
        recipe(activation=component("activation", activation), dtype=dtype), fold(dtype=dtype)
    )
    assert {array.dtype for array in arrays(advance(run, 1).checkpoint)} == {np.dtype(dtype)}


def test_weights_of_rows_do_not_turn_float32_into_float64() -> None:
    weight = np.random.default_rng(0).random(45)
    run = begin(recipe(), dataclasses.replace(fold(), weight=weight))
    assert {array.dtype for array in arrays(advance(run, 2).checkpoint)} == {np.dtype("float32")}


def test_what_is_measured_are_plain_numbers() -> None:
    run = advance(begun("plain"), 2)
    names = list(run.checkpoint.metrics)
    assert names[:4] == ["train_loss", "val_loss", "val_accuracy", "lr"]
    assert {name.partition(".layer")[0] for name in names[4:]} >= {"gradient_norm", "dead"}
    for values in run.checkpoint.metrics.values():
        assert [type(value) for value in values] == [float] * 3


def test_epoch_0_is_the_untrained_network() -> None:
    run = begun("plain")
    metrics = run.checkpoint.metrics
    assert run.checkpoint.epoch == run.checkpoint.step == 0
    assert math.isnan(metrics["train_loss"][0])
    assert math.isnan(metrics["lr"][0])
    assert run.score == metrics["val_accuracy"][0]
    assert run.score == score_on(run, run.fold.x_validation, run.fold.target_validation, None)


# Early stopping.


def overfitting(patience: int, **changes: Any) -> Run:
    """Labels that are noise: what is learned of them helps nobody."""
    noisy = fold(noise=3.0)
    fast = component("optimizer", "adam", lr=0.03)
    return begin(recipe("log_loss", patience=patience, epochs=60, optimizer=fast, **changes), noisy)


@pytest.mark.parametrize("normalization", ["none", "batch", "layer", "rms"])
def test_early_stopping_keeps_the_best_network(normalization: str) -> None:
    run = advance(overfitting(5, normalization=normalization), 60)
    checkpoint = run.checkpoint
    scores = checkpoint.metrics["val_log_loss"]
    assert checkpoint.status == "stopped"
    assert checkpoint.best_epoch == 1 + int(np.argmin(scores[1:]))
    assert checkpoint.epoch == checkpoint.best_epoch + 5
    assert run.score == min(scores[1:]) < scores[-1]
    assert score_on(run, run.fold.x_validation, run.fold.target_validation, None) == run.score
    output = trained(run).infer(run.fold.x_validation)
    probability = run.recipe.loss.predict(output)
    assert run.recipe.metric.score(run.fold.target_validation, probability, None) == run.score


def test_without_patience_the_last_network_is_kept() -> None:
    run = advance(overfitting(0), 60)
    assert run.checkpoint.status == "finished"
    assert run.checkpoint.best_epoch == run.checkpoint.epoch == 60
    assert run.score == run.checkpoint.metrics["val_log_loss"][-1]
    assert score_on(run, run.fold.x_validation, run.fold.target_validation, None) == run.score
    last = trained(run).layers[-1].weights
    assert np.array_equal(last.ravel(), run.checkpoint.weights[8 * 6 + 6 * 8 :][: last.size])


def test_a_run_that_stops_early_is_the_beginning_of_one_that_does_not() -> None:
    stopped, whole = advance(overfitting(5), 60), advance(overfitting(0), 60)
    epochs = stopped.checkpoint.epoch + 1
    for name, values in stopped.checkpoint.metrics.items():
        assert bits(values) == bits(whole.checkpoint.metrics[name][:epochs])


def test_of_equally_good_networks_the_first_is_kept() -> None:
    run = advance(begin(recipe(optimizer=sgd(0.0), patience=2), fold()), 6)
    assert len(set(run.checkpoint.metrics["val_accuracy"])) == 1
    assert (run.checkpoint.best_epoch, run.checkpoint.epoch) == (1, 3)


# Divergence.


@pytest.mark.parametrize("patience", [0, 3])
@pytest.mark.parametrize("lr", [1e5, 1e12, 1e30, 1e38, 1e60, 1e300])
@pytest.mark.parametrize("normalization", ["none", "batch", "layer", "rms"])
def test_a_run_that_diverges_ends_and_scores_what_its_untrained_network_scores(
    normalization: str, lr: float, patience: int
) -> None:
    few = values_fold(45, dtype="float32")
    changes: dict[str, Any] = {"hidden": (8,), "activation": component("activation", "relu")}
    changes |= {"optimizer": sgd(lr), "patience": patience, "normalization": normalization}
    untrained = begin(regression(epochs=50, **changes), few, outputs=2)
    run = advance(untrained, 50)
    if run.checkpoint.status != "diverged":
        assert normalization == "batch"
        assert math.isfinite(run.score)
        return
    assert run.checkpoint.epoch < 50
    assert run.score == untrained.score
    assert score_on(run, few.x_validation, few.target_validation, None) == run.score
    expected = trained(untrained).infer(few.x_validation)
    assert np.array_equal(trained(run).infer(few.x_validation), expected)


def test_a_last_step_that_leaves_the_finite_is_a_divergence() -> None:
    # One step only: its loss was finite, its weights still are, what they predict is not.
    few = values_fold(45, dtype="float32")
    run = begin(regression(optimizer=sgd(1e30), epochs=1, batch_size=45), few, outputs=2)
    run = advance(run, 1)
    assert run.checkpoint.step == 1
    assert np.isfinite(run.checkpoint.weights).all()
    assert run.checkpoint.status == "diverged"
    assert math.isfinite(run.score)


def test_rows_that_a_network_overflows_on_are_scored_without_a_warning() -> None:
    few = values_fold(45, dtype="float32")
    run = advance(begin(regression(hidden=()), few, outputs=2), 1)
    far = few.x_validation * np.float32(1e38)
    # The squares of the errors leave float32, though the errors themselves do not.
    assert score_on(run, far, few.target_validation, None) > 1e30


def test_a_diverged_run_ends_within_its_epoch() -> None:
    run = begin(recipe(optimizer=sgd(1e60), batch_size=1), fold())
    run = advance(run, 6)
    assert run.checkpoint.status == "diverged"
    assert run.checkpoint.epoch == 1
    assert run.checkpoint.step < 5


# Learning rates. 45 rows in batches of 16 are 3 steps an epoch, 18 in all.


def rates(**changes: Any) -> list[float]:
    run = advance(begin(recipe(optimizer=sgd(0.2), **changes), fold()), 6)
    return run.checkpoint.metrics["lr"][1:]


def test_the_learning_rate_of_an_epoch_is_that_of_its_last_step() -> None:
    assert rates() == [0.2] * 6
    expected = [0.1 * (1 + math.cos(math.pi * step / 18)) for step in (2, 5, 8, 11, 14, 17)]
    assert rates(schedule=component("schedule", "cosine")) == pytest.approx(expected)


def test_a_schedule_by_epoch_is_asked_once_an_epoch() -> None:
    expected = [0.2 * (1 - epoch / 6) for epoch in range(6)]
    assert rates(schedule=Falling()) == pytest.approx(expected)


def test_warm_up_rises_linearly_and_multiplies_any_schedule() -> None:
    rising = [3 / 9, 6 / 9, 1, 1, 1, 1]
    assert rates(warmup=0.5) == pytest.approx([0.2 * factor for factor in rising])
    falling = [1 - epoch / 6 for epoch in range(6)]
    both = [0.2 * up * down for up, down in zip(rising, falling, strict=True)]
    assert rates(warmup=0.5, schedule=Falling()) == pytest.approx(both)


def test_the_first_warm_up_step_is_not_lost() -> None:
    run = begin(recipe(optimizer=sgd(0.2), batch_size=45, warmup=1.0), fold())
    assert advance(run, 6).checkpoint.metrics["lr"][1:] == pytest.approx(
        [0.2 * step / 6 for step in range(1, 7)]
    )


def test_a_schedule_by_epoch_sees_validation_scores_of_which_higher_is_better() -> None:
    seen: list[list[float]] = []

    class Watching(Schedule):
        name = "watching"
        every = "epoch"

        def factor(self, progress: Progress) -> float:
            seen.append(list(progress.validation))
            return 1.0

    run = advance(begin(recipe("log_loss", schedule=Watching()), fold()), 3)
    losses = run.checkpoint.metrics["val_log_loss"]
    assert seen == [[], [-losses[1]], [-losses[1], -losses[2]]]


@pytest.mark.parametrize(("normalization", "steps"), [("none", 3), ("batch", 2)])
def test_progress_counts_the_steps_that_will_be_taken(normalization: str, steps: int) -> None:
    seen: list[Progress] = []

    class Watching(Schedule):
        name = "watching"

        def factor(self, progress: Progress) -> float:
            seen.append(progress)
            return 1.0

    # 33 rows in batches of 16: the single row that is left has no variance to normalize by.
    run = begin(recipe(schedule=Watching(), normalization=normalization), fold(33))
    run = advance(run, 6)
    assert run.checkpoint.status == "finished"
    assert run.checkpoint.step == 6 * steps
    assert {(p.steps, p.epochs) for p in seen} == {(6 * steps, 6)}
    assert [p.step for p in seen] == list(range(6 * steps))
    assert [p.epoch for p in seen] == [step // steps for step in range(6 * steps)]
    assert all(p.fraction == p.step / p.steps for p in seen)


# Batches and rows.


def test_a_batch_larger_than_the_data_is_all_the_data() -> None:
    large, exact = (begin(recipe(batch_size=size), fold()) for size in (1000, 45))
    assert bits(advance(large, 6).checkpoint) == bits(advance(exact, 6).checkpoint)
    assert advance(large, 6).checkpoint.step == 6


def shown(epochs: int = 1, seed: int = 0, **changes: Any) -> list[Array]:
    """The batches, inputs beside encoded targets, that a run trains on."""
    seen: list[Array] = []

    class Watching(Regularizer):
        name = "watching"

        def on_batch(self, x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
            seen.append(np.hstack([x, y]))
            return x, y

    watched = (Watching(), *changes.pop("regularizers", ()))
    run = begin(recipe(regularizers=watched, **changes), fold(), seed=seed)
    seen.clear()  # what the regularizer was tried on
    advance(run, epochs)
    return seen


@pytest.mark.parametrize("batch_size", [1, 7, 44, 45])
def test_an_epoch_shows_every_row_once_with_its_own_target(batch_size: int) -> None:
    batches = shown(batch_size=batch_size)
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    data = fold()
    everything = np.hstack([data.x, np.eye(CLASSES, dtype=np.float32)[data.target]])
    assert sorted(map(tuple, np.concatenate(batches))) == sorted(map(tuple, everything))


def test_the_order_of_the_rows_changes_with_the_epoch_and_with_the_seed() -> None:
    first, second = shown(epochs=2, batch_size=45)
    (other,) = shown(seed=1, batch_size=45)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_the_order_of_the_rows_does_not_depend_on_what_else_is_random() -> None:
    noisy = shown(epochs=3, regularizers=(component("regularizer", "dropout"),))
    for ours, theirs in zip(noisy, shown(epochs=3), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_row_of_weight_2_is_a_row_that_is_there_twice() -> None:
    data = fold(20, dtype="float64")
    changes: dict[str, Any] = {"dtype": "float64", "batch_size": 100, "optimizer": sgd(0.5)}
    weight = np.ones(20)
    weight[3] = 2.0
    twice = dataclasses.replace(
        data, x=np.vstack([data.x, data.x[3:4]]), target=np.append(data.target, data.target[3])
    )
    weighted = advance(begin(recipe(**changes), dataclasses.replace(data, weight=weight)), 6)
    doubled = advance(begin(recipe(**changes), twice), 6)
    plain = advance(begin(recipe(**changes), data), 6)
    ours, theirs = weighted.checkpoint, doubled.checkpoint
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-10)
    np.testing.assert_allclose(ours.metrics["train_loss"], theirs.metrics["train_loss"], rtol=1e-12)
    assert not np.allclose(ours.weights, plain.checkpoint.weights, rtol=1e-4)


def test_validation_weights_weigh_loss_and_score() -> None:
    data = fold()
    kept = np.arange(30) < 10
    weighted = dataclasses.replace(data, weight_validation=kept.astype(float))
    fewer = dataclasses.replace(
        data, x_validation=data.x_validation[kept], target_validation=data.target_validation[kept]
    )
    ours, theirs = (advance(begin(recipe(), some), 3) for some in (weighted, fewer))
    for name in ("val_accuracy", "val_loss"):
        found, expected = ours.checkpoint.metrics[name], theirs.checkpoint.metrics[name]
        assert found == pytest.approx(expected, rel=1e-5)


def test_the_score_on_other_rows_is_that_of_the_trained_network_there() -> None:
    run = advance(begun("best network kept"), 6)
    other = fold(noise=0.5)
    labels = trained(run).infer(other.x).argmax(axis=1)
    right = labels == other.target
    assert score_on(run, other.x, other.target, None) == right.mean()
    weight = np.random.default_rng(0).random(len(right))
    expected = np.average(right, weights=weight)
    assert score_on(run, other.x, other.target, weight) == pytest.approx(expected)


# Kinds of targets.


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
def test_a_regression_is_scored_in_the_targets_own_unit(unit: float) -> None:
    changes: dict[str, Any] = {"dtype": "float64", "epochs": 30, "optimizer": sgd(0.1)}
    changes["hidden"] = ()
    plain = advance(begin(regression(**changes), values_fold(), outputs=2), 30)
    run = advance(begin(regression(**changes), values_fold(unit=unit), outputs=2), 30)
    assert run.score == pytest.approx(unit * plain.score, rel=1e-6)
    assert run.checkpoint.metrics["train_loss"][1:] == pytest.approx(
        plain.checkpoint.metrics["train_loss"][1:], rel=1e-6
    )
    spread = run.fold.target_validation.std(axis=0).mean()
    assert run.score < 0.05 * spread


def test_a_linear_model_finds_the_least_squares_solution() -> None:
    data = values_fold()
    plan = regression(hidden=(), optimizer=sgd(0.1), epochs=300, batch_size=200, dtype="float64")
    run = advance(begin(plan, data, outputs=2), 300)
    assert run.parameters == 4 * 2 + 2

    def with_ones(x: Array) -> Array:
        return np.hstack([x, np.ones((len(x), 1))])

    solution, *_ = np.linalg.lstsq(with_ones(data.x), data.target, rcond=None)
    error = with_ones(data.x_validation) @ solution - data.target_validation
    assert run.score == pytest.approx(np.sqrt((error**2).mean(axis=0)).mean(), rel=1e-9)


def test_an_output_that_never_varies_is_no_division_by_zero() -> None:
    data = values_fold(45)
    data.target[:, 1] = 7.0
    data.target_validation[:, 1] = 7.0
    run = advance(begin(regression(dtype="float64", hidden=()), data, outputs=2), 6)
    assert run.checkpoint.status == "finished"
    assert math.isfinite(run.score)


def test_a_binary_loss_trains_one_output_and_scores_two_classes() -> None:
    binary = component("loss", "binary_cross_entropy")
    plan = recipe("accuracy", loss=binary, epochs=40, optimizer=sgd(0.5, 0.9))
    run = advance(begin(plan, fold(200, classes=2), outputs=2), 40)
    output = trained(run).infer(run.fold.x_validation)
    assert output.shape == (30, 1)
    right = (output[:, 0] > 0) == run.fold.target_validation
    assert run.score == right.mean() > 0.85


def test_a_binary_loss_refuses_three_classes() -> None:
    with pytest.raises(InputError, match="two classes, but the data have 3"):
        begin(recipe(loss=component("loss", "binary_cross_entropy")), fold())


@pytest.mark.parametrize("normalization", ["none", "batch", "layer", "rms"])
def test_a_linear_classifier_has_nothing_but_one_layer(normalization: str) -> None:
    run = begin(recipe(hidden=(), normalization=normalization), fold())
    run = advance(run, 6)
    assert run.parameters == 6 * CLASSES + CLASSES
    weights, bias = np.split(run.checkpoint.weights, [6 * CLASSES])
    logits = run.fold.x_validation @ weights.reshape(6, CLASSES) + bias
    assert run.score == (logits.argmax(axis=1) == run.fold.target_validation).mean()


# What the untrained network is drawn like.


def test_weights_are_drawn_with_the_gain_of_what_follows_biases_are_0_and_gains_are_1() -> None:
    gains: list[tuple[int, int, float]] = []

    class Watching(type(component("initializer", "he_normal"))):  # type: ignore[misc]
        name = "watching"

        def draw(self, rng: np.random.Generator, fan_in: int, fan_out: int, gain: float) -> Array:
            gains.append((fan_in, fan_out, gain))
            return np.full((fan_in, fan_out), 0.5)

    relu: Activation = component("activation", "relu")
    run = begin(recipe(activation=relu, initializer=Watching(), normalization="batch"), fold())
    assert gains == [(6, 8, relu.gain), (8, 6, relu.gain), (6, 3, 1.0)]
    weights, rest = np.split(run.checkpoint.weights, [6 * 8 + 8 * 6 + 6 * 3])
    assert set(weights) == {0.5}
    # The output's biases, the gains, the shifts.
    assert rest.tolist() == [0.0] * 3 + [1.0] * (8 + 6) + [0.0] * (8 + 6)
    assert run.checkpoint.running.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 6 + [1.0] * 6


def test_smaller_is_better_where_the_metric_says_so() -> None:
    run = advance(overfitting(5), 60)
    metric: Metric = run.recipe.metric
    assert not metric.larger_is_better
    assert run.score == min(run.checkpoint.metrics["val_log_loss"][1:])


def test_an_activation_that_returns_another_shape_is_named() -> None:
    class Narrow(Activation):
        name = "narrow"

        def forward(self, z: Array) -> Array:
            return z[:, :1]

        def backward(self, da: Array, z: Array, a: Array) -> Array:
            return da

    with pytest.raises(ComponentError, match=r"activation 'narrow': what forward returned has"):
        begin(recipe("accuracy", activation=Narrow()), fold())


def test_a_schedule_that_returns_no_number_is_named() -> None:
    class Forgetful(Schedule):
        name = "forgetful"

        def factor(self, progress: Progress) -> float:
            return None  # type: ignore[return-value]

    run = begin(recipe("accuracy", schedule=Forgetful()), fold())
    with pytest.raises(ComponentError, match="schedule 'forgetful': factor returned None"):
        advance(run, 1)
