"""What commands print: one JSON object, or words for a person."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TextIO

from tunekit.errors import TunekitError

_answers: list[TextIO] = []


@contextmanager
def kept_for_json() -> Iterator[None]:
    """Keep standard output for `print_json`; whatever else is printed goes to standard error."""
    _answers.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _answers.pop()


def print_json(value: Mapping[str, Any]) -> None:
    """Print exactly one JSON object on standard output."""
    answers = _output()
    answers.write(json.dumps(plain(value), indent=2, allow_nan=False) + "\n")
    answers.flush()


def write_no_more() -> None:
    """Let what is left in standard output's buffer go nowhere when the interpreter flushes it."""
    with suppress(OSError):  # an output that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), _output().fileno())


def _output() -> TextIO:
    """Standard output, also while it is kept for `print_json`."""
    return _answers[-1] if _answers else sys.stdout


def plain(value: Any) -> Any:
    """The value in JSON's own types; numbers that are not finite are null."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def complain(error: TunekitError, *, as_json: bool) -> None:
    """Tell an error: a sentence on standard error, and with ``--json`` an object as well."""
    if as_json:
        told = {"message": error.message, "file": error.file, "key": error.key}
        print_json({"error": told})
    sys.stderr.write(f"error: {error}\n")
