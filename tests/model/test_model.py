"""A model predicts what its run was scored for, before it is saved and after."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from tunekit.errors import DataError
from tunekit.model import Model, Predictions
from tunekit.nn.training import score_on
from tunekit.plugins import PluginFile

if TYPE_CHECKING:
    from tests.model.conftest import Changes, Train, Trained

Array = npt.NDArray[Any]
SCHEDULE_FREE = Path(__file__).parents[2] / "plugins/tunekit-schedule-free/tunekit_schedule_free.py"

FAMILIES: dict[str, tuple[str, Changes]] = {
    "classes": ("texts", {}),
    "classes that are numbers": ("numbers", {}),
    "batch normalization": ("texts", {"network.normalization": "batch"}),
    "layer normalization": ("texts", {"network.normalization": "layer"}),
    "rms normalization": ("texts", {"network.normalization": "rms"}),
    "learned slopes": ("texts", {"activation": "prelu"}),
    "an activation with a value": ("texts", {"activation": "elu", "activation.elu.alpha": 0.3}),
    "residual": ("texts", {"network.residual": True, "network.hidden": "5-5-5"}),
    "input scaling": ("texts", {"network.input_scaling": True}),
    "no hidden layer": ("texts", {"network.hidden": "none"}),
    "float64": ("texts", {"dtype": "float64"}),
    "balanced": ("texts", {"class_weights": "balanced"}),
    "averaged weights": ("texts", {"regularizer.ema": True}),
    "averaged weights, batch normalization": (
        "texts",
        {"regularizer.swa": True, "network.normalization": "batch"},
    ),
    "the best epoch": ("texts", {"patience": 2, "epochs": 30, "optimizer.adam.lr": 0.3}),
    "dropout": ("texts", {"regularizer.dropout": True}),
    "diverged": ("texts", {"optimizer": "sgd", "optimizer.sgd.lr": 1e30, "activation": "relu"}),
    "two classes, two outputs": ("flags", {}),
    "two classes, one output": ("flags", {"loss": "binary_cross_entropy"}),
    "labels": ("labels", {"loss": "multilabel_cross_entropy"}),
    "values": ("values", {"loss": "squared_error"}),
    "values, a loss with a value": ("values", {"loss": "huber", "loss.huber.delta": 0.7}),
    "several values": ("several", {"loss": "absolute_error"}),
    "counts": ("counts", {"loss": "poisson"}),
}


def as_predicted(predictions: Predictions, trained: Trained) -> Array:
    """What the run's metric is given, from what the model says."""
    metric = trained.run.recipe.metric
    if metric.needs == "probabilities":
        return np.column_stack(list(predictions.probabilities.values()))
    if metric.needs == "labels" and trained.model.task == "classification":
        indices = {label: index for index, label in enumerate(trained.model.labels)}
        (values,) = predictions.values.values()
        return np.array([indices[value] for value in values.tolist()])
    return np.column_stack(list(predictions.values.values()))


def as_bytes(predictions: Predictions) -> dict[str, bytes | list[str]]:
    return {
        name: values.tolist() if values.dtype == object else values.tobytes()
        for name, values in predictions.columns.items()
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_every_network_predicts_what_it_was_scored_for_and_comes_back_to_the_bit(
    family: str, train: Train, tmp_path: Path
) -> None:
    trained = train(*FAMILIES[family])
    final, model, run = trained.problem.final, trained.model, trained.run
    assert (run.checkpoint.status == "diverged") == (family == "diverged")
    told = model.predict(trained.rows)
    score = run.recipe.metric.score(
        final.target_validation.reshape(len(final.target_validation), -1)
        if run.recipe.metric.needs == "values"
        else final.target_validation,
        as_predicted(told, trained),
        final.weight_validation,
    )
    assert score == score_on(
        run, final.x_validation, final.target_validation, final.weight_validation
    )
    model.save(tmp_path / "model")
    again = Model.load(tmp_path / "model")
    assert as_bytes(again.predict(trained.rows)) == as_bytes(told)
    again.save(tmp_path / "again")
    for name in ("model.json", "network.npz"):
        first, second = (tmp_path / folder / name for folder in ("model", "again"))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_the_weights_are_those_at_which_an_optimizer_is_evaluated(
    normalization: str, train: Train, tmp_path: Path
) -> None:
    changes = {
        "optimizer": "schedule_free_adamw",
        "metric": "log_loss",
        "network.normalization": normalization,
    }
    trained = train("flags", changes, files=[PluginFile.read(SCHEDULE_FREE)])
    assert trained.model.parameters.tobytes() != trained.run.checkpoint.weights.tobytes()
    final = trained.problem.final
    expected = score_on(
        trained.run, final.x_validation, final.target_validation, final.weight_validation
    )
    trained.model.save(tmp_path / "model")
    model = Model.load(tmp_path / "model")
    assert model.plugins == (), "only training needs it"
    predicted = as_predicted(model.predict(trained.rows), trained)
    metric = trained.run.recipe.metric
    assert metric.score(final.target_validation, predicted, final.weight_validation) == expected


def test_classes_come_back_as_they_were_in_the_data(train: Train) -> None:
    flags = train("flags").model
    assert flags.labels == (False, True)
    assert flags.classes == ("False", "True")
    assert flags.predict(flags.example).values["y"].dtype == bool
    numbers = train("numbers").model
    assert numbers.labels == (0, 10, 20)
    assert numbers.predict(numbers.example).values["y"].dtype == int


def test_probabilities_are_told_by_class(plain: Trained) -> None:
    told = plain.model.predict(plain.rows)
    assert tuple(told.probabilities) == ("low", "mid", "top")
    matrix = np.column_stack(list(told.probabilities.values()))
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-6)
    best = np.array(["low", "mid", "top"])[matrix.argmax(axis=1)]
    assert told.values["y"].tolist() == best.tolist()
    assert list(told.columns) == ["y", *(f"probability of {name}" for name in told.probabilities)]
    assert len(told) == len(plain.test)


