"""What the built-in optimizers promise beyond the conformance checks, whatever their formula."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunekit import Optimizer, Step
from tunekit.components import State
from tunekit.plugins import load
from tunekit.space import Interval

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
OPTIMIZERS = [REGISTRY.find(Optimizer, name) for name in REGISTRY.names("optimizer")]


def unlike_the_defaults(cls: type[Optimizer]) -> Optimizer:
    """The rule with all turned on that is off by default, such as weight decay."""
    off = {name: value for name, value in cls().values().items() if not value}
    return cls(**{name: True if value is False else 0.5 for name, value in off.items()})


RULES = [cls() for cls in OPTIMIZERS]
RULES += [
    other for cls in OPTIMIZERS if (other := unlike_the_defaults(cls)).values() != cls().values()
]


def title(value: object) -> str:
    if isinstance(value, Optimizer):
        return value.name if value == type(value)() else f"{value.name}, all on"
    return getattr(value, "name", None) or str(value)


# What is elementwise sees flat blocks only.
every_rule = pytest.mark.parametrize(
    ("rule", "shape"),
    [
        (rule, shape)
        for rule in RULES
        for shape in ([(17,)] if rule.scope == "elementwise" else [(17,), (7, 3), (3, 7)])
    ],
    ids=title,
)
few = settings(max_examples=15)


def walk(
    steps: int, shape: tuple[int, ...], dtype: Any = np.float64, seed: int = 7
) -> tuple[list[Array], list[Array]]:
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(shape).astype(dtype) for _ in range(steps)]
    gradients = [rng.standard_normal(shape).astype(dtype) for _ in range(steps)]
    for array in weights + gradients:
        array.flags.writeable = False
    return weights, gradients


def directions(
    rule: Optimizer,
    weights: list[Array],
    gradients: list[Array],
    state: State | None = None,
    begin: int = 1,
) -> list[Array]:
    """What the rule answers to a given walk; copied, since it may answer with its state."""
    state = rule.initial_state(weights[0]) if state is None else state
    return [
        rule.direction(w, g, state, Step(t=t, lr=rule.lr)).copy()
        for t, (w, g) in enumerate(zip(weights, gradients, strict=True), start=begin)
    ]


@every_rule
@few
@given(seed=st.integers(0, 1000))
def test_float32_answers_what_float64_answers_but_for_rounding(
    rule: Optimizer, shape: tuple[int, ...], seed: int
) -> None:
    weights, gradients = walk(10, shape, np.float32, seed)
    single = directions(rule, weights, gradients)
    double = directions(
        rule, [w.astype(np.float64) for w in weights], [g.astype(np.float64) for g in gradients]
    )
    np.testing.assert_allclose(single, double, rtol=2e-3, atol=2e-3)


@every_rule
def test_a_gradient_that_is_not_finite_is_not_swallowed(
    rule: Optimizer, shape: tuple[int, ...]
) -> None:
    # The trainer ends a run as diverged when its weights stop being finite.
    (found,) = directions(rule, [np.ones(shape)], [np.full(shape, np.nan)])
    assert np.isnan(found).all()


@every_rule
def test_the_direction_does_not_depend_on_the_learning_rate(
    rule: Optimizer, shape: tuple[int, ...]
) -> None:
    weights, gradients = walk(5, shape)
    slow = directions(dataclasses.replace(rule, lr=1e-5), weights, gradients)
    fast = directions(dataclasses.replace(rule, lr=0.5), weights, gradients)
    assert np.array_equal(slow, fast)


@every_rule
def test_no_gradient_is_no_cause_to_move_weights_that_are_zero(
    rule: Optimizer, shape: tuple[int, ...]
) -> None:
    zeros = [np.zeros(shape, np.float32)] * 3
    assert not np.any(directions(rule, zeros, zeros))


def descend(rule: Optimizer, shape: tuple[int, ...], steps: int, start: float) -> float:
    """The largest weight after steps down a stretched bowl, at a rate that falls to 0."""
    curvature = np.linspace(0.2, 2.0, int(np.prod(shape))).reshape(shape)
    w = np.full(shape, start)
    state = rule.initial_state(w)
    for t in range(1, steps + 1):
        rate = rule.lr * (1 - t / steps)
        with np.errstate(over="ignore", invalid="ignore"):
            w -= rate * rule.direction(w, curvature * w, state, Step(t=t, lr=rate))
    return float(np.abs(w).max())


@pytest.mark.parametrize("cls", OPTIMIZERS, ids=title)
@pytest.mark.parametrize("shape", [(40,), (8, 5)], ids=["vector", "matrix"])
def test_it_finds_the_bottom_of_a_stretched_bowl(
    cls: type[Optimizer], shape: tuple[int, ...]
) -> None:
    search = cls.hyperparameters()["lr"].search
    assert isinstance(search, Interval)
    reached = [descend(cls(lr=float(lr)), shape, 800, 1.0) for lr in search.grid(7)]
    assert np.nanmin(reached) < 0.02


@pytest.mark.parametrize("cls", OPTIMIZERS, ids=title)
def test_its_learning_rate_is_searched_on_a_log_scale_that_holds_the_default(
    cls: type[Optimizer],
) -> None:
    lr = cls.hyperparameters()["lr"]
    assert isinstance(lr.search, Interval)
    assert lr.search.log
    assert lr.search.nearest(lr.default) == lr.default


@pytest.mark.parametrize("cls", OPTIMIZERS, ids=title)
def test_its_summary_names_where_it_is_from(cls: type[Optimizer]) -> None:
    assert re.search(r", (19|20)\d\d\b.*\)\.$", cls.summary())
