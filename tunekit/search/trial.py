"""A trial while it runs: which unit comes next, and what an outcome means."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tunekit.records import Curve, Diagnosis, FinishedTrial, Span, State
from tunekit.search.asking import Asked
from tunekit.search.units import Outcome, Unit
from tunekit.space import Scalar
from tunekit.study.constraints import PARAMETERS
from tunekit.study.study import Study

MAX_DEATHS = 2
"""After so many dead workers at the same place a configuration is taken to be what kills them."""

SLICE = 10.0
"""Seconds after which a unit hands in its checkpoint at an epoch's end; what a death costs."""

SILENCE = 60.0
"""Seconds without an answer after which that is said."""

Verdict = Literal["go on", "stop", "fold", "complete", "failed"]


@dataclass
class RunningTrial:
    """A trial between its ask and its record.

    Attributes:
        asked: Its configuration.
        folds: How many folds there are to train on.
        stops: Epochs of the first fold after which the pruner is asked; the last is the end.
        study: Whose trial it is.
        size: Number of trained parameters, where the study asks for it.
    """

    asked: Asked
    folds: int
    stops: tuple[int, ...]
    study: Study
    size: int | None = None
    started: float = field(default_factory=time.time)
    heard: float = field(default_factory=time.monotonic)
    curves: list[Curve] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    measured: list[Mapping[str, float]] = field(default_factory=list)
    training_seconds: float = 0.0
    parameters: int | None = None
    diverged: bool = False
    deaths: int = 0
    reason: str = ""
    diagnosis: Diagnosis | None = None
    spans: list[Span] = field(default_factory=list)
    _outcome: Outcome | None = None
    _reported: int = 0

    @property
    def fold(self) -> int:
        """The fold that is being trained."""
        return len(self.scores)

    @property
    def fold_is_open(self) -> bool:
        """Whether a fold has been begun and not finished."""
        return self._outcome is not None

    @property
    def epochs(self) -> int:
        """Epochs of one training run."""
        return self.stops[-1]

    @property
    def epoch(self) -> int:
        """Epochs finished on the current fold."""
        return self._outcome.checkpoint.epoch if self._outcome else 0

    def next_unit(self) -> Unit:
        """The unit to perform next."""
        until = self.epochs
        if self.fold == 0:
            until = next(stop for stop in self.stops if stop > self.epoch)
        checkpoint = self._outcome.checkpoint if self._outcome else None
        key = seed_key(self.fold)
        return Unit(self.asked.configuration, self.fold, key, until, checkpoint, SLICE)

    def take(self, outcome: Outcome) -> Verdict:
        """Take an outcome in.

        Returns:
            ``"go on"``: perform `next_unit`. ``"stop"``: the pruner is to be asked first.
            ``"fold"``: a fold is finished, and the trial races for the others.
            ``"complete"`` or ``"failed"``: the trial is over.
        """
        self._outcome = outcome
        self.deaths = 0
        self.training_seconds += outcome.seconds
        self.parameters = outcome.parameters
        self.spans.append(span(self.fold, outcome))
        if self.fold == 0 or outcome.checkpoint.status == "diverged":
            self.diagnosis = outcome.diagnosis
        scores = {self.study.metric: outcome.score, **outcome.measured}
        for name in self.study.metrics:
            if not math.isfinite(scores.get(name, 0.0)):
                self.reason = f"{name} is {scores[name]} on fold {self.fold + 1}"
                self._close_fold()
                return "failed"
        if outcome.checkpoint.status == "running":
            is_stop = self.fold == 0 and outcome.checkpoint.epoch in self.stops
            return "stop" if is_stop else "go on"
        if outcome.checkpoint.status == "diverged":
            self.diverged = True
            epoch = outcome.checkpoint.epoch
            self.reason = f"diverged in epoch {epoch} of fold {self.fold + 1}"
        self._close_fold()
        # One diverged fold says enough; its score is that of an untrained network.
        if self.diverged or len(self.scores) == self.folds:
            return "complete"
        return "fold"

    def _close_fold(self) -> None:
        assert self._outcome is not None
        self.curves.append(curve(self.fold, self._outcome))
        self.scores.append(self._outcome.score)
        self.measured.append(self._outcome.measured)
        self._outcome = None

    def new_reports(self) -> dict[int, float]:
        """The first fold's scores by epoch that were not handed out before."""
        metrics = (
            self.curves[0].metrics
            if self.curves
            else self._outcome.checkpoint.metrics
            if self._outcome
            else {}
        )
        scores = metrics.get(f"val_{self.study.metric}", ())
        reports = {
            epoch: scores[epoch]
            for epoch in range(self._reported + 1, len(scores))
            if math.isfinite(scores[epoch])
        }
        self._reported = max(self._reported, len(scores) - 1)
        return reports

    @property
    def value(self) -> float:
        """The first objective: the mean over folds; a diverged fold speaks for all."""
        return self._over_folds(self.scores)

    def _over_folds(self, values: Sequence[float]) -> float:
        return values[-1] if self.diverged else sum(values) / len(values)

    @property
    def quantities(self) -> dict[str, float]:
        """What else is measured, by name, as far as it is known."""
        known: dict[str, float] = {}
        ended = [measured for measured in self.measured if measured]
        if ended:
            known = {name: self._over_folds([m[name] for m in ended]) for name in ended[0]}
        if self.size is not None:
            known[PARAMETERS] = float(self.size)
        return {name: known[name] for name in self.study.measures if name in known}

    @property
    def violations(self) -> dict[str, float]:
        """By how much it breaks each constraint whose quantity is known."""
        known = self.quantities
        if self.scores:
            known[self.study.metric] = self.value
        return {
            constraint.words: constraint.violation(known[constraint.quantity])
            for constraint in self.study.constraints
            if constraint.quantity in known
        }

    def finished(
        self, state: State, value: float | None, provenance: Mapping[str, Scalar]
    ) -> FinishedTrial:
        """The trial for the record; its number is given there."""
        if self._outcome is not None:
            self.curves.append(curve(self.fold, self._outcome))
        return FinishedTrial(
            number=-1,
            ask=self.asked.ask,
            state=state,
            value=value,
            params=dict(self.asked.trial.params),
            configuration=self.asked.configuration,
            curves=tuple(self.curves),
            scores=tuple(self.scores),
            started=self.started,
            finished=time.time(),
            training_seconds=self.training_seconds,
            reason=self.reason,
            diverged=self.diverged,
            parameters=self.parameters,
            provenance=dict(provenance),
            diagnosis=self.diagnosis,
            spans=tuple(self.spans),
            measured=self.quantities,
            violation=sum(self.violations.values()),
            repeats=self.asked.repeats,
        )


def seed_key(fold: int) -> tuple[int, ...]:
    """The seed of a fold in the search: the same for every trial, so that trials compare fairly."""
    return (0, fold)


def span(fold: int, outcome: Outcome) -> Span:
    """Who trained what when."""
    ended = outcome.started + outcome.seconds
    return Span(outcome.worker, outcome.started, ended, fold, outcome.checkpoint.epoch)


def curve(fold: int, outcome: Outcome) -> Curve:
    """The measurements of a training run."""
    metrics = {name: tuple(values) for name, values in outcome.checkpoint.metrics.items()}
    return Curve(fold, tuple(range(outcome.checkpoint.epoch + 1)), metrics)
