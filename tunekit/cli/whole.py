"""Writing a file that a person named, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tunekit.errors import InputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A passing file to write, which takes the place of `path` in the end.

    Raises:
        InputError: The file cannot be written.
    """
    passing = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        yield passing
        passing.replace(path)
    except OSError as error:
        with suppress(OSError):
            passing.unlink()
        raise InputError(
            f"cannot be written: {error.strerror or error}", key=f"-o {path}"
        ) from None
