from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunekit import Optimizer, Step
from tunekit.plugins import load
from tunekit.space import Interval

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
OPTIMIZERS = [REGISTRY.find(Optimizer, name) for name in REGISTRY.names("optimizer")]
ELEMENTWISE = [cls for cls in OPTIMIZERS if cls.scope == "elementwise"]


def optimizer(name: str, **values: Any) -> Optimizer:
    return REGISTRY.find(Optimizer, name)(**values)


def directions(rule: Optimizer, weights: list[Array], gradients: list[Array]) -> list[Array]:
    """What the rule answers to a given walk; copied, since it may answer with its state."""
    state = rule.initial_state(weights[0])
    return [
        rule.direction(w, g, state, Step(t=t, lr=rule.lr)).copy()
        for t, (w, g) in enumerate(zip(weights, gradients, strict=True), start=1)
    ]


def walk(steps: int, size: int, dtype: Any = np.float64) -> tuple[list[Array], list[Array]]:
    rng = np.random.default_rng(7)
    weights = [rng.standard_normal(size).astype(dtype) for _ in range(steps)]
    gradients = [rng.standard_normal(size).astype(dtype) for _ in range(steps)]
    return weights, gradients


# The algorithms as their papers print them, one number at a time.


def sgd(ws: list[float], gs: list[float], momentum: float, nesterov: bool) -> list[float]:
    m, answers = 0.0, []
    for g in gs:
        m = momentum * m + g
        answers.append(g + momentum * m if nesterov else m)
    return answers


def rmsprop(ws: list[float], gs: list[float], decay: float, momentum: float) -> list[float]:
    v, m, answers = 0.0, 0.0, []
    for g in gs:
        v = decay * v + (1 - decay) * g**2
        m = momentum * m + g / (math.sqrt(v) + 1e-8)
        answers.append(m)
    return answers


