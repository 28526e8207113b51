from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunekit.data.options import DataOptions
from tunekit.data.prepare import prepare
from tunekit.data.preprocessing import Preprocessing
from tunekit.data.sources import load_table
from tunekit.data.splits import split_rows
from tunekit.data.targets import read_target
from tunekit.errors import DataError
from tunekit.plugins import load
from tunekit.records import Fold, Problem, Table

EXAMPLES = Path(__file__).parents[2] / "examples"
PENGUINS = DataOptions("penguins.csv", "species", folds=4)


def penguins() -> Table:
    return load_table(PENGUINS, load(entry_points=False), EXAMPLES, file=None)


def toy(**changes: Any) -> Table:
    rng = np.random.default_rng(0)
    table = Table(
        {
            "a": np.where(rng.random(60) < 0.1, np.nan, rng.normal(size=60)),
            "b": rng.choice(["x", "y", "z"], 60),
        },
        rng.normal(size=60),
        "toy",
    )
    return replace(table, **changes)


def prepared(table: Table, *, seed: int = 0, dtype: str = "float32", **given: Any) -> Problem:
    names = "y" if np.ndim(np.asarray(table.target, object)) < 2 else None
    return prepare(table, DataOptions("toy.csv", names, **given), seed=seed, dtype=dtype)


def error(table: Table, **given: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        prepared(table, **given)
    return caught.value


def training_part(fold: Fold) -> list[Any]:
    return [fold.x.tolist(), fold.target.tolist()]


def test_penguins_become_a_problem() -> None:
    problem = prepare(penguins(), PENGUINS, seed=0)
    assert problem.task == "classification"
    assert problem.classes == ("Adelie", "Chinstrap", "Gentoo")
    assert (problem.name, problem.rows, problem.outputs) == ("penguins", 344, 3)
    assert len(problem.folds) == 4
    assert (len(problem.final.x), len(problem.final.x_validation)) == (275, 69)
    assert problem.final.x.shape[1] == len(problem.features)


def test_penguins_missing_values_and_categories_become_columns() -> None:
    features = prepare(penguins(), PENGUINS, seed=0).features
    assert features[:5] == (
        "island=Biscoe",
        "island=Dream",
        "island=Torgersen",
        "bill_length_mm",
        "bill_length_mm is missing",
    )
    assert features[-4:] == ("sex=female", "sex=male", "sex=missing", "year")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_are_what_a_fold_promises(dtype: str) -> None:
    problem = prepared(toy(weight=np.arange(60)), dtype=dtype, folds=3)
    for fold in (*problem.folds, problem.final):
        for x, target, weight in (
            (fold.x, fold.target, fold.weight),
            (fold.x_validation, fold.target_validation, fold.weight_validation),
        ):
            assert weight is not None
            assert [a.dtype.name for a in (x, weight, target)] == [dtype, dtype, "float64"]
            assert target.shape == (len(x), 1)
            assert weight.shape == (len(x),)
            assert x.flags.c_contiguous
            assert np.isfinite(x).all()


def test_class_targets_are_indices() -> None:
    target = prepared(toy(target=np.array(["no", "yes"] * 30))).folds[0].target
    assert (target.dtype.name, target.ndim) == ("int64", 1)
    assert set(target) == {0, 1}


def test_targets_and_weights_stay_with_their_rows() -> None:
    numbers = np.arange(60.0) / 30 + 1 / 60  # of mean 1
    problem = prepared(Table({"a": numbers}, numbers, weight=numbers), dtype="float64", folds=3)
    for fold in problem.folds:
        assert fold.weight is not None
        np.testing.assert_allclose(fold.target[:, 0], fold.weight, rtol=1e-14)
        shift = fold.target.mean(), fold.target.std()
        np.testing.assert_allclose(fold.x, (fold.target - shift[0]) / shift[1])
        np.testing.assert_allclose(
            fold.x_validation, (fold.target_validation - shift[0]) / shift[1]
        )


def changed_in(rows: Any) -> Table:
    """The toy table with other inputs in some rows."""
    table = toy()
    a, b = table.columns["a"].copy(), table.columns["b"].astype(object)
    a[rows] = 1e6
    b[rows] = "new"
    return replace(table, columns={"a": a, "b": b})


def test_what_is_in_validation_rows_changes_nothing_in_training() -> None:
    options = DataOptions("toy.csv", folds=3)
    split = split_rows(read_target(toy().target, None, "y"), options, 0)
    before = prepare(toy(), options, seed=0)
    for index, (_, held) in enumerate(split.folds):
        after = prepare(changed_in(held), options, seed=0)
        assert training_part(after.folds[index]) == training_part(before.folds[index])
        assert not np.array_equal(after.folds[index].x_validation, before.folds[index].x_validation)


def test_what_is_in_test_rows_changes_nothing_but_the_test_split() -> None:
    options = DataOptions("toy.csv", folds=3, repeats=2)
    split = split_rows(read_target(toy().target, None, "y"), options, 0)
    before, after = (prepare(t, options, seed=0) for t in (toy(), changed_in(split.test)))
    for first, second in zip(before.folds, after.folds, strict=True):
        for field in fields(Fold):
            np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))
    assert training_part(before.final) == training_part(after.final)
    assert before.features == after.features
    assert not np.array_equal(before.final.x_validation, after.final.x_validation)


