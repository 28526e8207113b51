from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tunekit.data.columns import read_column, read_columns
from tunekit.errors import DataError


def read(*values: Any) -> list[Any]:
    """A column of objects in its plain form, as a list with None where values are missing."""
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return plain(objects)


def plain(values: Any) -> list[Any]:
    return [None if v != v else v for v in read_column(values, "column 'a'").tolist()]


def error(values: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read_column(values, "column 'a'")
    return caught.value


def test_numbers_and_booleans_are_numbers() -> None:
    assert plain(np.array([1, 2], dtype=np.uint8)) == [1.0, 2.0]
    assert plain(np.array([True, False])) == [1.0, 0.0]
    assert read(1, 2.5, Decimal("0.5"), np.float32(4), True) == [1.0, 2.5, 0.5, 4.0, 1.0]


def test_every_mark_of_a_missing_value_is_understood() -> None:
    assert read(1, None, np.nan, pd.NA, Decimal("nan")) == [1.0, None, None, None, None]
    assert read("x", None, np.nan, pd.NA) == ["x", None, None, None]
    assert read(datetime.date(1970, 1, 3), pd.NaT) == [2.0, None]
    assert read(True, None) == [1.0, None]


def test_a_column_of_nothing_is_a_column_of_missing_numbers() -> None:
    assert read(None, None) == [None, None]


def test_texts_stay_texts_and_numbers_among_them_become_texts() -> None:
    assert plain(np.array(["x", "y"])) == ["x", "y"]
    assert plain(np.array(["x", "y"], dtype=np.dtypes.StringDType())) == ["x", "y"]
    assert read("x", 1, 1.0, 2.5, True) == ["x", "1", "1", "2.5", "True"]


def test_dates_are_days_since_1970_in_utc() -> None:
    days = np.array(["1970-01-02", "1969-12-31T12", "NaT"], dtype="datetime64[ns]")
    assert plain(days) == [1.0, -0.5, None]
    assert read(datetime.datetime(1970, 1, 2, 6), None) == [1.25, None]
    ahead = datetime.timezone(datetime.timedelta(hours=6))
    assert read(datetime.datetime(1970, 1, 2, 6, tzinfo=ahead)) == [1.0]


def test_durations_are_days() -> None:
    assert plain(np.array([36, 24], dtype="timedelta64[h]")) == [1.5, 1.0]
    assert read(datetime.timedelta(hours=12), None) == [0.5, None]


def test_what_is_plain_already_stays_as_it_is() -> None:
    for values in (np.array([1.0, np.nan]), np.array(["x", None], dtype=object)):
        once = read_column(values, "")
        assert once.dtype == values.dtype
        np.testing.assert_array_equal(once, values)


def test_an_infinite_number_is_an_error_with_its_row() -> None:
    found = error(np.array([1.0, 2.0, -np.inf]))
    assert str(found).startswith("column 'a', row 3: holds -inf; expected finite numbers")
    assert error(np.array([1, 10**400], dtype=object)).key == "column 'a', row 2"


def test_a_list_in_a_column_is_an_error_with_its_row() -> None:
    objects = np.array(["x", [1, 2]], dtype=object)
    assert str(error(objects)) == (
        "column 'a', row 2: holds a list; expected numbers, dates or texts"
    )


def test_a_matrix_or_a_complex_column_is_an_error() -> None:
    assert "has the shape (2, 2); expected one value a row" in str(error(np.ones((2, 2))))
    assert "complex128; expected numbers" in str(error(np.array([1j])))


def test_columns_of_another_length_than_the_target_are_an_error() -> None:
    with pytest.raises(DataError, match="column 'b': has 3 rows, but the target has 2"):
        read_columns({"a": np.ones(2), "b": np.ones(3)}, 2)


def test_names_that_are_not_texts_become_texts_and_must_stay_different() -> None:
    columns: dict[Any, Any] = {1: np.ones(2), "x": np.ones(2)}
    assert list(read_columns(columns, 2)) == ["1", "x"]
    with pytest.raises(DataError, match="column '1': two columns have this name"):
        read_columns({**columns, "1": np.ones(2)}, 2)
