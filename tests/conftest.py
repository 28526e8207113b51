"""Tests that need more than Python packages: skipped where it is missing, or demanded."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def _browser() -> bool:
    return all(shutil.which(program) for program in ("chromium", "chromedriver"))


def _shells() -> bool:
    return all(shutil.which(shell) for shell in ("zsh", "fish"))


def _torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def _postgresql_programs() -> Path | None:
    """Debian keeps the server's programs off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).resolve())
    return found[-1].parent if found else None


def _postgresql() -> bool:
    return _postgresql_programs() is not None and importlib.util.find_spec("psycopg") is not None


COMPONENTS: dict[str, tuple[Callable[[], bool], str]] = {
    "browser": (_browser, "needs chromium and chromedriver"),
    "shells": (_shells, "needs zsh and fish"),
    "postgresql": (_postgresql, "needs PostgreSQL's server programs and psycopg"),
    "torch": (_torch, "needs PyTorch"),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a marked test whose component is missing; fail if ``TUNEKIT_REQUIRE`` names it."""
    required = os.environ.get("TUNEKIT_REQUIRE", "").split(",")
    for marker, (is_there, need) in COMPONENTS.items():
        if item.get_closest_marker(marker) is not None and not is_there():
            if marker in required:
                pytest.fail(f"{need}, and TUNEKIT_REQUIRE asks for it", pytrace=False)
            pytest.skip(need)


@pytest.fixture(scope="session")
def postgresql_programs() -> Path:
    """The folder of PostgreSQL's server programs; for tests that are marked so."""
    folder = _postgresql_programs()
    assert folder is not None
    return folder
