"""Engines: where units are performed.

One process a slot, so that a unit that kills its process takes no other unit with it. The pipes
are plain: a worker whose parent is gone reads the end of its input and leaves.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO, Protocol

from tunekit.errors import WorkError
from tunekit.search.units import Bench, Failure, Outcome, Unit, Workshop

Answer = Outcome | Failure

MAX_FAILED_STARTS = 2
"""After so many workers in a row that died before they were ready, no more are tried."""


class Engine(Protocol):
    """Something that performs units, `slots` of them at a time."""

    slots: int

    def submit(self, key: int, unit: Unit) -> None:
        """Hand over a unit; `key` tells its answer apart."""

    def wait(self, timeout: float | None = None) -> tuple[int, Answer] | None:
        """The next answer with its key.

        None when `timeout` seconds have passed, or when there are more slots than before.
        """

    def close(self) -> None:
        """Let go of everything; what is still being performed is lost."""


class InProcess:
    """Performs units in this process, one at a time, when their answer is waited for."""

    slots = 1

    def __init__(self, bench: Bench) -> None:
        from threadpoolctl import threadpool_limits

        self._limits = threadpool_limits(1)
        self._bench = bench
        self._waiting: list[tuple[int, Unit]] = []

    def submit(self, key: int, unit: Unit) -> None:
        """Hand over a unit."""
        self._waiting.append((key, unit))

    def wait(self, timeout: float | None = None) -> tuple[int, Answer] | None:
        """Perform the unit that has waited longest."""
        if not self._waiting:
            return None
        key, unit = self._waiting.pop(0)
        return key, self._bench.perform(unit)

    def close(self) -> None:
        """Give the BLAS its threads back."""
        self._limits.restore_original_limits()


class WorkerProcess:
    """One worker process with one BLAS thread, and the thread that reads its answers.

    Args:
        workshop: What it needs before its first unit.
        arrivals: Where its answers go: pairs of this object and an answer, None when it is ready,
            a `Failure` with `worker_died` when it is gone.

    Attributes:
        task: The unit it has been given, with its key; None when it has nothing to do.
        is_ready: Whether it has opened the workshop.
    """

    def __init__(
        self, workshop: Workshop, arrivals: queue.Queue[tuple[WorkerProcess, Answer | None]]
    ) -> None:
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.task: tuple[int, Unit] | None = None
        self.is_ready = False
        self._process = subprocess.Popen(
            # -P: a file in the current folder must not stand in for a module.
            [sys.executable, "-P", "-m", "tunekit.search.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | threads,
            # Ctrl-C is the coordinator's to handle; a terminal sends it to a whole session.
            start_new_session=True,
        )
        self.send(sys.path)
        self.send(workshop)
        threading.Thread(target=self._read, args=(arrivals,), daemon=True).start()

    def _read(self, arrivals: queue.Queue[tuple[WorkerProcess, Answer | None]]) -> None:
        assert self._process.stdout is not None
        while True:
            try:
                answer = pickle.load(self._process.stdout)
            except Exception:
                code = self._process.wait()
                told = f"signal {-code}" if code < 0 else f"exit code {code}"
                arrivals.put((self, Failure(f"the worker process died ({told})", worker_died=True)))
                return
            arrivals.put((self, answer))

    def give(self, key: int, unit: Unit) -> None:
        """Hand over a unit, which is begun when the workshop is open."""
        self.task = key, unit
        if self.is_ready:
            self.send(unit)

    def opened(self) -> None:
        """Note that the workshop is open, and begin what has been given."""
        self.is_ready = True
        if self.task is not None:
            # Not before: what a plugin left in a unit's state is read only with that plugin.
            self.send(self.task[1])

    def send(self, message: object) -> None:
        """Write a message; a process that is gone is noticed by the reading side."""
        pipe: IO[bytes] | None = self._process.stdin
        assert pipe is not None
        with suppress(BrokenPipeError):
            pickle.dump(message, pipe, protocol=pickle.HIGHEST_PROTOCOL)
            pipe.flush()

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


class Pool:
    """Performs units in worker processes; a process that dies is replaced.

    Args:
        workshop: What each worker needs.
        slots: How many processes.
    """

    def __init__(self, workshop: Workshop, slots: int) -> None:
        self.slots = slots
        self._workshop = workshop
        self._arrivals: queue.Queue[tuple[WorkerProcess, Answer | None]] = queue.Queue()
        self._failed_starts = 0
        self._workers = [WorkerProcess(workshop, self._arrivals) for _ in range(slots)]

    def submit(self, key: int, unit: Unit) -> None:
        """Hand over a unit; at most `slots` may be under way."""
        next(worker for worker in self._workers if worker.task is None).give(key, unit)

    def wait(self, timeout: float | None = None) -> tuple[int, Answer] | None:
        """The next answer.

        Raises:
            WorkError: A worker process cannot be started at all.
        """
        while True:
            try:
                worker, answer = self._arrivals.get(timeout=timeout)
            except queue.Empty:
                return None
            if worker not in self._workers:
                continue
            if answer is None:
                self._failed_starts = 0
                worker.opened()
                continue
            task, worker.task = worker.task, None
            if isinstance(answer, Failure) and not worker.is_ready:
                self._failed_starts += 1
                if not answer.worker_died or self._failed_starts > MAX_FAILED_STARTS:
                    raise WorkError(f"worker processes cannot start: {answer.reason}")
                successor = self._replaced(worker)
                # No unit's fault: its trial must not be told of it.
                if task is not None:
                    successor.give(*task)
                continue
            if isinstance(answer, Failure) and answer.worker_died:
                self._replaced(worker)
            if task is not None:
                return task[0], answer

    def _replaced(self, worker: WorkerProcess) -> WorkerProcess:
        worker.kill()
        successor = WorkerProcess(self._workshop, self._arrivals)
        self._workers[self._workers.index(worker)] = successor
        return successor

    def close(self) -> None:
        """End all processes."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.kill()