def test_without_a_test_split_the_final_training_has_all_rows() -> None:
    problem = prepared(toy(), test=0.0)
    assert not problem.has_test
    assert problem.final.x.shape == (60, 5)
    assert problem.final.x_validation.shape == (0, 5)
    assert len(problem.features) == 5


def test_columns_become_the_final_inputs_by_the_preprocessing_that_is_kept() -> None:
    problem = prepared(toy(), test=0.0)
    fitted = Preprocessing.from_dict(problem.preprocessing)
    assert fitted.transform(toy().columns).tobytes() == problem.final.x.tobytes()
    assert fitted.features == problem.features


def test_rows_without_a_target_are_left_out_whole() -> None:
    table = toy(weight=np.arange(60))
    target = table.target.copy()
    target[::2] = np.nan
    left = prepared(replace(table, target=target))
    only = prepared(
        Table(
            {name: values[1::2] for name, values in table.columns.items()},
            table.target[1::2],
            weight=np.arange(60)[1::2],
        )
    )
    assert left.rows == 30
    assert left.digest == only.digest
    assert training_part(left.folds[0]) == training_part(only.folds[0])


def test_one_text_among_numbers_is_told(caplog: pytest.LogCaptureFixture) -> None:
    ages = np.array([*map(str, range(59)), "?"])
    codes = np.array([f"A{i}" for i in range(60)])
    table = toy(columns={"age": ages, "code": codes, "a": np.arange(60)})
    with caplog.at_level(logging.WARNING, "tunekit"):
        prepared(table)
    assert caplog.messages == [
        "toy.csv: column 'age' holds numbers, but also '?', so that all count as texts; "
        "leave missing values empty"
    ]


def test_the_task_of_the_options_goes_before_the_tables() -> None:
    table = toy(target=np.arange(60.0) % 2, task="regression")
    assert prepared(table).task == "regression"
    assert prepared(table, task="classification").task == "classification"


def test_the_digest_is_the_same_for_the_same_data_and_split() -> None:
    assert prepared(toy()).digest == prepared(toy()).digest
    assert len(prepared(toy()).digest) == 16


def test_the_digest_is_the_same_in_another_process() -> None:
    program = (
        "from pathlib import Path; from tunekit.plugins import load;"
        "from tunekit.data.options import DataOptions;"
        "from tunekit.data.prepare import prepare; from tunekit.data.sources import load_table;"
        "options = DataOptions('penguins.csv', 'species', folds=4);"
        f"folder = Path({str(EXAMPLES)!r});"
        "table = load_table(options, load(entry_points=False), folder, file=None);"
        "print(prepare(table, options, seed=0).digest)"
    )
    there = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert there == prepare(penguins(), PENGUINS, seed=0).digest


