"""What is to be predicted: classes or values, and how to tell which."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tunekit.data.columns import is_missing, is_number, read_column, text_of
from tunekit.errors import DataError, suggestion

Array = npt.NDArray[Any]
Task = Literal["classification", "regression"]
TASKS = ("classification", "regression")

MOST_CLASSES = 20
"""So many different whole numbers may be classes; more are values."""

ROWS_A_CLASS = 5
"""Whole numbers are classes only where each occurs this often on average."""

logger = logging.getLogger("tunekit")


@dataclass(frozen=True)
class Target:
    """The target of all rows that have one.

    Attributes:
        task: ``"classification"`` or ``"regression"``.
        rows: The table's rows that have a target, ascending; the others are left out.
        values: Class indices ``(rows,)`` (int64), or values ``(rows, outputs)`` (float64).
        classes: The class labels in the order of their indices, as texts; empty for regression.
    """

    task: Task
    rows: npt.NDArray[np.intp]
    values: Array
    classes: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        """Number of classes, or of value columns."""
        return len(self.classes) or int(self.values.shape[1])


def read_target(values: Array, task: str | None, key: str) -> Target:
    """The target, its task told from its type where none is given.

    Texts and booleans are classes. Whole numbers are classes where there are at most
    `MOST_CLASSES` different ones and `ROWS_A_CLASS` times as many rows. All other numbers, and
    everything with several columns, are values. Classes are sorted: numbers by size, texts by
    alphabet. Rows without a target can neither be learned from nor scored, so they are left out,
    with a warning.

    Args:
        values: Shape ``(rows,)`` or ``(rows, outputs)``.
        task: ``"classification"``, ``"regression"`` or None.
        key: What errors call the target.

    Raises:
        DataError: There is nothing to learn, or the values do not fit the task.
    """
    if task is not None and task not in TASKS:
        raise DataError(f"no task is called {task!r}. {suggestion(task, TASKS)}", key="data.task")
    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] > 0:
        columns = [read_column(values[:, j], key) for j in range(values.shape[1])]
    else:
        columns = [_without_numbers_for_flags(values, key)]
    rows = np.flatnonzero(~np.any([is_missing(column) for column in columns], axis=0))
    _tell_missing(rows, len(columns[0]), key)
    columns = [column[rows] for column in columns]
    if task is None:
        task = "classification" if _look_like_classes(columns) else "regression"
    if task == "classification":
        return _classes(columns, rows, key)
    return _values(columns, rows, key)


def _without_numbers_for_flags(values: Array, key: str) -> Array:
    """A column in a plain form, where booleans are the texts that their classes will be called."""
    column = read_column(values, key)
    flags = [v for v in np.asarray(values).tolist() if isinstance(v, (bool, np.bool_))]
    if flags and len(flags) == np.count_nonzero(~is_missing(column)):
        texts = np.array(["False", "True", None], dtype=object)
        codes = np.where(is_missing(column), 2, column).astype(int)
        column = texts[codes]
    return column


def _tell_missing(rows: Array, total: int, key: str) -> None:
    if total == 0:
        raise DataError("has no rows; expected at least one", key=key)
    if len(rows) == 0:
        raise DataError(f"all {total} values are missing; expected a target in each row", key=key)
    if len(rows) < total:
        first = int(np.setdiff1d(np.arange(total), rows)[0]) + 1
        logger.warning(
            "%s: %d of %d rows have no target and are left out; the first is row %d",
            key, total - len(rows), total, first,
        )  # fmt: skip


def _look_like_classes(columns: list[Array]) -> bool:
    if len(columns) > 1:
        return False
    column = columns[0]
    if column.dtype == object:
        return True
    if not np.array_equal(column, np.round(column)):
        return False
    different = len(np.unique(column))
    return different <= MOST_CLASSES and different * ROWS_A_CLASS <= len(column)


def _classes(columns: list[Array], rows: Array, key: str) -> Target:
    if len(columns) > 1:
        raise DataError(
            f"has {len(columns)} columns; expected one column of classes "
            '(task = "regression" takes several)',
            key=key,
        )
    labels, indices = np.unique(columns[0], return_inverse=True)
    classes = tuple(text_of(label) for label in labels)
    if len(classes) < 2:
        raise DataError(
            f"every row has the class {classes[0]!r}; expected at least two classes", key=key
        )
    return Target("classification", rows, indices.astype(np.int64), classes)


def _values(columns: list[Array], rows: Array, key: str) -> Target:
    for column in columns:
        if column.dtype == object:
            row = next((i for i, text in enumerate(column) if not is_number(text)), 0)
            raise DataError(
                f"holds {column[row]!r}; regression expected numbers "
                '(with task = "classification" texts are classes)',
                key=f"{key}, row {rows[row] + 1}",
            )
    values = np.ascontiguousarray(np.column_stack(columns))
    if (values == values[0]).all():
        shown = ", ".join(f"{value:g}" for value in values[0])
        raise DataError(f"every row has the value {shown}; there is nothing to learn", key=key)
    return Target("regression", rows, values)
