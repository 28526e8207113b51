"""Each distribution as its users meet it: installed from a wheel, searched, and uninstalled."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

Build = Callable[[Path], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]

STUDY = """
[study]
trials = {trials}
workers = 2
finalists = 1
final_seeds = 1

[data]
source = "sklearn:digits"

[train]
epochs = 2

[network]
width = 16

[search]
{search}
"""
BUILT_IN = {
    "optimizer": "adam",
    "activation": "relu",
    "schedule": "constant",
    "initializer": "he_normal",
}
"""What the components of a distribution are searched beside."""


def test_is_found_searched_and_missed(
    folder: Path,
    project: dict[str, Any],
    components: set[tuple[str, str]],
    installed: Run,
    tmp_path: Path,
) -> None:
    listed = json.loads(installed("tunekit", "plugins", "--json").stdout)
    assert not listed["left_out"]
    found = [c for c in listed["components"] if c["owner"]["name"] == folder.name]
    assert {(c["kind"], c["name"]) for c in found} == components
    assert {c["owner"]["version"] for c in found} == {project["version"]}

    (tmp_path / f"{folder.name}.toml").write_text(study(components))
    search = ("search", f"{folder.name}.toml", "--json")
    result = json.loads(installed("tunekit", *search).stdout)
    assert result["trials"]["complete"] == trials(components)
    assert components <= recorded(tmp_path / "optuna.db")

    installed("pip", "uninstall", "--yes", folder.name)
    refused = installed("tunekit", *search, code=2)
    assert "Traceback" not in refused.stderr
    message = json.loads(refused.stdout)["error"]["message"]
    assert any(f"no {kind} is called {name!r}" in message for kind, name in components)
    assert f"{folder.name} {project['version']}, which is not installed" in message


def test_own_tests_pass(folder: Path, installed: Run) -> None:
    # Without the folder on the path, as some settings have it: it is the wheel that is tested.
    options = ("-o", "pythonpath=", "-o", "empty_parameter_set_mark=fail_at_collect")
    done = installed("pytest", *options, "-p", "no:cacheprovider", folder / "tests")
    assert " passed" in done.stdout


def test_wheel_holds_the_module_and_nothing_else(folder: Path, module: Path, build: Build) -> None:
    names = zipfile.ZipFile(build(folder)).namelist()
    assert [name for name in names if ".dist-info/" not in name] == [module.name]


def choices(components: set[tuple[str, str]]) -> dict[str, list[str]]:
    """What a study chooses among: the components of each kind, and a built-in one."""
    kinds = sorted({kind for kind, _ in components})
    return {
        kind: [BUILT_IN[kind], *sorted(name for of_kind, name in components if of_kind == kind)]
        for kind in kinds
    }


def trials(components: set[tuple[str, str]]) -> int:
    """So many that each choice has been tried: the first trials take them in turns."""
    return max(map(len, choices(components).values()))


def study(components: set[tuple[str, str]]) -> str:
    """A small study of components."""
    search = "\n".join(f"{kind} = {names}" for kind, names in choices(components).items())
    return STUDY.format(trials=trials(components), search=search)


def recorded(file: Path) -> set[tuple[str, str]]:
    """Kinds and names of the components that the trials of a record used."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    (name,) = optuna.get_all_study_names(storage)
    done = optuna.load_study(study_name=name, storage=storage).trials
    return {(key, value) for t in done for key, value in t.params.items() if key in BUILT_IN}
