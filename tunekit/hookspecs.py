"""The hooks that a plugin may implement.

A plugin is a module (or an object) with functions marked `hookimpl`. All hooks return lists, so a
plugin may bring several components, and all plugins are heard.
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
    """Bring optimizers."""


@hookspec
def tunekit_activations() -> list[type[Activation]]:  # type: ignore[empty-body]
    """Bring activations."""


@hookspec
def tunekit_schedules() -> list[type[Schedule]]:  # type: ignore[empty-body]
    """Bring learning-rate schedules."""


@hookspec
def tunekit_regularizers() -> list[type[Regularizer]]:  # type: ignore[empty-body]
    """Bring regularizers."""


@hookspec
def tunekit_initializers() -> list[type[Initializer]]:  # type: ignore[empty-body]
    """Bring initializers."""


@hookspec
def tunekit_losses() -> list[type[Loss]]:  # type: ignore[empty-body]
    """Bring losses."""


@hookspec
def tunekit_metrics() -> list[type[Metric]]:  # type: ignore[empty-body]
    """Bring metrics."""


@hookspec
def tunekit_datasets() -> list[type[Dataset]]:  # type: ignore[empty-body]
    """Bring data sets."""


@hookspec
def tunekit_study_started(study: StudyInfo) -> None:
    """Observe that a search starts, or goes on with what `study.recorded` holds."""


@hookspec
def tunekit_trial_started(ask: int, configuration: dict[str, object]) -> None:
    """Observe that a trial starts; it has no number yet, only its ask index."""


@hookspec
def tunekit_trial_advanced(ask: int, fold: int, epoch: int, epochs: int, score: float) -> None:
    """Observe that a running trial came as far as `epoch` of `epochs` on one of its folds."""


@hookspec
def tunekit_trial_finished(trial: FinishedTrial) -> None:
    """Observe a trial that the record has just taken in."""


@hookspec
def tunekit_final_started(runs: int) -> None:
    """Observe that the best few are trained again, in `runs` training runs."""


@hookspec
def tunekit_final_advanced(done: int, runs: int) -> None:
    """Observe that `done` of those training runs are finished."""


@hookspec
def tunekit_study_finished(result: StudyResult) -> None:
    """Observe the end of a search, also of an interrupted one."""
