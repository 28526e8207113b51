"""A worker process: reads units from its standard input, writes outcomes to its standard output.

Run as ``python -m tunekit.search.worker`` by `engines.WorkerProcess`. The first message is the
parent's import path, the second a `Workshop`, every further one a `Unit`; each unit is answered
by an `Outcome` or a `Failure`, and opening the workshop by None or a `Failure`.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from typing import BinaryIO


def main() -> None:
    """Serve units until the parent is gone."""
    requests, answers = sys.stdin.buffer, _claim_stdout()
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    sys.path[:] = pickle.load(requests)
    threading.Thread(target=_read, args=(requests, inbox), daemon=True).start()

    from tunekit.search.units import Failure, Unit, Workshop

    workshop = inbox.get()
    assert isinstance(workshop, Workshop)
    try:
        bench = workshop.open()
    except Exception as error:
        _write(answers, Failure(f"a worker could not start: {error}"))
        return
    _write(answers, None)
    while True:
        unit = inbox.get()
        assert isinstance(unit, Unit)
        _write(answers, bench.perform(unit))


def _claim_stdout() -> BinaryIO:
    """Keep the real standard output for answers; what plugins print goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _read(requests: BinaryIO, inbox: queue.SimpleQueue[object]) -> None:
    """Hand on requests, and leave at once when the parent is gone, also in mid-unit."""
    try:
        while True:
            inbox.put(pickle.load(requests))
    finally:
        os._exit(0)


def _write(answers: BinaryIO, answer: object) -> None:
    try:
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()
    except BrokenPipeError:
        os._exit(0)  # the parent is gone


if __name__ == "__main__":
    main()
