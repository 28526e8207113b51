"""What every schedule has to keep."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from tunekit.builtin.optimizers.descent import Sgd
from tunekit.components import Progress, Schedule
from tunekit.testing.arguments import described, expect_repeatable
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.problems import expect_learned, trained

RUNS = ((1, 1), (7, 1), (6, 6), (40, 4), (400, 10))
"""Steps and epochs of short and long runs."""
HIGHEST = 10.0
COURSES: dict[str, Callable[[int], float]] = {
    "better with every epoch": lambda epoch: -1 / (1 + epoch),
    "worse with every epoch": lambda epoch: -1.0 - epoch,
    "always the same": lambda epoch: 0.0,
}
"""Validation scores as training may bring them; those of a loss are negative."""


def _asked(
    schedule: Schedule, steps: int, epochs: int, course: str = "always the same"
) -> Iterator[Progress]:
    """What the trainer asks over a whole run."""
    each = steps // epochs
    scores = tuple(COURSES[course](epoch) for epoch in range(epochs))
    for step in range(0, steps, each if schedule.every == "epoch" else 1):
        epoch = step // each
        yield Progress(step, steps, epoch, epochs, step / steps, scores[:epoch])


def _factor(schedule: Schedule, progress: Progress) -> float:
    """The factor, or NaN for something else, which is the matter of another check."""
    factor: object = schedule.factor(copy.copy(progress))
    return float(factor) if isinstance(factor, (int, float, np.number)) else math.nan


def _factors(schedule: Schedule, steps: int, epochs: int) -> list[float]:
    return [_factor(schedule, progress) for progress in _asked(schedule, steps, epochs)]


def _place(progress: Progress) -> str:
    return f"before step {progress.step} of {progress.steps}, epoch {progress.epoch}"


@check("schedule")
def finite(schedule: Schedule) -> None:
    """The factor is finite, and 0 or more, in any run."""
    for (steps, epochs), course in product(RUNS, COURSES):
        for progress in _asked(schedule, steps, epochs, course):
            expected = f"a finite number of 0 or more {_place(progress)}"
            factor: object = schedule.factor(progress)
            if not isinstance(factor, (int, float, np.number)):
                raise CheckFailure(
                    expected=expected,
                    found=described(factor),
                    likely="a way through `factor` without a `return`"
                    if factor is None
                    else "an array where a number is meant",
                )
            if not 0 <= float(factor) < math.inf:
                raise CheckFailure(
                    expected=expected,
                    found=f"{factor:.6g}, with validation scores that are {course}",
                    likely="a formula that goes below 0 near the end, which would make training "
                    "climb; limit it with max(..., 0.0)"
                    if float(factor) < 0
                    else "a division by 0, or a root or logarithm of a number below 0, "
                    "in the first or the last step",
                )


@check("schedule")
def size(schedule: Schedule) -> str:
    """The factor is not 0 throughout, nor far above 1."""
    for steps, epochs in RUNS:
        factors = _factors(schedule, steps, epochs)
        # A rise may start at 0: then nothing comes after the first factor of a run with one.
        if len(factors) > 1 and not any(factors):
            raise CheckFailure(
                expected=f"some factor above 0 in a run of {steps} steps and {epochs} epochs",
                found="0 before every step: nothing would be trained",
                likely="a division that rounds (`//`), or a rise that is as long as the run",
            )
    factors = _factors(schedule, 400, 10)
    highest = max((factor for factor in factors if not math.isnan(factor)), default=math.nan)
    if highest > HIGHEST:
        raise CheckFailure(
            expected="factors of the learning rate, usually from 0 to 1",
            found=f"{highest:.6g} before step {factors.index(highest)} of {len(factors)}",
            likely="a sign or a quotient that is turned round; the optimizer's `lr` is the peak",
        )
    return f"starts at {factors[0]:.3g}, at most {highest:.3g}, ends at {factors[-1]:.3g}" + (
        "" if _is_scale_free(schedule) else "; long and short runs have different curves"
    )


def _is_scale_free(schedule: Schedule) -> bool:
    """Whether a run that is ten times as long has the same curve."""
    short, long = _factors(schedule, 100, 10), _factors(schedule, 1000, 10)
    # At a jump, one step may be late.
    return float(np.mean(np.abs(np.subtract(short, long[:: len(long) // len(short)])))) < 0.05


@check("schedule")
def deterministic(schedule: Schedule) -> None:
    """The factor depends on the progress alone."""
    asked = list(_asked(schedule, 40, 4, "worse with every epoch"))
    other = list(_asked(schedule, 12, 3))

    def course(order: list[Progress]) -> list[float]:
        return [_factor(schedule, progress) for progress in order]

    before = dict(vars(schedule))
    expect_repeatable("factor", lambda: course(asked), lambda: course(other))
    changed = sorted(name for name, value in vars(schedule).items() if before.get(name) != value)
    if changed:
        raise CheckFailure(
            expected="an object that remembers nothing",
            found=f"another self.{changed[0]} than before",
            likely="one object serves all runs, and a run may be split or resumed; compute the "
            "factor from `progress` alone",
        )
    forth, back = course(asked), course(asked[::-1])[::-1]
    for progress, first, second in zip(asked, forth, back, strict=True):
        if first != second and not (math.isnan(first) and math.isnan(second)):
            raise CheckFailure(
                expected=f"the same factor {_place(progress)}, whenever it is asked for",
                found=f"{first:.6g} when asked from the first step on, "
                f"{second:.6g} from the last one back",
                likely="something is remembered between calls; a run may be split, resumed or "
                "repeated, so compute the factor from `progress` alone",
            )


@check("schedule")
def inputs_not_modified(schedule: Schedule) -> None:
    """It does not write into the progress."""
    for progress in _asked(schedule, 40, 4):
        before = copy.copy(progress)
        schedule.factor(progress)
        if progress != before:
            raise CheckFailure(
                expected=f"factor leaves `progress` as it is: {before}",
                found=f"{progress}",
                likely="an assignment to progress.step or another of its fields; "
                "use a variable of your own",
            )


@check("schedule")
def learns(schedule: Schedule) -> str:
    """A small network learns with it (a smoke test)."""
    plan = {"schedule": schedule, "optimizer": Sgd(lr=0.05, momentum=0.9)}
    run = trained("classification", targets="binary", **plan)
    return expect_learned(
        run, "classification", "the rate is near 0 for most of the run, or far too large"
    )
