"""The coordinator: the only one who asks, prunes, tells and writes the record."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from tunekit.records import FinishedTrial, State
from tunekit.search.asking import Asked, Asker
from tunekit.search.engines import Answer, Engine
from tunekit.search.interrupt import Interrupt, Interrupted
from tunekit.search.measure import parameters_of
from tunekit.search.notes import notes, optuna_state
from tunekit.search.racing import Race
from tunekit.search.record import Record
from tunekit.search.samplers import stops
from tunekit.search.setting import Setting
from tunekit.search.trial import MAX_DEATHS, SILENCE, RunningTrial
from tunekit.search.units import Failure, told
from tunekit.space import show
from tunekit.study.constraints import PARAMETERS

logger = logging.getLogger("tunekit")


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
        setting: The study and its data.
        record: Where finished trials go.
        asker: Who says what to try.
        engine: Who does the work.

    Attributes:
        trials: The record's trials, by number.
        training_seconds: Time spent in training, over all workers.
        is_exhausted: Whether there is nothing left to try.
    """

    def __init__(self, setting: Setting, record: Record, asker: Asker, engine: Engine) -> None:
        self._setting, self._study, self._registry = setting, setting.study, setting.registry
        self._record, self._asker, self._engine = record, asker, engine
        self._folds, self._longest = len(setting.problem.folds), setting.longest
        self._provenance = setting.provenance()
        self._running: dict[int, RunningTrial] = {}
        self._unrecorded: list[tuple[FrozenTrial, FinishedTrial]] = []
        self._race = Race(self._folds, setting.metric.larger_is_better)
        self.trials = record.trials()
        self._complete = {t.number: t.scores for t in self.trials if _is_rival(t)}
        self.training_seconds = 0.0
        self.is_exhausted = False

    def run(self, limits: Limits, interrupt: Interrupt) -> None:
        """Ask, train, tell and record until the limits are reached or a signal comes.

        What runs when a signal comes is given up; what is finished is recorded.
        """
        try:
            while not interrupt.requested:
                while not interrupt.requested and self._may_start(limits):
                    self._start()
                    if self._unrecorded:
                        self._write()  # many in a row may be refused before one is trained
                # The workers train while this process writes.
                self._write()
                if not self._running:
                    break
                with interrupt.waiting():
                    arrived = self._engine.wait(SILENCE)
                if arrived is not None:
                    self._receive(*arrived)
                self._say_who_is_silent()
        except Interrupted:
            pass
        finally:
            self._write()

    def _say_who_is_silent(self) -> None:
        """Units hand in what they have every few seconds, or after an epoch that takes longer."""
        now = time.monotonic()
        for trial in self._running.values():
            if now - trial.heard > SILENCE:
                trial.heard = math.inf  # said once
                logger.warning(
                    "nothing was heard of the trial with %s for %.0f s: an epoch of it takes long, "
                    "or a component hangs. Ctrl-C ends the search and keeps what is finished.",
                    ", ".join(f"{n} = {show(v)}" for n, v in trial.asked.trial.params.items()),
                    SILENCE,
                )

    def _may_start(self, limits: Limits) -> bool:
        is_free = len(self._running) < self._engine.slots and not self.is_exhausted
        started = len(self.trials) + len(self._unrecorded) + len(self._running)
        return is_free and not limits.reached(started)

    def _start(self) -> None:
        asked = self._asker.ask()
        if asked is None:
            self.is_exhausted = True
            return
        epochs = int(asked.configuration["epochs"])
        rungs = stops(self._study, epochs, self._longest)
        trial = RunningTrial(asked, self._folds, rungs, self._study)
        self._running[asked.ask] = trial
        self._registry.notify(
            "tunekit_trial_started", ask=asked.ask, configuration=asked.configuration
        )
        try:
            trial.size = self._size(asked)
        except Exception as error:  # a plugin's, which refuses what it is given
            trial.reason = told(error)
            self._finish(trial, "failed", None)
            return
        if self._is_too_large(trial):
            self._finish(trial, "pruned", None)
        else:
            self._engine.submit(asked.ask, trial.next_unit())

    def _size(self, asked: Asked) -> int | None:
        if PARAMETERS not in self._study.measures:
            return None
        setting = self._setting
        return parameters_of(
            asked.configuration, setting.registry, setting.problem, setting.study.metric
        )

    def _is_too_large(self, trial: RunningTrial) -> bool:
        """Whether it breaks a constraint on its size, which is known before it is trained."""
        if trial.size is None:
            return False
        broken = [words for words, violation in trial.violations.items() if violation > 0]
        if broken:
            trial.reason = f"not trained: {trial.size:,} parameters break {broken[0]!r}"
        return bool(broken)

    def _receive(self, ask: int, answer: Answer) -> None:
        trial = self._running[ask]
        if isinstance(answer, Failure):
            self._take_failure(trial, answer)
            return
        self.training_seconds += answer.seconds
        trial.heard = time.monotonic()
        fold = trial.fold
        verdict = trial.take(answer)
        reports = trial.new_reports() if len(self._study.metrics) == 1 else {}
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
        elif verdict != "go on" and self._is_hopeless(trial, reports):
            self._finish(trial, "pruned", None)
        else:
            self._engine.submit(ask, trial.next_unit())

    def _is_hopeless(self, trial: RunningTrial, reports: Mapping[int, float]) -> bool:
        """Whether the pruner ends the trial, or the race over folds; the trial gets the reason."""
        if reports and self._asker.should_prune(trial.asked):
            trial.reason = f"{self._study.pruner} pruning after epoch {max(reports)}"
            return True
        if not trial.scores or trial.fold_is_open or not self._study.racing:
            return False
        verdict = self._race.verdict(trial.scores, self._complete)
        if verdict is None or not verdict.is_behind:
            return False
        trial.reason = verdict.words
        # Its own mean over the first folds might flatter it.
        self._asker.report(trial.asked, {self._longest + len(trial.scores): verdict.stand_in})
        return True

    def _take_failure(self, trial: RunningTrial, failure: Failure) -> None:
        if failure.worker_died:
            trial.deaths += 1
            trial.heard = time.monotonic()
            if trial.deaths < MAX_DEATHS:
                self._engine.submit(trial.asked.ask, trial.next_unit())
                return
        trial.reason = failure.reason
        self._finish(trial, "failed", None)

    def _finish(self, trial: RunningTrial, state: State, value: float | None) -> None:
        del self._running[trial.asked.ask]
        done = trial.finished(state, value, self._provenance)
        values = None
        if state == "complete":
            assert value is not None
            values = [value, *(done.measured[name] for name in self._study.metrics[1:])]
        # Told at once, so that the next ask knows; written when the workers are busy again.
        told = self._asker.tell(trial.asked, optuna_state(state), values, trial.violations)
        self._unrecorded.append((told, done))

    def _write(self) -> None:
        """Record the finished trials and tell the observers."""
        while self._unrecorded:
            # Taken off first: a second Ctrl-C in the middle must not write it twice.
            frozen, done = self._unrecorded.pop(0)
            frozen.user_attrs = notes(done)
            recorded = self._record.add(frozen)
            self.trials.append(recorded)
            if _is_rival(recorded):
                self._complete[recorded.number] = recorded.scores
            self._registry.notify("tunekit_trial_finished", trial=recorded)


def _is_rival(trial: FinishedTrial) -> bool:
    """Whether others are raced against it."""
    return trial.state == "complete" and not trial.diverged and trial.violation == 0
