"""Brings a search to MLflow beside it: a thread that delivers, and tries again where it fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from tunekit.records import FinishedTrial, StudyInfo, StudyResult
from tunekit.study.command import other_command
from tunekit.tracking.projection import Projection, failure

logger = logging.getLogger("tunekit")

PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds to the next attempt after so many that failed; the last one from then on."""
SLOW = 5.0
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
    """

    def __init__(self, study: StudyInfo) -> None:
        self._study = study
        self._projection = Projection(study)
        self._trials = list(study.recorded)
        self._result: StudyResult | None = None
        self._changed = threading.Condition()
        self._failures = 0
        self._has_told = False
        self._has_started = self._has_file = self._lacks_artifacts = False
        self._is_done = self._is_given_up = False
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
        try:
            self._wait(is_short=result.status != "finished")
        except KeyboardInterrupt:
            pass
        self._is_given_up = True
        if not self._is_done:
            self._say_what_is_missing()
        return self._is_done

    @property
    def arrived(self) -> int:
        """How many trials MLflow is known to hold."""
        return self._projection.arrived

    def _wait(self, *, is_short: bool) -> None:
        begin = moved = time.monotonic()
        arrived, is_told = self.arrived, False
        while self._thread.is_alive():
            self._thread.join(0.1)
            now = time.monotonic()
            if self.arrived != arrived:
                arrived, moved = self.arrived, now
            patience = PATIENCE_WITH_FAILURE if is_short or self._failures else PATIENCE
            if now - moved > patience:
                return
            if now - begin > SLOW and not is_told and not self._failures:
                is_told = True
                logger.warning(
                    "MLflow is slow: %d of %d trials are still on their way. Ctrl-C ends the "
                    "waiting; %s later.",
                    len(self._trials) - arrived,
                    len(self._trials),
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
                if not self._rest():
                    return
                continue
            self._failures = 0
            if result is not None:
                self._is_done = True
                return
            with self._changed:
                self._changed.wait_for(lambda: self._has_news(trials))

    def _has_news(self, known: Sequence[FinishedTrial]) -> bool:
        return self._result is not None or len(self._trials) > len(known)

    def _rest(self) -> bool:
        """Pause after a failure, until the search ends at the most; False if it has ended."""
        with self._changed:
            is_last = self._result is not None and self._failures > 1
            if not is_last:
                pause = PAUSES[min(self._failures, len(PAUSES)) - 1]
                self._changed.wait_for(lambda: self._result is not None, pause)
        return not is_last

    def _deliver(self, trials: Sequence[FinishedTrial], result: StudyResult | None) -> None:
        if not self._has_started:
            self._projection.start()
            self._has_started = True
        self._projection.deliver(trials)
        if not self._has_file or result is not None:
            self._keep_study_file()
        if result is not None:
            self._projection.finish(result)

    def _keep_study_file(self) -> None:
        if self._lacks_artifacts:
            return
        try:
            self._projection.keep_study_file()
            self._has_file = True
        except Exception as error:
            # Artifacts may go to a place of their own; that this machine cannot reach it is no
            # reason to keep the trials back.
            self._lacks_artifacts = True
            logger.warning("%s. Trials are delivered, the study file is not.", self._failure(error))

    def _tell(self, error: Exception) -> None:
        if not self._has_told and not self._is_given_up:
            self._has_told = True
            logger.warning(
                "%s. The search goes on, and what is missing is delivered when MLflow is back.",
                self._failure(error),
            )

    def _say_what_is_missing(self) -> None:
        missing = len(self._trials) - self.arrived
        what = f"{missing} of {len(self._trials)} trials are" if missing > 0 else "The result is"
        logger.warning("%s not in MLflow; they are recorded, and %s.", what, self._remedy)

    @property
    def _remedy(self) -> str:
        return f"`{other_command(self._study.command, 'sync')}` delivers them"

    def _failure(self, error: Exception) -> str:
        return failure(self._study.tracking_uri, error).rstrip(".")
