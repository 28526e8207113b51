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
    requests, answers = _claim_pipes()
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    sys.path[:] = pickle.load(requests)
    threading.Thread(target=_read, args=(requests, inbox), daemon=True).start()

    from tunekit.search.units import Failure, Unit, Workshop, told

    workshop = inbox.get()
    assert isinstance(workshop, Workshop)
    try:
        bench = workshop.open()
    except BaseException as error:
        _write(answers, Failure(told(error)))
        return
    _write(answers, None)
    while True:
        unit = inbox.get()
        assert isinstance(unit, Unit)
        outcome = bench.perform(unit)
        try:
            _write(answers, outcome)
        except Exception as error:
            _write(answers, Failure(f"what it left in its state cannot be sent on: {told(error)}"))


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the real standard input and output for units and answers.

    What plugins print goes to standard error, and what they try to read is empty.
    """
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return requests, answers


def _read(requests: BinaryIO, inbox: queue.SimpleQueue[object]) -> None:
    """Hand on requests, and leave at once when the parent is gone, also in mid-unit."""
    try:
        while True:
            inbox.put(pickle.load(requests))
    finally:
        os._exit(0)


def _write(answers: BinaryIO, answer: object) -> None:
    # Pickled as a whole before a byte is sent: half an answer would be the end of the worker.
    message = pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
    try:
        answers.write(message)
        answers.flush()
    except BrokenPipeError:
        os._exit(0)  # the parent is gone


if __name__ == "__main__":
    try:
        main()
    finally:
        # Not by way of the interpreter's shutdown, which would wait for the reading thread's lock.
        sys.stderr.flush()
        os._exit(1)
