from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunekit.components import Optimizer
from tunekit.errors import InputError, PluginError, StudyError
from tunekit.space import Choices, Fixed, Interval
from tunekit.study.study import Study, for_task, load_study

Write = Callable[..., Path]

EXAMPLE = """\
[study]
name = "digits"
metric = "accuracy"              # on validation data; the metric knows its own direction
trials = 60                      # and/or timeout = "10m"
seed = 0
workers = 2

[data]
source = "sklearn:digits"        # or "houses.csv", "openml:40996", or a plugin's dataset
# target = "price"
test = 0.2                       # set aside until the end
folds = 3                        # or validation = 0.25; repeats = 2 adds seeds

[train]
epochs = 40
batch_size = [32, 64, 128]
patience = 8
warmup = 0.0

[network]
depth = { low = 1, high = 3 }
width = { low = 16, high = 256, log = true }     # or hidden = ["64", "128-64"]
normalization = ["none", "batch"]

[search]
optimizer    = ["sgd", "adam", "lion"]
activation   = ["relu", "gelu", "tanh"]
schedule     = ["constant", "cosine", "one_cycle"]
regularizers = ["l2", "dropout"]                 # each is searched on or off
initializer  = "he_normal"

[space.optimizer.sgd]
lr = { low = 1e-3, high = 1.0, log = true }
nesterov = true

[sampler]
name = "tpe"

[pruner]
name = "hyperband"

[plugins]
files = ["my_optimizer.py"]

[mlflow]
tracking_uri = "sqlite:///mlflow.db"
experiment = "digits"
"""

LION = '''\
import numpy as np
from tunekit import Float, Optimizer, hookimpl


class Lion(Optimizer):
    """Follow the sign of an interpolated momentum (Chen et al., 2023, arXiv:2302.06675)."""

    name = "lion"
    slots = ("m",)
    lr: float = Float(1e-4, low=1e-5, high=1e-2, log=True)
    beta1: float = Float(0.9, low=0.8, high=0.99)
    beta2: float = Float(0.99, low=0.9, high=0.999)

    def direction(self, w, g, state, step):
        m = state["m"]
        update = np.sign(self.beta1 * m + (1 - self.beta1) * g)
        state["m"] = self.beta2 * m + (1 - self.beta2) * g
        return update


@hookimpl
def tunekit_optimizers():
    return [Lion]
'''


@pytest.fixture
def example(tmp_path: Path) -> Path:
    (tmp_path / "my_optimizer.py").write_text(LION)
    path = tmp_path / "digits.toml"
    path.write_text(EXAMPLE)
    return path


def load(path: Path, **overrides: Any) -> Study:
    return load_study(path, **overrides)[0]


