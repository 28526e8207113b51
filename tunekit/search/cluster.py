"""The engine that performs units on a Dask cluster."""

from __future__ import annotations

import logging
import operator
import pickle
import queue
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import dask
from distributed import Client, Future
from distributed.scheduler import KilledWorker

from tunekit.errors import StudyError, WorkError
from tunekit.search.engines import Answer
from tunekit.search.parcel import Parcel, probe
from tunekit.search.trial import MAX_DEATHS
from tunekit.search.units import Failure, Unit, told

logger = logging.getLogger("tunekit")

PATIENCE = 10
"""Seconds after which a scheduler that does not answer is given up."""

LOOK = 1.0
"""Seconds between two looks at which workers there are."""

SAID_AFTER = (3, 60, 600, 3600)
"""Seconds without any worker after which that is said, again and again."""

SCHEMES = {"dask": "tcp", "dask+tls": "tls"}
"""What stands before the ``://``, and what Dask calls it."""

DEFAULT_PORT = 8786


class DaskCluster:
    """Performs units on the workers of a Dask cluster, as many at a time as they have threads.

    Args:
        executor: The scheduler's address, ``"dask://HOST:PORT"``, or ``"dask+tls://HOST:PORT"``
            with the certificates of Dask's own configuration.
        parcel: What the workers need.

    Attributes:
        slots: The threads of all workers; 1 as long as there is no worker, so that a unit waits
            for the first one.

    Raises:
        StudyError: The address is none, nobody answers there, or the workers have something else
            installed.
    """

    def __init__(self, executor: str, parcel: Parcel) -> None:
        self.slots = 1
        self._address = scheduler_address(executor)
        self._versions = parcel.versions
        self._threads: dict[str, int] = {}
        self._placed: dict[int, str | None] = {}
        self._futures: dict[int, Future[Answer]] = {}
        self._arrivals: queue.SimpleQueue[tuple[int, Future[Answer]]] = queue.SimpleQueue()
        self._next_look = 0.0
        self._alone_since = time.monotonic()
        self._said = 0
        self._units = 0
        with ExitStack() as stack:
            stack.enter_context(_quiet())
            self._client = stack.enter_context(_connected(self._address))
            differing = self._differing()
            if differing:
                raise StudyError(differing)
            # As bytes, and made by the standard library: so the scheduler needs no tunekit. As a
            # task and not as scattered data: where all that have it die, Dask makes it once more.
            self._parcel = self._client.submit(
                pickle.loads,
                pickle.dumps(parcel, protocol=pickle.HIGHEST_PROTOCOL),
                key=self._key("parcel"),
            )
            self._look()
            self._stack = stack.pop_all()

    def _key(self, name: object) -> str:
        return f"tunekit-{self._client.id}-{name}"

    def submit(self, key: int, unit: Unit) -> None:
        """Hand over a unit."""
        self._units += 1
        worker = self._freest()
        with self._told():
            future = self._client.submit(
                operator.methodcaller(
                    "perform", pickle.dumps(unit, protocol=pickle.HIGHEST_PROTOCOL)
                ),
                self._parcel,
                key=self._key(self._units),
                # Left to Dask, a unit goes where the parcel is, and not where a slot is free.
                workers=None if worker is None else [worker],
                allow_other_workers=worker is not None,
            )
        self._placed[key], self._futures[key] = worker, future
        future.add_done_callback(lambda done: self._arrivals.put((key, done)))

    def _freest(self) -> str | None:
        """The worker with the most free threads."""
        busy = Counter(self._placed.values())
        return max(
            self._threads, key=lambda worker: self._threads[worker] - busy[worker], default=None
        )

    def wait(self, timeout: float | None = None) -> tuple[int, Answer] | None:
        """The next answer; None when `timeout` seconds have passed, or when there are more slots.

        Raises:
            WorkError: The scheduler is lost, or a worker cannot do its work.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            if time.monotonic() >= self._next_look:
                slots = self.slots
                self._look()
                if self.slots > slots:
                    return None
            left = LOOK if deadline is None else min(LOOK, deadline - time.monotonic())
            try:
                key, future = self._arrivals.get(timeout=max(0.0, left))
            except queue.Empty:
                if deadline is not None and time.monotonic() >= deadline:
                    return None
                continue
            del self._placed[key], self._futures[key]
            return key, self._answer(future)

    def _answer(self, future: Future[Answer]) -> Answer:
        try:
            with self._told():
                return future.result()
        except KilledWorker as killed:
            if killed.task == self._parcel.key:
                raise WorkError(f"the workers at {self._address} die one after the other") from None
            deaths = killed.allowed_failures + 1
            reason = f"{deaths} workers of the cluster died in the same part of it"
            # It has had its further chances already, unless the cluster gives none.
            return Failure(reason, worker_died=deaths < MAX_DEATHS)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong between here and the workers as an error that says so."""
        try:
            yield
        except KilledWorker:
            raise
        except Exception as error:
            if self._client.status != "running" or isinstance(error, (CancelledError, OSError)):
                raise WorkError(
                    f"the Dask scheduler at {self._address} is lost or was restarted. What was "
                    "finished is kept; the same command goes on"
                ) from None
            raise WorkError(
                self._differing()
                or f"a worker of the cluster at {self._address} cannot do its work: {told(error)}"
            ) from error

    def _look(self) -> None:
        """Count the workers' threads, and say so when there are none for a while."""
        with self._told():
            self._threads = dict(self._client.nthreads())
        now = time.monotonic()
        self._next_look = now + LOOK
        self.slots = max(1, sum(self._threads.values()))
        if self._threads:
            self._alone_since, self._said = now, 0
        elif self._said < len(SAID_AFTER) and now - self._alone_since > SAID_AFTER[self._said]:
            self._said += 1
            logger.warning(
                "waiting for workers at %s; `dask worker %s --nthreads 1` starts one",
                *(self._address, self._address),
            )

    def _differing(self) -> str:
        """Which workers have something else installed than this process, as a table."""
        found = self._client.run(probe(self._versions), on_error="return")
        there = {worker: have for worker, have in found.items() if isinstance(have, dict)}
        if all(have == self._versions for have in there.values()):
            return ""
        rows = [
            ("", *self._versions),
            ("this process", *self._versions.values()),
            *((worker, *(have[name] for name in self._versions)) for worker, have in there.items()),
        ]
        return (
            "the cluster's workers would not give the same results, since they have something "
            "else installed than this process:\n" + _table(rows)
        )

    def close(self) -> None:
        """Leave the cluster; what it still has of this search is dropped."""
        self._stack.close()


