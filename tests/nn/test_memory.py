from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import ComponentError, Optimizer, Progress, Regularizer, Schedule, Step
from tunekit.components import State
from tunekit.nn.memory import Memory
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Run
from tunekit.nn.training import advance, start
from tunekit.plugins import load
from tunekit.records import Fold

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
DEFAULTS: dict[str, str | int | float] = {
    "activation": "tanh",
    "initializer": "he_normal",
    "loss": "squared_error",
    "optimizer": "adam",
    "schedule": "constant",
    "network.hidden": "none",
    "network.normalization": "none",
    "epochs": 200,
    "batch_size": 10,
    "patience": 0,
    "warmup": 0.0,
    "dtype": "float32",
}
TINY = np.finfo(np.float32).tiny


def begin(**changes: Any) -> Run:
    """A regression on 20 rows, which are two batches an epoch."""
    recipe = dataclasses.replace(Recipe.of(DEFAULTS, REGISTRY, "rmse"), **changes)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3)).astype(np.float32)
    y = (x @ np.array([1.0, -2, 0.5]))[:, None] + rng.normal(size=(30, 1))
    fold = Fold(x[:20], y[:20], None, x[20:], y[20:], None)
    return start(recipe, fold, 1, np.random.SeedSequence(1))


# What a rule binds to the names of its state.


@pytest.mark.parametrize("scope", ["elementwise", "tensor", "vector"])
@pytest.mark.parametrize("stored", ["view", "slice"])
def test_a_rule_that_keeps_its_parameters_finds_those_of_before_its_step(
    stored: str, scope: Literal["elementwise", "tensor", "vector"]
) -> None:
    # As in the rules of Barzilai and Borwein, which compare two points and their gradients.
    moved: list[float] = []

    class Differences(Optimizer):
        name = "differences"
        lr: float = 0.1
        slots: ClassVar[tuple[str, ...]] = ("w", "g")

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            if step.t > 1:
                np.testing.assert_allclose(w, state["w"] - self.lr * state["g"], rtol=1e-6)
                moved.append(float(np.abs(w - state["w"]).max()))
            state["w"] = w if stored == "view" else w[:]
            state["g"] = g
            return g

    rule = type("Mine", (Differences,), {"scope": scope})()
    advance(advance(begin(optimizer=rule), 1), 2)
    assert min(moved) > 0


def test_new_arrays_are_taken_into_those_that_were_there() -> None:
    own = np.zeros(3)
    memory = Memory({"m": own, "calls": 0})
    bound = np.arange(3.0)
    memory.state["m"] = bound
    memory.state["calls"] = 1
    memory.keep()
    assert memory.state["m"] is own
    assert own.tolist() == [0, 1, 2]
    assert memory.state["calls"] == 1
    bound += 10
    assert own.tolist() == [0, 1, 2]


@pytest.mark.parametrize("how", ["themselves", "views"])
def test_names_that_exchange_their_arrays_exchange_their_values(how: str) -> None:
    memory = Memory({"a": np.full(2, 1.0), "b": np.full(2, 2.0), "c": np.full(2, 3.0)})
    own, state = dict(memory.state), memory.state
    if how == "themselves":
        state["a"], state["b"], state["c"] = state["b"], state["c"], state["a"]
    else:
        state["a"], state["b"], state["c"] = state["b"][:], state["c"][:], state["a"][:]
    memory.keep()
    assert [state[name].tolist() for name in "abc"] == [[2, 2], [3, 3], [1, 1]]
    assert all(state[name] is own[name] for name in "abc")


def test_an_array_bound_to_two_names_is_two_arrays() -> None:
    memory = Memory({"a": np.zeros(2), "b": np.zeros(2)})
    memory.state["a"] = memory.state["b"] = np.ones(2)
    memory.keep()
    assert memory.state["a"] is not memory.state["b"]
    assert memory.state["a"].tolist() == memory.state["b"].tolist() == [1, 1]


def test_the_memory_of_a_regularizer_is_checked() -> None:
    class Doubles(Regularizer):
        name = "doubles"
        slots: ClassVar[tuple[str, ...]] = ("sum",)

        def on_step(self, w: Array, state: State, progress: Progress) -> None:
            state["sum"] = state["sum"] + np.ones(len(w))

    with pytest.raises(ComponentError, match=r"'doubles': state\['sum'\] has dtype float64"):
        begin(regularizers=(Doubles(),))


def test_the_memory_of_a_regularizer_is_its_own_copy() -> None:
    # The first weights, bound as they were handed in, would follow the training.
    class Anchor(Regularizer):
        name = "anchor"

        def initial_state(self, w: Array) -> State:
            return {"first": w, "last": w}

        def on_step(self, w: Array, state: State, progress: Progress) -> None:
            state["last"] = w

    untrained = begin(regularizers=(Anchor(),))
    run = advance(untrained, 2)
    [memory] = run.checkpoint.memories
    assert np.array_equal(memory["first"], untrained.checkpoint.weights)
    assert np.array_equal(memory["last"], run.checkpoint.weights)
    assert not np.shares_memory(memory["last"], run.checkpoint.weights)


