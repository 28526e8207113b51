from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import (
    Activation,
    ComponentError,
    Initializer,
    InputError,
    LearnedActivation,
    Loss,
    Metric,
    Regularizer,
)
from tunekit.components import State
from tunekit.nn.checks import check_size
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Run
from tunekit.nn.training import advance, start
from tunekit.plugins import load
from tunekit.records import Fold

Array = NDArray[Any]
Method = Callable[..., Any]

REGISTRY = load(entry_points=False)
DEFAULTS: dict[str, str | int | float] = {
    "activation": "tanh",
    "initializer": "he_normal",
    "loss": "cross_entropy",
    "optimizer": "adam",
    "schedule": "constant",
    "network.hidden": "8-6",
    "network.normalization": "none",
    "epochs": 1,
    "batch_size": 8,
    "patience": 0,
    "warmup": 0.0,
    "dtype": "float32",
}


def begin(rows: int = 20, **changes: Any) -> Run:
    recipe = dataclasses.replace(Recipe.of(DEFAULTS, REGISTRY, "accuracy"), **changes)
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(rows + 10, 4)).astype(np.float32), rng.integers(0, 3, rows + 10)
    fold = Fold(x[:rows], target[:rows], None, x[rows:], target[rows:], None)
    return start(recipe, fold, 3, np.random.SeedSequence(0))


# Components that are right, and into which one wrong method is put.


class Tanh(Activation):
    name = "mine"

    def forward(self, z: Array) -> Array:
        a: Array = np.tanh(z)
        return a

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        dz: Array = da * (1 - a * a)
        return dz


class Scaled(LearnedActivation):
    name = "mine"

    def evaluate(self, z: Array, p: Array) -> Array:
        return z * p

    def gradients(self, da: Array, z: Array, p: Array) -> tuple[Array, Array]:
        return da * p, (da * z).sum(axis=0)


class Squares(Loss):
    name = "mine"
    targets = "one-hot"

    def value_and_gradient(
        self, output: Array, target: Array, weight: Array | None
    ) -> tuple[float, Array]:
        error = output - target
        return float((error * error).mean()), error * (2 / error.size)

    def predict(self, output: Array) -> Array:
        return output


class Everywhere(Regularizer):
    """Acts at each moment, and remembers the sum of the weights."""

    name = "mine"
    slots = ("sum",)

    def on_step(self, w: Array, state: State, progress: Any) -> None:
        state["sum"] = state["sum"] + w

    def evaluation_weights(self, w: Array, state: State) -> Array:
        return w * 0.5


class Ones(Initializer):
    name = "mine"

    def draw(self, rng: np.random.Generator, fan_in: int, fan_out: int, gain: float) -> Array:
        return np.ones((fan_in, fan_out))


class Share(Metric):
    name = "mine"
    needs = "labels"

    def score(self, target: Array, prediction: Array, weight: Array | None) -> float:
        return float((target == prediction).mean())


RIGHT: dict[str, Any] = {
    "activation": Tanh,
    "learned": Scaled,
    "loss": Squares,
    "regularizer": Everywhere,
    "initializer": Ones,
    "metric": Share,
}


def begin_with(kind: str, **methods: Method) -> Run:
    """Start a run with the component of this kind, and these methods in the place of its own."""
    made = type("Mine", (RIGHT[kind],), methods)()
    if kind == "regularizer":
        return begin(regularizers=(made,))
    return begin(**{"activation" if kind == "learned" else kind: made})


@pytest.mark.parametrize("kind", RIGHT)
def test_what_is_right_is_let_through(kind: str) -> None:
    assert advance(begin_with(kind), 1).checkpoint.status == "finished"


def written(array: Array) -> Array:
    array += 1
    return array


def wide(array: Array) -> Array:
    return array.astype(np.float64)


WRITES = "writes into its arguments, which are the trainer's own; make a copy or a new array"

