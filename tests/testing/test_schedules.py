from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunekit import Component, Progress, Schedule
from tunekit.builtin.schedules import CosineRestarts, MultiStep, OneCycle, Plateau, Trapezoid
from tunekit.plugins import load
from tunekit.testing import Check, CheckFailure, checks_for, examine, parametrize_with_checks

Caught = Callable[[Component], dict[str, CheckFailure]]

REGISTRY = load(entry_points=False)
BUILT_IN = [REGISTRY.find(Schedule, name) for name in REGISTRY.names("schedule")]


@parametrize_with_checks(
    *BUILT_IN,
    MultiStep(first=0.9, second=0.1),
    CosineRestarts(cycles=5, growth=3),
    OneCycle(warmup=0.0),
    Trapezoid(warmup=0.9, decay=1.0),
    Trapezoid(shape="sqrt"),
    Plateau(patience=0.0),
)
def test_the_built_ins_pass(component: Schedule, check: Check) -> None:
    check(component)


class Line(Schedule):
    """A schedule that is right, and into which one mistake is put."""

    name = "mine"

    def factor(self, progress: Progress) -> float:
        return 1 - progress.fraction


def test_what_is_right_passes(caught: Caught) -> None:
    assert caught(Line()) == {}


def shrinking(self: Any, progress: Progress) -> float:
    """The factor of the last call times a constant."""
    cls = type(self)
    cls.last = 1.0 if progress.step == 0 else 0.999 * getattr(cls, "last", 1.0)
    return float(cls.last)


def written(self: Any, progress: Progress) -> float:
    progress.step += 1
    return 1 - progress.fraction


# What is wrong, the checks that find it, and what is told.
MISTAKES: dict[str, tuple[dict[str, Any], set[str], str]] = {
    "below 0 in the end": (
        {"factor": lambda self, progress: 1 - 1.2 * progress.fraction},
        {"finite"},
        "limit it with max(..., 0.0)",
    ),
    "not a number in the first step": (
        {"factor": lambda self, progress: np.log(progress.step) / np.log(progress.step)},
        {"finite", "learns"},
        "in the first or the last step",
    ),
    "a division by 0 in a run of one step": (
        {"factor": lambda self, progress: 1 - progress.step / (progress.steps - 1)},
        {"finite", "size"},
        "arguments that it does not stand",
    ),
    "nothing returned": (
        {"factor": lambda self, progress: None if progress.fraction > 0.5 else 1.0},
        {"finite", "learns"},
        "a way through `factor` without a `return`",
    ),
    "an array": (
        {"factor": lambda self, progress: np.ones(1)},
        {"finite", "learns"},
        "an array where a number is meant",
    ),
    "a division that rounds": (
        {"factor": lambda self, progress: float(progress.step // progress.steps)},
        {"size", "learns"},
        "a division that rounds (`//`)",
    ),
    "the quotient turned round": (
        {"factor": lambda self, progress: 1000.0 / (1 + progress.step)},
        {"size", "learns"},
        "the optimizer's `lr` is the peak",
    ),
    "memory": (
        {"factor": shrinking},
        {"deterministic"},
        "compute the factor from `progress` alone",
    ),
    "the shared generator": (
        {"factor": lambda self, progress: np.random.uniform(0.5, 1)},  # noqa: NPY002
        {"deterministic"},
        "no trial could be repeated",
    ),
    "writing into the progress": (
        {"factor": written},
        {"inputs_not_modified"},
        "use a variable of your own",
    ),
    "growing scores taken for granted": (
        {"factor": lambda self, progress: progress.validation[-1] + 3.0},
        {"finite", "size", "deterministic", "inputs_not_modified", "learns"},
        "arguments that it does not stand",
    ),
    "a rate instead of a factor": (
        {"factor": lambda self, progress: 1e-5 * (1 - progress.fraction)},
        {"learns"},
        "the rate is near 0 for most of the run",
    ),
}


def broken(mistake: str) -> Schedule:
    methods, *_ = MISTAKES[mistake]
    made: Schedule = type("Mine", (Line,), methods)()
    return made


def test_every_check_finds_some_mistake() -> None:
    checks = {check.name for check in checks_for(Line) if check.kind}
    assert {name for *_, names, _ in MISTAKES.values() for name in names} == checks


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_caught_by_name(mistake: str, caught: Caught) -> None:
    *_, names, told = MISTAKES[mistake]
    failures = caught(broken(mistake))
    assert set(failures) == names
    assert any(told in failure.likely for failure in failures.values())


def test_a_wrong_factor_is_told_with_its_step(caught: Caught) -> None:
    failure = caught(broken("below 0 in the end"))["finite"]
    assert failure.expected == "a finite number of 0 or more before step 6 of 7, epoch 0"
    assert failure.found.startswith("-0.0285714")


class Drops(Line):
    """Half the rate every ten steps, however many there are."""

    every = "epoch"

    def factor(self, progress: Progress) -> float:
        return float(0.5 ** (progress.step // 10))


def test_a_curve_that_depends_on_the_length_of_the_run_is_told() -> None:
    notes = {finding.check.name: finding.note for finding in examine(Drops)}
    assert "long and short runs have different curves" in str(notes["size"])