def test_labels_are_0_or_1_and_several_may_hold(train: Train) -> None:
    trained = train("labels", {"loss": "multilabel_cross_entropy"})
    told = trained.model.predict(trained.rows)
    assert tuple(told.values) == tuple(told.probabilities) == trained.model.targets
    for name, values in told.values.items():
        assert values.tolist() == (told.probabilities[name] >= 0.5).astype(int).tolist()


def test_values_are_in_their_own_unit(train: Train) -> None:
    trained = train("several", {"loss": "squared_error", "epochs": 200})
    told = trained.model.predict(trained.rows)
    assert tuple(told.values) == ("y0", "y1")
    assert told.probabilities == {}
    truth = trained.problem.final.target_validation
    errors = np.abs(np.column_stack(list(told.values.values())) - truth).mean(axis=0)
    assert (errors < 0.6 * truth.std(axis=0)).all()


def test_it_says_what_it_needs(plain: Trained) -> None:
    assert plain.model.inputs == {"size": "number", "weight": "number", "city": "category"}
    assert set(plain.model.example) == set(plain.model.inputs)
    assert len(plain.model.predict(plain.model.example)) == 1


@pytest.mark.parametrize("form", ["lists", "frame", "arrow", "more columns"])
def test_columns_come_in_any_form(plain: Trained, form: str) -> None:
    rows: Any = {name: values.tolist() for name, values in plain.rows.items()}
    if form == "frame":
        rows = pd.DataFrame(rows)
    elif form == "arrow":
        rows = pd.DataFrame(rows).convert_dtypes()
    elif form == "more columns":
        rows["another"] = [object()] * len(plain.test)
    told = plain.model.predict(rows)
    assert as_bytes(told) == as_bytes(plain.model.predict(plain.rows))


@pytest.mark.parametrize("kind", ["texts", "labels", "values"])
def test_no_rows_give_no_predictions(train: Train, kind: str) -> None:
    loss = {"labels": "multilabel_cross_entropy", "values": "squared_error"}
    model = train(kind, {"loss": loss.get(kind, "cross_entropy")}).model
    told = model.predict({name: [] for name in model.inputs})
    assert {len(values) for values in told.columns.values()} == {0}


def test_what_was_never_seen_and_what_is_missing_is_predicted(plain: Trained) -> None:
    rows = {"size": [None, 1.0], "weight": [float("nan"), 2], "city": ["Atlantis", None]}
    assert len(plain.model.predict(rows)) == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"city": None}, "column 'city': this column is not there. Did you mean 'City'?"),
        ({"size": ["1", "many"]}, "column 'size', row 2: holds 'many'; expected numbers"),
        ({"size": [1.0, "many"]}, "column 'size', row 2: holds 'many'; expected numbers"),
        ({"size": [1.0]}, "has 2 rows, but column 'size' has 1; expected as many"),
        ({"size": 1.0}, "column 'size': is a single float; expected one value a row"),
        ({"weight": [1.0, float("inf")]}, "column 'weight', row 2: holds inf"),
        ({"weight": [1.0, 1e300]}, "column 'weight', row 2: 1e+300 is too far"),
        ({"city": [b"Rome", b"Oslo"]}, "column 'city'"),
    ],
)
def test_rows_that_it_cannot_predict_are_refused_by_column_and_row(
    plain: Trained, change: dict[str, Any], told: str
) -> None:
    rows: dict[str, Any] = {"size": [1.0, 2.0], "weight": [1.0, 2.0], "city": ["Rome", "Oslo"]}
    rows |= change
    if rows["city"] is None:
        rows["City"] = ["Rome", "Oslo"]
        del rows["city"]
    with pytest.raises(DataError) as refused:
        plain.model.predict(rows)
    assert told in str(refused.value)


def test_a_model_of_a_problem_without_a_test_split_knows_all_rows(train: Train) -> None:
    trained = train(test=0.0)
    assert len(trained.test) == 0
    assert len(trained.problem.final.x) == 120
    assert len(trained.model.predict(trained.model.example)) == 1


PROGRAM = """
import sys
from tunekit.model import Model
model = Model.load(sys.argv[1])
model.predict(model.example)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_predicting_needs_numpy_and_pluggy_only(plain: Trained, tmp_path: Path) -> None:
    plain.model.save(tmp_path / "model")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=True,
    )
    owners = packages_distributions()
    loaded = {owner for name in done.stdout.split() for owner in owners.get(name, [])}
    # Setuptools is there as soon as Python starts, where it is installed.
    assert loaded - {"setuptools", "tunekit"} == {"numpy", "pluggy"}
