from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.data.columns import read_columns
from tunekit.data.preprocessing import MOST_CATEGORIES, Preprocessing
from tunekit.errors import DataError

NAN = np.nan


def texts(*values: str | None) -> Any:
    return np.array([*values, None], dtype=object)[:-1]


def fit(**columns: Any) -> Preprocessing:
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    return Preprocessing.fit(read_columns(arrays, len(next(iter(arrays.values())))))


def transform(fitted: Preprocessing, **columns: Any) -> list[list[float]]:
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    rows: list[list[float]] = fitted.transform(arrays, "float64").tolist()
    return rows


def error(fitted: Preprocessing, **columns: Any) -> str:
    with pytest.raises(DataError) as caught:
        transform(fitted, **columns)
    return str(caught.value)


def test_numbers_are_standardized_by_the_training_rows() -> None:
    fitted = fit(a=[1.0, 3.0, 1.0, 3.0])
    assert transform(fitted, a=[1.0, 3.0, 10.0]) == [[-1.0], [1.0], [8.0]]


def test_a_missing_number_is_the_training_median_and_marked() -> None:
    fitted = fit(a=[1.0, 2.0, 9.0, NAN])
    assert fitted.features == ("a", "a is missing")
    rows = transform(fitted, a=[NAN, 2.0])
    assert rows[0][0] == rows[1][0]
    assert [row[1] for row in rows] == [1.0, 0.0]


def test_missing_numbers_that_no_training_row_had_are_not_marked() -> None:
    fitted = fit(a=[1.0, 2.0, 9.0])
    assert fitted.features == ("a",)
    assert transform(fitted, a=[NAN]) == transform(fitted, a=[2.0])


def test_a_category_is_one_column_and_an_unknown_one_is_none() -> None:
    fitted = fit(island=["Dream", "Biscoe", "Dream"])
    assert fitted.features == ("island=Biscoe", "island=Dream")
    rows = transform(fitted, island=texts("Dream", "Biscoe", "Crete", None))
    assert rows == [[0, 1], [1, 0], [0, 0], [0, 0]]


def test_missing_is_a_category_where_training_rows_had_it() -> None:
    fitted = fit(sex=texts("female", None, "male"))
    assert fitted.features == ("sex=female", "sex=male", "sex=missing")
    assert transform(fitted, sex=texts(None, "male")) == [[0, 0, 1], [0, 1, 0]]


def test_constant_columns_are_left_out() -> None:
    fitted = fit(a=[1.0, 2.0], b=[0.1, 0.1], c=["x", "x"], d=[NAN, NAN], e=texts(None, None))
    assert fitted.features == ("a",)


def test_a_constant_that_is_sometimes_missing_leaves_only_the_mark() -> None:
    fitted = fit(a=[5.0, NAN, 5.0])
    assert fitted.features == ("a is missing",)
    assert transform(fitted, a=[NAN, 7.0]) == [[1.0], [0.0]]


def test_differences_that_are_rounding_are_constant() -> None:
    assert fit(a=[1e9, 1e9 + 1e-7, 1e9], b=[0.0, 1.0, 1.0]).features == ("b",)


def test_of_many_categories_the_rare_ones_share_a_column() -> None:
    common = [f"c{i:02d}" for i in range(MOST_CATEGORIES - 1)]
    column = common * 3 + ["d0", "d0"] + ["e0", "e1"]
    fitted = fit(city=column)
    assert fitted.features == (*(f"city={name}" for name in common), "city=other")
    rows = np.array(transform(fitted, city=["c00", "d0", "e1", "unknown"]))
    assert rows[0].nonzero()[0].tolist() == [0]
    assert rows[1:, -1].tolist() == [1, 1, 1]
    assert rows[1:, :-1].sum() == 0


def test_as_many_categories_as_allowed_all_have_a_column() -> None:
    assert len(fit(city=[f"c{i}" for i in range(MOST_CATEGORIES)]).features) == MOST_CATEGORIES


def test_identifiers_carry_nothing_and_are_left_out() -> None:
    rows = range(MOST_CATEGORIES + 1)
    assert fit(id=[f"row-{i}" for i in rows], a=[float(i) for i in rows]).features == ("a",)


def test_a_table_without_anything_that_differs_is_an_error() -> None:
    with pytest.raises(DataError, match="none of the 2 columns besides the target differs"):
        fit(a=[1.0, 1.0], b=["x", "x"])


def test_new_rows_may_have_more_columns_in_any_order() -> None:
    fitted = fit(a=[1.0, 3.0], b=["x", "y"])
    assert transform(fitted, z=[0.0], b=["y"], a=[3.0]) == [[1.0, 0.0, 1.0]]


