"""The built-in observer: what happens in a search is projected onto MLflow.

A search never stops for MLflow. When MLflow fails, that is said once and the projection rests
until the end of the search, which makes one more attempt; the record keeps everything, so running
the same command again delivers what is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar

from tunekit.hookspecs import hookimpl
from tunekit.records import FinishedTrial, StudyInfo, StudyResult
from tunekit.tracking.projection import Projection, failure

logger = logging.getLogger("tunekit")


class Follower:
    """Follows one search.

    Args:
        study: The study that starts.
    """

    def __init__(self, study: StudyInfo) -> None:
        self._projection = Projection(study)
        self._resting = False
        self._said = False

    def started(self) -> None:
        """Open the study's run and bring it up to date."""
        self._resting = not self._try(self._projection.start)
        if self._resting:
            return
        try:
            self._projection.keep_study_file()
        except Exception as error:
            # Artifacts may go to a place of their own; that this machine cannot reach it is no
            # reason to keep the trials back.
            logger.warning("%s. Trials are delivered, the study file is not.", self._told(error))

    def trial(self, trial: FinishedTrial) -> None:
        """Deliver a trial."""
        if not self._resting:
            self._resting = not self._try(lambda: self._projection.deliver([trial]))

    def finished(self, result: StudyResult) -> None:
        """Deliver what is missing, and the result."""
        self._try(lambda: self._projection.finish(result))

    def _try(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except Exception as error:
            if not self._said:
                self._said = True
                logger.warning(
                    "%s. The search goes on without it; the same command, run again, delivers "
                    "what is missing.",
                    self._told(error),
                )
            return False
        return True

    def _told(self, error: Exception) -> str:
        return failure(self._projection.study.tracking_uri, error).rstrip(".")


# Hooks are functions of a module and do not say which search they speak of. All hooks of a search
# are called by its coordinator, in one thread, so a context variable keeps two searches apart.
_following: ContextVar[Follower | None] = ContextVar("following", default=None)


@hookimpl
def tunekit_study_started(study: StudyInfo) -> None:
    """Bring MLflow up to date with the record."""
    follower = Follower(study)
    _following.set(follower)
    follower.started()


@hookimpl
def tunekit_trial_finished(trial: FinishedTrial) -> None:
    """Bring the trial to MLflow."""
    if follower := _following.get():
        follower.trial(trial)


@hookimpl
def tunekit_study_finished(result: StudyResult) -> None:
    """Bring the result to MLflow."""
    if follower := _following.get():
        follower.finished(result)
    _following.set(None)
