"""Ctrl-C and SIGTERM as a request to stop, so that nothing is left half-written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class Interrupted(BaseException):
    """A signal came while waiting for work; the work that was waited for is lost."""


class Interrupt:
    """While entered, the first signal only sets `requested`; the next one is Python's own again."""

    def __init__(self) -> None:
        self.requested = False
        self._is_waiting = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()
        if self._is_waiting:
            raise Interrupted

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside, a signal ends the waiting at once by raising `Interrupted`."""
        self._is_waiting = True
        try:
            if self.requested:
                raise Interrupted
            yield
        finally:
            self._is_waiting = False
