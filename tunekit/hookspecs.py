"""The hooks that a plugin may implement.

A plugin is a module (or an object) with functions marked `hookimpl`. Those that bring components
return lists, so a plugin may bring several, and all plugins are heard.

Those that observe return nothing. They are called in the process that runs the search, never in a
worker. An implementation may leave out arguments that it does not need. One that raises is reported
once, and the search goes on.
"""

from __future__ import annotations

import pluggy

from tunekit.components import (
    Activation,
    Dataset,
    Initializer,
    Loss,
    Metric,
    Optimizer,
    Regularizer,
    Schedule,
)
from tunekit.records import FinishedTrial, StudyInfo, StudyResult

hookspec = pluggy.HookspecMarker("tunekit")
hookimpl = pluggy.HookimplMarker("tunekit")


@hookspec
def tunekit_optimizers() -> list[type[Optimizer]]:  # type: ignore[empty-body]
    """Bring optimizers; called once, when plugins are loaded, also in every worker."""


@hookspec
def tunekit_activations() -> list[type[Activation]]:  # type: ignore[empty-body]
    """Bring activations; called once, when plugins are loaded, also in every worker."""


@hookspec
def tunekit_schedules() -> list[type[Schedule]]:  # type: ignore[empty-body]
    """Bring learning-rate schedules; called once, when plugins are loaded, also in every worker."""


@hookspec
def tunekit_regularizers() -> list[type[Regularizer]]:  # type: ignore[empty-body]
    """Bring regularizers; called once, when plugins are loaded, also in every worker."""


@hookspec
def tunekit_initializers() -> list[type[Initializer]]:  # type: ignore[empty-body]
    """Bring initializers; called once, when plugins are loaded, also in every worker."""


@hookspec
def tunekit_losses() -> list[type[Loss]]:  # type: ignore[empty-body]
    """Bring losses; called once, when plugins are loaded, also in every worker."""


@hookspec
def tunekit_metrics() -> list[type[Metric]]:  # type: ignore[empty-body]
    """Bring metrics; called once, when plugins are loaded, also in every worker."""


@hookspec
def tunekit_datasets() -> list[type[Dataset]]:  # type: ignore[empty-body]
    """Bring data sets; called once, when plugins are loaded, also in every worker."""


@hookspec
def tunekit_study_started(study: StudyInfo) -> None:
    """Observe that a search starts, or goes on with what `study.recorded` holds.

    It is called once, before the first trial: the data are loaded, the record is open and has
    accepted the study, and workers are starting.
    """


@hookspec
def tunekit_trial_started(ask: int, configuration: dict[str, object]) -> None:
    """Observe that a trial starts; it has no number yet, only its ask index.

    It is called when the trial's first work goes to a worker, with the full resolved
    configuration, fixed values included. Several trials may run at once.
    """


@hookspec
def tunekit_trial_advanced(ask: int, fold: int, epoch: int, epochs: int, score: float) -> None:
    """Observe that a running trial came as far as `epoch` of `epochs` on one of its folds.

    It is called whenever a worker hands its work back: at the end of a fold, and with a pruner
    also where the trial may be given up in between. `fold` counts from 0; `score` is the
    objective on this fold so far. It is called at least once before the trial finishes, unless
    its training failed.
    """


@hookspec
def tunekit_trial_finished(trial: FinishedTrial) -> None:
    """Observe a trial that the record has just taken in.

    It is called once for every trial, whether complete, pruned or failed, and never for one that
    was recorded before or was interrupted.
    """


@hookspec
def tunekit_final_started(runs: int) -> None:
    """Observe that the best few are trained again, in `runs` training runs.

    It is called once, when the trials are done; not if the search was interrupted, if no trial was
    completed, if the study wants no finalists, or if the record knows already how they did.
    """


@hookspec
def tunekit_final_advanced(done: int, runs: int) -> None:
    """Observe that `done` of those training runs are finished; called after each of them."""


@hookspec
def tunekit_study_finished(result: StudyResult) -> None:
    """Observe the end of a search, also of an interrupted one.

    It is called once, as the last hook; not if the study or its data were refused.
    """