def adam(
    ws: list[float],
    gs: list[float],
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float = 0.0,
) -> list[float]:
    m, v, answers = 0.0, 0.0, []
    for t, (w, g) in enumerate(zip(ws, gs, strict=True), start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        answers.append(m_hat / (math.sqrt(v_hat) + eps) + weight_decay * w)
    return answers


def lion(
    ws: list[float], gs: list[float], beta1: float, beta2: float, weight_decay: float
) -> list[float]:
    m, answers = 0.0, []
    for w, g in zip(ws, gs, strict=True):
        c = beta1 * m + (1 - beta1) * g
        answers.append(math.copysign(1.0, c) + weight_decay * w)
        m = beta2 * m + (1 - beta2) * g
    return answers


FORMULAS: list[tuple[str, Callable[..., list[float]], dict[str, Any]]] = [
    ("sgd", sgd, {"momentum": 0.9, "nesterov": False}),
    ("sgd", sgd, {"momentum": 0.7, "nesterov": True}),
    ("sgd", sgd, {"momentum": 0.0, "nesterov": False}),
    ("rmsprop", rmsprop, {"decay": 0.99, "momentum": 0.0}),
    ("rmsprop", rmsprop, {"decay": 0.9, "momentum": 0.8}),
    ("adam", adam, {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
    ("adam", adam, {"beta1": 0.0, "beta2": 0.9, "eps": 0.1}),
    ("adamw", adam, {"beta1": 0.8, "beta2": 0.99, "eps": 1e-3, "weight_decay": 0.3}),
    ("lion", lion, {"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0}),
    ("lion", lion, {"beta1": 0.8, "beta2": 0.95, "weight_decay": 0.2}),
]


@pytest.mark.parametrize(("name", "formula", "values"), FORMULAS)
def test_it_follows_the_published_algorithm(
    name: str, formula: Callable[..., list[float]], values: dict[str, Any]
) -> None:
    weights, gradients = walk(steps=50, size=20)
    found = np.array(directions(optimizer(name, **values), weights, gradients))
    for i in range(20):
        expected = formula([w[i] for w in weights], [g[i] for g in gradients], **values)
        np.testing.assert_allclose(found[:, i], expected, rtol=1e-12)


# The first three directions for the gradients 1, -2, 0.5, worked out by hand.
BY_HAND = {
    "sgd": [1.0, 0.9 - 2, 0.9 * (0.9 - 2) + 0.5],
    "rmsprop": [1 / 0.1, -2 / math.sqrt(0.0499), 0.5 / math.sqrt(0.051901)],
    "adam": [
        1.0,
        (-0.11 / 0.19) / math.sqrt(0.004999 / 0.001999),
        (-0.049 / 0.271) / math.sqrt(0.005244001 / 0.002997001),
    ],
    "lion": [1.0, -1.0, 1.0],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_the_first_steps_at_the_defaults_are_those_worked_out_by_hand(name: str) -> None:
    gradients = [np.array([1.0]), np.array([-2.0]), np.array([0.5])]
    found = directions(optimizer(name), [np.zeros(1)] * 3, gradients)
    np.testing.assert_allclose(np.concatenate(found), BY_HAND[name], rtol=1e-6)


def unlike_the_defaults(cls: type[Optimizer]) -> dict[str, Any]:
    """Values that turn on what is off by default, such as weight decay."""
    off = {name: value for name, value in cls().values().items() if not value}
    return {name: True if value is False else 0.5 for name, value in off.items()}


@pytest.mark.parametrize("cls", OPTIMIZERS, ids=lambda cls: cls.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("default", [True, False])
def test_it_keeps_shape_and_dtype_and_writes_into_neither_w_nor_g(
    cls: type[Optimizer], dtype: Any, default: bool
) -> None:
    weights, gradients = walk(5, 17, dtype)
    for array in weights + gradients:
        array.flags.writeable = False
    rule = cls() if default else cls(**unlike_the_defaults(cls))
    state = rule.initial_state(weights[0])
    for t, (w, g) in enumerate(zip(weights, gradients, strict=True), start=1):
        found = rule.direction(w, g, state, Step(t=t, lr=rule.lr))
        assert found.shape == w.shape
        assert found.dtype == dtype
        assert np.isfinite(found).all()
    for slot in cls.slots:
        assert state[slot].dtype == dtype


@pytest.mark.parametrize("cls", OPTIMIZERS, ids=lambda cls: cls.name)
def test_the_direction_does_not_depend_on_the_learning_rate(cls: type[Optimizer]) -> None:
    weights, gradients = walk(5, 17)
    slow = directions(cls(lr=1e-5), weights, gradients)
    fast = directions(cls(lr=0.5), weights, gradients)
    assert np.array_equal(slow, fast)


@pytest.mark.parametrize("cls", OPTIMIZERS, ids=lambda cls: cls.name)
def test_no_gradient_is_no_cause_to_move_weights_that_are_zero(cls: type[Optimizer]) -> None:
    zeros = [np.zeros(9, np.float32)] * 3
    assert not np.any(directions(cls(), zeros, zeros))


@pytest.mark.parametrize("cls", ELEMENTWISE, ids=lambda cls: cls.name)
@given(cuts=st.sets(st.integers(1, 99), max_size=8))
def test_blocks_of_any_size_give_the_bits_of_the_whole(
    cls: type[Optimizer], cuts: set[int]
) -> None:
    weights, gradients = walk(6, 100, np.float32)
    whole = np.array(directions(cls(), weights, gradients))
    edges = [0, *sorted(cuts), 100]
    parts = [
        directions(cls(), [w[a:b] for w in weights], [g[a:b] for g in gradients])
        for a, b in pairwise(edges)
    ]
    assert np.array_equal(whole, np.concatenate(parts, axis=1))


@pytest.mark.parametrize("cls", OPTIMIZERS, ids=lambda cls: cls.name)
@pytest.mark.parametrize("shape", [(40,), (8, 5)], ids=["vector", "matrix"])
def test_it_finds_the_bottom_of_a_stretched_bowl(
    cls: type[Optimizer], shape: tuple[int, ...]
) -> None:
    # At a rate that shrinks to nothing, as a schedule would have it. The searched range must
    # hold one that works.
    curvature = np.linspace(0.2, 2.0, 40).reshape(shape)
    search = cls.hyperparameters()["lr"].search
    assert isinstance(search, Interval)
    reached = []
    for lr in search.grid(7):
        rule = cls(lr=float(lr))
        w = np.ones(shape)
        state = rule.initial_state(w)
        for t in range(1, 801):
            rate = rule.lr * (1 - t / 800)
            with np.errstate(over="ignore", invalid="ignore"):
                w -= rate * rule.direction(w, curvature * w, state, Step(t=t, lr=rate))
        reached.append(float(np.abs(w).max()))
    assert np.nanmin(reached) < 0.02


@pytest.mark.parametrize("cls", OPTIMIZERS, ids=lambda cls: cls.name)
def test_its_learning_rate_is_searched_on_a_log_scale_that_holds_the_default(
    cls: type[Optimizer],
) -> None:
    lr = cls.hyperparameters()["lr"]
    assert isinstance(lr.search, Interval)
    assert lr.search.log
    assert lr.search.nearest(lr.default) == lr.default


def test_adams_first_step_is_the_gradients_sign_whatever_its_size() -> None:
    g = np.array([1e-3, -5.0, 1e3])
    (found,) = directions(optimizer("adam"), [np.zeros(3)], [g])
    np.testing.assert_allclose(found, np.sign(g), rtol=1e-4)


def test_weight_decay_pulls_towards_zero_without_a_gradient() -> None:
    w = np.array([2.0, -4.0])
    for name in ("adamw", "lion"):
        (found,) = directions(optimizer(name, weight_decay=0.5), [w], [np.zeros(2)])
        np.testing.assert_allclose(found, [1.0, -2.0])