# The kind, the method, what it does instead, and what is told.
WRONG: list[tuple[str, str, Method, str]] = [
    (
        "activation",
        "forward",
        lambda self, z: z[:1],
        "activation 'mine': what forward returned has shape (1, 3); expected (2, 3)",
    ),
    (
        "activation",
        "forward",
        lambda self, z: wide(z),
        "activation 'mine': what forward returned has dtype float64; expected float32",
    ),
    (
        "activation",
        "forward",
        lambda self, z: None,
        "activation 'mine': what forward returned is NoneType; expected an array",
    ),
    ("activation", "forward", lambda self, z: written(z), f"activation 'mine' {WRITES}"),
    (
        "activation",
        "backward",
        lambda self, da, z, a: da.sum(axis=0),
        "activation 'mine': what backward returned has shape (3,); expected (2, 3)",
    ),
    (
        "activation",
        "backward",
        lambda self, da, z, a: wide(da),
        "activation 'mine': what backward returned has dtype float64; expected float32",
    ),
    ("activation", "backward", lambda self, da, z, a: written(da), f"activation 'mine' {WRITES}"),
    ("activation", "backward", lambda self, da, z, a: written(z), f"activation 'mine' {WRITES}"),
    ("activation", "backward", lambda self, da, z, a: written(a), f"activation 'mine' {WRITES}"),
    (
        "learned",
        "gradients",
        lambda self, da, z, p: (da * p, da * z),
        "activation 'mine': the gradient of p has shape (2, 3); expected (3,)",
    ),
    (
        "learned",
        "gradients",
        lambda self, da, z, p: (da * p, wide(p)),
        "activation 'mine': the gradient of p has dtype float64; expected float32",
    ),
    (
        "learned",
        "gradients",
        lambda self, da, z, p: [da * p, (da * z).sum(axis=0)],
        "activation 'mine': gradients returned list; expected two values",
    ),
    (
        "learned",
        "gradients",
        lambda self, da, z, p: (da * p, p, p),
        "activation 'mine': gradients returned tuple; expected two values",
    ),
    (
        "learned",
        "gradients",
        lambda self, da, z, p: (da * p, written(p)),
        f"activation 'mine' {WRITES}",
    ),
    (
        "loss",
        "value_and_gradient",
        lambda self, output, target, weight: 1.0,
        "loss 'mine': value_and_gradient returned float; expected two values",
    ),
    (
        "loss",
        "value_and_gradient",
        lambda self, output, target, weight: ((output - target).mean(axis=1), output),
        "loss 'mine': its value is array(",
    ),
    (
        "loss",
        "value_and_gradient",
        lambda self, output, target, weight: (None, output),
        "loss 'mine': its value is None; expected a number",
    ),
    (
        "loss",
        "value_and_gradient",
        lambda self, output, target, weight: (1.0, output[0]),
        "loss 'mine': its gradient has shape (3,); expected (3, 3)",
    ),
    (
        "loss",
        "value_and_gradient",
        lambda self, output, target, weight: (1.0, wide(output)),
        "loss 'mine': its gradient has dtype float64; expected float32",
    ),
    (
        "loss",
        "value_and_gradient",
        # Wrong only where rows have weights.
        lambda self, output, target, weight: (1.0, output if weight is None else weight),
        "loss 'mine': its gradient has shape (3,); expected (3, 3)",
    ),
    (
        "loss",
        "value_and_gradient",
        lambda self, output, target, weight: (1.0, written(output)),
        f"loss 'mine' {WRITES}",
    ),
    (
        "loss",
        "value_and_gradient",
        lambda self, output, target, weight: (1.0, written(target)),
        f"loss 'mine' {WRITES}",
    ),
    ("loss", "predict", lambda self, output: written(output), f"loss 'mine' {WRITES}"),
    (
        "loss",
        "predict",
        lambda self, output: output.argmax(axis=1),
        "loss 'mine': what predict returned has shape (3,); expected (3, 3)",
    ),
    (
        "loss",
        "predict",
        lambda self, output: wide(output),
        "loss 'mine': what predict returned has dtype float64; expected float32",
    ),
    (
        "regularizer",
        "on_batch",
        lambda self, x, y, rng: x,
        "regularizer 'mine': on_batch returned ndarray; expected two values",
    ),
    (
        "regularizer",
        "on_batch",
        lambda self, x, y, rng: (x[:, :2], y),
        "regularizer 'mine': what on_batch returned has shape (3, 2); expected (3, 4)",
    ),
    (
        "regularizer",
        "on_batch",
        lambda self, x, y, rng: (x, wide(y)),
        "regularizer 'mine': what on_batch returned has dtype float64; expected float32",
    ),
    (
        "regularizer",
        "on_targets",
        lambda self, y: y.argmax(axis=1),
        "regularizer 'mine': what on_targets returned has shape (3,); expected (3, 3)",
    ),
    (
        "regularizer",
        "on_hidden",
        lambda self, a, rng: a,
        "regularizer 'mine': on_hidden returned ndarray; expected two values",
    ),
    (
        "regularizer",
        "on_hidden",
        lambda self, a, rng: (a + rng.normal(size=a.shape), None),
        "regularizer 'mine': what on_hidden returned has dtype float64; expected float32",
    ),
    (
        "regularizer",
        "on_hidden",
        lambda self, a, rng: (a, rng.uniform(size=a.shape)),
        "regularizer 'mine': what on_hidden returned has dtype float64; expected float32",
    ),
    (
        "regularizer",
        "on_hidden",
        lambda self, a, rng: (a, 0.5),
        "regularizer 'mine': what on_hidden returned is float; expected an array",
    ),
    (
        "regularizer",
        "on_gradient",
        lambda self, g: None,
        "regularizer 'mine': what on_gradient returned is NoneType; expected an array",
    ),
    (
        "regularizer",
        "noise",
        lambda self, g, progress, rng: rng.normal(size=g.shape),
        "regularizer 'mine': what noise returned has dtype float64; expected float32",
    ),
    (
        "regularizer",
        "penalty",
        lambda self, w: w,
        "regularizer 'mine': penalty returned ndarray; expected two values",
    ),
    (
        "regularizer",
        "penalty",
        lambda self, w: (None, w),
        "regularizer 'mine': the value of its penalty is None; expected a number",
    ),
    (
        "regularizer",
        "penalty",
        lambda self, w: (1.0, w[:2]),
        "regularizer 'mine': what penalty returned has shape (2,); expected (6,)",
    ),
    (
        "regularizer",
        "penalty",
        lambda self, w: (1.0, written(w)),
        f"regularizer 'mine' {WRITES}",
    ),
    (
        "regularizer",
        "decay",
        lambda self, w: w.sum(),
        "regularizer 'mine': what decay returned has shape (); expected (6,)",
    ),
    ("regularizer", "decay", lambda self, w: written(w), f"regularizer 'mine' {WRITES}"),
    (
        "regularizer",
        "on_weights",
        lambda self, matrix: matrix.T,
        "regularizer 'mine': what on_weights returned has shape (3, 2); expected (2, 3)",
    ),
    (
        "regularizer",
        "on_step",
        lambda self, w, state, progress: state.update(old=w),
        "regularizer 'mine': state['old'] is an array, but was none before the first step",
    ),
    (
        "regularizer",
        "on_step",
        lambda self, w, state, progress: state.update(sum=w.sum()),
        "regularizer 'mine': state['sum'] has shape (); expected (6,)",
    ),
    (
        "regularizer",
        "on_step",
        lambda self, w, state, progress: state.pop("sum"),
        "regularizer 'mine': state['sum'] is NoneType; expected an array",
    ),
    (
        "regularizer",
        "on_step",
        lambda self, w, state, progress: written(w),
        f"regularizer 'mine' {WRITES}",
    ),
    (
        "regularizer",
        "initial_state",
        lambda self, w: {"sum": written(w)},
        f"regularizer 'mine' {WRITES}",
    ),
    (
        "regularizer",
        "evaluation_weights",
        lambda self, w, state: w[:4],
        "regularizer 'mine': what evaluation_weights returned has shape (4,); expected (6,)",
    ),
    (
        "regularizer",
        "evaluation_weights",
        lambda self, w, state: written(w),
        f"regularizer 'mine' {WRITES}",
    ),
    (
        "initializer",
        "draw",
        lambda self, rng, fan_in, fan_out, gain: rng.normal(size=fan_out),
        "initializer 'mine': what draw returned has shape (8,); expected (4, 8)",
    ),
    (
        "initializer",
        "draw",
        lambda self, rng, fan_in, fan_out, gain: rng.normal(size=(fan_out, fan_in)),
        "initializer 'mine': what draw returned has shape (8, 4); expected (4, 8)",
    ),
    (
        "initializer",
        "draw",
        lambda self, rng, fan_in, fan_out, gain: np.zeros((fan_in, fan_out)).tolist(),
        "initializer 'mine': what draw returned is list; expected an array of shape (4, 8)",
    ),
    (
        "initializer",
        "draw",
        lambda self, rng, fan_in, fan_out, gain: np.full((fan_in, fan_out), np.nan),
        "initializer 'mine': what draw returned does not hold finite numbers only",
    ),
    (
        "initializer",
        "draw",
        lambda self, rng, fan_in, fan_out, gain: np.ones((fan_in, fan_out), complex),
        "initializer 'mine': what draw returned does not hold finite numbers only",
    ),
    (
        "metric",
        "score",
        lambda self, target, prediction, weight: target == prediction,
        "metric 'mine': score returned array(",
    ),
]


