"""Wrong input ends with exit code 2 and a sentence that helps; nothing is written."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]

STUDY = """\
[study]
trials = 2
workers = 0
metric = "rmse"

[data]
source = "houses.csv"
target = "price"
folds = 2

[train]
epochs = 2
batch_size = 4

[network]
width = { low = 4, high = 8 }

[search]
optimizer = ["adam", "sgd"]
activation = "relu"
schedule = "cosine"
regularizers = ["dropout"]

[space.optimizer.adam]
lr = { low = 1e-3, high = 1e-1, log = true }

[sampler]
name = "tpe"

[pruner]
name = "median"

[plugins]
files = ["rule.py"]
"""

ROWS = "".join(f"{30 + 7 * i},{i % 3},{100.5 + 11 * i}\n" for i in range(20))
HOUSES = "area,floors,price\n" + ROWS

RULE = """\
from tunekit import Optimizer, hookimpl


class Rule(Optimizer):
    name = "rule"
    lr: float = 0.1

    def direction(self, w, g, state, step):
        return g


@hookimpl
def tunekit_optimizers():
    return [Rule]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study in which nothing is wrong yet."""
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "houses.csv").write_text(HOUSES)
    (tmp_path / "rule.py").write_text(RULE)
    return tmp_path


def content(folder: Path) -> dict[Path, bytes]:
    """Every file in the folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(tunekit: Command, folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a command that must refuse its input, for people and as JSON; returns the error."""
    before = content(folder)
    for_people = tunekit(*arguments)
    assert for_people.returncode == 2
    assert for_people.stdout == ""
    done = tunekit(*arguments, "--json")
    assert done.returncode == 2
    printed = json.loads(done.stdout)
    assert list(printed) == ["error"]
    error: dict[str, Any] = printed["error"]
    assert set(error) == {"message", "file", "key"}
    for told in (for_people.stderr, done.stderr):
        assert "Traceback" not in told
        assert told.count("\n") == 1
        assert all(part in told for part in error.values() if part is not None)
    assert content(folder) == before
    return error


def test_the_study_of_these_tests_is_right(tunekit: Command, folder: Path) -> None:
    done = tunekit("search", "study.toml", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")


# What is replaced in the study file, with what; the key, and what the message must say.
IN_THE_STUDY = {
    "table": ("[train]", "[trian]", "trian", "Did you mean 'train'?"),
    "key": ("trials", "trails", "study.trails", "Did you mean 'trials'?"),
    "key outside of all tables": ("[study]", "seed = 1\n[study]", "seed", "[study] seed"),
    "key of another table": ("epochs = 2", "folds = 2", "train.folds", "[data] folds"),
    "optimizer": ('"adam", ', '"adm", ', "search.optimizer[0]", "Did you mean 'adam'?"),
    "activation": ('"relu"', '"rellu"', "search.activation", "Did you mean 'relu'?"),
    "schedule": ('"cosine"', '"cosin"', "search.schedule", "Did you mean 'cosine'?"),
    "regularizer": ("dropout", "dropuot", "search.regularizers[0]", "'dropout'?"),
    "initializer": ("[search]", '[search]\ninitializer = "he"', "search.initializer", "he_normal"),
    "loss": ("[search]", '[search]\nloss = "square_error"', "search.loss", "'squared_error'?"),
    "metric": ('"rmse"', '"rsme"', "study.metric", "Did you mean 'rmse'?"),
    "sampler": ('"tpe"', '"tpee"', "sampler.name", "Did you mean 'tpe'?"),
    "pruner": ('"median"', '"mediam"', "pruner.name", "Did you mean 'median'?"),
    "option of another pruner": (
        '"median"',
        '"median"\nmin_epochs = 2',
        "pruner.min_epochs",
        "'wa",
    ),
    "hyperparameter": ("lr = {", "beta3 = {", "space.optimizer.adam.beta3", "'beta"),
    "hyperparameters of a component that is not chosen": (
        *("[space.optimizer.adam]", "[space.optimizer.adamw]"),
        *("space.optimizer.adamw", "Did you mean 'adam'?"),
    ),
    "hyperparameters of no component": (
        *("[space.optimizer.adam]", "[space.optimizer.adamm]"),
        *("space.optimizer.adamm", "Did you mean 'adam'?"),
    ),
    "range upside down": (
        *("low = 1e-3, high", "low = 1, high"),
        *("space.optimizer.adam.lr", "low = 1 is greater than high = 0.1; expected low <= high"),
    ),
    "log scale from 0": ("1e-3", "0", "space.optimizer.adam.lr", "needs low > 0"),
    "range below what makes sense": ("low = 4", "low = -4", "network.width.low", "1 or more"),
    "range with a wrong key": ("high = 8", "hihg = 8", "network.width.hihg", "mean 'high'?"),
    "half a range": (", high = 8", "", "network.width", "no 'high'"),
    "range of texts": ('"relu"', '{ low = "a" }', "search.activation", "expected a name (text)"),
    "range of epochs": ("epochs = 2", "epochs = { low = 1, high = 2 }", "train.epochs", "a list"),
    "no choice": ('["adam", "sgd"]', "[]", "search.optimizer", "at least one optimizer"),
    "no trials": ("trials = 2", "trials = 0", "study.trials", "expected 1 or more, got 0"),
    "text for a number": ("trials = 2", 'trials = "2"', "study.trials", "expected a whole number"),
    "number for a text": ('"price"', "3", "data.target", "expected a text, got 3"),
    "share above 1": ("folds = 2", "test = 1.5", "data.test", "expected less than 1, got 1.5"),
    "two kinds of validation": ("folds", "validation = 0.2\nfolds", "data.validation", "not both"),
    "timeout": ("[study]", '[study]\ntimeout = "soon"', "study.timeout", '"10m"'),
    "record": ("[study]", '[study]\nstorage = "my.db"', "study.storage", "sqlite:///optuna.db"),
    "database": ("[study]", '[study]\nstorage = "sqlit:///a"', "study.storage", "sqlit"),
    "plugin file": ("rule.py", "rul.py", "plugins.files[0]", "Did you mean 'rule.py'?"),
    "no data": ('source = "houses.csv"\n', "", "data.source", "the study names no data"),
    "data file": ("houses.csv", "house.csv", "data.source", "Did you mean 'houses.csv'?"),
    "folder of the data": ("houses.csv", "data/houses.csv", "data.source", "no folder"),
    "format": ("houses.csv", "rule.py", "data.source", "expected a .csv or .parquet file"),
    "data set": ("houses.csv", "spiral", "data.source", "Did you mean 'spirals'?"),
    "data set of scikit-learn": (
        *('houses.csv"\ntarget = "price"', 'sklearn:digit"'),
        *("data.source", "Did you mean 'digits'?"),
    ),
    "data set of OpenML": ("houses.csv", "openml:iris", "data.source", "openml: and a number"),
    "target": ('"price"', '"prize"', "data.target", "Did you mean 'price'?"),
    "no target": ('target = "price"\n', "", "data.target", "area, floors, price"),
    "more folds than rows": ("folds = 2", "folds = 50", "data.folds", "50"),
    "metric of another task": ('"rmse"', '"accuracy"', "study.metric", "classification"),
}


@pytest.mark.parametrize("case", IN_THE_STUDY)
def test_what_is_wrong_in_the_study_file_is_named(
    case: str, tunekit: Command, folder: Path
) -> None:
    old, new, key, told = IN_THE_STUDY[case]
    assert old in STUDY
    path = folder / "study.toml"
    path.write_text(STUDY.replace(old, new, 1))
    error = refused(tunekit, folder, "search", "study.toml")
    assert error["file"] == str(path)
    assert error["key"] == key
    assert told in error["message"]


def test_the_line_is_named(tunekit: Command, folder: Path) -> None:
    (folder / "study.toml").write_text(STUDY.replace("epochs", "epoch"))
    line = STUDY.splitlines().index("epochs = 2") + 1
    assert f"study.toml:{line}: train.epoch: " in tunekit("search", "study.toml").stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"[study", "this is not valid TOML"),
        (b"", "the study names no data"),
        (b"\xff\xfe[study]", "not text in UTF-8"),
        (b"a = 1\na = 2", "this is not valid TOML"),
    ],
)
def test_a_malformed_study_file(text: bytes, told: str, tunekit: Command, folder: Path) -> None:
    (folder / "study.toml").write_bytes(text)
    error = refused(tunekit, folder, "search", "study.toml")
    assert error["file"] == str(folder / "study.toml")
    assert told in error["message"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("studdy.toml", "Did you mean 'study.toml'?"),
        ("elsewhere/study.toml", "its folder does not exist either"),
        (".", "cannot read this file"),
        ("houses.csv", "this is not valid TOML"),
    ],
)
@pytest.mark.parametrize("command", ["search", "train"])
def test_a_missing_study_file(
    command: str, name: str, told: str, tunekit: Command, folder: Path
) -> None:
    error = refused(tunekit, folder, command, name)
    assert error["file"] == str((folder / name).absolute())
    assert told in error["message"]


# The data file's content; the key, and what the message must say.
IN_THE_DATA: dict[str, tuple[bytes, str | None, str]] = {
    "empty": (b"", None, "the file is empty"),
    "header only": (b"area,floors,price\n", None, "no rows"),
    "semicolons": (HOUSES.replace(",", ";").encode(), None, "expected commas"),
    "binary": (b"\x89PNG\r\n\x1a\n\xff\xfe\xfd", None, "not UTF-8 text"),
    "two columns of a name": (HOUSES.replace("floors", "area").encode(), "column 'area'", "rename"),
    "rows longer than the header": (HOUSES.replace(",0,", ",0,0,0,").encode(), None, "3"),
    "target never there": (
        b"area,price\n" + b"1,\n" * 9,
        "column 'price'",
        "all 9 values are missing",
    ),
    "target of texts": (
        b"area,price\n" + b"1,cheap\n2,dear\n" * 9,
        "study.metric",
        "the data are for classification",
    ),
}


@pytest.mark.parametrize("case", IN_THE_DATA)
def test_what_is_wrong_in_the_data_is_named(case: str, tunekit: Command, folder: Path) -> None:
    text, key, told = IN_THE_DATA[case]
    (folder / "houses.csv").write_bytes(text)
    error = refused(tunekit, folder, "search", "study.toml")
    is_about_study = key is not None and key.startswith("study.")
    assert error["file"] == (str(folder / "study.toml") if is_about_study else "houses.csv")
    assert error["key"] == key
    assert told in error["message"]


def test_a_broken_parquet_file(tunekit: Command, folder: Path) -> None:
    (folder / "houses.parquet").write_bytes(b"PAR1 and then nothing")
    (folder / "study.toml").write_text(STUDY.replace("houses.csv", "houses.parquet"))
    error = refused(tunekit, folder, "search", "study.toml")
    assert error["file"] == "houses.parquet"
    assert "not a valid Parquet file" in error["message"]


def test_a_folder_in_place_of_a_data_file(tunekit: Command, folder: Path) -> None:
    (folder / "houses.csv").unlink()
    (folder / "houses.csv").mkdir()
    error = refused(tunekit, folder, "search", "study.toml")
    assert (error["file"], error["key"]) == (str(folder / "study.toml"), "data.source")
    assert "is a folder" in error["message"]


# The plugin file, and what the message must say.
PLUGINS = {
    "raises": (b"x = 1\nraise RuntimeError('out of ideas')\n", "RuntimeError: out of ideas"),
    "no Python": (b"class Rule(:\n", "not valid Python"),
    "imports what is not there": (b"import no_such_module\n", "No module named 'no_such_module'"),
    "leaves": (b"raise SystemExit(0)\n", "SystemExit"),
    "no text": (b"\xff\xfe\x00", "cannot read this plugin file"),
    "no hook": (b"x = 1\n", "implements no hook"),
    "unknown hook": (RULE.replace("_optimizers", "_optimisers").encode(), "'tunekit_optimizers'?"),
    "hook raises": (RULE.replace("[Rule]", "[Rule, 1 / 0]").encode(), "ZeroDivisionError"),
    "no list": (RULE.replace("[Rule]", "Rule").encode(), "must return a list"),
    "no class": (RULE.replace("[Rule]", "[3]").encode(), "Optimizer classes"),
    "no formula": (RULE.replace("direction", "directoin").encode(), "does not define direction"),
    "bad name": (RULE.replace('"rule"', '"My Rule"').encode(), "lower-case letters"),
    "bad default": (RULE.replace("0.1", "[1]").encode(), "lr"),
}


@pytest.mark.parametrize("case", PLUGINS)
@pytest.mark.parametrize("option", [False, True], ids=["in the study", "--plugin"])
def test_what_is_wrong_with_a_plugin_file_is_named(
    case: str, option: bool, tunekit: Command, folder: Path
) -> None:
    text, told = PLUGINS[case]
    (folder / "rule.py").write_bytes(text)
    arguments = ["study.toml"]
    if option:
        (folder / "study.toml").write_text(STUDY.replace('"rule.py"', ""))
        arguments += ["--plugin", "rule.py"]
    error = refused(tunekit, folder, "search", *arguments)
    assert error["file"] == str(folder / "rule.py")
    assert told in error["message"]


# Options; what the message calls the place and the key, and what it must say.
OPTIONS: dict[str, tuple[list[str], str, str | None, str]] = {
    "key": (["--set", "train.epoch=5"], "--set", "train.epoch", "Did you mean 'train.epochs'?"),
    "no value": (["--set", "train.epochs"], "--set", None, "expected KEY=VALUE"),
    "value": (["--set", "train.epochs=many"], "--set", "train.epochs", "a whole number"),
    "component": (["--set", "search.optimizer=adm"], "--set", "search.optimizer", "'adam'?"),
    "hyperparameter": (
        ["--set", "space.optimizer.adam.bta1=0.9"],
        *("--set", "space.optimizer.adam.bta1", "Did you mean 'beta1'?"),
    ),
    "trials": (["--trials", "0"], "--trials", "study.trials", "1 or more"),
    "timeout": (["--timeout", "soon"], "--timeout", "study.timeout", '"10m"'),
    "workers": (["--workers", "-1"], "--workers", "study.workers", "0 or more"),
    "plugin": (["--plugin", "no.py"], "no.py", None, "No such file"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_what_is_wrong_with_an_option_is_named(case: str, tunekit: Command, folder: Path) -> None:
    options, place, key, told = OPTIONS[case]
    error = refused(tunekit, folder, "search", "study.toml", *options)
    assert error["file"] is not None
    assert error["file"].endswith(place)
    assert error["key"] == key
    assert told in error["message"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["search"], "STUDY.toml"),
        (["search", "study.toml", "--trials", "x"], "--trials"),
        (["search", "study.toml", "--dryrun"], "--dryrun"),
        (["search", "study.toml", "more.toml"], "more.toml"),
    ],
)
def test_an_option_that_does_not_exist_is_an_error_like_others(
    arguments: list[str], told: str, tunekit: Command, folder: Path
) -> None:
    done = tunekit(*arguments, "--json")
    assert done.returncode == 2
    assert set(json.loads(done.stdout)["error"]) == {"message", "file", "key"}
    assert told in done.stderr
    assert tunekit(*arguments).stdout == ""


def test_an_unknown_command_is_led_to_the_right_one(tunekit: Command) -> None:
    done = tunekit("serch")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'search'?" in done.stderr


@pytest.mark.parametrize(("name", "nearest"), [("adm", "'adam'"), ("optimizer.adm", "'adam'")])
def test_an_unknown_component_is_led_to_the_right_one(
    name: str, nearest: str, tunekit: Command, tmp_path: Path
) -> None:
    error = refused(tunekit, tmp_path, "plugins", name)
    assert f"Did you mean {nearest}?" in error["message"]


def test_a_recorded_trial_takes_no_other_plugin(tunekit: Command, folder: Path) -> None:
    error = refused(tunekit, folder, "train", "study.toml", "--trial", "0", "--plugin", "rule.py")
    assert "--plugin and --trial exclude each other" in error["message"]


def test_a_trial_that_was_never_recorded(tunekit: Command, folder: Path) -> None:
    error = refused(tunekit, folder, "train", "study.toml", "--trial", "7")
    assert (error["file"], error["key"]) == (str(folder / "study.toml"), "--trial")
    assert "no trial 7" in error["message"]


@pytest.mark.parametrize(
    ("file", "text", "place"),
    [
        ("study.toml", STUDY.replace("trials", "trails"), "study.toml:2: study.trails: "),
        ("houses.csv", "", "houses.csv: "),
        ("rule.py", "raise RuntimeError('out of ideas')", "rule.py:1: "),
    ],
)
def test_the_same_as_a_process_of_its_own(
    file: str, text: str, place: str, launch: Command, folder: Path
) -> None:
    (folder / file).write_text(text)
    before = content(folder)
    done = launch("search", "study.toml", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert place in done.stderr
    assert "Traceback" not in done.stderr
    assert content(folder) == before
