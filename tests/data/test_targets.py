from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tunekit.data.targets import Target, read_target
from tunekit.errors import DataError


def read(values: Any, task: str | None = None, names: Sequence[str] = ()) -> Target:
    values = np.asarray(values)
    if not names:
        names = ("y",) if values.ndim < 2 else tuple("abcdef"[: values.shape[1]])
    return read_target(values, task, names)


def texts(*values: Any) -> Any:
    return np.array([*values, None], dtype=object)[:-1]


def error(values: Any, task: str | None = None, names: Sequence[str] = ()) -> str:
    with pytest.raises(DataError) as caught:
        read(values, task, names)
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
        (np.eye(2)[[0, 1] * 5], "multilabel"),
        (np.eye(2, dtype=bool)[[0, 1] * 5], "multilabel"),
        (np.eye(2)[[0, 1] * 5] * 2, "regression"),
        (np.eye(2)[[0, 1] * 5][:, :1], "classification"),
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
    assert error(np.array([["a", "b"], ["b", "a"]]), "classification") == (
        "column 'a', column 'b': has 2 columns; expected one column of classes "
        '(several of 0 and 1 are task = "multilabel", several of numbers "regression")'
    )


def test_labels_are_a_matrix_of_0_and_1() -> None:
    target = read([[0, 1, 1], [1, 0, 1], [0, 0, 0]], names=("red", "big", "new"))
    assert target.task == "multilabel"
    assert target.values.tolist() == [[0, 1, 1], [1, 0, 1], [0, 0, 0]]
    assert target.values.dtype == np.int64
    assert target.values.flags.c_contiguous
    assert (target.classes, target.outputs) == (("red", "big", "new"), 3)


def test_labels_may_be_booleans_or_objects_of_both() -> None:
    matrix = np.array([[True, 0.0], [np.False_, 1]], dtype=object)
    assert read(matrix).values.tolist() == [[1, 0], [0, 1]]
    assert read([[True, False], [False, True]]).values.tolist() == [[1, 0], [0, 1]]


def test_one_column_may_be_a_label_too() -> None:
    for values in ([0, 1, 1], [False, True, True], [[0], [1], [1]]):
        target = read(values, "multilabel", ["spam"])
        assert target.values.tolist() == [[0], [1], [1]]
        assert target.classes == ("spam",)


def test_labels_without_names_are_numbered() -> None:
    assert read_target(np.eye(2), None).classes == ("y0", "y1")


def test_what_is_no_label_is_named_with_its_column_and_row() -> None:
    assert error([[0, 1], [1, 2]], "multilabel") == (
        "column 'b', row 2: holds 2; a label is 0 or 1 (or false or true)"
    )
    assert error([[0, 1], [-1, 1]], "multilabel").startswith("column 'a', row 2: holds -1; a label")
    assert error([[0.5, 1], [1, 0]], "multilabel").startswith("column 'a', row 1: holds 0.5; ")
    yes_and_no = np.array([[0, "no"], [1, "yes"]], dtype=object)
    assert error(yes_and_no, "multilabel").startswith("column 'b', row 1: holds 'no'; a label is")


def test_rows_are_counted_before_those_without_a_target_are_left_out() -> None:
    assert "column 'b', row 3: holds 7" in error([[0, np.nan], [0, 1], [1, 7]], "multilabel")


def test_labels_of_a_data_set_that_names_none_are_told_by_their_number() -> None:
    with pytest.raises(DataError, match=r"^target, column 2, row 1: holds 3; a label is"):
        read_target(np.array([[0, 3], [1, 1]]), "multilabel")


def test_several_columns_that_are_neither_numbers_nor_labels_are_explained() -> None:
    assert error(np.array([[1.5, "dear"], [2.5, "cheap"]], dtype=object)) == (
        "column 'b', row 1: holds 'dear'; regression expected numbers "
        "(several columns are all numbers, or all labels of 0 and 1)"
    )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([[0, 1], [0, 0]], "column 'a': every row has the value 0, so that there is nothing"),
        ([[0.5, 7], [1.5, 7]], "column 'b': every row has the value 7, so that there is nothing"),
    ],
)
def test_a_column_that_never_changes_is_told(
    values: Any, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "tunekit"):
        assert read(values).outputs == 2
    assert [message.startswith(told) for message in caplog.messages] == [True]