@pytest.mark.parametrize(
    ("kind", "method", "instead", "told"),
    WRONG,
    ids=[f"{case[0]}-{case[1]}-{i}" for i, case in enumerate(WRONG)],
)
def test_what_is_wrong_is_named_with_what_was_expected(
    kind: str, method: str, instead: Method, told: str
) -> None:
    with pytest.raises(ComponentError, match=re.escape(told)):
        begin_with(kind, **{method: instead})


# The same for arguments that are not protected yet.
UNSEEN: list[tuple[str, str, Method]] = [
    ("learned", "evaluate", lambda self, z, p: z * written(p)),
    (
        "loss",
        "value_and_gradient",
        lambda self, output, target, weight: (
            1.0,
            output if weight is None else output * written(weight)[:, None],
        ),
    ),
    ("regularizer", "on_hidden", lambda self, a, rng: (written(a), None)),
    (
        "metric",
        "score",
        lambda self, target, prediction, weight: float(written(target)[0] == prediction[0]),
    ),
]


@pytest.mark.parametrize(
    ("kind", "method", "instead"), UNSEEN, ids=[f"{case[0]}-{case[1]}" for case in UNSEEN]
)
def test_whoever_writes_into_what_is_the_trainers_is_named(
    kind: str, method: str, instead: Method
) -> None:
    with pytest.raises(ComponentError, match=WRITES):
        begin_with(kind, **{method: instead})


