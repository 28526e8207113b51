"""``tunekit plugins NAME``: one component in detail."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunekit import __version__
from tunekit.cli.plugins import facts
from tunekit.components import KINDS, Component
from tunekit.plugins import BUILTIN as OWNER
from tunekit.plugins import load
from tunekit.space import domain_from, show
from tunekit.study.study import load_study

Command = Callable[..., subprocess.CompletedProcess[str]]

REGISTRY = load(entry_points=False)
BUILTIN = [(kind, name) for kind in KINDS for name in REGISTRY.names(kind)]


def component(kind: str, name: str) -> type[Component]:
    return REGISTRY.find(KINDS[kind], name)


def words(text: str) -> str:
    """A text without its line breaks."""
    return " ".join(text.split())


def shown(tunekit: Command, *arguments: str) -> dict[str, Any]:
    """The only component that ``--json`` prints."""
    done = tunekit("plugins", *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    [found] = json.loads(done.stdout)["components"]
    return dict(found)


@pytest.mark.parametrize(("kind", "name"), BUILTIN, ids=".".join)
def test_every_component_has_its_documentation_hyperparameters_and_source(
    kind: str, name: str, tunekit: Command
) -> None:
    done = tunekit("plugins", f"{kind}.{name}")
    assert (done.returncode, done.stderr) == (0, "")
    cls = component(kind, name)
    assert done.stdout.startswith(f"{name}  {kind}, from tunekit {__version__}\n")
    assert words(inspect.cleandoc(cls.__doc__ or "")) in words(done.stdout)
    for h in cls.hyperparameters().values():
        assert f"{h.name} {show(h.default)} {h.search or 'no'} " in words(done.stdout)
    code = facts.source(cls)
    assert code is not None
    assert f"{code.file}:{code.line}" in done.stdout or Path(code.file).name in done.stdout
    assert "cannot be drawn" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_a_name_alone_is_enough(tunekit: Command) -> None:
    assert tunekit("plugins", "adam").stdout == tunekit("plugins", "optimizer.adam").stdout
    adam = shown(tunekit, "adam")
    assert (adam["kind"], adam["name"]) == ("optimizer", "adam")


def test_a_name_of_two_kinds_shows_both(tunekit: Command, tmp_path: Path, mine: Path) -> None:
    mine.write_text(mine.read_text().replace('name = "mine"', 'name = "adam"'))
    done = tunekit("plugins", "adam", "--plugin", "mine.py")
    assert done.stdout.startswith("adam  optimizer, ")
    assert "\n\nadam  activation, from mine.py " in done.stdout


def test_json_has_paper_owner_ranges_and_source(tunekit: Command) -> None:
    adam = shown(tunekit, "adam")
    assert adam["paper"] == {
        "text": "Kingma and Ba, 2015, arXiv:1412.6980",
        "url": "https://arxiv.org/abs/1412.6980",
    }
    assert adam["owner"] == {
        "name": "tunekit",
        "version": __version__,
        "origin": "tunekit",
        "entry_point": "",
    }
    assert adam["traits"] == {
        "scope": "elementwise",
        "slots": ["m", "v"],
        "evaluates_elsewhere": False,
    }
    assert adam["hyperparameters"][0] == {
        "name": "lr",
        "type": "float",
        "default": 0.001,
        "searched": "0.0001 to 0.1, log scale",
        "search": {"low": 0.0001, "high": 0.1, "log": True, "step": None},
        "min": 0.0,
        "max": None,
        "choices": None,
    }
    [shape] = [h for h in shown(tunekit, "trapezoid")["hyperparameters"] if h["name"] == "shape"]
    assert shape["search"] == {"choices": ["linear", "sqrt"]}
    file = Path(adam["source"]["file"])
    assert file.read_text().splitlines()[adam["source"]["line"] - 1] == "class Adam(Optimizer):"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("lamb", "scope tensor: a matrix or a vector at a time"),
        ("adam", "slots m, v"),
        ("prelu", "learns one parameter for each unit"),
        ("plateau", "asked once an epoch"),
        ("dropout", "acts on_hidden"),
        ("ema", "acts on_step, evaluation_weights"),
        ("huber", "tasks regression"),
        ("cross_entropy", "targets one-hot"),
        ("roc_auc", "needs probabilities"),
        ("rmse", "better smaller"),
    ],
)
def test_what_a_class_declares_is_said(name: str, line: str, tunekit: Command) -> None:
    lines = [words(written) for written in tunekit("plugins", name).stdout.splitlines()]
    assert line in lines


def test_a_plugin_of_a_file_says_how_a_study_loads_it(tunekit: Command, mine: Path) -> None:
    done = tunekit("plugins", "mine", "--plugin", "mine.py")
    assert done.stdout.startswith("mine  activation, from mine.py ")
    assert "Goes from [low] to [/high] (me, 2024)." in done.stdout
    assert "slope 0.3 0.1 to 0.9 0 or more" in words(done.stdout)
    assert "source  mine.py:4 " in done.stdout
    study = tomllib.loads(done.stdout.partition("In a study:\n")[2])
    assert study == {
        "search": {"activation": "mine"},
        "space": {"activation": {"mine": {"slope": {"low": 0.1, "high": 0.9}}}},
        "plugins": {"files": ["mine.py"]},
    }


def test_the_source_is_shown_when_asked_for(tunekit: Command, mine: Path) -> None:
    arguments = ("plugins", "mine", "--plugin", "mine.py")
    assert "return self.slope * z" not in tunekit(*arguments).stdout
    code = mine.read_text().partition("class ")[2].partition("\n\n\n@hookimpl")[0]
    assert tunekit(*arguments, "--source").stdout.endswith(f"class {code}\n\n")


@pytest.mark.parametrize("option", [["--source"], ["-o", "x.svg"]])
def test_source_and_picture_are_of_one_component(option: list[str], tunekit: Command) -> None:
    for name in ([], ["schedule"]):
        done = tunekit("plugins", *name, *option)
        assert done.returncode == 2
        assert f"{option[0]} is about one component" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_page_says_of_a_study_is_a_study(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    for name in REGISTRY.names(kind):
        text = facts.in_a_study(component(kind, name), OWNER)
        more = "" if "[data]" in text else '\n\n[data]\nsource = "sklearn:iris"'
        file.write_text(f"{text}{more}\n")
        study, _ = load_study(file)
        assert name in text
        assert study.file == str(file)


@pytest.mark.parametrize(
    ("kind", "name", "first"),
    [
        ("schedule", "cyclic", "cycles"),
        ("activation", "snake", "initial"),
        ("optimizer", "adam", "lr"),
    ],
)
def test_the_range_on_the_page_is_the_one_that_is_searched(
    kind: str, name: str, first: str
) -> None:
    cls = component(kind, name)
    written = tomllib.loads(facts.in_a_study(cls, OWNER))["space"][kind][name]
    declared = cls.hyperparameters()[first]
    assert (
        domain_from(written[first], dataclasses.replace(declared, search=None)) == declared.search
    )


def test_a_terminal_shows_colours_and_no_marks_of_code(
    tunekit: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = tunekit("plugins", "gelu", "--source").stdout
    assert "\x1b[36mf(z) = z Phi(z)\x1b[0m, where" in shown
    assert "https://arxiv.org/abs/1606.08415\x1b" in shown
    assert "\x1b[32m" in shown