def refused(path: Path, **overrides: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        load_study(path, **overrides)
    return caught.value


def test_the_documented_study_resolves_as_documented(example: Path) -> None:
    folder = example.parent
    study, registry = load_study(example)
    assert (study.name, study.metric, study.trials, study.timeout) == (
        "digits",
        "accuracy",
        60,
        None,
    )
    assert (study.seed, study.workers, study.finalists, study.final_seeds) == (0, 2, 3, 3)
    assert (study.file, study.folder, study.text) == (str(example), folder, EXAMPLE)
    assert vars(study.data) == {
        "source": "sklearn:digits",
        "target": None,
        "test": 0.2,
        "folds": 3,
        "validation": None,
        "repeats": 1,
        "task": None,
        "weight": None,
    }
    assert (study.sampler, study.sampler_options) == ("tpe", {})
    assert (study.pruner, study.pruner_options) == ("hyperband", {})
    assert study.storage == f"sqlite:///{folder}/optuna.db"
    assert study.tracking_uri == f"sqlite:///{folder}/mlflow.db"
    assert study.artifact_root == str(folder / "mlartifacts")
    assert study.experiment == "digits"
    assert [file.path for file in study.plugin_files] == [str(folder / "my_optimizer.py")]
    assert study.plugin_files == registry.files


def test_the_documented_space_resolves_as_documented(example: Path) -> None:
    study, registry = load_study(example)
    space = for_task(study, registry, "classification").space
    domains = {parameter.name: parameter.domain for parameter in space.parameters}
    expected = {
        "optimizer": Choices(("adam", "lion", "sgd")),
        "optimizer.sgd.lr": Interval(1e-3, 1.0, log=True),
        "optimizer.sgd.nesterov": Fixed(True),
        # The plugin's, which has taken the built-in's place.
        "optimizer.lion.lr": Interval(1e-5, 1e-2, log=True),
        "optimizer.lion.beta2": Interval(0.9, 0.999),
        "activation": Choices(("gelu", "relu", "tanh")),
        "schedule": Choices(("constant", "cosine", "one_cycle")),
        "regularizer.l2": Choices((False, True)),
        "regularizer.dropout": Choices((False, True)),
        "initializer": Fixed("he_normal"),
        "loss": Fixed("cross_entropy"),
        "network.depth": Interval(1, 3, integer=True),
        "network.width": Interval(16, 256, log=True, integer=True),
        "network.normalization": Choices(("batch", "none")),
        "epochs": Fixed(40),
        "batch_size": Choices((32, 64, 128)),
        "patience": Fixed(8),
        "warmup": Fixed(0.0),
        "dtype": Fixed("float32"),
    }
    assert {name: domains[name] for name in expected} == expected
    assert "optimizer.lion.weight_decay" not in domains
    kinds = ("optimizer", "activation", "schedule", "regularizer.l2", "batch_size")
    assert [tuple(c[kind] for kind in kinds) for c in space.defaults()] == [
        ("sgd", "relu", "constant", False, 32),
        ("adam", "gelu", "cosine", True, 64),
        ("lion", "tanh", "one_cycle", False, 128),
    ]


def test_a_study_needs_no_more_than_data(write: Any, tmp_path: Path) -> None:
    study, registry = load_study(write())
    assert (study.name, study.experiment, study.metric) == ("study", "study", "")
    assert (study.trials, study.timeout, study.seed, study.workers) == (50, None, 0, 1)
    assert (study.data.validation, study.data.folds, study.data.test) == (0.25, None, 0.2)
    assert (study.sampler, study.pruner) == ("tpe", "none")
    assert study.storage == f"sqlite:///{tmp_path}/optuna.db"
    assert study.tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert for_task(study, registry, "regression").metric == "rmse"
    assert for_task(study, registry, "classification").metric == "accuracy"
    assert for_task(study, registry, "multilabel").metric == "micro_f1"


def test_a_study_ends_by_trials_or_by_time(write: Any) -> None:
    timed = write('[study]\ntimeout = "1h30m"\n')
    assert (load(timed).trials, load(timed).timeout) == (None, 5400)
    assert load(timed, timeout=10).timeout == 10
    assert load(timed, trials=7).trials == 7
    plain = write()
    assert (load(plain, timeout="10m").trials, load(plain, timeout="10m").timeout) == (None, 600)
    assert load(plain, workers=0).workers == 0
    error = refused(write("[study]\ntimeout = '10 minutes'\n"))
    assert (error.key, error.line) == ("study.timeout", 4)
    assert error.message == (
        'expected a duration such as "10m", "90s" or "1h30m", or a number of seconds, '
        "got '10 minutes'"
    )


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"trials": 0}, "--trials: study.trials: expected 1 or more, got 0"),
        ({"workers": -1}, "--workers: study.workers: expected 0 or more, got -1"),
        ({"timeout": "0s"}, "--timeout: study.timeout: expected a duration above 0, got '0s'"),
        (
            {"set_": ["train.epochs=0"]},
            "--set: train.epochs: expected 1 or more, got 0",
        ),
        (
            {"set_": ["space.optimizer.sgd.lr.low=2"]},
            "--set: space.optimizer.sgd.lr: low = 2 is greater than high = 1; expected low <= high",
        ),
        (
            {"set_": ["search.optimizer=sgdd"]},
            "--set: search.optimizer: no optimizer is called 'sgdd'. Did you mean 'sgd'?",
        ),
        (
            {"set_": ["spce.optimizer.sgd.lr=1"]},
            "--set: spce.optimizer.sgd.lr: there is no such key. Did you mean 'space.optimizer'?",
        ),
    ],
)
def test_what_the_command_line_got_wrong_names_its_option(
    example: Path, overrides: dict[str, Any], told: str
) -> None:
    assert str(refused(example, **overrides)) == told


def test_assignments_change_what_the_file_says(example: Path) -> None:
    study = load(
        example,
        set_=["train.epochs=[5, 10]", "study.trials=3", "space.optimizer.sgd.lr.low=1e-2"],
    )
    domains = {parameter.name: parameter.domain for parameter in study.space.parameters}
    assert study.trials == 3
    assert domains["epochs"] == Choices((5, 10))
    assert domains["optimizer.sgd.lr"] == Interval(1e-2, 1.0, log=True)
    assert study.text == EXAMPLE


