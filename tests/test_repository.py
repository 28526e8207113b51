"""What must hold for the repository as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import tunekit

ROOT = Path(__file__).parents[1]
HEAVY = {"pandas", "sklearn", "scipy", "optuna", "mlflow", "pydantic", "rich", "typer"}


def loaded_by(module: str) -> set[str]:
    """Top-level modules that a new Python loads for `module`, its own library left out."""
    script = (
        "import sys; before = set(sys.modules); "
        f"import {module}, json; "
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(json.dumps(sorted(names - set(sys.stdlib_module_names))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(json.loads(done.stdout))


def committed() -> list[Path]:
    """The files that git knows."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode:
        pytest.skip("not a git work tree")
    return [ROOT / name for name in done.stdout.split("\0") if (ROOT / name).is_file()]


def test_mlflow_folder_holds_no_python() -> None:
    # A package of that name would hide the installed MLflow from whatever runs in the root.
    assert not list((ROOT / "mlflow").rglob("*.py"))


def test_import_loads_only_numpy_and_pluggy() -> None:
    assert loaded_by("tunekit") == {"tunekit", "numpy", "pluggy"}


@pytest.mark.parametrize("module", ["tunekit.search.units", "tunekit.search.worker"])
def test_workers_load_none_of_the_heavy_libraries(module: str) -> None:
    assert not loaded_by(module) & HEAVY


def test_public_names_are_sorted_and_exist() -> None:
    assert tunekit.__all__ == sorted(set(tunekit.__all__))
    for name in tunekit.__all__:
        assert getattr(tunekit, name) is not None


def test_package_says_that_it_is_typed() -> None:
    assert Path(tunekit.__file__).with_name("py.typed").is_file()


def test_no_committed_file_knows_the_machine_it_was_written_on() -> None:
    # Put together here, so that this file does not accuse itself.
    paths = [f"/{folder}/".encode() for folder in ("work", "root")]
    accused = [
        str(path.relative_to(ROOT))
        for path in committed()
        if any(place in path.read_bytes() for place in paths)
    ]
    assert not accused
