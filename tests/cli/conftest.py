"""The command, in this process and as one of its own, and a search that it finished."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunekit.cli import app

Command = Callable[..., subprocess.CompletedProcess[str]]

SMALL = """
[study]
trials = 4
workers = 0
finalists = 2
final_seeds = 2

[data]
source = "sklearn:iris"

[train]
epochs = 3
batch_size = 16

[search]
optimizer = ["adam", "sgd"]
regularizers = ["dropout"]
"""


@pytest.fixture(scope="session", autouse=True)
def _plain_environment() -> None:
    """No settings of the person who runs the tests, and lines that are not wrapped."""
    for name in [n for n in os.environ if n.startswith(("MLFLOW_", "TUNEKIT_PLUGINS"))]:
        del os.environ[name]
    os.environ["COLUMNS"] = "200"


@pytest.fixture(scope="session")
def launch() -> Command:
    """Run the command as a process of its own."""

    def run(
        *arguments: str, cwd: Path, path: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        more = os.pathsep.join(str(p) for p in (path, os.environ.get("PYTHONPATH")) if p)
        return subprocess.run(
            [sys.executable, "-m", "tunekit", *arguments],
            cwd=cwd,
            env=os.environ | ({"PYTHONPATH": more} if more else {}),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def tunekit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run the command in this process, in `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["tunekit", *arguments])
        capsys.readouterr()
        code = app.run()
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, err)

    return run


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, launch: Command
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with a finished search of ``small.toml``, and what ``--json`` printed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "small.toml").write_text(SMALL)
    done = launch("search", "small.toml", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    return folder, done


@pytest.fixture
def searched(finished: tuple[Path, object], tmp_path: Path) -> Path:
    """A copy of the finished search; a new search in it has no MLflow store to create."""
    return Path(shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The study alone."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path
