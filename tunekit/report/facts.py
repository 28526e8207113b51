"""What the sections of a report have in common: the trials in order, the winner, the scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from statistics import median, quantiles, stdev

from tunekit.records import FinishedTrial, Importances, Objective, StudyInfo, StudyResult
from tunekit.report.drawing.scale import Scale, around
from tunekit.report.parameters import Parameter, searched


class Facts:
    """A study and its result, looked at from several sides.

    Args:
        info: The study.
        result: How its search ended.
        importances: What mattered, or None where that is not known.
    """

    def __init__(
        self, info: StudyInfo, result: StudyResult, importances: Importances | None
    ) -> None:
        self.info, self.result, self.importances = info, result, importances
        self.trials = tuple(sorted(result.trials, key=lambda trial: trial.number))
        self.winner = result.best
        self.finalists = {finalist.number: finalist for finalist in result.finalists}

    @cached_property
    def by_number(self) -> dict[int, FinishedTrial]:
        """The trials by number."""
        return {trial.number: trial for trial in self.trials}

    @cached_property
    def valued(self) -> tuple[FinishedTrial, ...]:
        """The complete trials that have a value."""
        return tuple(t for t in self.trials if t.state == "complete" and is_finite(t.value))

    @cached_property
    def ranked(self) -> tuple[FinishedTrial, ...]:
        """Those, the best first; what breaks a constraint comes after what keeps them all."""
        return tuple(sorted(self.valued, key=self._rank))

    @cached_property
    def places(self) -> dict[int, int]:
        """The place of each complete trial by number, 0 for the best."""
        return {trial.number: place for place, trial in enumerate(self.ranked)}

    def _rank(self, trial: FinishedTrial) -> tuple[float, float, int]:
        return (trial.violation, self.cost(trial), trial.number)

    def cost(self, trial: FinishedTrial) -> float:
        """A trial's value, turned so that smaller is better."""
        value = math.inf if trial.value is None else trial.value
        return -value if self.info.larger_is_better else value

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """All that is optimized, the metric first."""
        only = Objective(self.info.metric, self.info.larger_is_better)
        return self.info.objectives or (only,)

    @property
    def metric_words(self) -> str:
        """The metric and its direction."""
        return f"{self.info.metric} ({direction(self.info.larger_is_better)})"

    def quantity(self, trial: FinishedTrial, name: str) -> float | None:
        """What a trial has of an objective."""
        if name == self.info.metric:
            return trial.value
        if name in trial.measured:
            return trial.measured[name]
        return trial.parameters if name == "parameters" else None

    @cached_property
    def parameters(self) -> list[Parameter]:
        """The hyperparameters that were searched, in the study's order."""
        return searched(self.info.space, self.trials)

    @cached_property
    def leading(self) -> list[Parameter]:
        """Those, what mattered first; among equals, what most trials had first."""
        shares = self.shares
        had = {
            p.name: sum(p.of(trial) is not None for trial in self.trials) for p in self.parameters
        }
        return sorted(self.parameters, key=lambda p: (-shares.get(p.name, 0.0), -had[p.name]))

    @cached_property
    def shares(self) -> dict[str, float]:
        """The importances of what stands out from chance, the largest first."""
        shares = self.importances.shares if self.importances else {}
        return dict(sorted(((k, v) for k, v in shares.items() if v > 0), key=lambda e: -e[1]))

    @cached_property
    def scale(self) -> Scale:
        """The objective's axis: where the good trials are told apart, and not those far off."""
        values = [t.value for t in self.valued if t.value is not None and not t.diverged]
        values = values or [t.value for t in self.trials if is_finite(t.value)]  # type: ignore[misc]
        if len(values) < 3:
            return around(values)
        best, worst = (max, min) if self.info.larger_is_better else (min, max)
        ordered = quantiles(values, n=10)
        most = ordered[0] if self.info.larger_is_better else ordered[-1]
        limit = most + 0.7 * (most - best(values))
        inside = [v for v in values if best(v, limit) == v]
        return around([*inside, worst(inside)])

    def is_beyond(self, trial: FinishedTrial) -> bool:
        """Whether a trial's value is not on the objective's axis."""
        return trial.value is None or not 0 <= self.scale.at(trial.value) <= 1

    def css(self, trial: FinishedTrial) -> str:
        """The class that colours a trial's marks."""
        if self.winner is not None and trial.number == self.winner.number:
            return "winner"
        return outcome(trial)


def outcome(trial: FinishedTrial) -> str:
    """How a trial ended, in one word."""
    return "diverged" if trial.diverged else trial.state


def direction(larger_is_better: bool) -> str:
    """Which way a quantity gets better."""
    return "larger is better" if larger_is_better else "smaller is better"


def is_finite(value: float | None) -> bool:
    """Whether there is a value, and a finite one."""
    return value is not None and math.isfinite(value)


def spread(scores: Sequence[float]) -> float:
    """The standard deviation of the finite scores; 0 of one."""
    known = [score for score in scores if math.isfinite(score)]
    return stdev(known) if len(known) > 1 else 0.0


def middle(values: Sequence[float]) -> float | None:
    """The median, or None without values."""
    return median(values) if values else None


def spread_out(
    trials: Sequence[FinishedTrial], most: int, *, first: int = 0
) -> list[FinishedTrial]:
    """At most `most` of some trials: the first few, and of the others every so many."""
    if len(trials) <= most:
        return list(trials)
    rest = trials[first:]
    room = most - first
    return [*trials[:first], *(rest[i * len(rest) // room] for i in range(room))]