def test_columns_of_which_none_ever_changes_are_an_error() -> None:
    assert error([[0, 1], [0, 1]]) == (
        "column 'a', column 'b': every row has the value 0, 1; there is nothing to learn"
    )


def test_a_row_without_one_of_its_labels_is_left_out() -> None:
    target = read([[0, 1], [np.nan, 1], [1, 0]], "multilabel")
    assert target.rows.tolist() == [0, 2]
    assert target.values.tolist() == [[0, 1], [1, 0]]


def test_rows_that_do_not_count_are_left_out() -> None:
    target = read_target(np.array([5.5, 1.5, 2.5]), None, use=np.array([True, False, True]))
    assert target.rows.tolist() == [0, 2]
    with pytest.raises(DataError, match="no row with a target has a weight above 0"):
        read_target(np.array([np.nan, 1.5]), None, use=np.array([True, False]))


def test_class_labels_may_be_any_numbers() -> None:
    target = read([-1, 1000, -1, 7], "classification")
    assert target.classes == ("-1", "7", "1000")
    assert target.values.tolist() == [0, 2, 0, 1]


def test_values_too_large_to_be_scaled_are_an_error() -> None:
    assert "the numbers are too large to take their mean" in error([1e308, -1e308, 0.5])
    assert error([[1.0, 1e200], [2.0, -1e200]]).startswith("column 'b': the numbers are too large")


def test_a_target_of_no_use_as_an_array() -> None:
    with pytest.raises(DataError, match="target: is a single NoneType; expected one value a row"):
        read_target(np.array(None), None)
    with pytest.raises(DataError, match="target: has rows of different lengths"):
        read_target([[1, 2], [3]], None)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"target: has the shape \(2, 2, 2\)"):
        read_target(np.zeros((2, 2, 2)), None)


def test_regression_on_texts_names_the_first_that_is_no_number() -> None:
    message = error(texts("1.5", None, "cheap", "dear"), "regression")
    assert message.startswith("column 'y', row 3: holds 'cheap'; regression expected numbers")
    assert "row 1: holds '1'; regression expected numbers" in error(texts("1", "2"), "regression")


def test_an_unknown_task_is_an_error_with_the_nearest() -> None:
    message = error([1.0], "regresion")
    assert message == "data.task: no task is called 'regresion'. Did you mean 'regression'?"


@pytest.mark.parametrize(
    ("meant", "task"),
    [(None, "classification"), ("classification", "classification"), ("regression", "regression")],
)
def test_whole_numbers_are_what_the_metric_is_for(meant: str | None, task: str) -> None:
    assert read_target(np.arange(60) % 4, None, meant=meant).task == task


def test_what_the_metric_is_for_does_not_make_values_of_texts() -> None:
    assert read_target(np.array(["a", "b"] * 9), None, meant="regression").task == "classification"


@pytest.mark.parametrize(
    ("values", "labels", "classes"),
    [
        (["b", "a", "b"], ("a", "b"), ("a", "b")),
        ([10, 2] * 5, (2, 10), ("2", "10")),
        ([0.5, 2.0] * 5, (0.5, 2), ("0.5", "2")),
        ([True, False, True], (False, True), ("False", "True")),
        (["True", "False"], ("False", "True"), ("False", "True")),
        (texts(1, "x"), ("1", "x"), ("1", "x")),
    ],
)
def test_classes_are_kept_as_they_were(values: Any, labels: Any, classes: Any) -> None:
    target = read(values, "classification")
    assert (target.labels, target.classes) == (labels, classes)
    assert list(map(type, target.labels)) == list(map(type, labels))


def test_only_classes_have_labels() -> None:
    assert read([0.5, 1.5]).labels == ()
    assert read([[0, 1], [1, 0]]).labels == ()


def test_columns_without_names_are_called_y() -> None:
    assert read_target(np.array([1.5, 2.0]), None).names == ("y",)
    assert read_target(np.array([[1.5, 2.0], [2.0, 1.0]]), None).names == ("y0", "y1")
    assert read_target(np.array(["a", "b"]), None, ("species",)).names == ("species",)
