"""From columns to a matrix of finite numbers, learned from training rows alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tunekit.data.columns import TOO_LARGE, as_array, is_missing, is_number, read_columns, text_of
from tunekit.errors import DataError, suggestion

Array = npt.NDArray[Any]

MOST_CATEGORIES = 50
"""A text column takes at most so many columns of the matrix, besides that of missing values."""

FLAGS = (bool, np.bool_)

ROUNDING = 1e-14
"""Spread relative to the largest magnitude below which a column counts as constant."""


@dataclass(frozen=True)
class Numeric:
    """A numeric column: standardized, and told where it was missing.

    Attributes:
        name: The column's name.
        median: What stands in for missing values.
        mean: Mean of the training rows, after that.
        scale: Their standard deviation, or 0 where the values are constant: then the column only
            tells where it was missing.
        indicator: Whether training rows had missing values, which makes a column of 0 and 1.
    """

    name: str
    median: float
    mean: float
    scale: float
    indicator: bool

    @classmethod
    def fit(cls, name: str, values: Array) -> Numeric:
        """Learn from training rows, float64 where NaN is missing."""
        missing = np.isnan(values)
        if missing.all():
            return cls(name, 0.0, 0.0, 0.0, False)
        with np.errstate(over="ignore", invalid="ignore"):
            median = float(np.median(values[~missing]))
            filled = np.where(missing, median, values)
            mean, scale = float(filled.mean()), float(filled.std())
        if not np.isfinite([median, mean, scale]).all():
            raise DataError(TOO_LARGE, key=f"column {name!r}")
        if scale <= ROUNDING * np.abs(filled).max():
            scale = 0.0
        return cls(name, median, mean, scale, bool(missing.any()))

    @property
    def key(self) -> str:
        """What errors call it."""
        return f"column {self.name!r}"

    @property
    def features(self) -> tuple[str, ...]:
        """Names of its columns in the matrix."""
        value = (self.name,) if self.scale else ()
        return value + ((f"{self.name} is missing",) if self.indicator else ())

    def encode(self, values: Array, out: Array) -> None:
        """Write its columns of the matrix into `out`, shape ``(rows, len(features))``."""
        missing = is_missing(values)
        if self.scale:
            out[:, 0] = (np.where(missing, self.median, values) - self.mean) / self.scale
        if self.indicator:
            out[:, -1] = missing


@dataclass(frozen=True)
class Categorical:
    """A text column: one column of 0 and 1 for each category of the training rows.

    A category that the training rows did not have sets the pooled column where there is one, and
    none otherwise.

    Attributes:
        name: The column's name.
        categories: Categories with a column of their own, sorted.
        missing: Whether training rows had missing values, which then are a category.
        pooled: Whether all other categories share a column.
    """

    name: str
    categories: tuple[str, ...]
    missing: bool
    pooled: bool

    @classmethod
    def fit(cls, name: str, values: Array) -> Categorical:
        """Learn from training rows, texts where None is missing.

        Up to `MOST_CATEGORIES` categories have a column each. Of more, the most common ones that
        occur at least twice do, and the others are pooled: identifiers, all different, are pooled
        whole and so carry nothing.
        """
        counts = Counter(values.tolist())
        missing = counts.pop(None, 0) > 0
        if len(counts) <= MOST_CATEGORIES:
            return cls(name, tuple(sorted(counts)), missing, False)
        common = sorted(counts, key=lambda category: (-counts[category], category))
        kept = [category for category in common[: MOST_CATEGORIES - 1] if counts[category] > 1]
        return cls(name, tuple(sorted(kept)), missing, True)

    @property
    def key(self) -> str:
        """What errors call it."""
        return f"column {self.name!r}"

    @property
    def features(self) -> tuple[str, ...]:
        """Names of its columns in the matrix; none if there is a single one, which is constant."""
        names = [f"{self.name}={category}" for category in self.categories]
        names += [f"{self.name}=other"] * self.pooled + [f"{self.name}=missing"] * self.missing
        return tuple(names) if len(names) > 1 else ()

    def encode(self, values: Array, out: Array) -> None:
        """Write its columns of the matrix into `out`, shape ``(rows, len(features))``."""
        column: dict[str | None, int] = {c: i for i, c in enumerate(self.categories)}
        unknown = len(column) if self.pooled else -1
        column[None] = out.shape[1] - 1 if self.missing else -1
        codes = np.array([column.get(value, unknown) for value in values.tolist()], dtype=int)
        rows = np.flatnonzero(codes >= 0)
        out[:] = 0
        out[rows, codes[rows]] = 1


@dataclass(frozen=True)
class Preprocessing:
    """Turns columns into a matrix.

    Attributes:
        columns: What is done to each column that carries something, in the matrix's order.
    """

    columns: tuple[Numeric | Categorical, ...]

    @classmethod
    def fit(cls, columns: Mapping[str, Array]) -> Preprocessing:
        """Learn from training rows; columns that are constant there are left out.

        Args:
            columns: The training rows of columns in their plain forms (see `columns`).

        Raises:
            DataError: No column is left, or a column's numbers are too large.
        """
        fitted = (
            Categorical.fit(name, values) if values.dtype == object else Numeric.fit(name, values)
            for name, values in columns.items()
        )
        kept = tuple(column for column in fitted if column.features)
        if not kept:
            raise DataError(
                f"none of the {len(columns)} columns besides the target differs between training "
                "rows (texts that are all different count as identifiers); there is nothing to "
                "learn from"
            )
        return cls(kept)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the matrix's columns."""
        return tuple(feature for column in self.columns for feature in column.features)

    def transform(self, columns: Mapping[str, Any], dtype: str = "float32") -> Array:
        """The matrix of any rows, as they come.

        Args:
            columns: Arrays or lists of shape ``(rows,)`` by name, as in `records.Table`, or a data
                frame; more than are needed is fine.
            dtype: ``"float32"`` or ``"float64"``.

        Returns:
            Shape ``(rows, len(features))``, finite, C-contiguous.

        Raises:
            DataError: A column is not there, or holds what it cannot hold.
        """
        for column in self.columns:
            if column.name not in columns:
                raise DataError(
                    f"this column is not there. {suggestion(column.name, map(str, columns))}",
                    key=column.key,
                )
        needed = {
            column.name: _as_trained(column, _arrived(columns[column.name], column.key))
            for column in self.columns
        }
        first = self.columns[0]
        read = read_columns(needed, len(needed[first.name]), first.key)
        return self.encode(
            {column.name: _of_kind(column, read[column.name]) for column in self.columns}, dtype
        )

    def encode(self, columns: Mapping[str, Array], dtype: str = "float32") -> Array:
        """What `transform` does, for columns that are in their plain forms already."""
        rows = len(columns[self.columns[0].name])
        matrix = np.empty((rows, len(self.features)), dtype)
        start = 0
        for column in self.columns:
            stop = start + len(column.features)
            with np.errstate(over="ignore"):
                column.encode(columns[column.name], matrix[:, start:stop])
            if not np.isfinite(matrix[:, start:stop]).all():
                row = int((~np.isfinite(matrix[:, start:stop])).any(axis=1).argmax())
                raise DataError(
                    f"{columns[column.name][row]:g} is too far from the training rows to be "
                    f"standardized in {dtype}; use a larger unit or the logarithm",
                    key=f"{column.key}, row {row + 1}",
                )
            start = stop
        return matrix

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {"columns": [_plain(column) for column in self.columns]}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Preprocessing:
        """What `to_dict` gave."""
        return cls(tuple(_column_from(column) for column in plain["columns"]))


