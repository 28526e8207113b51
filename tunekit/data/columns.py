"""One column as preprocessing wants it: numbers, or texts."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from tunekit.errors import DataError

Array = npt.NDArray[Any]

MICROSECONDS_A_DAY = 86_400_000_000

TOO_LARGE = (
    "the numbers are too large to take their mean and spread; use a larger unit or their logarithm"
)


def read_columns(
    columns: Mapping[str, Array], rows: int, of: str = "the target"
) -> dict[str, Array]:
    """All columns in their plain forms; see `read_column`.

    Args:
        columns: One-dimensional arrays by name.
        rows: How long each must be.
        of: What else has so many rows.

    Raises:
        DataError: A column cannot be used, has another length, or shares its name with another.
    """
    read: dict[str, Array] = {}
    for name, values in columns.items():
        key = f"column {str(name)!r}"
        if str(name) in read:
            raise DataError("two columns have this name; rename one", key=key)
        read[str(name)] = read_column(values, key)
        if len(read[str(name)]) != rows:
            raise DataError(
                f"has {len(read[str(name)])} rows, but {of} has {rows}; expected as many",
                key=key,
            )
    return read


def read_column(values: Array, key: str) -> Array:
    """A column in one of its two plain forms.

    Booleans count as the numbers 0 and 1; dates and times become days since 1970-01-01 (UTC),
    durations become days. A mixture of numbers and texts is text.

    Args:
        values: Shape ``(rows,)``: numbers, booleans, dates, texts, or objects that are these.
            None and NaN are missing.
        key: What errors call the column.

    Returns:
        Shape ``(rows,)``: float64, where NaN is missing; or objects, each a str, or None where
        missing.

    Raises:
        DataError: The values are none of these, or a number is infinite.
    """
    values = as_array(values, key)
    if values.ndim != 1:
        raise DataError(f"has the shape {values.shape}; expected one value a row", key=key)
    kind = values.dtype.kind
    if kind == "O":
        values = _from_objects(values, key)
    elif kind in "mM":
        values = _days(values)
    elif kind in "biuf":
        with np.errstate(over="ignore"):  # a long double beyond float64 is infinite here
            values = values.astype(np.float64)
    elif kind in "UT":
        values = values.astype(object)
    else:
        raise DataError(
            f"holds values of type {values.dtype}; expected numbers, dates or texts", key=key
        )
    if values.dtype != object and np.isinf(values).any():
        row = int(np.isinf(values).argmax())
        raise DataError(
            f"holds {values[row]:g}; expected finite numbers (leave missing ones empty)",
            key=f"{key}, row {row + 1}",
        )
    return values


def as_array(values: Any, key: str) -> Array:
    """Values as an array with at least one dimension; what is masked becomes None.

    Raises:
        DataError: They are one value only, or rows of different lengths.
    """
    if isinstance(values, np.ma.MaskedArray):
        objects = np.ma.getdata(values).astype(object)
        objects[np.ma.getmaskarray(values)] = None
        return objects
    try:
        values = np.asarray(values)
    except ValueError:
        raise DataError("has rows of different lengths; expected equal ones", key=key) from None
    if values.ndim == 0:
        raise DataError(
            f"is a single {type(values.item()).__name__}; expected one value a row", key=key
        )
    plain: Array = values
    return plain


def is_missing(values: Array) -> npt.NDArray[np.bool_]:
    """Where a column in a plain form has no value."""
    if values.dtype == object:
        return np.fromiter((value is None for value in values.tolist()), bool, len(values))
    missing: npt.NDArray[np.bool_] = np.isnan(values)
    return missing


def text_of(value: object) -> str:
    """A category as text: whole numbers have no decimals, so 1, 1.0 and "1" are the same."""
    if isinstance(value, (float, np.floating, Decimal)):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return str(value)


def is_number(text: str) -> bool:
    """Whether a text reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _from_objects(values: Array, key: str) -> Array:
    objects: list[Any] = [None if _is_nothing(value) else value for value in values.tolist()]
    types = {type(value) for value in objects} - {type(None)}

    def all_are(*expected: type) -> bool:
        return all(issubclass(type_, expected) for type_ in types)

    if all_are(Real, Decimal, np.bool_):
        return np.array([np.nan if value is None else _float(value) for value in objects])
    if all_are(datetime.date):
        return _days(np.array([_utc(value) for value in objects], dtype="datetime64[us]"))
    if all_are(datetime.timedelta):
        return _days(np.array(objects, dtype="timedelta64[us]"))
    if all_are(str, Real, Decimal, np.bool_):
        texts = np.empty(len(objects), dtype=object)
        texts[:] = [None if value is None else text_of(value) for value in objects]
        return texts
    row, strange = _first_other(objects)
    raise DataError(
        f"holds a {type(strange).__name__}; expected numbers, dates or texts",
        key=f"{key}, row {row + 1}",
    )


def _first_other(objects: Sequence[object]) -> tuple[int, object]:
    """The first value that is neither a number nor a text."""
    plain = (str, Real, Decimal, np.bool_, type(None))
    return next((i, value) for i, value in enumerate(objects) if not isinstance(value, plain))


def _is_nothing(value: object) -> bool:
    # pandas' two own marks are told by name, so that this needs no pandas.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating, Decimal)) and bool(value != value)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond all floats
        return np.inf


def _utc(value: datetime.date | None) -> datetime.date | None:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.UTC).replace(tzinfo=None)
    return value


def _days(values: Array) -> Array:
    microseconds = values.astype(f"{values.dtype.kind}8[us]")
    days: Array = microseconds.astype(np.int64) / MICROSECONDS_A_DAY
    days[np.isnat(microseconds)] = np.nan
    return days
