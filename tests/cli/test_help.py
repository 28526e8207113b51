"""The help, the version, and that the README says what is so."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command

import tunekit as package
from tunekit.cli.app import app

Command = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

OPTIONS = {
    "search": (
        *("--trials", "--timeout", "--workers", "--executor", "--set", "--plugin"),
        *("--dry-run", "--fresh", "--json"),
    ),
    "train": ("--trial", "--set", "--plugin", "--explain", "--lr-range", "--output", "--json"),
    "plugins": ("--source", "--output", "--plugin", "--json"),
    "new": ("--package", "--output"),
    "check": ("--expect", "--plugin", "--json"),
    "schema": ("--plugin", "--output"),
    "report": ("--output", "--set", "--plugin"),
    "predict": ("--output", "--tracking-uri", "--set", "--json"),
    "sync": ("--set", "--plugin", "--json"),
    "ui": ("--port", "--browser", "--no-browser", "--set"),
}


def block(language: str) -> str:
    """The README's only code block in that language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return str(found)


def registered() -> set[str]:
    return set(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", OPTIONS)
def test_help_names_every_option(command: str, tunekit: Command) -> None:
    done = tunekit(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    named = re.findall(r"^  (?:-\w, )?(--[\w-]+)(?: / (?:-\w, )?(--[\w-]+))?", done.stdout, re.M)
    assert {option for pair in named for option in pair if option} == {*OPTIONS[command], "--help"}


def test_help_names_every_command(tunekit: Command) -> None:
    done = tunekit("--help")
    assert (done.returncode, done.stderr) == (0, "")
    commands = done.stdout.partition("Commands:\n")[2]
    assert {line.split()[0] for line in commands.splitlines()} == registered() == set(OPTIONS)


def test_the_version_is_that_of_the_package(tunekit: Command) -> None:
    done = tunekit("--version")
    assert (done.returncode, done.stdout) == (0, f"tunekit {package.__version__}\n")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert package.__version__ == project["version"]


def test_the_readme_has_exactly_the_commands_that_there_are() -> None:
    rows = re.findall(r"^\| `tunekit (\w+)([^`]*)` \|", README, re.MULTILINE)
    assert {command for command, _ in rows} == registered()
    for command, arguments in rows:
        assert set(re.findall(r"--[\w-]+", arguments)) <= set(OPTIONS[command])


def test_the_study_of_the_readme_resolves(tunekit: Command, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "penguins.csv", tmp_path)
    (tmp_path / "study.toml").write_text(block("toml"))
    done = tunekit("search", "study.toml", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    space = {entry["name"]: entry for entry in json.loads(done.stdout)["space"]}
    assert space["optimizer"]["values"] == "one of adam, lion, sgd"
    # "adam brings its learning rate and both betas into the search by itself"
    adam = {name for name, e in space.items() if name.startswith("optimizer.adam.")}
    searched = {name for name in adam if space[name]["searched"]}
    assert searched == {f"optimizer.adam.{name}" for name in ("lr", "beta1", "beta2")}
    assert space["schedule"]["searched"] is False
    assert space["regularizer.dropout"]["values"] == "one of false, true"


def test_the_plugin_of_the_readme_is_searched(tunekit: Command, searched: Path) -> None:
    (searched / "my_lion.py").write_text(block("python"))
    study = (searched / "small.toml").read_text()
    (searched / "mine.toml").write_text(study + '\n[plugins]\nfiles = ["my_lion.py"]\n')
    done = tunekit(
        *("search", "mine.toml", "--json", "--trials", "1"), "--set", "search.optimizer=lion"
    )
    assert done.returncode == 0, done.stderr
    best = json.loads(done.stdout)["best"]["configuration"]
    assert [best[f"optimizer.lion.{name}"] for name in ("lr", "beta1", "beta2")] == [
        *(1e-4, 0.9, 0.99)
    ]
    shown = tunekit("plugins", "lion", "--plugin", "my_lion.py").stdout
    assert shown.startswith("lion  optimizer, from my_lion.py ")


def test_the_plugin_of_the_readme_is_as_long_as_it_says() -> None:
    rule = "class " + block("python").partition("\nclass ")[2].partition("\n@hookimpl")[0]
    written = [line for line in rule.splitlines() if line.strip()]
    assert "fifteen lines of numpy" in " ".join(README.split())
    assert len(written) <= 15


def test_the_readme_has_the_exit_codes() -> None:
    told = " ".join(README.split())
    assert "0 done, 1 the work failed, 2 the input is wrong, 130 interrupted" in told


def test_files_that_the_readme_links_to_are_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