def _plain(column: Numeric | Categorical) -> dict[str, Any]:
    values = {"kind": type(column).__name__.lower(), **asdict(column)}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def _column_from(plain: Mapping[str, Any]) -> Numeric | Categorical:
    values = {name: value for name, value in plain.items() if name != "kind"}
    if plain["kind"] == "numeric":
        return Numeric(**values)
    return Categorical(**{**values, "categories": tuple(values["categories"])})


def _arrived(values: Any, key: str) -> Array:
    """New values as an array."""
    if isinstance(values, (list, tuple)):
        # One text among numbers must not make texts of them all.
        return np.fromiter(values, object, len(values))
    return as_array(values, key)


def _as_trained(column: Numeric | Categorical, values: Array) -> Array:
    """New values as they come, once it is seen that they are such as the training rows had."""
    if values.dtype.kind not in "bOUT" or values.ndim != 1:
        return values
    plain = values.tolist()
    if isinstance(column, Categorical):
        # Among texts booleans were "True" and "False", not the numbers 1 and 0.
        named = [str(value) if isinstance(value, FLAGS) else value for value in plain]
        return np.array([*named, None], dtype=object)[:-1]
    texts = [row for row, value in enumerate(plain) if isinstance(value, str)]
    if texts:
        # One text makes texts of all numbers in a file.
        row = next((row for row in texts if not is_number(plain[row])), texts[0])
        raise DataError(
            f"holds {plain[row]!r}; expected numbers, as in the training rows",
            key=f"{column.key}, row {row + 1}",
        )
    return values


def _of_kind(column: Numeric | Categorical, values: Array) -> Array:
    """New values in their plain form, in that of the training rows."""
    if isinstance(column, Categorical) and values.dtype != object:
        # Categories such as 1 and 2, or nothing but missing values.
        missing = is_missing(values)
        texts = [None if gone else text_of(v) for v, gone in zip(values, missing, strict=True)]
        return np.array([*texts, None], dtype=object)[:-1]
    return values