def test_errors_of_the_file_name_file_line_and_key(example: Path) -> None:
    example.write_text(EXAMPLE.replace('"gelu"', '"gellu"'))
    assert str(refused(example)) == (
        f"{example}:27: search.activation[1]: no activation is called 'gellu'. Did you mean 'gelu'?"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[study]\nmetric = 'acuracy'",
            "4: study.metric: no metric is called 'acuracy'. Did you mean 'accuracy'?",
        ),
        (
            "[sampler]\npoints = 3",
            "4: sampler.points: the sampler 'tpe' has no such option. Known: startup_trials.",
        ),
        (
            "[pruner]\nmin_epochs = 3",
            "4: pruner.min_epochs: the pruner 'none' has no such option. There is none to choose "
            "from.",
        ),
        (
            "[pruner]\nname = 'hyperband'\nmin_epochs = 41",
            "5: pruner.min_epochs: expected at most the epochs of the longest trial, 40, got 41",
        ),
        (
            "[study]\nstorage = 'optuna.db'",
            '4: study.storage: expected an address such as "sqlite:///optuna.db", got '
            "'optuna.db'",
        ),
        (
            "[mlflow]\ntracking_uri = 'mlruns'",
            '4: mlflow.tracking_uri: expected an address such as "sqlite:///mlflow.db" or '
            "\"http://localhost:5000\", got 'mlruns'",
        ),
        (
            "folds = 3\nvalidation = 0.5",
            "4: data.validation: give either folds or validation, not both",
        ),
    ],
)
def test_what_does_not_fit_together_is_told(write: Any, text: str, told: str) -> None:
    path = write(text)
    assert str(refused(path)) == f"{path}:{told}"


def test_options_of_samplers_and_pruners_are_kept(write: Any) -> None:
    study = load(
        write(
            "[sampler]\nname = 'grid'\npoints = 4\n"
            "[pruner]\nname = 'median'\nstartup_trials = 0\nwarmup_epochs = 2\n"
        )
    )
    assert (study.sampler, study.sampler_options) == ("grid", {"points": 4})
    assert (study.pruner, study.pruner_options) == (
        "median",
        {"startup_trials": 0, "warmup_epochs": 2},
    )
    longest = "[train]\nepochs = [10, 30]\n[pruner]\nname = 'hyperband'\nmin_epochs = 30\n"
    assert load(write(longest)).pruner_options == {"min_epochs": 30}


def test_components_must_fit_the_task(write: Any) -> None:
    path = write("[study]\nmetric = 'rmse'\n[search]\nloss = 'squared_error'\n")
    study, registry = load_study(path)
    assert for_task(study, registry, "regression").space == study.space
    with pytest.raises(StudyError) as caught:
        for_task(study, registry, "classification")
    assert str(caught.value) == (
        f"{path}:4: study.metric: the metric 'rmse' is for regression, but the data are for "
        "classification"
    )


def test_addresses_lie_beside_the_study_file_unless_they_are_absolute(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        "[study]\nstorage = 'postgresql://host/x'\n[mlflow]\ntracking_uri = 'sqlite:///a/m.db'\n"
    )
    monkeypatch.chdir("/")
    study = load(Path(os.path.relpath(path)))
    assert (study.folder, study.file) == (tmp_path, str(path))
    assert study.storage == "postgresql://host/x"
    assert study.tracking_uri == f"sqlite:///{tmp_path}/a/m.db"
    assert study.artifact_root == str(tmp_path / "a" / "mlartifacts")


def test_the_file_comes_before_the_environment(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    study = load(write())
    assert (study.tracking_uri, study.artifact_root) == ("http://tracking:5000", None)
    named = write("[mlflow]\ntracking_uri = 'sqlite:///m.db'\n")
    assert load(named).tracking_uri == f"sqlite:///{tmp_path}/m.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mlruns")
    assert str(refused(write())).startswith("MLFLOW_TRACKING_URI: expected an address such as")


def test_the_best_network_is_registered_where_the_file_asks_for_it(write: Write) -> None:
    asked = '[mlflow]\nregister = "flowers"\n'
    study, _ = load_study(write(asked))
    assert study.register == "flowers"
    with pytest.raises(StudyError, match="expected a name without / and :, got 'my/flowers'"):
        load_study(write(asked.replace("flowers", "my/flowers")))


