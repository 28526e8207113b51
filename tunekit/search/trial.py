"""A trial while it runs: which unit comes next, and what an outcome means."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Literal

from tunekit.records import Curve, Diagnosis, FinishedTrial, Span, State
from tunekit.search.asking import Asked
from tunekit.search.units import Outcome, Unit
from tunekit.space import Scalar

MAX_DEATHS = 2
"""After so many dead workers at the same place a configuration is taken to be what kills them."""

SLICE = 10.0
"""Seconds after which a unit hands in its checkpoint: all that a dead worker can cost."""

Verdict = Literal["go on", "report", "complete", "failed"]


@dataclass
class RunningTrial:
    """A trial between its ask and its record.

    Attributes:
        asked: Its configuration.
        folds: How many folds there are to train on.
        stops: Epochs of the first fold after which the pruner is asked; the last is the end.
        metric: The objective's name.
    """

    asked: Asked
    folds: int
    stops: tuple[int, ...]
    metric: str
    started: float = field(default_factory=time.time)
    curves: list[Curve] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
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
    def epochs(self) -> int:
        """Epochs of one training run."""
        return self.stops[-1]

    @property
    def epoch(self) -> int:
        """Epochs finished on the current fold."""
        return self._outcome.checkpoint.epoch if self._outcome else 0

    @property
    def score(self) -> float:
        """The newest score on the current fold, or on the one before."""
        return self._outcome.score if self._outcome else self.scores[-1]

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
            ``"go on"``: perform `next_unit`. ``"report"``: the pruner is to be asked first.
            ``"complete"`` or ``"failed"``: the trial is over.
        """
        self._outcome = outcome
        self.deaths = 0
        self.training_seconds += outcome.seconds
        self.parameters = outcome.parameters
        self.spans.append(span(self.fold, outcome))
        if self.fold == 0 or outcome.checkpoint.status == "diverged":
            self.diagnosis = outcome.diagnosis
        if not math.isfinite(outcome.score):
            self.reason = f"{self.metric} is {outcome.score} on fold {self.fold + 1}"
            self._close_fold()
            return "failed"
        if outcome.checkpoint.status == "running":
            is_stop = self.fold == 0 and outcome.checkpoint.epoch in self.stops
            return "report" if is_stop else "go on"
        if outcome.checkpoint.status == "diverged":
            self.diverged = True
            epoch = outcome.checkpoint.epoch
            self.reason = f"diverged in epoch {epoch} of fold {self.fold + 1}"
        self._close_fold()
        # One diverged fold says enough; its score is that of an untrained network.
        if self.diverged or len(self.scores) == self.folds:
            return "complete"
        return "report" if len(self.scores) == 1 else "go on"

    def _close_fold(self) -> None:
        assert self._outcome is not None
        self.curves.append(curve(self.fold, self._outcome))
        self.scores.append(self._outcome.score)
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
        scores = metrics.get(f"val_{self.metric}", ())
        reports = {
            epoch: scores[epoch]
            for epoch in range(self._reported + 1, len(scores))
            if math.isfinite(scores[epoch])
        }
        self._reported = max(self._reported, len(scores) - 1)
        return reports

    @property
    def value(self) -> float:
        """The objective: the mean over folds; a diverged fold speaks for all."""
        return self.scores[-1] if self.diverged else sum(self.scores) / len(self.scores)

    def finished(
        self, state: State, value: float | None, provenance: dict[str, Scalar]
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
            provenance=provenance,
            diagnosis=self.diagnosis,
            spans=tuple(self.spans),
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