# What is too small for full precision.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_denormals_become_0_and_all_other_numbers_stay(dtype: type[np.floating[Any]]) -> None:
    tiny = np.finfo(dtype).tiny
    kept = np.array([tiny, -tiny, 1, -1e-30, np.inf, 0], dtype)
    dropped = np.array([tiny / 2, -tiny / 2, np.finfo(dtype).smallest_subnormal], dtype)
    assert dropped.all()
    memory = Memory({"m": np.concatenate([kept, dropped]), "count": np.array([0, 3]), "n": 1e-320})
    memory.drop_denormals()
    assert memory.state["m"].tolist() == [*kept.tolist(), 0, 0, 0]
    assert memory.state["count"].tolist() == [0, 3]
    assert memory.state["n"] == 1e-320


def test_a_slot_that_shrank_to_a_denormal_is_0_after_an_epoch() -> None:
    class Shrunk(Optimizer):
        name = "shrunk"
        lr: float = 0.1

        def initial_state(self, w: Array) -> State:
            small = np.full_like(w, 1e-40)
            assert small.all()
            return {"small": small, "least": np.full_like(w, TINY)}

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            assert state["small"].all() == (step.t <= 2)  # two steps are an epoch
            return g

    for scope in ("elementwise", "tensor"):
        rule = type("Mine", (Shrunk,), {"scope": scope})()
        for slots in advance(begin(optimizer=rule), 2).checkpoint.slots:
            assert not slots["small"].any()
            assert (slots["least"] == TINY).all()


# Divergence.


def adam(lr: float) -> Optimizer:
    return REGISTRY.find(Optimizer, "adam")(lr=lr)


def test_a_run_may_diverge_without_leaving_the_finite_numbers() -> None:
    untrained = begin(optimizer=adam(1e6))
    run = advance(untrained, 200)
    assert run.checkpoint.status == "diverged"
    assert run.checkpoint.epoch < 200
    assert np.isfinite(run.checkpoint.weights).all()
    assert np.isfinite(run.checkpoint.metrics["train_loss"][1:]).all()
    assert math.isnan(run.checkpoint.metrics["val_loss"][-1])
    assert run.score == untrained.score


def test_a_high_loss_alone_is_no_divergence() -> None:
    run = advance(begin(optimizer=adam(30.0), epochs=5), 5)
    assert max(run.checkpoint.metrics["train_loss"][1:]) > 100
    assert run.checkpoint.status == "finished"


# The trace of a divergence.


class Recorded(Optimizer):
    """Gradient descent that writes the size of each gradient into its state."""

    name = "recorded"
    scope = "vector"
    lr: float = 1.0

    def initial_state(self, w: Array) -> State:
        return {"norms": np.zeros(1000)}

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["norms"][step.t - 1] = math.sqrt(g.dot(g))
        return g


class Until(Schedule):
    """A rate that is too large until the end of an epoch, and a good one from there on."""

    name = "until"
    every = "epoch"
    epoch: int = 3

    def factor(self, progress: Progress) -> float:
        return 1.0 if progress.epoch < self.epoch else 0.05


def norms(run: Run) -> list[float]:
    """The size of the gradient in each step."""
    found: list[float] = run.checkpoint.slots[0]["norms"][: run.checkpoint.step].tolist()
    return found


def doubling() -> Run:
    """A run in which each step about doubles the error."""
    return begin(optimizer=Recorded(lr=1.2))


def growing() -> Run:
    """A run in which the error grows slowly, over many epochs."""
    return begin(optimizer=Recorded(lr=0.9))


def test_the_trace_goes_on_from_epoch_to_epoch_while_the_loss_is_high() -> None:
    run = advance(doubling(), 200)
    assert run.checkpoint.status == "diverged"
    trace = run.checkpoint.trace
    assert run.checkpoint.epoch > 2
    assert 2 * 3 < len(trace) < run.checkpoint.step < 50
    assert trace == norms(run)[-len(trace) :]


def test_the_trace_is_of_the_last_50_steps() -> None:
    run = advance(growing(), 200)
    assert run.checkpoint.status == "diverged"
    assert run.checkpoint.step > 60
    assert run.checkpoint.trace == norms(run)[-50:]


@pytest.mark.parametrize("begun", [doubling, growing], ids=["doubling", "growing"])
def test_the_trace_is_the_same_however_the_training_is_split(begun: Callable[[], Run]) -> None:
    whole = advance(begun(), 200)
    split = begun()
    while split.checkpoint.status == "running":
        split = advance(split, 1)
    halves = advance(advance(begun(), whole.checkpoint.epoch // 2), 200)
    assert whole.checkpoint.trace == split.checkpoint.trace == halves.checkpoint.trace
    assert whole.diagnosis == split.diagnosis == halves.diagnosis


def test_the_trace_of_a_loss_that_came_down_again_is_gone() -> None:
    run = advance(begin(optimizer=Recorded(lr=1.2), schedule=Until(epoch=3)), 3)
    high = run.checkpoint.trace
    assert len(high) > 2
    run = advance(run, 60)
    assert run.checkpoint.status == "running"
    assert run.checkpoint.trace == []
    # And a run whose loss was never high has none.
    assert advance(begin(optimizer=Recorded(lr=0.05)), 5).checkpoint.trace == []
