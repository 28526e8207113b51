"""The folder in which a search lays its data out for its workers."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = re.compile(r"tunekit-(\d+)-.*")


@contextmanager
def workfolder() -> Iterator[Path]:
    """A folder that is gone in the end.

    Those that killed searches of the same user left behind are removed on the way.
    """
    for left in Path(tempfile.gettempdir()).glob("tunekit-*"):
        owner = _NAME.fullmatch(left.name)
        if owner and not _is_alive(int(owner[1])):
            shutil.rmtree(left, ignore_errors=True)
    prefix = f"tunekit-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True
