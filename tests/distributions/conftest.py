"""Each distribution in ``plugins/``, and environments to install it into."""

from __future__ import annotations

import functools
import os
import site
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tunekit import plugins
from tunekit.components import KINDS

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))

Build = Callable[[Path], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    """The folder of a distribution, which has its name."""
    return Path(request.param)


@pytest.fixture
def module(folder: Path) -> Path:
    """The one file that it installs."""
    return folder / f"{folder.name.replace('-', '_')}.py"


@pytest.fixture
def project(folder: Path) -> dict[str, Any]:
    """The table ``[project]`` of its pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return table


@pytest.fixture
def components(module: Path) -> set[tuple[str, str]]:
    """Kinds and names of what it brings, as that file tells them."""
    registry = plugins.load([module], entry_points=False)
    every = {(kind, name) for kind in KINDS for name in registry.names(kind)}
    return {key for key in every if registry.owner(*key).name == str(module)}


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Have pip build the wheel of a folder, once."""

    @functools.cache
    def build(folder: Path) -> Path:
        place = tmp_path_factory.mktemp("wheel")
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        offline = ["--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place)]
        done = subprocess.run(
            [*pip, "wheel", *offline, str(folder)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (wheel,) = place.iterdir()
        return wheel

    return build


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory, build: Build) -> Path:
    """The Python of a new virtual environment, into which tunekit was installed from a wheel.

    What tunekit needs, and pip, are those of the environment that runs the tests, so nothing is
    downloaded.
    """
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    script = "import sys, sysconfig; sys.stdout.write(sysconfig.get_path('purelib'))"
    own = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout
    # Unlike a bare path, addsitedir heeds the path files in there, as of editable installs.
    borrow = "; ".join(f"site.addsitedir({path!r})" for path in site.getsitepackages())
    Path(own, "borrowed.pth").write_text(f"import site; {borrow}\n")
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    beside = ["--no-index", "--no-deps", "--ignore-installed", "--no-compile"]
    subprocess.run([*pip, "install", *beside, str(build(ROOT))], check=True)
    return python


@pytest.fixture(scope="session")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of the environment, without the settings of whoever runs the tests."""
    foreign = ("MLFLOW_", "PIP_", "PYTEST_", "PYTHON", "TUNEKIT_", "VIRTUAL_ENV")
    own = {name: os.environ[name] for name in os.environ if not name.startswith(foreign)}
    # One store for all searches: making one takes longer than they do.
    store = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    return own | {
        "MLFLOW_TRACKING_URI": store,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INDEX": "1",
    }


@pytest.fixture
def installed(
    folder: Path, python: Path, build: Build, variables: dict[str, str], tmp_path: Path
) -> Iterator[Run]:
    """Run a module in the environment, with the distribution installed from its wheel.

    It runs in `tmp_path`, where the repository's own tunekit is out of sight, and has to end with
    the exit code `code`.
    """

    def run(module: str, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [python, "-m", module, *arguments],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    run("pip", "install", build(folder))
    yield run
    run("pip", "uninstall", "--yes", folder.name)
