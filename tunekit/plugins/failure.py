"""What somebody else's code raised, told in one sentence with its place."""

from __future__ import annotations

import importlib
import os.path
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pluggy

from tunekit.errors import TunekitError

_OURS = (
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
    os.path.dirname(os.path.abspath(pluggy.__file__)) + os.sep,
    os.path.dirname(os.path.abspath(importlib.__file__)) + os.sep,
    "<frozen importlib",
    "<string>",  # methods that dataclasses write
)


def told(error: BaseException) -> str:
    """An exception in one sentence, without its place."""
    if isinstance(error, TunekitError):
        return f"{error.key}: {error.message}" if error.key else error.message
    if isinstance(error, SyntaxError):
        return f"this is not valid Python: {error.msg}"
    try:
        lines = str(error).strip().splitlines() or ["no message"]
    except Exception:
        lines = ["its message cannot be read"]
    return f"{type(error).__name__}: {lines[0][:300]}"


def is_request(error: BaseException) -> bool:
    """Whether it was a person who stopped the program, and not the code that ran."""
    return isinstance(error, (KeyboardInterrupt, GeneratorExit))


@dataclass(frozen=True)
class Place:
    """A line of code.

    Attributes:
        file: Its file.
        line: Counted from 1.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{Path(self.file).name}, line {self.line}"


def place(error: BaseException, within: Sequence[str] = ()) -> Place | None:
    """The last line of somebody else's code among those that an exception passed through.

    Args:
        error: The exception.
        within: The files and folders to look in, if it is known whose code it is.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return Place(error.filename, error.lineno or 1)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame)]
    if within:
        frames = [frame for frame in frames if frame.filename.startswith(tuple(within))]
    if not frames:
        return None
    return Place(frames[-1].filename, frames[-1].lineno or 1)


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(_OURS)
