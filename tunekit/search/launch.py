"""Choosing the engine of a search and giving it what it needs."""

from __future__ import annotations

from pathlib import Path

from tunekit.data.store import open_saved, save
from tunekit.plugins import Packed
from tunekit.search.engines import Engine, InProcess, Pool
from tunekit.search.setting import Setting
from tunekit.search.units import Bench, Workshop


def make_engine(setting: Setting, folder: Path) -> Engine:
    """Worker processes, or this process with ``workers = 0``.

    Args:
        setting: The study and its data.
        folder: Where the data are put for the workers.
    """
    save(setting.problem, folder)
    study, registry = setting.study, setting.registry
    if not study.workers:
        # The components themselves, which need not be able to travel.
        here = Workshop(folder, Packed(), study.metric, study.seed)
        return InProcess(Bench(here, registry, open_saved(folder)))
    workshop = Workshop(folder, Packed.of(registry), study.metric, study.seed)
    most = max(study.trials or study.workers, study.finalists * study.final_seeds, 1)
    return Pool(workshop, min(study.workers, most))
