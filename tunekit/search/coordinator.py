"""The coordinator: the only one who asks, prunes, tells and writes the record."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from tunekit.plugins import Registry
from tunekit.records import FinishedTrial, State
from tunekit.search.asking import Asker
from tunekit.search.engines import Answer, Engine
from tunekit.search.interrupt import Interrupt, Interrupted
from tunekit.search.record import Record, notes, optuna_state
from tunekit.search.samplers import stops
from tunekit.search.trial import MAX_DEATHS, RunningTrial
from tunekit.search.units import Failure
from tunekit.space import Scalar
from tunekit.study.study import Study


@dataclass(frozen=True)
class Limits:
    """When to ask no more.

    Attributes:
        trials: The record's total, or None.
        deadline: A moment on `time.monotonic`'s clock, or None.
    """

    trials: int | None
    deadline: float | None

    def reached(self, trials: int) -> bool:
        """Whether no further trial may start when the record (with what runs) has so many."""
        if self.trials is not None and trials >= self.trials:
            return True
        return self.deadline is not None and time.monotonic() >= self.deadline


class Coordinator:
    """Runs trials on an engine until the limits are reached.

    Args:
        study: The study.
        registry: Whose observers are told.
        record: Where finished trials go.
        asker: Who says what to try.
        engine: Who does the work.
        folds: How many folds the data have.
        longest: Epochs of the longest trial.
        provenance: What every trial of this run has in common.

    Attributes:
        trials: The record's trials, by number.
        training_seconds: Time spent in training, over all workers.
    """

    def __init__(
        self,
        study: Study,
        registry: Registry,
        record: Record,
        asker: Asker,
        engine: Engine,
        *,
        folds: int,
        longest: int,
        provenance: Mapping[str, Scalar],
    ) -> None:
        self._study, self._registry, self._record = study, registry, record
        self._asker, self._engine = asker, engine
        self._folds, self._longest = folds, longest
        self._provenance = dict(provenance)
        self._running: dict[int, RunningTrial] = {}
        self._unrecorded: list[tuple[FrozenTrial, FinishedTrial]] = []
        self.trials = record.trials()
        self.training_seconds = 0.0

    def run(self, limits: Limits, interrupt: Interrupt) -> None:
        """Ask, train, tell and record until the limits are reached or a signal comes.

        What runs when a signal comes is given up; what is finished is recorded.
        """
        is_exhausted = False
        try:
            while not interrupt.requested:
                while not is_exhausted and self._may_start(limits):
                    is_exhausted = not self._start()
                # The workers train while this process writes.
                self._write()
                if not self._running:
                    break
                with interrupt.waiting():
                    arrived = self._engine.wait()
                if arrived is not None:
                    self._receive(*arrived)
        except Interrupted:
            pass
        finally:
            self._write()

    def _may_start(self, limits: Limits) -> bool:
        is_free = len(self._running) < self._engine.slots
        started = len(self.trials) + len(self._unrecorded) + len(self._running)
        return is_free and not limits.reached(started)

    def _start(self) -> bool:
        asked = self._asker.ask()
        if asked is None:
            return False
        epochs = int(asked.configuration["epochs"])
        trial = RunningTrial(
            asked, self._folds, stops(self._study, epochs, self._longest), self._study.metric
        )
        self._running[asked.ask] = trial
        self._engine.submit(asked.ask, trial.next_unit())
        self._registry.notify(
            "tunekit_trial_started", ask=asked.ask, configuration=asked.configuration
        )
        return True

    def _receive(self, ask: int, answer: Answer) -> None:
        trial = self._running[ask]
        if isinstance(answer, Failure):
            self._take_failure(trial, answer)
            return
        self.training_seconds += answer.seconds
        fold = trial.fold
        verdict = trial.take(answer)
        reports = trial.new_reports()
        self._asker.report(trial.asked, reports)
        self._registry.notify(
            "tunekit_trial_advanced",
            ask=ask,
            fold=fold,
            epoch=answer.checkpoint.epoch,
            epochs=trial.epochs,
            score=answer.score,
        )
        if verdict == "complete":
            self._finish(trial, "complete", trial.value)
        elif verdict == "failed":
            self._finish(trial, "failed", None)
        elif verdict == "report" and reports and self._asker.should_prune(trial.asked):
            epoch = max(reports)
            trial.reason = f"{self._study.pruner} pruning after epoch {epoch}"
            self._finish(trial, "pruned", None)
        else:
            self._engine.submit(ask, trial.next_unit())

    def _take_failure(self, trial: RunningTrial, failure: Failure) -> None:
        if failure.worker_died:
            trial.deaths += 1
            if trial.deaths < MAX_DEATHS:
                self._engine.submit(trial.asked.ask, trial.next_unit())
                return
        trial.reason = failure.reason
        self._finish(trial, "failed", None)

    def _finish(self, trial: RunningTrial, state: State, value: float | None) -> None:
        del self._running[trial.asked.ask]
        done = trial.finished(state, value, self._provenance)
        # Told at once, so that the next ask knows; written when the workers are busy again.
        self._unrecorded.append((self._asker.tell(trial.asked, optuna_state(state), value), done))

    def _write(self) -> None:
        """Record the finished trials and tell the observers."""
        while self._unrecorded:
            # Taken off first: a second Ctrl-C in the middle must not write it twice.
            frozen, done = self._unrecorded.pop(0)
            frozen.user_attrs = notes(done)
            recorded = self._record.add(frozen)
            self.trials.append(recorded)
            self._registry.notify("tunekit_trial_finished", trial=recorded)
