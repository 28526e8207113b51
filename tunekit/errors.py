"""The exception tree, and how an error names what is wrong.

TunekitError
├── InputError              what the user gave is wrong            exit code 2
│   ├── StudyError          the study file
│   ├── DataError           the data set
│   ├── PluginError         a plugin that cannot be used
│   ├── UnknownNameError    a name that nobody registered
│   └── HyperparameterError a hyperparameter that does not exist or fit
└── WorkError               the input was right, the work failed   exit code 1
    └── ComponentError      a component broke its contract in training
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TunekitError(Exception):
    """Base of every error that tunekit raises on purpose.

    Args:
        message: What was found and what was expected, one or more full sentences.
        file: The file it was found in.
        key: The key's path in that file (``"network.width"``), or the row or column.
        line: The line in that file, counted from 1, where it can be had.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        key: str | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.key = key
        self.line = line

    def __str__(self) -> str:
        place = self.file or ""
        if place and self.line is not None:
            place += f":{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword arguments must survive the way back from a worker process.
        return (_rebuild, (type(self), self.message, self.file, self.key, self.line))


def _rebuild(
    cls: type[TunekitError], message: str, file: str | None, key: str | None, line: int | None
) -> TunekitError:
    return cls(message, file=file, key=key, line=line)


class InputError(TunekitError):
    """What the user gave is wrong: a file, a key, a value, a name."""

    exit_code = 2


class StudyError(InputError):
    """The study file cannot be read or asks for something impossible."""


class DataError(InputError):
    """The data set cannot be read, or its content cannot be learned from."""


class PluginError(InputError):
    """A plugin cannot be loaded, or declares something that cannot be used."""


class UnknownNameError(InputError):
    """A name that no built-in and no plugin registered."""


class HyperparameterError(InputError, ValueError):
    """A hyperparameter that does not exist, or a value outside its domain."""


class WorkError(TunekitError):
    """The input was right, but the work failed."""


class ComponentError(WorkError):
    """A component broke its contract while a network was training."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """A sentence that leads from a wrong name to the right ones.

    Args:
        name: What was given.
        known: All names that would have been accepted.

    Returns:
        ``"Did you mean 'adam'?"`` when one is near, else the list of known names.
    """
    names = sorted(known)
    folded = {known_name.lower(): known_name for known_name in names}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {folded[near[0]]!r}?"
    if not names:
        return "There is none to choose from."
    return "Known: " + ", ".join(names) + "."
