"""``tunekit schema``: what editors complete and check study files by."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

Command = Callable[..., subprocess.CompletedProcess[str]]

RULE = '''\
from tunekit import Float, Optimizer, hookimpl

print("loaded")


class Rule(Optimizer):
    """Step along the gradient (me, 2024)."""

    name = "my_rule"
    lr: float = Float(0.1, low=0.01, high=1.0, log=True)

    def direction(self, w, g, state, step):
        return g


@hookimpl
def tunekit_optimizers():
    return [Rule]
'''
STUDY = '[data]\nsource = "sklearn:iris"\n[search]\noptimizer = "my_rule"\n'


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "rule.py"
    path.write_text(RULE)
    return path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The rule as a distribution, and one that is broken."""
    site = tmp_path / "site"
    for name, code in (("mine", RULE), ("broken", "1 / 0\n")):
        info = site / f"tunekit_{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: tunekit-{name}\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text(f"[tunekit]\n{name} = tunekit_{name}\n")
        (site / f"tunekit_{name}.py").write_text(code)
    monkeypatch.syspath_prepend(site)
    return site


def schema(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def optimizers(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The optimizers that a schema offers, with their descriptions."""
    names = schema(done)["definitions"]["optimizer"]
    return dict(zip(names["enum"], names["x-taplo"]["docs"]["enumValues"], strict=True))


def test_it_prints_a_schema_and_nothing_else(tunekit: Command) -> None:
    done = tunekit("schema")
    assert done.stderr == ""
    Draft7Validator.check_schema(schema(done))
    assert "adam" in optimizers(done)


def test_a_studys_own_plugins_are_known(tunekit: Command, tmp_path: Path, rule: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(STUDY + '[plugins]\nfiles = ["rule.py"]\n')
    done = tunekit("schema", "study.toml")
    validator = Draft7Validator(schema(done))
    assert validator.is_valid(tomllib.loads(study.read_text()))
    assert not validator.is_valid(tomllib.loads(STUDY.replace("my_rule", "my_role")))
    assert optimizers(done)["my_rule"].startswith("Step along the gradient (me, 2024). From ")


def test_plugins_of_the_environment_and_the_command_line_are_known(
    tunekit: Command, rule: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "my_rule" not in optimizers(tunekit("schema"))
    assert "my_rule" in optimizers(tunekit("schema", "--plugin", "rule.py"))
    monkeypatch.setenv("TUNEKIT_PLUGINS", str(rule))
    assert "my_rule" in optimizers(tunekit("schema"))


def test_what_a_plugin_prints_is_no_part_of_the_schema(tunekit: Command, rule: Path) -> None:
    rule.write_text(RULE.replace("loaded", "loaded for the first time"))
    done = tunekit("schema", "--plugin", "rule.py")
    assert "my_rule" in optimizers(done)
    assert done.stderr == "loaded for the first time\n"


def test_installed_plugins_are_known_unless_disabled_or_broken(
    tunekit: Command, tmp_path: Path, installed: Path
) -> None:
    done = tunekit("schema")
    assert optimizers(done)["my_rule"].endswith("From tunekit-mine 1.0.")
    assert "left out: tunekit-broken 1.0" in done.stderr
    (tmp_path / "study.toml").write_text('[plugins]\ndisabled = ["mine", "broken"]\n')
    done = tunekit("schema", "study.toml")
    assert "my_rule" not in optimizers(done)
    assert done.stderr == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "trials = 0\nsearch = 5\n[study]\nmetric = 5\nnothing = 1",
        "plugins = 5",
        "[plugins]\nfiles = 'rule.py'\ndisabled = 5",
        "[plugins]\nfiles = [5, { }]",
    ],
)
def test_a_wrong_study_still_gets_its_schema(tunekit: Command, tmp_path: Path, text: str) -> None:
    (tmp_path / "study.toml").write_text(text)
    done = tunekit("schema", "study.toml")
    assert not Draft7Validator(schema(done)).is_valid(tomllib.loads(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[study", "study.toml:1: this is not valid TOML"),
        ('[plugins]\nfiles = ["rul.py"]', "study.toml:2: plugins.files[0]: there is no file"),
        ('[plugins]\nfiles = ["wrong.py"]', "wrong.py:1: "),
    ],
)
def test_a_study_that_cannot_be_read_is_an_error(
    tunekit: Command, tmp_path: Path, rule: Path, text: str, expected: str
) -> None:
    (tmp_path / "study.toml").write_text(text)
    (tmp_path / "wrong.py").write_text("1 / 0\n")
    done = tunekit("schema", "study.toml", "-o", "out.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr
    assert not (tmp_path / "out.json").exists()


def test_a_missing_study_is_an_error(tunekit: Command) -> None:
    done = tunekit("schema", "study.toml")
    assert done.returncode == 2
    assert "there is no such file" in done.stderr


@pytest.mark.parametrize(
    ("study", "output", "line"),
    [
        (None, "study.schema.json", "#:schema ./study.schema.json"),
        ("study.toml", "study.schema.json", "#:schema ./study.schema.json"),
        ("study.toml", "schemas/study.json", "#:schema ./schemas/study.json"),
        ("studies/a.toml", "schemas/study.json", "#:schema ../schemas/study.json"),
        ("study.toml", "my study.json", "#:schema ./my%20study.json"),
    ],
)
def test_a_file_comes_with_the_line_that_leads_to_it(
    tunekit: Command, tmp_path: Path, study: str | None, output: str, line: str
) -> None:
    for folder in ("schemas", "studies"):
        (tmp_path / folder).mkdir()
    if study is not None:
        (tmp_path / study).write_text("")
    done = tunekit("schema", *([] if study is None else [study]), "-o", output)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == line
    written = (tmp_path / output).read_text()
    assert written == tunekit("schema").stdout


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("missing/out.json", "there is no folder missing; make it first"),
        ("folder", "this is a folder; expected a file's name"),
        ("study.toml", "this is the study file itself"),
        pytest.param(
            "/dev/full",
            "cannot be written: ",
            marks=pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full"),
        ),
    ],
)
def test_where_no_file_can_be_written_is_an_error(
    tunekit: Command, tmp_path: Path, output: str, expected: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "study.toml").write_text(STUDY)
    done = tunekit("schema", "study.toml", "-o", output)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: -o {output}: {expected}" in done.stderr
    assert (tmp_path / "study.toml").read_text() == STUDY
