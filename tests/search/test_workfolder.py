"""The folder of a search, and those that killed searches left behind."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tunekit.search.workfolder import workfolder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def killed() -> Path:
    """The folder of a search that was killed."""
    code = (
        "import os; from tunekit.search.workfolder import workfolder\n"
        "with workfolder() as folder: print(folder, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return Path(done.stdout.strip())


def test_a_folder_is_gone_in_the_end(folder: Path) -> None:
    with workfolder() as own:
        assert own.parent == folder
    assert not list(folder.iterdir())


def test_what_a_killed_search_left_is_removed_by_the_next() -> None:
    left = killed()
    assert left.is_dir()
    with workfolder():
        assert not left.exists()


def test_what_a_search_holds_stays() -> None:
    with workfolder() as first, workfolder() as second:
        assert first.is_dir()
        assert second.is_dir()


@pytest.mark.parametrize(
    "name", ["tunekit-2024-notes", "tunekit-99999999999999999999-x", "tunekit-work-mine"]
)
def test_folders_of_others_stay(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    with workfolder():
        assert (folder / name).is_dir()