def test_an_error_of_the_component_itself_stays_what_it_is() -> None:
    def forward(self: Activation, z: Array) -> Array:
        raise ValueError("too steep")

    with pytest.raises(ValueError, match=r"^too steep$"):
        begin_with("activation", forward=forward)


@pytest.mark.parametrize(
    ("rows", "batch_size"), [(20, 1), (1, 8), (1, 1)], ids=["batch_of_1", "one_row", "both"]
)
def test_batch_normalization_refuses_batches_of_one_row(rows: int, batch_size: int) -> None:
    with pytest.raises(InputError, match="batches of 2 rows or more") as refused:
        begin(rows, batch_size=batch_size, normalization="batch")
    assert refused.value.key == "train.batch_size"
    for normalization in ("none", "layer", "rms"):
        begin(rows, batch_size=batch_size, normalization=normalization)


def test_batch_normalization_is_content_with_two_rows() -> None:
    assert begin(2, batch_size=2, normalization="batch").checkpoint.status == "running"


def test_a_machine_that_does_not_tell_its_memory_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InputError, match=r"network\.width: .* this machine has"):
        check_size(10**15, "float32")
    monkeypatch.delattr("os.sysconf_names")
    monkeypatch.delattr("os.sysconf")
    check_size(10**15, "float32")
