"""Choosing the engine of a search and giving it what it needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tunekit.data.store import open_saved, save
from tunekit.errors import StudyError
from tunekit.plugins import Packed
from tunekit.search.engines import Engine, InProcess, Pool
from tunekit.search.parcel import Parcel, probe
from tunekit.search.setting import Setting
from tunekit.search.units import Bench, Workshop


def make_engine(setting: Setting, folder: Path) -> Engine:
    """A cluster, worker processes, or this process with ``workers = 0``.

    Args:
        setting: The study and its data.
        folder: Where the data are put for the worker processes.

    Raises:
        StudyError: The cluster cannot be used.
    """
    study, registry = setting.study, setting.registry
    workshop_in = partial(Workshop, metric=study.metric, seed=study.seed, measures=study.measures)
    if study.executor is not None:
        travelling = partial(workshop_in, plugins=Packed.of(registry))
        return _cluster(setting, study.executor, travelling)
    save(setting.problem, folder)
    if not study.workers:
        # The components themselves, which need not be able to travel.
        here = workshop_in(folder, plugins=Packed())
        return InProcess(Bench(here, registry, open_saved(folder)))
    workshop = workshop_in(folder, plugins=Packed.of(registry))
    most = max(study.trials or study.workers, study.finalists * study.final_seeds, 1)
    return Pool(workshop, min(study.workers, most))


def _cluster(setting: Setting, executor: str, workshop_in: Callable[[Path], Workshop]) -> Engine:
    study = setting.study
    try:
        from tunekit.search.cluster import DaskCluster
    except ModuleNotFoundError:
        raise study.source.error(
            f"training on {executor} needs Dask: pip install 'tunekit[dask]'", "study.executor"
        ) from None
    # The distributions that the study's components come from, besides those that all need.
    brought = {owner.name for owner in setting.owners().values() if owner.origin == "distribution"}
    versions = probe(["python", "tunekit", "numpy", *sorted(brought)])()
    try:
        return DaskCluster(executor, Parcel(setting.problem, workshop_in, versions))
    except StudyError as error:
        raise study.source.error(error.message, "study.executor") from None
