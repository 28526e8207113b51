"""The best trial of a search as a model: what it says of the test rows is the test score."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

from tunekit.data.options import DataOptions
from tunekit.data.sources import load_table
from tunekit.data.splits import split_rows
from tunekit.data.targets import read_target
from tunekit.errors import ComponentError
from tunekit.model import Model
from tunekit.records import StudyResult
from tunekit.search.launch import make_engine
from tunekit.search.recalled_study import recalled
from tunekit.search.replay import recorded_trial
from tunekit.search.run import run_search
from tunekit.search.setting import Setting
from tunekit.search.units import Outcome
from tunekit.search.winner import key_of, unit_of, winner

Make = Callable[..., Setting]

SCHEDULE_FREE = Path(__file__).parents[2] / "plugins/tunekit-schedule-free/tunekit_schedule_free.py"
AVERAGING = (f"plugins.files=['{SCHEDULE_FREE}']", "search.optimizer=schedule_free_adamw")
QUICK = ("study.trials=3", "study.finalists=1")


def score_of(model: Model, setting: Setting) -> float:
    """What the study's metric makes of the model's predictions for the test rows as they came."""
    study = setting.study
    options = DataOptions(**study.data.model_dump(), meant_task=study.meant_task)
    table = load_table(options, setting.registry, study.folder, file=None)
    target = read_target(table.target, setting.problem.task, options.targets)
    rows = target.rows[split_rows(target, options, study.seed).test]
    told = model.predict({name: values[rows] for name, values in table.columns.items()})
    metric, truth = setting.metric(), table.target[rows]
    (values,) = told.values.values()
    if metric.needs == "values":
        return metric.score(truth[:, None].astype(float), values[:, None], None)
    if metric.needs == "labels":
        return metric.score(truth, values, None)
    classes = np.array([model.classes.index(str(label)) for label in truth])
    return metric.score(classes, np.column_stack(list(told.probabilities.values())), None)


def as_bytes(model: Model) -> tuple[bytes, bytes]:
    return model.parameters.tobytes(), model.statistics.tobytes()


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ("data.source=sklearn:diabetes", "study.metric=rmse"),
        ("study.metric=log_loss", "train.patience=1", "train.epochs=12"),
        ("study.workers=1", "network.normalization=batch", *AVERAGING),
    ],
)
def test_its_score_on_the_test_rows_is_that_of_the_first_fresh_seed(
    make: Make, changes: tuple[str, ...]
) -> None:
    setting = make("", *QUICK, *changes)
    result = run_search(setting).result
    model = winner(setting, result)
    assert result.test is not None
    assert score_of(model, setting) == result.test.per_seed[0]
    assert model.provenance["test"] == result.test.per_seed[0]


def test_from_the_record_alone_it_is_the_same(make: Make, tmp_path: Path) -> None:
    (tmp_path / "bent.py").write_text(PLUGIN)
    more = '[plugins]\nfiles = ["bent.py"]\n'
    setting = make(more, *QUICK, "search.activation=bent", "network.normalization=batch")
    searched = run_search(setting).result
    model = winner(setting, searched)
    (tmp_path / "bent.py").unlink()
    known = recalled(setting.study)
    assert known is not None
    result = known[1]
    assert result.best is not None
    assert key_of(result) == key_of(searched)
    again, _ = recorded_trial(dataclasses.replace(setting.study, seed=99), result.best.number)
    recovered = winner(again, result)
    assert as_bytes(recovered) == as_bytes(model)
    assert recovered.provenance == model.provenance
    recovered.save(tmp_path / "model")
    assert as_bytes(Model.load(tmp_path / "model")) == as_bytes(model)


def test_from_a_checkpoint_nothing_is_trained(make: Make, tmp_path: Path) -> None:
    setting = make("", *QUICK, "network.normalization=batch")
    result = run_search(setting).result
    engine = make_engine(setting, tmp_path / "data")
    engine.submit(0, unit_of(setting, result))
    arrived = engine.wait()
    engine.close()
    assert arrived is not None
    assert isinstance(arrived[1], Outcome)
    with pytest.raises(AttributeError):  # it is closed
        winner(setting, result, engine=object())  # type: ignore[arg-type]
    model = winner(setting, result, engine=object(), checkpoint=arrived[1].checkpoint)  # type: ignore[arg-type]
    assert as_bytes(model) == as_bytes(winner(setting, result))


@pytest.mark.parametrize("patience", [0, 2])
def test_without_a_final_it_is_trained_as_long_as_its_own_curves_say(
    make: Make, patience: int
) -> None:
    changes = ("study.finalists=0", f"train.patience={patience}", "train.epochs=9")
    setting = make("", *QUICK, *changes, "data.repeats=3")
    result = run_search(setting).result
    assert result.best is not None
    expected = 9
    if patience:
        scores = [curve.metrics["val_accuracy"][1:] for curve in result.best.curves]
        expected = max(values.index(max(values)) + 1 for values in scores)
    assert unit_of(setting, result).until == expected
    model = winner(setting, result)
    assert model.provenance["epochs"] == expected
    assert model.provenance["test"] is None


def test_without_a_test_split_it_is_trained_on_all_rows(make: Make) -> None:
    setting = make("", *QUICK, "data.test=0")
    result = run_search(setting).result
    assert result.test is None
    model = winner(setting, result)
    assert model.provenance["rows"] == 150
    iris = load_iris()
    told = model.predict(dict(zip(iris.feature_names, iris.data.T, strict=True)))
    assert (told.values["y"] == iris.target_names[iris.target]).mean() > 0.5


def test_a_matrix_of_numbers_is_predicted_by_the_names_of_its_columns(make: Make) -> None:
    setting = make("", "study.trials=1", "data.source=sklearn:digits")
    model = winner(setting, run_search(setting).result)
    digits = load_digits()
    told = model.predict(dict(zip(digits.feature_names, digits.data.T, strict=True)))
    assert model.labels == tuple(range(10))
    assert (told.values["y"] == digits.target).mean() > 0.5


def test_it_knows_where_it_comes_from(make: Make) -> None:
    setting = make("", *QUICK)
    result = run_search(setting).result
    model = winner(setting, result)
    assert result.best is not None
    known = {**model.provenance}
    for name in ("seed", "data_digest", "tunekit", "numpy", "python"):
        assert known[name] == setting.provenance()[name]
    assert (known["study"], known["trial"]) == ("small", result.best.number)
    assert known["validation"] == result.finalists[0].mean
    assert model.configuration == {**result.best.configuration, "epochs": known["epochs"]}


def test_a_training_that_fails_says_so(make: Make) -> None:
    setting = make("", *QUICK)
    result = run_search(setting).result
    assert result.best is not None
    best = dataclasses.replace(
        result.best, configuration={**result.best.configuration, "activation": "gone"}
    )
    broken: StudyResult = dataclasses.replace(result, best=best)
    with pytest.raises(ComponentError, match="could not be trained again: no activation is called"):
        winner(setting, broken)


PLUGIN = '''
from tunekit import Activation, hookimpl


class Bent(Activation):
    """Steeper above 0."""

    name = "bent"

    def forward(self, z):
        return z * (1.0 + (z > 0)).astype(z.dtype)

    def backward(self, da, z, a):
        return da * (1.0 + (z > 0)).astype(z.dtype)


@hookimpl
def tunekit_activations():
    return [Bent]
'''