def test_new_rows_may_give_categories_as_numbers() -> None:
    fitted = fit(grade=["1", "2", "2b"])
    assert transform(fitted, grade=[2.0, NAN, 1.0]) == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_new_rows_that_do_not_fit_are_an_error() -> None:
    fitted = fit(width=[1.0, 3.0], kind=["x", "y"])
    assert error(fitted, widht=[1.0], kind=["x"]) == (
        "column 'width': this column is not there. Did you mean 'widht'?"
    )
    assert error(fitted, width=texts(None, "wide"), kind=["x", "x"]) == (
        "column 'width', row 2: holds 'wide'; expected numbers, as in the training rows"
    )
    assert "column 'width', row 2: holds inf" in error(fitted, width=[1.0, np.inf], kind=["x", "y"])
    assert error(fitted, width=[1.0, 2.0], kind=["x"]) == (
        "column 'kind': has 1 rows, but column 'width' has 2; expected as many"
    )


def test_the_text_among_numbers_is_told_by_its_row() -> None:
    fitted = fit(a=[1.0, 3.0])
    mixed = {"a": [1.0, None, "2.5"]}
    with pytest.raises(DataError, match=r"column 'a', row 3: holds '2\.5'; expected numbers"):
        fitted.transform(mixed)


def test_the_row_that_is_too_far_is_told() -> None:
    with pytest.raises(DataError, match=r"column 'a', row 2: 1e\+300 is too far"):
        fit(a=[1.0, 3.0]).transform({"a": np.array([1.0, 1e300])})


def test_booleans_are_the_categories_that_they_were_among_texts() -> None:
    fitted = fit(member=["True", "False", "unknown"])
    expected = [[0, 1, 0], [1, 0, 0]]
    assert transform(fitted, member=[True, False]) == expected
    assert transform(fitted, member=np.array([True, False], dtype=object)) == expected
    assert transform(fitted, member=np.array([np.True_, np.False_], dtype=object)) == expected


def test_no_rows_make_a_matrix_without_rows() -> None:
    fitted = fit(a=[1.0, 3.0], b=["x", "y"])
    assert fitted.transform({"a": np.array([]), "b": texts()}).shape == (0, 3)


def test_numbers_too_large_to_standardize_are_an_error() -> None:
    with pytest.raises(DataError, match="column 'a': the numbers are too large"):
        fit(a=[1e308, -1e308, 1e308])
    small = fit(a=[0.0, 1e-30])
    with pytest.raises(DataError, match="too far from the training rows to be standardized"):
        small.transform({"a": np.array([1e30])}, "float32")


def test_the_matrix_has_the_type_that_is_asked_for() -> None:
    fitted = fit(a=[1.0, 3.0], b=["x", "y"])
    for dtype in ("float32", "float64"):
        matrix = fitted.transform({"a": np.ones(3), "b": np.array(["x"] * 3)}, dtype)
        assert matrix.dtype == dtype
        assert matrix.flags.c_contiguous


NUMBERS = st.one_of(st.just(NAN), st.floats(-1e6, 1e6), st.integers(-3, 3).map(float))
CATEGORIES = st.sampled_from(["x", "y", "a b", "é", "", None])
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, CATEGORIES), min_size=3, max_size=40)


def columns(rows: list[tuple[float, float, str | None]]) -> dict[str, Any]:
    first, second, third = zip(*rows, strict=True)
    return {
        "a": np.array([*first, 0.0, 1.0]),
        "b": np.array([*second, NAN, NAN]),
        "c": texts(*third, "x", "y"),
    }


@settings(deadline=None)
@given(ROWS)
def test_training_rows_come_out_with_mean_0_and_variance_1_or_as_0_and_1(rows: Any) -> None:
    fitted = Preprocessing.fit(columns(rows))
    matrix = fitted.transform(columns(rows), "float64")
    assert matrix.shape == (len(rows) + 2, len(fitted.features))
    for feature, values in zip(fitted.features, matrix.T, strict=True):
        if feature in ("a", "b"):
            assert values.mean() == pytest.approx(0, abs=1e-6)
            assert values.std() == pytest.approx(1, abs=1e-6)
        else:
            assert set(values) == {0.0, 1.0}


@settings(deadline=None)
@given(ROWS, ROWS)
def test_any_rows_come_out_finite_and_through_json_the_same(train: Any, new: Any) -> None:
    fitted = Preprocessing.fit(columns(train))
    matrix = fitted.transform(columns(new), "float64")
    assert np.isfinite(matrix).all()
    again = Preprocessing.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again == fitted
    assert np.array_equal(again.transform(columns(new), "float64"), matrix)


@settings(deadline=None)
@given(ROWS)
def test_a_row_comes_out_the_same_whatever_rows_are_with_it(rows: Any) -> None:
    fitted = Preprocessing.fit(columns(rows))
    whole = fitted.transform(columns(rows))
    alone = fitted.transform({name: values[:1] for name, values in columns(rows).items()})
    assert np.array_equal(alone[0], whole[0])
