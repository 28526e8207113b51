"""The command that searches a study again gives, typed into a shell, the same study."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tunekit.study.study import Study, load_study

Write = Callable[..., Path]

PLUGIN = """
from tunekit import Metric, hookimpl


class Mine(Metric):
    \"\"\"A metric.\"\"\"

    name = "mine"
    larger_is_better = True
    needs = "labels"
    tasks = ("classification",)

    def score(self, target, prediction, weight):
        return 0.0


@hookimpl
def tunekit_metrics():
    return [Mine]
"""


def typed(command: str) -> Study:
    """The study that a command stands for, as a shell takes it apart."""
    done = subprocess.run(
        f"for word in {command}; do printf '%s\\0' \"$word\"; done",
        shell=True,
        executable="/bin/sh",
        capture_output=True,
        text=True,
        check=True,
    )
    program, search, file, *options = done.stdout.rstrip("\0").split("\0")
    assert (program, search) == ("tunekit", "search")
    given: dict[str, list[str]] = {}
    for name, value in zip(options[::2], options[1::2], strict=True):
        given.setdefault(name, []).append(value)
    limits: dict[str, Any] = {
        name: convert(given.pop(f"--{name}")[0])
        for name, convert in {
            "trials": int,
            "timeout": str,
            "workers": int,
            "executor": str,
        }.items()
        if f"--{name}" in given
    }
    set_, plugins = given.pop("--set", []), given.pop("--plugin", [])
    assert not given
    return load_study(file, set_=set_, plugins=plugins, **limits)[0]


def same(path: Path, set_: Sequence[str] = (), **more: Any) -> Study:
    """See that the command gives the study that it comes from."""
    study, _ = load_study(path, set_=set_, **more)
    again = typed(study.command)
    assert again.document == study.document
    assert again.command == study.command
    assert (again.first, again.plugin_files) == (study.first, study.plugin_files)
    return study


def test_without_options_it_is_the_file_alone(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert same(write()).command == "tunekit search study.toml"


@pytest.mark.parametrize("name", ["my study.toml", "it's $HOME & co.toml", "-x.toml", 'ö ".toml'])
def test_any_name_of_a_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "else where").mkdir()
    monkeypatch.chdir(tmp_path / "else where")
    same(write(name=name))
    monkeypatch.chdir(tmp_path)
    assert not same(write(name=name)).command.startswith("tunekit search -")


@pytest.mark.parametrize(
    "change",
    [
        "study.seed=7",
        'study.name=it\'s a "name" with \\ and $HOME, `pwd`\t!',
        'study.name="true"',
        "study.name=' 7 '",
        "study.name=a\u0007b\u007fé\n日本",
        "train.warmup=1e-3",
        "train.epochs=[5, 10]",
        "data.target=['a b', \"c'd\"]",
        "network.width={ low = 4, high = 64, log = true }",
        "search.optimizer=['adam', 'sgd']",
        "search.regularizers=[]",
        "space.optimizer.adam.lr={ low = 1e-5, high = 1e-2 }",
        "space.optimizer={ adam = { lr = 0.5, beta1 = [0.8, 0.9] } }",
        'study.first=[{ "network.width" = 64 }, { optimizer.adam.lr = 1e-3 }]',
        'study.constraints=["parameters < 50_000", "1 <= log_loss"]',
        'study.metric=["accuracy", "parameters", "latency"]',
        "study.warm_start=another study.toml",
        "mlflow.tracking_uri=sqlite:///my store.db",
    ],
)
def test_any_change(write: Write, change: str) -> None:
    same(write("[network]\nwidth = [32, 64]\n"), [change])


def test_changes_of_a_table_and_of_a_key_inside_of_it(write: Write) -> None:
    table = "space.optimizer={ adam = { lr = 0.5 } }"
    same(write(), [table, "space.optimizer.adam.beta1=0.8"])
    same(write(), ["space.optimizer.adam.beta1=0.8", table])


def test_limits_are_options_of_their_own(write: Write) -> None:
    study = same(write(), trials=7, timeout="1h 30m", workers=0, executor="dask://host:8786")
    assert "--trials 7 --timeout '1h 30m' --workers 0 --executor dask://host:8786" in study.command


def test_plugin_files_of_the_command_line(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my metric.py").write_text(PLUGIN)
    study = same(write(), ["study.metric=mine"], plugins=["my metric.py"])
    assert study.command.endswith("--plugin 'my metric.py'")


def test_changes_from_python_are_changes_of_the_command_line(write: Write) -> None:
    changes = {"train.warmup": 0.25, "search.optimizer": ["sgd"], "network.residual": True}
    study = same(write(), changes=changes)
    assert shlex.split(study.command)[3:] == [
        *("--set", "train.warmup=0.25"),
        *("--set", 'search.optimizer=["sgd"]'),
        *("--set", "network.residual=true"),
    ]
    assert os.path.basename(shlex.split(study.command)[2]) == "study.toml"
