"""Brings a search to MLflow beside it: a thread that delivers, and tries again where it fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from tunekit.records import FinishedTrial, StudyInfo, StudyResult
from tunekit.study.command import other_command
from tunekit.tracking.client import failure
from tunekit.tracking.projection import Projection

logger = logging.getLogger("tunekit")

PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds to the next attempt after so many that failed; the last one from then on."""
SLOW = 15.0
"""Seconds of waiting at the end of a search after which a person is told what for."""
PATIENCE = 60.0
"""Seconds without a delivered trial after which the end of a search waits no longer."""
PATIENCE_WITH_FAILURE = 10.0
"""The same where the last attempt failed, or the search was interrupted."""


class Courier:
    """Delivers one search, in a thread of its own.

    The search only hands trials over, which takes no time. Whatever goes wrong with MLflow is told
    once, and everything that is not there yet is tried again until the search ends; what is
    missing then is in the record, from where `synchronize` brings it.

    Args:
        study: The study that starts.

    Attributes:
        study: The study.
        is_done: Whether MLflow has everything, the result included.
    """

    def __init__(self, study: StudyInfo) -> None:
        self.study = study
        self._projection = Projection(study)
        self._trials = list(study.recorded)
        self._result: StudyResult | None = None
        self._changed = threading.Condition()
        self._failures = 0
        self._has_told = False
        self._has_started = self._has_tried_file = self._lacks_artifacts = False
        self.is_done = self._is_given_up = False
        self._thread = threading.Thread(target=self._run, name="tunekit-mlflow", daemon=True)

    def start(self) -> None:
        """Open the study's run and bring it up to date."""
        self._thread.start()

    def take(self, trial: FinishedTrial) -> None:
        """Deliver a trial."""
        with self._changed:
            self._trials.append(trial)
            self._changed.notify()

    def finish(self, result: StudyResult) -> bool:
        """Deliver what is missing, and the result.

        Waits for it for as long as trials arrive. Ctrl-C ends the waiting.

        Returns:
            Whether MLflow has everything.
        """
        with self._changed:
            self._trials = list(result.trials)
            self._result = result
            self._failures = min(self._failures, 1)  # the next attempt comes at once
            self._changed.notify()
        with suppress(KeyboardInterrupt):
            self._wait(is_short=result.status != "finished")
        self._is_given_up = True
        self._projection.stop()
        if not self.is_done:
            self._say_what_is_missing()
        return self.is_done

    @property
    def arrived(self) -> int:
        """How many trials MLflow is known to hold."""
        return self._projection.arrived

    def _wait(self, *, is_short: bool) -> None:
        begin = moved = time.monotonic()
        before, is_told = (self._projection.steps, self._failures), False
        while self._thread.is_alive():
            self._thread.join(0.1)
            now = time.monotonic()
            # A failure counts, too: it may have taken long to come, and another attempt follows.
            if (self._projection.steps, self._failures) != before:
                before, moved = (self._projection.steps, self._failures), now
            patience = PATIENCE_WITH_FAILURE if is_short or self._failures else PATIENCE
            if now - moved > patience:
                return
            if now - begin > SLOW and not is_told and not self._failures:
                is_told = True
                logger.warning(
                    "MLflow is slow: %s still on the way. Ctrl-C ends the waiting; %s later.",
                    self._missing,
                    self._remedy,
                )

    def _run(self) -> None:
        while not self._is_given_up:
            with self._changed:
                trials, result = tuple(self._trials), self._result
            try:
                self._deliver(trials, result)
            except Exception as error:
                self._failures += 1
                self._tell(error)
                if result is not None and self._failures > 1:
                    return
                self._rest()
                continue
            self._failures = 0
            if result is not None:
                self.is_done = True
                return
            with self._changed:
                while self._result is None and len(self._trials) == len(trials):
                    self._changed.wait()

    def _rest(self) -> None:
        """Pause after a failure, until the search ends at the most."""
        pause = PAUSES[min(self._failures, len(PAUSES)) - 1]
        with self._changed:
            self._changed.wait_for(lambda: self._result is not None, pause)

    def _deliver(self, trials: Sequence[FinishedTrial], result: StudyResult | None) -> None:
        if not self._has_started:
            self._projection.start()
            self._has_started = True
        self._projection.deliver(trials)
        if not self._has_tried_file:
            self._keep_files()
        if result is not None:
            self._projection.finish(result)
            self._keep_files()  # again: the store may be another one by now

    def _keep_files(self) -> None:
        try:
            self._projection.keep_files()
        except Exception as error:
            # Artifacts may go to a place of their own; that this machine cannot reach it is no
            # reason to keep the trials back.
            if not self._lacks_artifacts:
                self._lacks_artifacts = True
                logger.warning("%s. Trials are delivered, files are not.", self._failure(error))
        self._has_tried_file = True

    def _tell(self, error: Exception) -> None:
        if not self._has_told and not self._is_given_up:
            self._has_told = True
            hope = "The search goes on, and what is missing is delivered when MLflow is back."
            logger.warning("%s.%s", self._failure(error), "" if self._result else f" {hope}")

    def _say_what_is_missing(self) -> None:
        logger.warning(
            "%s not in MLflow, but recorded; %s.",
            self._missing.capitalize(),
            self._remedy,
        )

    @property
    def _missing(self) -> str:
        missing = len(self._trials) - self.arrived
        return f"{missing} of {len(self._trials)} trials are" if missing > 0 else "the result is"

    @property
    def _remedy(self) -> str:
        return f"`{other_command(self.study.command, 'sync')}` delivers what is missing"

    def _failure(self, error: Exception) -> str:
        return failure(self.study.tracking_uri, error).rstrip(".")
