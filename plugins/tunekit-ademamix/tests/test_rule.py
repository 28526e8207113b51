"""The rule by itself: tunekit's checks, the authors' numbers, the paper's formulas, by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tunekit_ademamix import AdEMAMix

from tunekit import Component, Step
from tunekit.testing import Check, parametrize_with_checks

Array = NDArray[Any]

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))
every_case = pytest.mark.parametrize(
    "case",
    GOLDEN["cases"],
    ids=lambda case: ",".join(f"{k}={v}" for k, v in case["values"].items()),
)


@parametrize_with_checks(AdEMAMix, AdEMAMix(warmup_steps=0, weight_decay=0.0), AdEMAMix(beta1=0.0))
def test_it_keeps_what_an_optimizer_promises(component: Component, check: Check) -> None:
    check(component)


def gradient(w: Array) -> Array:
    """Of ``sum h (w - a)^2 / 2 + sum sin(w_i w_i+1)``."""
    g: Array = np.array(GOLDEN["curvature"]) * (w - np.array(GOLDEN["center"]))
    slope = np.cos(w[:-1] * w[1:])
    g[:-1] += slope * w[1:]
    g[1:] += slope * w[:-1]
    return g


def ours(rule: AdEMAMix) -> Array:
    """The parameters after each kept step, by our rule."""
    w = np.array(GOLDEN["start"])
    state, kept = rule.initial_state(w), []
    for t in range(1, GOLDEN["steps"] + 1):
        w = w - rule.lr * rule.direction(w, gradient(w), state, Step(t, rule.lr))
        if t in GOLDEN["kept"]:
            kept.append(w)
    return np.array(kept)


def papers(rule: AdEMAMix) -> Array:
    """The same, as Algorithm 1 and the two schedulers of the paper have it, term by term."""
    w = np.array(GOLDEN["start"])
    m1 = m2 = nu = np.zeros(4)
    kept = []
    for t in range(1, GOLDEN["steps"] + 1):
        alpha, beta3, end = rule.alpha, rule.beta3, rule.warmup_steps
        if t < end:
            alpha = t * rule.alpha / end
            first, last = math.log(rule.beta1), math.log(rule.beta3)
            beta3 = math.exp(first * last / ((1 - t / end) * last + t / end * first))
        g = gradient(w)
        m1 = rule.beta1 * m1 + (1 - rule.beta1) * g
        m2 = beta3 * m2 + (1 - beta3) * g
        nu = rule.beta2 * nu + (1 - rule.beta2) * g**2
        m1_hat, nu_hat = m1 / (1 - rule.beta1**t), nu / (1 - rule.beta2**t)
        mixed = (m1_hat + alpha * m2) / (np.sqrt(nu_hat) + rule.eps)
        w = w - rule.lr * (mixed + rule.weight_decay * w)
        if t in GOLDEN["kept"]:
            kept.append(w)
    return np.array(kept)


@every_case
def test_sixty_steps_are_those_of_the_paper(case: dict[str, Any]) -> None:
    rule = AdEMAMix(**case["values"])
    np.testing.assert_allclose(ours(rule), papers(rule), rtol=1e-12)


@every_case
def test_sixty_steps_are_those_of_the_authors_code(case: dict[str, Any]) -> None:
    # Its warm-up of beta3 adds 1e-8 to a beta before taking the logarithm; the paper's does not.
    tolerance = 1e-3 if case["values"]["warmup_steps"] else 1e-12
    np.testing.assert_allclose(ours(AdEMAMix(**case["values"])), case["w"], rtol=tolerance)


def test_the_first_two_steps_are_those_worked_by_hand() -> None:
    # Without a warm-up, with all betas at 1/2, alpha 2, no decay and a gradient of 3:
    # the corrected means are 3 and 9, the slow one is 3/2, and (3 + 2 * 3/2) / 3 = 2.
    # Then a gradient of 0: the fast mean is 3/4 of 3/4 = 1 when corrected, the slow one 3/4, the
    # mean square 9/4 of 3/4 = 3; (1 + 2 * 3/4) / sqrt(3).
    values: dict[str, Any] = {"beta1": 0.5, "beta2": 0.5, "beta3": 0.5, "alpha": 2.0, "eps": 0.0}
    rule = AdEMAMix(**values, weight_decay=0.0, warmup_steps=0)
    w = np.array([1.0])
    state = rule.initial_state(w)
    first = rule.direction(w, np.array([3.0]), state, Step(1, 0.1)).copy()
    second = rule.direction(w, np.array([0.0]), state, Step(2, 0.1))
    np.testing.assert_allclose(first, 2.0)
    np.testing.assert_allclose(second, 2.5 / math.sqrt(3))


def test_alpha_and_the_half_life_rise_linearly_and_then_stay() -> None:
    rule = AdEMAMix(alpha=4.0, beta1=0.5, beta3=0.5 ** (1 / 9), warmup_steps=8)
    # The half-life of beta1 is 1 step, that of beta3 is 9 steps.
    assert [rule.alpha_and_beta3(t)[0] for t in (2, 4, 8, 100)] == [1.0, 2.0, 4.0, 4.0]
    lives = [math.log(0.5) / math.log(rule.alpha_and_beta3(t)[1]) for t in (2, 4, 8, 100)]
    np.testing.assert_allclose(lives, [3.0, 5.0, 9.0, 9.0])


def test_without_a_fast_mean_the_warm_up_starts_from_no_memory() -> None:
    rule = AdEMAMix(beta1=0.0, beta3=0.0, warmup_steps=10)
    assert rule.alpha_and_beta3(5) == (2.5, 0.0)
    assert 0 < AdEMAMix(beta1=0.0, warmup_steps=10).alpha_and_beta3(1)[1] < 0.98
