"""From a table to a problem: read, split, preprocess, sign."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from tunekit.data.columns import as_array, is_number, read_column, read_columns
from tunekit.data.options import DataOptions
from tunekit.data.preprocessing import MOST_CATEGORIES, Preprocessing
from tunekit.data.splits import Split, split_rows
from tunekit.data.targets import Target, read_target
from tunekit.errors import DataError
from tunekit.records import Fold, Problem, Table

Array = npt.NDArray[Any]

logger = logging.getLogger("tunekit")


def prepare(table: Table, options: DataOptions, *, seed: int, dtype: str = "float32") -> Problem:
    """Split a table and preprocess each part with what its training rows say.

    Rows without a target are left out, and so are rows of weight 0, which would count nowhere.
    The other weights are scaled to mean 1: only their ratios matter.

    `Problem.rows` counts the rows that are left, and `Problem.features` names the columns that all
    of them but the test rows give; a fold has fewer where its training rows lack a category.

    Args:
        table: The data as they come.
        options: The study's ``[data]``.
        seed: The study's seed, which with `options` decides the split.
        dtype: Of the inputs and weights: ``"float32"`` or ``"float64"``.

    Raises:
        DataError: The data cannot be learned from. Where their content is at fault, `file` is the
            source, and `key` the column and row, counted from 1 without the header.
    """
    with _named(options.source):
        target, columns, weight = _read(table, options)
    _tell_numbers_as_text(columns, options.source)
    split = split_rows(target, options, seed)
    with _named(options.source):
        everything = Preprocessing.fit(_take(columns, split.rest))
        parts = _Parts(columns, target.values, weight, dtype)
        folds = tuple(
            parts.fold(Preprocessing.fit(_take(columns, train)), train, held)
            for train, held in split.folds
        )
        final = parts.fold(everything, split.rest, split.test)
    return Problem(
        task=target.task,
        folds=folds,
        final=final,
        outputs=target.outputs,
        classes=target.classes,
        features=everything.features,
        name=table.name,
        rows=len(target.values),
        digest=_digest(columns, target, weight, split),
        targets=target.names,
        labels=target.labels,
        preprocessing=everything.to_dict(),
    )


class _Parts:
    """The whole data in plain forms, to take folds from."""

    def __init__(
        self, columns: Mapping[str, Array], target: Array, weight: Array | None, dtype: str
    ) -> None:
        self.columns = columns
        self.target = target
        self.weight = None if weight is None else _scaled(weight, dtype)
        self.dtype = dtype

    def fold(self, fitted: Preprocessing, train: Array, held: Array) -> Fold:
        return Fold(
            fitted.encode(_take(self.columns, train), self.dtype),
            self.target[train],
            None if self.weight is None else self.weight[train],
            fitted.encode(_take(self.columns, held), self.dtype),
            self.target[held],
            None if self.weight is None else self.weight[held],
        )


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Say in errors about content which data they are about."""
    try:
        yield
    except DataError as error:
        raise DataError(error.message, file=source, key=error.key) from None


def _take(columns: Mapping[str, Array], rows: Array) -> dict[str, Array]:
    return {name: values[rows] for name, values in columns.items()}


def _read(table: Table, options: DataOptions) -> tuple[Target, dict[str, Array], Array | None]:
    """Target, columns and weights of the rows that have a target."""
    rows = len(as_array(table.target, "target"))
    weight = None
    if table.weight is not None:
        weight = _read_weight(table.weight, rows, options.weight)
    target = read_target(
        table.target,
        options.task or table.task,
        options.targets,
        None if weight is None else weight > 0,
        options.meant_task,
    )
    if not table.columns:
        raise DataError("there is no column besides the target; expected at least one")
    columns = _take(read_columns(table.columns, rows), target.rows)
    return target, columns, None if weight is None else weight[target.rows]


def _tell_numbers_as_text(columns: Mapping[str, Array], source: str) -> None:
    """Warn of columns that one strange text among numbers turns into a column of categories."""
    for name, values in columns.items():
        texts = {} if values.dtype != object else dict.fromkeys(values.tolist())
        strange = [text for text in texts if text is not None and not is_number(text)]
        if len(texts) > MOST_CATEGORIES and 0 < len(strange) < len(texts) / 2:
            logger.warning(
                "%s: column %r holds numbers, but also %r, so that all count as texts; "
                "leave missing values empty",
                source, name, strange[0],
            )  # fmt: skip


def _read_weight(values: Array, rows: int, column: str | None) -> Array:
    key = "weight" if column is None else f"column {column!r}"
    weight = read_column(values, key)
    if len(weight) != rows:
        raise DataError(f"has {len(weight)} rows, but the target has {rows}", key=key)
    if weight.dtype == object:
        raise DataError("holds texts; expected weights, numbers of 0 or more", key=key)
    if not (weight >= 0).all():
        row = int((weight >= 0).argmin())
        found = "no value" if np.isnan(weight[row]) else f"{weight[row]:g}"
        raise DataError(
            f"holds {found}; expected a weight, a number of 0 or more", key=f"{key}, row {row + 1}"
        )
    if not weight.any():
        raise DataError("all weights are 0; expected some above", key=key)
    return weight


def _scaled(weight: Array, dtype: str) -> Array:
    """Weights of mean 1, so that no unit is too large or too small for the dtype."""
    weight = weight / weight.max()
    # The least that is above 0 keeps a batch of such rows from having no weight at all.
    scaled: Array = np.maximum(weight / weight.mean(), np.finfo(dtype).tiny).astype(dtype)
    return scaled


def _digest(
    columns: Mapping[str, Array], target: Target, weight: Array | None, split: Split
) -> str:
    digest = hashlib.sha256()

    def add(name: str, values: Array) -> None:
        # The name, type and shape go first, so that no two contents give the same bytes.
        plain = values.astype(values.dtype.newbyteorder("<")) if values.dtype != object else None
        kind = "texts" if plain is None else plain.dtype.str
        digest.update(json.dumps([name, kind, values.shape]).encode())
        digest.update(json.dumps(values.tolist()).encode() if plain is None else plain.tobytes())

    for name, values in columns.items():
        add(f"column {name}", values)
    add("target", target.values)
    add("classes", np.array(target.classes, dtype=object))
    if weight is not None:
        add("weight", weight)
    add("test", split.test.astype(np.int64))
    for train, _ in split.folds:  # what is held out is the rest
        add("train", train.astype(np.int64))
    return digest.hexdigest()[:16]
