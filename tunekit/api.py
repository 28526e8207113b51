"""Searching a study from Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tunekit import publish
from tunekit.errors import WorkError
from tunekit.records import StudyResult
from tunekit.search.recall import recalled
from tunekit.search.setting import Setting
from tunekit.study.study import load_study


def search_study(
    study: str | Path,
    *,
    plugins: Iterable[object] | object = (),
    changes: Mapping[str, object] | None = None,
    trials: int | None = None,
    timeout: str | float | None = None,
    workers: int | None = None,
    executor: str | None = None,
    fresh: bool = False,
) -> StudyResult:
    """Run or resume a study, as ``tunekit search`` does.

        import tunekit

        class Mine(tunekit.Optimizer): ...

        result = tunekit.search_study("study.toml", plugins=[Mine])
        print(result.best.configuration, result.test)

    Args:
        study: The study file.
        plugins: Component classes, modules or objects with hook implementations (observers, too),
            and paths of plugin files. Classes travel to worker processes whole, also those of a
            script or notebook.
        changes: Replaces values of the study file, as in ``{"train.epochs": 5}``.
        trials: The record's total.
        timeout: Time after which no trial is started, as in ``"10m"``, or seconds.
        workers: Worker processes; 0 trains in this process.
        executor: Address of a cluster to train on instead: ``"dask://HOST:PORT"``.
        fresh: Whether to start over; the old trials are kept under a dated study name.

    Returns:
        The trials, the best one, the finalists and the test score.

    Raises:
        InputError: The study, its data or a plugin is wrong.
        WorkError: Every trial failed, or workers or stores cannot be used.
    """
    if isinstance(plugins, (str, Path, type)) or not isinstance(plugins, Iterable):
        plugins = [plugins]  # what somebody means who passes a single one
    files = [str(plugin) for plugin in plugins if isinstance(plugin, (str, Path))]
    opened, registry = load_study(
        study,
        changes=changes or {},
        plugins=files,
        objects=[plugin for plugin in plugins if not isinstance(plugin, (str, Path))],
        trials=trials,
        timeout=timeout,
        workers=workers,
        executor=executor,
        recalled=recalled,
    )
    result = publish.search(Setting.of(opened, registry), fresh=fresh).result
    if result.status == "failed":
        raise WorkError(result.why_failed, file=opened.file)
    return result
