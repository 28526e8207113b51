from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from tunekit.data.targets import Target, read_target
from tunekit.errors import DataError


def read(values: Any, task: str | None = None) -> Target:
    return read_target(np.asarray(values), task, "column 'y'")


def texts(*values: Any) -> Any:
    return np.array([*values, None], dtype=object)[:-1]


def error(values: Any, task: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read(values, task)
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b", "a"], "classification"),
        ([True, False, True], "classification"),
        ([0, 1] * 5, "classification"),
        ([0.0, 1.0] * 5, "classification"),
        (list(range(20)) * 5, "classification"),
        (list(range(21)) * 5, "regression"),
        ([0, 1, 2, 0], "regression"),
        ([0.5, 1.0] * 5, "regression"),
        (np.eye(2)[[0, 1] * 5], "regression"),
    ],
)
def test_the_task_is_told_from_the_target(values: Any, task: str) -> None:
    assert read(values).task == task


def test_the_task_that_is_given_goes_before() -> None:
    assert read([0, 1] * 5, "regression").task == "regression"
    assert read([0.5, 1.5, 0.5], "classification").classes == ("0.5", "1.5")


def test_classes_are_sorted_and_counted() -> None:
    target = read(["cat", "ant", "bee", "ant"])
    assert target.classes == ("ant", "bee", "cat")
    assert target.values.tolist() == [2, 0, 1, 0]
    assert target.values.dtype == np.int64
    assert target.outputs == 3


def test_numbers_as_classes_are_sorted_by_size_and_named_without_decimals() -> None:
    assert read([10.0, 9.0, 9.0, -1.0], "classification").classes == ("-1", "9", "10")


def test_booleans_are_the_classes_false_and_true() -> None:
    assert read([True, False]).classes == ("False", "True")
    assert read(texts(True, None, False)).classes == ("False", "True")
    assert read(texts(np.True_, np.False_)).values.tolist() == [1, 0]


def test_values_are_a_float64_matrix() -> None:
    target = read([1, 2, 4], "regression")
    assert target.values.tolist() == [[1.0], [2.0], [4.0]]
    assert target.values.dtype == np.float64
    assert target.classes == ()
    two = read(np.array([[1.0, 5.0], [2.0, 6.0]]))
    assert two.outputs == 2
    assert two.values.flags.c_contiguous


def test_rows_without_a_target_are_left_out_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "tunekit"):
        target = read(texts("a", None, "b", None))
    assert target.rows.tolist() == [0, 2]
    assert target.values.tolist() == [0, 1]
    assert caplog.messages == [
        "column 'y': 2 of 4 rows have no target and are left out; the first is row 2"
    ]


def test_a_row_with_one_of_two_values_missing_is_left_out() -> None:
    target = read([[1.0, 2.0], [np.nan, 3.0], [4.0, 5.0]])
    assert target.values.tolist() == [[1.0, 2.0], [4.0, 5.0]]


def test_errors_say_what_is_wrong_with_the_target() -> None:
    assert error([]) == "column 'y': has no rows; expected at least one"
    assert "all 2 values are missing" in error([np.nan, np.nan])
    assert "every row has the class 'a'; expected at least two classes" in error(["a", "a"])
    assert "every row has the value 7" in error([7.0, 7.0], "regression")
    assert "column 'y', row 2: holds inf; expected finite numbers" in error([1.0, np.inf])
    assert "has 2 columns; expected one column of classes" in error(
        np.array([["a", "b"], ["b", "a"]]), "classification"
    )


def test_regression_on_texts_names_the_first_that_is_no_number() -> None:
    message = error(texts("1.5", None, "cheap", "dear"), "regression")
    assert message.startswith("column 'y', row 3: holds 'cheap'; regression expected numbers")
    assert "row 1: holds '1'; regression expected numbers" in error(texts("1", "2"), "regression")


def test_an_unknown_task_is_an_error_with_the_nearest() -> None:
    message = error([1.0], "regresion")
    assert message == "data.task: no task is called 'regresion'. Did you mean 'regression'?"
