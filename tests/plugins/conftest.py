"""Plugins for the tests: their texts, as files, and as installed distributions."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

HALVING = """\
from tunekit import Int, Schedule, hookimpl


class Halving(Schedule):
    name = "halving"
    period: int = Int(10, low=1, high=50)

    def factor(self, progress):
        return 0.5 ** (progress.epoch // self.period)


@hookimpl
def tunekit_schedules():
    return [Halving]
"""

Write = Callable[..., Path]
Install = Callable[..., None]


@pytest.fixture
def halving() -> str:
    """The text of a plugin that brings the schedule ``halving``."""
    return HALVING


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a text to a file, ``mine.py`` unless told otherwise."""

    def write_text(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write_text


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution with one entry point on the path, as an installer would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install_text(text: str, module: str, entry_point: str = "mine") -> None:
        (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
        folder = tmp_path / f"{module}-2.1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {module}\nVersion: 2.1\n", encoding="utf-8"
        )
        (folder / "entry_points.txt").write_text(
            f"[tunekit]\n{entry_point} = {module}\n", encoding="utf-8"
        )
        importlib.invalidate_caches()

    return install_text
