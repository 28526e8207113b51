"""``tunekit new``: a plugin to start from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

import tunekit as package
from tunekit.components import KINDS
from tunekit.plugins import load

Command = Callable[..., subprocess.CompletedProcess[str]]

QUICK = """
[study]
trials = 3
workers = 0
finalists = 1
final_seeds = 1
{study}
[train]
epochs = 4
batch_size = 32
"""


def blocks(text: str) -> str:
    """The study in what a command prints or a file begins with: what is indented below its line."""
    study = text.partition("STUDY.toml")[2].partition("\n\n")[2]
    lines = study.partition('"""')[0].splitlines()
    return "\n".join(line.strip() for line in lines).strip()


def quick(study: str) -> str:
    """A study in few trials and epochs."""
    named, separator, metric = study.partition("[study]\n")
    mine, _, rest = metric.partition("\n\n")
    return QUICK.format(study=mine if separator else "") + named + rest


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_a_file_is_written_and_found(self, kind: str, tunekit: Command, tmp_path: Path) -> None:
        done = tunekit("new", kind, "my_rule")
        assert (done.returncode, done.stderr) == (0, "")
        assert [path.name for path in tmp_path.iterdir()] == ["my_rule.py"]
        assert "my_rule" in load(["my_rule.py"], entry_points=False).names(kind)

    def test_it_takes_part_in_a_search(self, kind: str, tunekit: Command, searched: Path) -> None:
        study = blocks(tunekit("new", kind, "my_rule").stdout)
        assert study == blocks((searched / "my_rule.py").read_text())
        (searched / "first.toml").write_text(quick(study))
        done = tunekit("search", "first.toml", "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["trials"]["complete"] == 3
        if kind in ("metric", "dataset"):
            assert "my_rule" in (found["metric"], tomllib.loads(study)["data"]["source"])
        else:
            record = optuna.load_study(
                study_name="first", storage=f"sqlite:///{searched / 'optuna.db'}"
            )
            tried = [trial.params for trial in record.trials]
            assert any(
                params.get(kind) == "my_rule" or params.get(f"{kind}.my_rule") for params in tried
            )


class TestFile:
    def test_it_is_written_where_it_is_wanted(self, tunekit: Command, tmp_path: Path) -> None:
        (tmp_path / "my rules").mkdir()
        done = tunekit("new", "schedule", "my_rule", "-o", "my rules")
        assert (tmp_path / "my rules" / "my_rule.py").is_file()
        # What is printed can be pasted.
        assert "  tunekit check 'my rules/my_rule.py'\n" in done.stdout
        assert "  tunekit plugins my_rule --plugin 'my rules/my_rule.py'\n" in done.stdout
        assert '  files = ["my rules/my_rule.py"]\n' in done.stdout

    def test_nothing_is_overwritten(self, tunekit: Command, tmp_path: Path) -> None:
        (tmp_path / "my_rule.py").write_text("precious")
        done = tunekit("new", "schedule", "my_rule")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: my_rule.py: this is there already")
        assert (tmp_path / "my_rule.py").read_text() == "precious"

    @pytest.mark.parametrize(
        ("name", "class_name"),
        [
            ("nag2_decayed", "Nag2Decayed"),
            ("x__y_", "XY"),
            ("optimizer", "MyOptimizer"),
            ("array", "MyArray"),
            ("true", "MyTrue"),
            ("warning", "MyWarning"),
            ("test_rule", "MyTestRule"),
        ],
    )
    def test_the_class_is_named_after_it_and_hides_nothing(
        self, name: str, class_name: str, tunekit: Command
    ) -> None:
        # A package, since some of these names are those of modules, too.
        assert tunekit("new", "optimizer", name, "--package").returncode == 0
        file = "-".join(["tunekit", *name.strip("_").split("__")]).replace("_", "-")
        cls = load([f"{file}/tunekit_{name}.py"], entry_points=False)
        assert cls.find(KINDS["optimizer"], name).__name__ == class_name


WRONG = {
    "an unknown kind": (["optimiser", "my_rule"], "Did you mean 'optimizer'?"),
    "a kind in the plural": (["losses", "my_rule"], "Did you mean 'loss'?"),
    "hyphens and capitals": (["optimizer", "My-Rule"], "Did you mean 'my_rule'?"),
    "a class name": (["optimizer", "MyRule2"], "Did you mean 'my_rule2'?"),
    "a leading digit": (["optimizer", "2fast"], "Did you mean 'fast'?"),
    "other letters": (["optimizer", "Größe"], "Did you mean 'groe'?"),
    "nothing of use": (["optimizer", "42"], "Did you mean 'my_rule'?"),
    "a file name": (["optimizer", "rule.py"], "Did you mean 'rule_py'?"),
    "a keyword": (["optimizer", "lambda"], "Did you mean 'my_lambda'?"),
    "nearly a keyword": (["optimizer", "Lambda"], "Did you mean 'my_lambda'?"),
    "a built-in component": (
        ["optimizer", "adam"],
        "adam: an optimizer of this name is there already, from tunekit built in",
    ),
    "a module of Python": (["activation", "random"], "would hide the Python module"),
    "an installed module": (["activation", "numpy"], "would hide the Python module"),
    "no such folder": (["activation", "my_rule", "-o", "away"], "-o away: there is no such folder"),
    "a file as folder": (["activation", "my_rule", "-o", "a.txt"], "-o a.txt: this is no folder"),
    "too long a name": (["activation", "a" * 300], "cannot write this: File name too long"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_and_nothing_is_written(
    arguments: list[str], message: str, tunekit: Command, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").touch()
    done = tunekit("new", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_name_that_another_plugin_has_is_told_with_its_owner(
    tunekit: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tunekit("new", "activation", "my_rule").returncode == 0
    monkeypatch.setenv("TUNEKIT_PLUGINS", "my_rule.py")
    done = tunekit("new", "activation", "my_rule")
    assert done.returncode == 2
    assert "an activation of this name is there already, from " in done.stderr
    assert "my_rule.py" in done.stderr
    # Names belong to their kind.
    assert tunekit("new", "schedule", "my_rule", "--package").returncode == 0


class TestPackage:
    def test_nothing_is_overwritten(self, tunekit: Command, tmp_path: Path) -> None:
        (tmp_path / "tunekit-my-rule").mkdir()
        done = tunekit("new", "loss", "my_rule", "--package")
        assert done.returncode == 2
        assert done.stderr.startswith("error: tunekit-my-rule: this is there already")
        assert not list((tmp_path / "tunekit-my-rule").iterdir())

    def test_what_was_written_is_told(self, tunekit: Command, tmp_path: Path) -> None:
        done = tunekit("new", "loss", "my_rule", "--package")
        written = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
        assert written == {
            line.strip()
            for line in done.stdout.splitlines()
            if line.startswith("  tunekit-my-rule/")
        }
        assert "  cd tunekit-my-rule\n" in done.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, launch: Command) -> Path:
    """The folder of a new package."""
    folder = tmp_path_factory.mktemp("written")
    done = launch("new", "optimizer", "my_rule", "--package", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "tunekit-my-rule"


@pytest.fixture(scope="module")
def installed(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where that package is installed, as pip does it."""
    site = tmp_path_factory.mktemp("site")
    python("pip", "install", "--no-deps", "--no-build-isolation", "--target", site, cwd=written)
    return site


def python(module: str, *arguments: object, cwd: Path, path: Path | None = None) -> str:
    """What a Python module prints that must end well."""
    options = ["--quiet", "--disable-pip-version-check", "."] if module == "pip" else []
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments), *options],
        cwd=cwd,
        env=os.environ | ({"PYTHONPATH": str(path)} if path else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class TestInstalledPackage:
    def test_it_is_found_by_its_entry_point(
        self, installed: Path, launch: Command, tmp_path: Path
    ) -> None:
        done = launch("plugins", "my_rule", "--json", cwd=tmp_path, path=installed)
        [component] = json.loads(done.stdout)["components"]
        owner = component["owner"]
        assert (component["kind"], component["name"]) == ("optimizer", "my_rule")
        assert (owner["name"], owner["version"]) == ("tunekit-my-rule", "0.1.0")

    def test_it_holds_the_module_and_nothing_else(self, installed: Path) -> None:
        names = {path.name for path in installed.iterdir() if path.name != "__pycache__"}
        assert names == {"tunekit_my_rule.py", "tunekit_my_rule-0.1.0.dist-info"}

    def test_it_needs_this_tunekit_or_a_newer_one(self, installed: Path) -> None:
        metadata = (installed / "tunekit_my_rule-0.1.0.dist-info" / "METADATA").read_text()
        assert f"Requires-Dist: tunekit>={package.__version__}\n" in metadata

    def test_its_own_tests_pass(self, written: Path, installed: Path) -> None:
        told = python("pytest", "-p", "no:cacheprovider", cwd=written, path=installed)
        assert "passed" in told
        assert not {"skipped", "xfailed", "warning"} & set(told.replace(",", "").split())

    def test_the_linter_finds_nothing(self, written: Path) -> None:
        python("ruff", "check", "--isolated", "--no-cache", ".", cwd=written)
        python("ruff", "format", "--check", "--isolated", "--no-cache", ".", cwd=written)

    def test_the_study_of_its_readme_trains_it(
        self, written: Path, installed: Path, launch: Command, tmp_path: Path
    ) -> None:
        study = (written / "README.md").read_text().partition("```toml\n")[2].partition("```")[0]
        (tmp_path / "study.toml").write_text(quick(study))
        more = ["--json", "--set", "search.optimizer=my_rule"]
        done = launch("train", "study.toml", *more, cwd=tmp_path, path=installed)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["configuration"]["optimizer.my_rule.lr"] == 0.3
