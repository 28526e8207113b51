"""The engine that performs units on a Dask cluster."""

from __future__ import annotations

import asyncio
import logging
import operator
import pickle
import queue
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import dask
from distributed import Client, Future, Security, rpc
from distributed.comm.core import CommClosedError
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
        self._executor, self._address = executor, scheduler_address(executor)
        self._versions = parcel.versions
        self._threads: dict[str, int] = {}
        self._held: list[tuple[int, Unit]] = []
        self._placed: dict[int, str] = {}
        self._futures: dict[int, Future[Answer]] = {}
        self._arrivals: queue.SimpleQueue[tuple[int, Future[Answer]] | dict[str, int]]
        self._arrivals = queue.SimpleQueue()
        self._alone_since = time.monotonic()
        self._said = 0
        self._tasks = 0
        with ExitStack() as stack:
            stack.enter_context(_quiet())
            self._client = stack.enter_context(_connected(executor, self._address))
            differing = self._differing()
            if differing:
                raise StudyError(differing)
            # As bytes, and everywhere made by the standard library: so the scheduler needs no
            # tunekit. As a task and not as scattered data: it is made anew where it was lost.
            self._blob: Future[bytes] = self._submit(bytes, pickled(parcel))
            self._parcels: dict[str, Future[Parcel]] = {}
            self._count(dict(self._client.nthreads()))
            assert self._client.loop is not None
            self._client.loop.add_callback(self._watch)
            self._stack = stack.pop_all()

    def _submit(
        self, function: Callable[..., Any], *arguments: object, on: str | None = None
    ) -> Future[Any]:
        """Hand over a task, for a certain worker as long as that one lives."""
        self._tasks += 1
        return self._client.submit(
            function,
            *arguments,
            key=f"tunekit-{self._client.id}-{self._tasks}",
            workers=None if on is None else [on],
            allow_other_workers=on is not None,
        )

    def submit(self, key: int, unit: Unit) -> None:
        """Hand over a unit."""
        if not self._threads:
            self._held.append((key, unit))
            return
        # Left to Dask, a unit goes where its data are, and not where a thread is free.
        busy = Counter(self._placed.values())
        worker = max(self._threads, key=lambda worker: self._threads[worker] - busy[worker])
        with self._told():
            if worker not in self._parcels:
                # A copy of its own for each: Dask drops copies of the same that are not in use.
                self._parcels[worker] = self._submit(pickle.loads, self._blob, on=worker)
            perform = operator.methodcaller("perform", pickled(unit))
            future = self._submit(perform, self._parcels[worker], on=worker)
        self._placed[key], self._futures[key] = worker, future
        future.add_done_callback(lambda done: self._arrivals.put((key, done)))

    def wait(self, timeout: float | None = None) -> tuple[int, Answer] | None:
        """The next answer; None when `timeout` seconds have passed, or when there are more slots.

        Raises:
            WorkError: The scheduler is lost, or a worker cannot do its work.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                arrived = self._arrivals.get(timeout=left)
            except queue.Empty:
                return None
            if isinstance(arrived, dict):
                slots = self.slots
                self._count(arrived)
                if self.slots > slots:
                    return None
                continue
            key, future = arrived
            del self._placed[key], self._futures[key]
            return key, self._answer(future)

    def _answer(self, future: Future[Answer]) -> Answer:
        try:
            with self._told():
                return future.result()
        except KilledWorker as killed:
            if killed.task != future.key:
                raise WorkError(
                    f"the workers at {self._executor} die one after the other"
                ) from None
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
            is_lost = isinstance(error, (CancelledError, CommClosedError))
            if is_lost or self._client.status != "running":
                raise WorkError(
                    f"the Dask scheduler at {self._executor} is lost or was restarted. What was "
                    "finished is kept; the same command goes on"
                ) from None
            raise WorkError(
                self._differing()
                or f"a worker of the cluster at {self._executor} cannot do its work: {told(error)}"
            ) from error

    async def _watch(self) -> None:
        """Tell the workers' threads again and again; on Dask's thread, which may have to wait."""
        scheduler = self._client.scheduler
        assert scheduler is not None
        with suppress(OSError):
            while self._client.status == "running":
                self._arrivals.put(dict(await scheduler.ncores()))
                await asyncio.sleep(LOOK)

    def _count(self, threads: dict[str, int]) -> None:
        """Take in the workers' threads, and say so when there have been none for a while."""
        self._threads, self.slots = threads, max(1, sum(threads.values()))
        for gone in self._parcels.keys() - threads.keys():
            del self._parcels[gone]
        while threads and self._held:
            self.submit(*self._held.pop(0))
        now = time.monotonic()
        if threads:
            self._alone_since, self._said = now, 0
        elif self._said < len(SAID_AFTER) and now - self._alone_since > SAID_AFTER[self._said]:
            self._said += 1
            logger.warning(
                "waiting for workers at %s; `dask worker %s --nthreads 1` starts one",
                *(self._executor, self._address),
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


def pickled(value: object) -> bytes:
    """A value on its way through a scheduler that cannot read it."""
    return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)


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
    name = "127.0.0.1" if host.startswith(":") else host.partition("/")[0]
    near = f"{right}://{name}:{port if is_port else DEFAULT_PORT}"
    hint = f" Did you mean {near!r}?" if host else ""
    raise StudyError(
        f"expected the address of a Dask scheduler, as in 'dask://HOST:PORT', got {executor!r}."
        + hint
    )


@contextmanager
def _connected(executor: str, address: str) -> Iterator[Client]:
    settings: dict[str, Any] = {
        "distributed.comm.timeouts.connect": f"{PATIENCE}s",
        # That is about tables in tasks; data of that size are meant to travel once.
        "distributed.admin.large-graph-warning-threshold": "100GiB",
    }
    with dask.config.set(settings):
        try:
            # A client would wait for ever for something that is no Dask.
            with ThreadPoolExecutor(1) as thread:
                kind = thread.submit(asyncio.run, _kind(address)).result()
            if kind != "Scheduler":
                raise ValueError(f"that is the address of a {kind.lower()}")
            client = Client(address, timeout=PATIENCE, set_as_default=False, name="tunekit")
        except Exception as error:
            raise StudyError(
                f"no Dask scheduler answers at {executor} ({_reason(error)}). "
                "`dask scheduler` starts one, and prints its address"
            ) from None
        try:
            yield client
        finally:
            with suppress(Exception):
                client.close(timeout=PATIENCE)


async def _kind(address: str) -> str:
    """What answers there, as Dask calls it."""
    secured = Security().get_connection_args("client")
    async with rpc(address, timeout=PATIENCE - 1, connection_args=secured) as there:
        return str((await asyncio.wait_for(there.identity(), PATIENCE))["type"])


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


def _reason(error: BaseException) -> str:
    """What is at the bottom of an error of the connection, in a few words."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).strip().splitlines() or [f"what is there is silent for {PATIENCE} s"])[0]


def _table(rows: list[tuple[str | None, ...]]) -> str:
    texts = [["none" if cell is None else cell for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in texts
    ]
    return "\n".join(f"  {line.rstrip()}" for line in lines)