def test_plugins_come_from_the_file_the_environment_and_the_command_line(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three", "four"):
        text = LION.replace('"lion"', f'"{name}"')
        (tmp_path / f"{name}.py").write_text(text)
    path = write("[plugins]\nfiles = ['one.py']\n[search]\noptimizer = ['one', 'two', 'four']\n")
    monkeypatch.setenv("TUNEKIT_PLUGINS", f"{tmp_path / 'two.py'}{os.pathsep}three.py")
    monkeypatch.chdir(tmp_path)
    study, registry = load_study(path, plugins=["four.py", "one.py"])
    names = [Path(file.path).name for file in study.plugin_files]
    assert names == ["one.py", "four.py", "two.py", "three.py"]
    assert all(Path(file.path).is_absolute() for file in study.plugin_files)
    assert registry.find(Optimizer, "three")


def test_a_missing_plugin_file_leads_to_the_nearest_one(example: Path) -> None:
    example.write_text(EXAMPLE.replace("my_optimizer.py", "my_optimiser.py"))
    error = refused(example)
    assert isinstance(error, StudyError)
    assert (error.key, error.line) == ("plugins.files[0]", 43)
    wrong = example.parent / "my_optimiser.py"
    assert error.message == f"there is no file {wrong}. Did you mean 'my_optimizer.py'?"
    elsewhere = refused(example, set_=["plugins.files=['nowhere/x.py']"])
    assert str(elsewhere) == (
        f"--set: plugins.files[0]: there is no file {example.parent / 'nowhere' / 'x.py'}."
    )


def test_a_broken_plugin_is_told_before_the_components_that_it_would_bring(example: Path) -> None:
    broken = example.parent / "my_optimizer.py"
    broken.write_text(LION + "\n1 / 0\n")
    example.write_text(EXAMPLE.replace('"lion"', '"unknown"'))
    error = refused(example)
    assert isinstance(error, PluginError)
    assert (error.file, error.line) == (str(broken), len(LION.splitlines()) + 2)


def test_unknown_keys_are_told_before_plugins_are_loaded(example: Path) -> None:
    (example.parent / "my_optimizer.py").unlink()
    example.write_text(EXAMPLE.replace("seed =", "sed ="))
    assert str(refused(example)) == (f"{example}:5: study.sed: unknown key. Did you mean 'seed'?")


@pytest.mark.parametrize("target", ["price", ["price"], ["price", "area"]])
def test_the_target_is_a_column_or_a_list_of_columns(write: Write, target: Any) -> None:
    path = write(f"target = {target!r}\nweight = 'importance'\ntask = 'regression'\n")
    study = load(path)
    assert study.data.target == target
    assert study.data.weight == "importance"


@pytest.mark.parametrize(
    ("target", "key", "told"),
    [
        ("3", "data.target", "expected a text, got 3"),
        ("''", "data.target", "expected a text that is not empty, got ''"),
        ("[]", "data.target", "expected at least one column, got []"),
        ("['a', 3]", "data.target[1]", "expected a text, got 3"),
        ("['a', '']", "data.target[1]", "expected a text that is not empty, got ''"),
        ("['a', 'b', 'a']", "data.target[2]", "the column 'a' is in this list twice"),
        ("{ a = 1 }", "data.target", "expected a text, got {'a': 1}"),
    ],
)
def test_a_target_that_names_no_columns_is_an_error(
    write: Write, target: str, key: str, told: str
) -> None:
    error = refused(write(f"target = {target}\n"))
    assert (error.key, error.line, error.message) == (key, 3, told)


def test_a_target_may_be_set_from_the_command_line(write: Write) -> None:
    assert load(write(), set_=["data.target=['a', 'b']"]).data.target == ["a", "b"]
    assert refused(write(), set_=["data.target=[]"]).file == "--set"


def test_a_batch_of_more_rows_than_there_are_is_told(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    def told(train: str, rows: int) -> list[str]:
        caplog.clear()
        study, registry = load_study(write(f"[train]\n{train}"))
        with caplog.at_level(logging.WARNING, "tunekit"):
            for_task(study, registry, "classification", rows)
        return caplog.messages

    words = (
        "train.batch_size: 512 is more than the 100 rows to train on; such a batch holds them all"
    )
    assert told("batch_size = 512", 100) == [words]
    assert told("batch_size = [32, 512, 64]", 100) == [words]
    assert told("batch_size = { low = 8, high = 512 }", 100) == [words]
    assert told("batch_size = 100", 100) == []
    assert told("", 10) == []  # nobody chose the default
