"""The built-in observer: what happens in a search is projected onto MLflow."""

from __future__ import annotations

from contextvars import ContextVar

from tunekit.hookspecs import hookimpl
from tunekit.records import FinishedTrial, StudyInfo, StudyResult
from tunekit.tracking.courier import Courier

# Hooks are functions of a module and do not say which search they speak of. All hooks of a search
# are called by its coordinator, in one thread, so a context variable keeps two searches apart.
_delivered: ContextVar[str | None] = ContextVar("delivered", default=None)
_following: ContextVar[Courier | None] = ContextVar("following", default=None)


@hookimpl
def tunekit_study_started(study: StudyInfo) -> None:
    """Bring MLflow up to date with the record."""
    courier = Courier(study)
    _following.set(courier)
    courier.start()


@hookimpl
def tunekit_trial_finished(trial: FinishedTrial) -> None:
    """Bring the trial to MLflow."""
    if courier := _following.get():
        courier.take(trial)


@hookimpl
def tunekit_study_finished(result: StudyResult) -> None:
    """Bring the result to MLflow."""
    if courier := _following.get():
        is_done = courier.finish(result)
        _delivered.set(courier.study.identity if is_done else None)
    _following.set(None)


def is_up_to_date(study: StudyInfo) -> bool:
    """Whether MLflow has all of the search that ended last in this thread, which is this one."""
    return _delivered.get() == study.identity
