"""What is to be predicted: classes, labels or values, and how to tell which."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from tunekit.components import Task
from tunekit.data.columns import TOO_LARGE, as_array, is_missing, is_number, read_column, text_of
from tunekit.errors import DataError, suggestion
from tunekit.space import Scalar

Array = npt.NDArray[Any]
TASKS: tuple[Task, ...] = get_args(Task)

MOST_CLASSES = 20
"""So many different whole numbers may be classes; more are values."""

ROWS_A_CLASS = 5
"""Whole numbers are classes only where each occurs this often on average."""

logger = logging.getLogger("tunekit")


@dataclass(frozen=True)
class Target:
    """The target of all rows that count.

    Attributes:
        task: ``"classification"``, ``"multilabel"`` or ``"regression"``.
        rows: The table's rows that have a target, ascending; the others are left out.
        values: Class indices ``(rows,)`` (int64), labels ``(rows, labels)`` of 0 and 1 (int64),
            or values ``(rows, outputs)`` (float64).
        classes: The class labels in the order of their indices, as texts, or the names of the
            labels; empty for regression.
        names: Names of the columns; ``y``, or ``y0``, ``y1``, ..., where they have none.
        labels: The classes as they were, numbers as numbers; empty unless the task is
            classification.
    """

    task: Task
    rows: npt.NDArray[np.intp]
    values: Array
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    labels: tuple[Scalar, ...] = ()

    @property
    def outputs(self) -> int:
        """Number of classes, of labels, or of value columns."""
        return len(self.classes) or int(self.values.shape[1])


def read_target(
    values: Array,
    task: str | None,
    names: Sequence[str] = (),
    use: Array | None = None,
    meant: str | None = None,
) -> Target:
    """The target, its task told from its type where none is given.

    One column: texts and booleans are classes. Whole numbers are classes where there are at most
    `MOST_CLASSES` different ones and `ROWS_A_CLASS` times as many rows. All other numbers are
    values. Classes are sorted: numbers by size, texts by alphabet.

    Several columns: where all hold nothing but 0 and 1 (or false and true) they are labels, any
    number of which a row may have; else they are values. Texts such as yes and no are refused,
    since nothing says which of the two is the label.

    Rows without a target (or without one of several) can neither be learned from nor scored, so
    they are left out, with a warning.

    Args:
        values: Shape ``(rows,)`` or ``(rows, outputs)``.
        task: ``"classification"``, ``"multilabel"``, ``"regression"`` or None.
        names: The columns' names, if they have any; labels without are called y0, y1, ...
        use: Which rows count, shape ``(rows,)``; None for all.
        meant: The task that whole numbers are for, where they could be classes or values.

    Raises:
        DataError: There is nothing to learn, or the values do not fit the task.
    """
    if task is not None and task not in TASKS:
        raise DataError(f"no task is called {task!r}. {suggestion(task, TASKS)}", key="data.task")
    whole = ", ".join(f"column {name!r}" for name in names) or "target"
    values = as_array(values, whole)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and values.shape[1] > 1:
        count = values.shape[1]
        keys = [f"column {name!r}" for name in names]
        keys = keys or [f"target, column {j + 1}" for j in range(count)]
        columns = [read_column(values[:, j], keys[j]) for j in range(count)]
        named = tuple(names) or tuple(f"y{j}" for j in range(count))
        are_flags = False
    else:
        keys = [whole]
        columns = [read_column(values, whole)]
        named = tuple(names) or ("y",)
        are_flags = task != "multilabel" and _are_flags(values, columns[0])
        if are_flags:
            columns = [_texts_of_flags(columns[0])]
    rows = _rows(columns, use, whole)
    columns = [column[rows] for column in columns]
    match task or _likely_task(columns, meant):
        case "classification":
            target = _classes(columns, rows, whole, are_flags=are_flags)
        case "multilabel":
            target = _labels(columns, rows, keys, named)
        case _:
            target = _values(columns, rows, keys)
    return replace(target, names=named)


def _are_flags(values: Array, column: Array) -> bool:
    """Whether all that a column holds are booleans."""
    flags = [v for v in np.asarray(values).tolist() if isinstance(v, (bool, np.bool_))]
    return bool(flags) and len(flags) == np.count_nonzero(~is_missing(column))


def _texts_of_flags(column: Array) -> Array:
    """The texts that the classes of booleans will be called, for 0 and 1."""
    texts = np.array(["False", "True", None], dtype=object)
    named: Array = texts[np.where(is_missing(column), 2, column).astype(int)]
    return named


def _rows(columns: list[Array], use: Array | None, key: str) -> npt.NDArray[np.intp]:
    """The rows to use that have a target."""
    known = ~np.any([is_missing(column) for column in columns], axis=0)
    total, missing = len(known), int(np.count_nonzero(~known))
    if total == 0:
        raise DataError("has no rows; expected at least one", key=key)
    if missing == total:
        raise DataError(f"all {total} values are missing; expected a target in each row", key=key)
    if missing:
        logger.warning(
            "%s: %d of %d rows have no target and are left out; the first is row %d",
            key, missing, total, int(known.argmin()) + 1,
        )  # fmt: skip
    if use is not None:
        known &= use
        if not known.any():
            raise DataError("no row with a target has a weight above 0", key=key)
    return np.flatnonzero(known)


def _likely_task(columns: list[Array], meant: str | None) -> str:
    if len(columns) > 1:
        return "multilabel" if all(map(_holds_labels, columns)) else "regression"
    column = columns[0]
    if column.dtype == object:
        return "classification"
    if not np.array_equal(column, np.round(column)):
        return "regression"
    if meant in ("classification", "regression"):
        return meant
    different = len(np.unique(column))
    few = different <= MOST_CLASSES and different * ROWS_A_CLASS <= len(column)
    return "classification" if few else "regression"


def _holds_labels(column: Array) -> bool:
    return column.dtype != object and bool(((column == 0) | (column == 1)).all())


def _classes(columns: list[Array], rows: Array, key: str, *, are_flags: bool) -> Target:
    if len(columns) > 1:
        raise DataError(
            f"has {len(columns)} columns; expected one column of classes "
            '(several of 0 and 1 are task = "multilabel", several of numbers "regression")',
            key=key,
        )
    labels, indices = np.unique(columns[0], return_inverse=True)
    classes = tuple(text_of(label) for label in labels)
    if len(classes) < 2:
        raise DataError(
            f"every row has the class {classes[0]!r}; expected at least two classes", key=key
        )
    as_they_were = tuple(text == "True" if are_flags else _plain(text) for text in labels.tolist())
    values = indices.astype(np.int64)
    return Target("classification", rows, values, classes, labels=as_they_were)


def _plain(label: float | str) -> Scalar:
    """A class as it was: whole numbers have no decimals."""
    return int(label) if isinstance(label, float) and label.is_integer() else label


def _labels(
    columns: list[Array], rows: Array, keys: Sequence[str], names: tuple[str, ...]
) -> Target:
    for key, column in zip(keys, columns, strict=True):
        if not _holds_labels(column):
            text = column.dtype == object
            row = _first_text(column) if text else int(((column != 0) & (column != 1)).argmax())
            found = repr(column[row]) if text else f"{column[row]:g}"
            raise DataError(
                f"holds {found}; a label is 0 or 1 (or false or true)",
                key=f"{key}, row {rows[row] + 1}",
            )
    values = np.column_stack(columns).astype(np.int64)
    _tell_constant(values, keys)
    return Target("multilabel", rows, values, names)


def _values(columns: list[Array], rows: Array, keys: Sequence[str]) -> Target:
    for key, column in zip(keys, columns, strict=True):
        if column.dtype == object:
            row = _first_text(column)
            hint = (
                'with task = "classification" texts are classes'
                if len(columns) == 1
                else "several columns are all numbers, or all labels of 0 and 1"
            )
            raise DataError(
                f"holds {column[row]!r}; regression expected numbers ({hint})",
                key=f"{key}, row {rows[row] + 1}",
            )
    values = np.ascontiguousarray(np.column_stack(columns))
    with np.errstate(over="ignore", invalid="ignore"):
        spread = values.std(axis=0)
    if not np.isfinite(spread).all():
        raise DataError(TOO_LARGE, key=keys[int(np.isfinite(spread).argmin())])
    _tell_constant(values, keys)
    return Target("regression", rows, values)


def _first_text(column: Array) -> int:
    """The first row of a text column that does not read as a number, or the first of all."""
    return next((i for i, text in enumerate(column) if not is_number(text)), 0)


def _tell_constant(values: Array, keys: Sequence[str]) -> None:
    """Warn of columns in which there is nothing to learn; refuse if there is no other."""
    constant = (values == values[0]).all(axis=0)
    if constant.all():
        shown = ", ".join(f"{value:g}" for value in values[0])
        raise DataError(
            f"every row has the value {shown}; there is nothing to learn", key=", ".join(keys)
        )
    for j in np.flatnonzero(constant).tolist():
        logger.warning(
            "%s: every row has the value %g, so that there is nothing to learn in this column",
            keys[j], values[0, j],
        )  # fmt: skip
