"""A broken plugin takes no command down; only a study that needs it stops."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]

STUDY = """
[study]
trials = 2
workers = 1
finalists = 0
[data]
source = "sklearn:iris"
[train]
epochs = 1
[search]
optimizer = ["adam", "sgd"]
"""

DOWN = """
from tunekit import Optimizer, hookimpl

class Down(Optimizer):
    name = "{name}"
    lr: float = 0.1

    def direction(self, w, g, state, step):
        return g

@hookimpl
def tunekit_optimizers():
    return [Down]
"""

LEAVING = "import sys\n\nprint('hello')\nsys.exit('no licence')\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed distributions."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def install(site: Path, name: str, text: str) -> None:
    """As an installer would; the entry point has the distribution's name."""
    module = name.replace("-", "_")
    (site / f"{module}.py").write_text(text, encoding="utf-8")
    (site / f"{module}-1.2.dist-info").mkdir()
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n",
        "entry_points.txt": f"[tunekit]\n{name} = {module}\n",
    }
    for file, content in about.items():
        (site / f"{module}-1.2.dist-info" / file).write_text(content, encoding="utf-8")


def test_a_search_goes_on_without_a_broken_plugin_and_names_it(
    launch: Command, site: Path, study: Path
) -> None:
    install(site, "lab-rules", LEAVING)
    done = launch("search", study.name, "--json", cwd=study.parent, path=site)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"]["complete"] == 2
    told = "left out: lab-rules 1.2 (entry point lab-rules): SystemExit: no licence"
    assert f"{told} (lab_rules.py, line 4)\n" in done.stderr
    assert done.stderr.count("left out") == 1
    assert "Traceback" not in done.stderr


def test_a_study_that_needs_it_stops(launch: Command, site: Path, study: Path) -> None:
    install(site, "lab-rules", LEAVING)
    done = launch(
        "search", study.name, "--set", "search.optimizer=down", cwd=study.parent, path=site
    )
    assert (done.returncode, done.stdout) == (2, "hello\n")
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: --set: search.optimizer: no optimizer is called 'down'.")
    assert error.endswith("SystemExit: no licence (lab_rules.py, line 4).")


@pytest.mark.parametrize("arguments", [["plugins"], ["plugins", "sgd"], ["plugins", "--json"]])
def test_plugins_always_works(launch: Command, site: Path, arguments: list[str]) -> None:
    install(site, "lab-rules", LEAVING)
    install(site, "lab-newer", "from tunekit import hookimpl, NotYet\n")
    install(site, "lab-adam", DOWN.format(name="adam"))
    garbled = {
        "without": b"[tunekit]\nno equals sign\n",
        "binary": b"[tunekit]\nx = \xff\xfe\n",
        "malformed": b"[tunekit]\nx = ep mal:::formed [[\n",
    }
    for name, content in garbled.items():
        (site / f"{name}-1.0.dist-info").mkdir()
        (site / f"{name}-1.0.dist-info" / "entry_points.txt").write_bytes(content)
    done = launch(*arguments, cwd=site.parent, path=site)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    told = done.stdout + done.stderr
    assert all(name in told for name in ("lab-rules", "lab-newer"))
    if arguments == ["plugins", "--json"]:
        answer = json.loads(done.stdout)
        assert {entry["owner"]["name"] for entry in answer["left_out"]} >= {
            "lab-rules",
            "lab-newer",
        }
        assert sum("cannot be read" in entry["reason"] for entry in answer["left_out"]) == 2


class TestTwoOfOneName:
    @pytest.fixture(autouse=True)
    def two(self, site: Path) -> None:
        install(site, "lab-one", DOWN.format(name="down"))
        install(site, "lab-two", DOWN.format(name="down"))

    def test_a_study_without_the_name_runs(self, launch: Command, site: Path, study: Path) -> None:
        done = launch("search", study.name, "--dry-run", cwd=study.parent, path=site)
        assert done.returncode == 0, done.stderr

    def test_a_study_with_it_names_both_owners(
        self, launch: Command, site: Path, study: Path
    ) -> None:
        study.write_text(STUDY.replace('"sgd"', '"down"'), encoding="utf-8")
        done = launch("search", study.name, "--dry-run", cwd=study.parent, path=site)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"error: {study}:11: search.optimizer[1]: two optimizers are called 'down': one of "
            "lab-one 1.2 (entry point lab-one), one of lab-two 1.2 (entry point lab-two); rename "
            'one, or disable one: [plugins] disabled = ["lab-two"]\n'
        )

    def test_what_the_error_advises_helps(self, launch: Command, site: Path, study: Path) -> None:
        text = STUDY.replace('"sgd"', '"down"') + '[plugins]\ndisabled = ["lab-two"]\n'
        study.write_text(text, encoding="utf-8")
        done = launch("search", study.name, "--json", cwd=study.parent, path=site)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["trials"]["failed"] == 0


def test_results_are_shown_without_the_plugin_that_made_them(
    launch: Command, site: Path, study: Path
) -> None:
    study.write_text(STUDY.replace('"sgd"', '"down"'), encoding="utf-8")
    done = launch("ui", study.name, cwd=study.parent)
    assert done.returncode == 2
    assert "MLflow has no results" in done.stderr


def test_a_file_of_the_environment_is_left_out_as_well(
    launch: Command, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (study.parent / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    monkeypatch.setenv("TUNEKIT_PLUGINS", f"broken.py{os.pathsep}gone.py")
    done = launch("search", study.name, "--dry-run", cwd=study.parent)
    assert done.returncode == 0
    assert f"left out: {study.parent / 'broken.py'}: ZeroDivisionError" in done.stderr
    assert f"left out: {study.parent / 'gone.py'}: cannot read this plugin file" in done.stderr
    done = launch("search", study.name, "--plugin", "broken.py", "--dry-run", cwd=study.parent)
    assert done.returncode == 2


def test_a_file_in_the_place_of_a_built_in_is_told(launch: Command, study: Path) -> None:
    (study.parent / "mine.py").write_text(DOWN.format(name="sgd"), encoding="utf-8")
    done = launch("search", study.name, "--plugin", "mine.py", "--dry-run", cwd=study.parent)
    assert done.returncode == 0
    assert (
        done.stderr == f"optimizer 'sgd' is that of {study.parent / 'mine.py'}, not tunekit's own\n"
    )
