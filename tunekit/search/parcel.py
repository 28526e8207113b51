"""What reaches a worker of a cluster once: data and plugins, and the processes that use them.

Units are not performed in the cluster's worker itself but in processes beside it, the same as those
of the pool. So it does not matter how many threads it has or who else computes in it: what a plugin
prints, its global state and its crash stay in a process with one BLAS thread and one unit.
"""

from __future__ import annotations

import pickle
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tunekit.data.store import save
from tunekit.errors import WorkError
from tunekit.records import Problem
from tunekit.search.engines import Answer, Pool
from tunekit.search.units import Unit, Workshop

Versions = Mapping[str, str | None]
"""Version by the name of a distribution, or of ``"python"``; None where it is not installed."""


class Parcel:
    """A study's data and plugins. Where it has arrived, it performs units.

    Args:
        problem: The data.
        workshop_in: Makes the workshop, given the folder of the data; it is pickled.
        versions: What has to be installed where it arrives.
    """

    def __init__(
        self, problem: Problem, workshop_in: Callable[[Path], Workshop], versions: Versions
    ) -> None:
        self.versions = versions
        self._problem, self._workshop_in = problem, workshop_in
        self._lock = threading.Lock()
        self._workshop: Workshop | None = None
        self._idle: list[Pool] = []

    def __reduce__(self) -> tuple[object, ...]:
        # Without the processes, which stay where they are.
        return (Parcel, (self._problem, self._workshop_in, self.versions))

    def perform(self, unit: bytes) -> Answer:
        """Do a pickled `Unit` in a process of its own, which is kept for the next one.

        Raises:
            WorkError: Something else is installed here, or processes cannot be started.
        """
        pool = self._pool()
        opened: Unit = pickle.loads(unit)
        pool.submit(0, opened)
        try:
            arrived = pool.wait()
        except BaseException:
            pool.close()
            raise
        assert arrived is not None
        with self._lock:
            self._idle.append(pool)
        return arrived[1]

    def _pool(self) -> Pool:
        """A process that has nothing to do."""
        with self._lock:
            if self._workshop is None:
                self._workshop = self._unpacked()
            return self._idle.pop() if self._idle else Pool(self._workshop, 1)

    def _unpacked(self) -> Workshop:
        from distributed import get_worker

        if probe(self.versions)() != self.versions:
            raise WorkError("other versions are installed here")
        # Where the worker has been told to keep its files; what it leaves there when it is killed
        # is removed by the next one.
        folder = tempfile.mkdtemp(prefix="tunekit-", dir=get_worker().local_directory)
        # When the cluster's worker lets go of the parcel, or ends.
        weakref.finalize(self, _clean, self._idle, folder)
        save(self._problem, Path(folder))
        return self._workshop_in(Path(folder))


def _clean(idle: list[Pool], folder: str) -> None:
    for pool in idle:
        pool.close()
    shutil.rmtree(folder, ignore_errors=True)


def probe(names: Iterable[str]) -> Callable[[], dict[str, str | None]]:
    """A function that tells the versions of these distributions where it is called.

    It is made here so that it travels whole, also to where tunekit is not installed.
    """
    wanted = list(names)

    def versions() -> dict[str, str | None]:
        import sys
        from importlib.metadata import PackageNotFoundError, version

        found: dict[str, str | None] = {}
        for name in wanted:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                found[name] = None
            if name == "python":
                # Another patch release computes the same.
                found[name] = f"{sys.version_info.major}.{sys.version_info.minor}"
        return found

    return versions