def test_the_digest_changes_with_any_content_and_with_the_split() -> None:
    table = toy(weight=np.ones(60))
    a, b = table.columns["a"], table.columns["b"]
    other_a, other_b, other_target = a.copy(), b.copy(), table.target.copy()
    other_a[3], other_b[3], other_target[3] = 9.0, "w", 9.0
    digests = {
        prepared(table).digest,
        prepared(replace(table, columns={"a": other_a, "b": b})).digest,
        prepared(replace(table, columns={"a": a, "b": other_b})).digest,
        prepared(replace(table, columns={"a": a, "c": b})).digest,
        prepared(replace(table, target=other_target)).digest,
        prepared(replace(table, weight=np.full(60, 2.0))).digest,
        prepared(replace(table, weight=None)).digest,
        prepared(table, seed=1).digest,
        prepared(table, test=0.3).digest,
        prepared(table, folds=3).digest,
        prepared(table, repeats=2).digest,
    }
    assert len(digests) == 11


def test_errors_about_content_name_the_source_and_the_column() -> None:
    infinite = toy(columns={"a": np.append(np.arange(59.0), np.inf)})
    found = error(infinite)
    assert (found.file, found.key) == ("toy.csv", "column 'a', row 60")
    found = error(toy(target=np.full(60, "same")))
    assert (found.file, found.key) == ("toy.csv", "column 'y'")
    assert "every row has the class 'same'" in found.message


def test_errors_about_the_split_name_the_key_of_the_study_file() -> None:
    found = error(toy(), folds=40)
    assert (found.file, found.key) == (None, "data.folds")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": {}}, "toy.csv: there is no column besides the target"),
        ({"columns": {"a": np.ones(60)}}, "none of the 1 columns besides the target differs"),
        ({"columns": {"a": np.arange(59.0)}}, "has 59 rows, but the target has 60"),
        ({"target": np.full(60, np.nan)}, "all 60 values are missing"),
        ({"target": np.arange(0.0)}, "has no rows"),
        ({"weight": np.append(np.ones(59), -1.0)}, "weight, row 60: holds -1; expected a weight"),
        ({"weight": np.full(60, np.nan)}, "weight, row 1: holds no value; expected a weight"),
        ({"weight": np.full(60, np.inf)}, "weight, row 1: holds inf; expected finite numbers"),
        ({"weight": np.full(60, "a")}, "weight: holds texts; expected weights"),
        ({"weight": np.ones(59)}, "weight: has 59 rows, but the target has 60"),
        ({"weight": np.zeros(60)}, "weight: all weights are 0"),
        ({"target": None}, "target: is a single NoneType"),
        ({"target": [[1, 2], [3]]}, "target: has rows of different lengths"),
        ({"columns": {"a": [[1, 2], [3]]}}, "column 'a': has rows of different lengths"),
        ({"columns": {"a": 3.0}}, "column 'a': is a single float; expected one value a row"),
        ({"columns": {"a": np.ones((60, 2))}}, "column 'a': has the shape (60, 2)"),
        ({"columns": {"a": np.ones(60, complex)}}, "column 'a': holds values of type complex128"),
        ({"columns": {1: np.arange(60), "1": np.arange(60)}}, "column '1': two columns have this"),
        ({"columns": {"a": np.append(np.ones(59), -np.inf)}}, "column 'a', row 60: holds -inf"),
        ({"columns": {"a": np.full(60, np.nan)}}, "none of the 1 columns besides the target"),
    ],
)
def test_tables_that_cannot_be_learned_from_are_errors(
    changes: dict[str, Any], message: str
) -> None:
    assert message in str(error(toy(**changes)))


def plain(problem: Problem) -> list[Any]:
    """The arrays of all parts."""
    parts = (*problem.folds, problem.final)
    return [getattr(part, field.name) for part in parts for field in fields(Fold)]


def test_labels_become_a_matrix_with_their_names() -> None:
    labels = np.random.default_rng(1).integers(0, 2, (60, 3))
    problem = prepare(toy(target=labels), DataOptions("toy.csv", ["x", "y", "z"], folds=3), seed=0)
    assert (problem.task, problem.classes, problem.outputs) == ("multilabel", ("x", "y", "z"), 3)
    for fold in (*problem.folds, problem.final):
        assert fold.target.dtype == np.int64
        assert fold.target.shape == (len(fold.x), 3)
    assert prepared(toy(target=labels), task="regression").digest != problem.digest


