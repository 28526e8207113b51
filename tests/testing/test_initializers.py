from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Component, Initializer
from tunekit.plugins import load
from tunekit.testing import Check, CheckFailure, checks_for, examine, parametrize_with_checks

Array = NDArray[Any]
Caught = Callable[[Component], dict[str, CheckFailure]]
Rng = np.random.Generator

REGISTRY = load(entry_points=False)
BUILT_IN = [REGISTRY.find(Initializer, name) for name in REGISTRY.names("initializer")]


@parametrize_with_checks(*BUILT_IN)
def test_the_built_ins_pass(component: Initializer, check: Check) -> None:
    check(component)


class He(Initializer):
    """An initializer that is right, and into which one mistake is put."""

    name = "mine"

    def draw(self, rng: Rng, fan_in: int, fan_out: int, gain: float) -> Array:
        return rng.standard_normal((fan_in, fan_out)) * (gain / math.sqrt(fan_in))


def test_what_is_right_passes(caught: Caught) -> None:
    assert caught(He()) == {}


def counting(self: Any, rng: Rng, fan_in: int, fan_out: int, gain: float) -> Array:
    type(self).calls = getattr(type(self), "calls", 0) + 1
    drawn: Array = rng.standard_normal((fan_in, fan_out)) / math.sqrt(fan_in) / type(self).calls
    return drawn


# What is done instead, the checks that find it, and what is told.
MISTAKES: dict[str, tuple[Any, set[str], str]] = {
    "transposed": (
        lambda self, rng, fan_in, fan_out, gain: rng.standard_normal((fan_out, fan_in)) * 0.1,
        {"shape_and_dtype", "trains"},
        "rows and columns are turned round",
    ),
    "float32": (
        lambda self, rng, fan_in, fan_out, gain: rng.random((fan_in, fan_out), np.float32) * 0.1,
        {"shape_and_dtype"},
        "an `astype`",
    ),
    "the shared generator": (
        lambda self, rng, fan_in, fan_out, gain: np.random.normal(  # noqa: NPY002
            0, 0.1, (fan_in, fan_out)
        ),
        {"deterministic"},
        "instead of rng.something(...)",
    ),
    "a generator of its own": (
        lambda self, rng, fan_in, fan_out, gain: np.random.default_rng().normal(
            0, 0.1, (fan_in, fan_out)
        ),
        {"deterministic"},
        "a generator of its own",
    ),
    "memory": (counting, {"deterministic"}, "something is remembered between calls"),
    "a logarithm of 0": (
        lambda self, rng, fan_in, fan_out, gain: np.log(np.zeros((fan_in, fan_out))),
        {"finite", "trains"},
        "something is divided by 0",
    ),
    "a deviation that does not shrink": (
        lambda self, rng, fan_in, fan_out, gain: rng.standard_normal((fan_in, fan_out)) * gain,
        {"scale"},
        "the division by sqrt(fan_in) is missing",
    ),
}


def broken(mistake: str) -> Initializer:
    made: Initializer = type("Mine", (He,), {"draw": MISTAKES[mistake][0]})()
    return made


def test_every_check_finds_some_mistake() -> None:
    checks = {check.name for check in checks_for(He) if check.kind}
    assert {name for *_, names, _ in MISTAKES.values() for name in names} == checks


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_caught_by_name(mistake: str, caught: Caught) -> None:
    _, names, told = MISTAKES[mistake]
    failures = caught(broken(mistake))
    assert set(failures) == names
    assert any(told in failure.likely for failure in failures.values())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("he_normal", "1 for 256 x 8, 1 for 8 x 256"),
        ("xavier_normal", "1.95 for 256 x 8, 0.0608 for 8 x 256"),
        ("lecun_normal", "does not follow the gain"),
    ],
)
def test_the_variance_is_told(name: str, told: str) -> None:
    findings = examine(REGISTRY.find(Initializer, name))
    notes = {finding.check.name: finding.note for finding in findings}
    assert told in str(notes["scale"])
