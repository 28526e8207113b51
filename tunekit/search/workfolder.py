"""The folder in which a search lays its data out for its workers."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

PREFIX = "tunekit-work-"
MARK = "held.lock"
"""A file in it that is locked for as long as the search lives."""


@contextmanager
def workfolder() -> Iterator[Path]:
    """A folder that is gone in the end.

    Those that killed searches of the same user left behind are removed on the way.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # What cannot be looked at, or is held, is somebody else's.
        with suppress(OSError, filelock.Timeout):
            if (left / MARK).is_file() and _is_own(left):
                with _held(left, timeout=0):
                    shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        lock = _held(folder, timeout=-1)
        try:
            lock.acquire()
        except (OSError, NotImplementedError):
            # A file system without locks. Without the mark nobody sweeps it.
            with suppress(OSError):
                (folder / MARK).unlink()
        try:
            yield folder
        finally:
            lock.release()


def _held(folder: Path, timeout: float) -> filelock.BaseFileLock:
    # A soft lock would outlive a killed process; one of a thread would not be everybody's.
    return filelock.FileLock(
        folder / MARK, timeout=timeout, thread_local=False, fallback_to_soft=False
    )


def _is_own(folder: Path) -> bool:
    at = folder.lstat()
    return not folder.is_symlink() and (os.name == "nt" or at.st_uid == os.getuid())