def test_a_rare_label_is_no_reason_to_refuse_a_split() -> None:
    labels = np.zeros((60, 2), dtype=bool)
    labels[0, 0] = labels[::2, 1] = True
    assert prepared(toy(target=labels), folds=5).task == "multilabel"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("unit", [1e-300, 1e-30, 1.0, 1e30, 1e307])
def test_the_unit_of_the_weights_makes_no_difference(dtype: str, unit: float) -> None:
    weight = np.random.default_rng(0).uniform(0.5, 2.0, 60)
    found = prepared(toy(weight=weight * unit), dtype=dtype)
    for ours, theirs in zip(plain(found), plain(prepared(toy(weight=weight))), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_weights_that_differ_beyond_all_digits_stay_above_0() -> None:
    problem = prepared(toy(weight=np.geomspace(1e-300, 1e300, 60)))
    assert all((fold.weight is not None and (fold.weight > 0).all()) for fold in problem.folds)


def test_rows_of_weight_0_are_left_out_whole() -> None:
    table = toy()
    used = np.arange(60) % 3 > 0
    left = prepared(replace(table, weight=used * 2))
    columns = {name: values[used] for name, values in table.columns.items()}
    only = prepared(Table(columns, table.target[used], weight=np.full(40, 2)))
    assert (left.rows, left.digest) == (40, only.digest)
    for ours, theirs in zip(plain(left), plain(only), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_weight_column_is_named_in_errors() -> None:
    with pytest.raises(DataError) as caught:
        prepare(
            toy(weight=np.append(-2.5, np.ones(59))),
            DataOptions("toy.csv", "y", weight="importance"),
            seed=0,
        )
    assert str(caught.value) == (
        "toy.csv: column 'importance', row 1: holds -2.5; expected a weight, a number of 0 or more"
    )


def in_steps(values: Any) -> Any:
    """The same values, not next to each other in memory."""
    return np.repeat(values, 2, axis=0)[::2]


def read_only(values: Any) -> Any:
    values = values.copy()
    values.flags.writeable = False
    return values


def masked(values: Any) -> Any:
    return np.ma.MaskedArray(np.where(np.isnan(values), 1e9, values), np.isnan(values))


UNUSUAL = {
    "not contiguous": in_steps,
    "read-only": read_only,
    "big-endian": lambda values: values.astype(values.dtype.newbyteorder(">")),
    "objects": lambda values: values.astype(object),
    "a list": lambda values: values.tolist(),
    "float16": lambda values: values.astype(np.float16),
    "long double": lambda values: values.astype(np.longdouble),
    "masked": masked,
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_arrays_of_any_kind_give_the_same_problem(kind: str) -> None:
    # Sixteenths, which all types hold exactly.
    steps = np.random.default_rng(0).integers(-64, 64, (60, 4)) / 16
    steps[3, 0] = np.nan
    usual = Table({"a": steps[:, 0], "b": steps[:, 1]}, steps[:, 2], weight=np.abs(steps[:, 3]))
    change = UNUSUAL[kind]
    table = Table(
        {name: change(values) for name, values in usual.columns.items()},
        change(usual.target),
        weight=change(usual.weight),
    )
    assert prepared(table).digest == prepared(usual).digest
    for ours, theirs in zip(plain(prepared(table)), plain(prepared(usual)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_long_double_beyond_float64_is_infinite() -> None:
    huge = np.append(np.arange(59), np.longdouble("1e4000"))
    assert "column 'a', row 60: holds inf" in str(error(toy(columns={"a": huge})))


def test_labels_out_of_range_are_named() -> None:
    labels = np.random.default_rng(1).integers(0, 2, (60, 2))
    labels[4, 1] = 2
    found = error(toy(target=labels, task="multilabel"))
    assert (found.file, found.key) == ("toy.csv", "target, column 2, row 5")