def scheduler_address(executor: str) -> str:
    """The address as Dask writes it.

    Raises:
        StudyError: It is not of the form ``dask://HOST:PORT``.
    """
    scheme, _, place = executor.rpartition("://")
    host, _, port = place.rstrip("/").rpartition(":")
    if not host or host.endswith(":"):
        host, port = place.rstrip("/"), ""
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if scheme in SCHEMES and host and is_port and "/" not in host:
        return f"{SCHEMES[scheme]}://{host}:{port}"
    right = "dask+tls" if "tls" in scheme else "dask"
    near = f"{right}://{host.partition('/')[0]}:{port if is_port else DEFAULT_PORT}"
    hint = f" Did you mean {near!r}?" if host else ""
    raise StudyError(
        f"expected the address of a Dask scheduler, as in 'dask://HOST:PORT', got {executor!r}."
        + hint
    )


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    settings: dict[str, Any] = {
        "distributed.comm.timeouts.connect": f"{PATIENCE}s",
        # That is about tables in tasks; data of that size are meant to travel once.
        "distributed.admin.large-graph-warning-threshold": "100GiB",
    }
    with dask.config.set(settings):
        try:
            client = Client(address, timeout=PATIENCE, set_as_default=False, name="tunekit")
        except Exception as error:
            raise StudyError(
                f"no Dask scheduler answers at {address}: {_first_line(error)}. "
                "`dask scheduler` starts one, and prints its address"
            ) from None
        try:
            yield client
        finally:
            with suppress(Exception):
                client.close(timeout=PATIENCE)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what Dask logs: what matters of it is told as an error."""
    names = [
        name for name in logging.root.manager.loggerDict if name.startswith(("distributed.", "tor"))
    ]
    loggers = [logging.getLogger(name) for name in ("distributed", *names)]
    levels = [logger.level for logger in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _table(rows: list[tuple[str | None, ...]]) -> str:
    texts = [["none" if cell is None else cell for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in texts
    ]
    return "\n".join(f"  {line.rstrip()}" for line in lines)
