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
    return prepare(table, DataOptions("toy.csv", "y", **given), seed=seed, dtype=dtype)


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
    assert problem.final is not None
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
    assert problem.final is not None
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
    numbers = np.arange(60.0)
    problem = prepared(Table({"a": numbers}, numbers, weight=numbers), dtype="float64", folds=3)
    for fold in problem.folds:
        np.testing.assert_array_equal(fold.target[:, 0], fold.weight)
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
    assert before.final is not None
    assert after.final is not None
    assert training_part(before.final) == training_part(after.final)
    assert before.features == after.features
    assert not np.array_equal(before.final.x_validation, after.final.x_validation)


def test_without_a_test_split_there_is_no_final_training() -> None:
    problem = prepared(toy(), test=0.0)
    assert problem.final is None
    assert len(problem.features) == 5


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
        ({"weight": np.full(60, -1.0)}, "weight: expected a number, 0 or more, in each row"),
        ({"weight": np.full(60, np.nan)}, "weight: expected a number, 0 or more, in each row"),
        ({"weight": np.zeros(60)}, "weight: all weights are 0"),
    ],
)
def test_tables_that_cannot_be_learned_from_are_errors(
    changes: dict[str, Any], message: str
) -> None:
    assert message in str(error(toy(**changes)))
