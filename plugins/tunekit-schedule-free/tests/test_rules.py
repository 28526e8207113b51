"""The two rules by themselves: tunekit's checks, the authors' numbers, and steps by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tunekit_schedule_free import ScheduleFreeAdamW, ScheduleFreeSGD

from tunekit import Component, HyperparameterError, Optimizer, Step
from tunekit.testing import Check, parametrize_with_checks

Array = NDArray[Any]

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))
RULES: dict[str, type[Optimizer]] = {cls.name: cls for cls in (ScheduleFreeSGD, ScheduleFreeAdamW)}
every_rule = pytest.mark.parametrize("cls", RULES.values(), ids=RULES)


@parametrize_with_checks(
    ScheduleFreeSGD,
    ScheduleFreeSGD(lr=0.3, weight_decay=0.1, r=1.0),
    ScheduleFreeAdamW,
    ScheduleFreeAdamW(weight_decay=0.0, weight_lr_power=0.0),
)
def test_it_keeps_what_an_optimizer_promises(component: Component, check: Check) -> None:
    check(component)


def title(case: dict[str, Any]) -> str:
    values = [f"{name}={value}" for name, value in case["values"].items()]
    return ",".join([case["name"], *values, f"rates={case['rates']}"])


def rate(case: dict[str, Any], t: int) -> float:
    """The learning rate of step `t`: as tunekit's warm-up has it, or one of a given course."""
    lr: float = case["values"]["lr"]
    if case["rates"] == "varying":
        return lr * float(GOLDEN["varying"][t - 1])
    return lr * min(1.0, t / case["rates"]) if case["rates"] else lr


def gradient(w: Array) -> Array:
    """Of ``sum h (w - a)^2 / 2 + sum sin(w_i w_i+1)``."""
    g: Array = np.array(GOLDEN["curvature"]) * (w - np.array(GOLDEN["center"]))
    slope = np.cos(w[:-1] * w[1:])
    g[:-1] += slope * w[1:]
    g[1:] += slope * w[:-1]
    return g


def replay(case: dict[str, Any]) -> tuple[Array, Array]:
    """`y` after each kept step and `x` after the last, by our rule."""
    rule = RULES[case["name"]](**case["values"])
    w = np.array(GOLDEN["start"])
    state, kept = rule.initial_state(w), []
    for t in range(1, GOLDEN["steps"] + 1):
        lr = rate(case, t)
        w = w - lr * rule.direction(w, gradient(w), state, Step(t, lr))
        if t in GOLDEN["kept"]:
            kept.append(w)
    return np.array(kept), rule.evaluation_weights(w, state)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=title)
def test_sixty_steps_end_where_those_of_the_authors_end(case: dict[str, Any]) -> None:
    y, x = replay(case)
    np.testing.assert_allclose(y, case["y"], rtol=1e-12)
    np.testing.assert_allclose(x, case["x"], rtol=1e-12)


def test_the_first_two_steps_are_those_worked_by_hand() -> None:
    # lr 0.1, beta 0.8, y = x = z = 1. The gradients are 2 and then 1.
    # z = 1 - 0.2 = 0.8; all of the mean is this z: x = 0.8, y = 0.8.
    # z = 0.8 - 0.1 = 0.7; x = (0.8 + 0.7) / 2 = 0.75, y = 0.2 * 0.7 + 0.8 * 0.75 = 0.74.
    rule = ScheduleFreeSGD(lr=0.1, beta=0.8)
    w = np.array([1.0])
    state = rule.initial_state(w)
    w = w - 0.1 * rule.direction(w, np.array([2.0]), state, Step(1, 0.1))
    np.testing.assert_allclose([state["z"], w, rule.evaluation_weights(w, state)], 0.8)
    w = w - 0.1 * rule.direction(w, np.array([1.0]), state, Step(2, 0.1))
    np.testing.assert_allclose(w, 0.74)
    np.testing.assert_allclose(rule.evaluation_weights(w, state), 0.75)


@every_rule
def test_before_the_first_step_the_start_is_evaluated_to_the_bit(cls: type[Optimizer]) -> None:
    w = np.random.default_rng(0).standard_normal(50).astype(np.float32)
    rule = cls()
    np.testing.assert_array_equal(rule.evaluation_weights(w, rule.initial_state(w)), w)


@every_rule
@pytest.mark.parametrize("lr", [0.0, 1e-320])
def test_a_step_at_a_rate_of_nothing_moves_nothing(cls: type[Optimizer], lr: float) -> None:
    rule, w, g = cls(), np.ones(3, np.float32), np.ones(3, np.float32)
    state = rule.initial_state(w)
    for t, rate in enumerate([lr, 0.1, lr], start=1):
        before = rule.evaluation_weights(w, state)
        direction = rule.direction(w, g, state, Step(t, rate))
        assert np.isfinite(direction).all()
        w -= rate * direction
        moved = not np.array_equal(rule.evaluation_weights(w, state), before)
        assert moved == (rate == 0.1)


@every_rule
def test_a_huge_rate_is_told_instead_of_overflowing(cls: type[Optimizer]) -> None:
    with pytest.raises(HyperparameterError, match="or less"):
        cls(lr=1e200)
