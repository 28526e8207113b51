"""Where results live: addresses of stores, relative ones resolved beside the study file."""

from __future__ import annotations

import os.path
import re
from pathlib import Path

# Three slashes, then the path: a relative one, or with a fourth slash an absolute one.
_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^?]+)(\?.*)?", re.DOTALL)


def absolute(address: str, folder: Path) -> str:
    """An address that means the same from every folder.

    Args:
        address: An address such as ``sqlite:///mlflow.db`` or ``http://localhost:5000``.
        folder: What a relative SQLite path is relative to.
    """
    file = sqlite_file(address)
    match = _SQLITE.fullmatch(address)
    if file is None or match is None:
        return address
    path = os.path.normpath(folder.absolute() / file)
    return f"{match[1]}{path}{match[3] or ''}"


def sqlite_file(address: str) -> Path | None:
    """The file of a SQLite address; None for other addresses, and for a store in memory."""
    match = _SQLITE.fullmatch(address)
    return None if match is None or match[2] == ":memory:" else Path(match[2])


def shown(address: str) -> str:
    """What somebody gave as an address, for an error message, unless it may hold a password."""
    return "something with a user's name" if "@" in address else repr(address)
