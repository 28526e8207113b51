"""What every data set has to keep."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tunekit.components import Array, Dataset
from tunekit.data.columns import is_missing, read_column
from tunekit.data.options import DataOptions
from tunekit.data.prepare import prepare
from tunekit.errors import DataError
from tunekit.nn.arrays import spread
from tunekit.nn.targets import Encoding
from tunekit.records import Fold, Problem, Table
from tunekit.testing.arguments import expect_repeatable
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.problems import LOSSES, trained_on

UNTOLD = "not judged: there is no table that can be looked into, as `table` says"
FEWEST = 20
MOST = 1500  # rows that a network is trained on here


def _loaded(dataset: Dataset) -> Table:
    table: object = dataset.load()
    if not isinstance(table, Table):
        raise CheckFailure(
            expected="load returns a tunekit.Table",
            found=type(table).__name__,
            likely="a `return` is missing"
            if table is None
            else "Table(columns={...}, target=...) or Table.from_matrix(x, target) makes one",
        )
    return table


def _prepared(dataset: Dataset) -> Problem:
    return prepare(_loaded(dataset), DataOptions(source=dataset.name), seed=0)


def _has_table(dataset: Dataset) -> bool:
    """Whether there is a table that can be looked into."""
    try:
        table(dataset)
    except CheckFailure:
        return False
    return True


@check("dataset")
def table(dataset: Dataset) -> str:
    """It loads a table of columns and a target."""
    loaded = _loaded(dataset)
    target = np.asarray(loaded.target)
    rows = len(target) if target.ndim else 0
    if rows < FEWEST or not loaded.columns:
        raise CheckFailure(
            expected=f"{FEWEST} rows or more, and a column besides the target",
            found=f"{rows} rows, {len(loaded.columns)} columns",
            likely="the target is no array with an element a row, or too few rows were read",
        )
    for name, values in loaded.columns.items():
        if not isinstance(name, str) or np.shape(values) != (rows,):
            raise CheckFailure(
                expected=f"columns by name, of shape ({rows},) like the target's rows",
                found=f"column {name!r} of shape {np.shape(values)}",
                likely="rows and columns are turned round, or only the columns were filtered",
            )
    if loaded.weight is not None and np.shape(loaded.weight) != (rows,):
        raise CheckFailure(
            expected=f"one weight a row, shape ({rows},)",
            found=f"shape {np.shape(loaded.weight)}",
            likely="the weights are those of other rows",
        )
    if not loaded.name:
        raise CheckFailure(
            expected="a table with a name",
            found=f"{loaded.name!r}",
            likely="name=self.name is left out",
        )
    if loaded.task is not None and loaded.task not in dataset.tasks:
        raise CheckFailure(
            expected=f"a task out of {dataset.tasks}, which the class declares",
            found=f"task = {loaded.task!r} in the table",
            likely="`tasks = (...)` of the class and `task=` of the table say different things",
        )
    task = loaded.task or "task told from the target"
    return f"{loaded.name}: {rows} rows, {len(loaded.columns)} columns, {task}"


@check("dataset")
def target_is_known(dataset: Dataset) -> str | None:
    """No row's target is missing."""
    if not _has_table(dataset):
        return UNTOLD
    target = np.asarray(_loaded(dataset).target)
    for column in target.reshape(len(target), -1).T:
        missing = is_missing(read_column(column, "target"))
        if missing.any():
            raise CheckFailure(
                expected="a target in every row",
                found=f"none in {np.count_nonzero(missing)} of {len(target)}, first in row "
                f"{int(missing.argmax()) + 1}",
                likely="rows without a target can be neither learned from nor scored; leave them "
                "out in `load`",
            )
    return None


@check("dataset")
def deterministic(dataset: Dataset) -> str | None:
    """Loading it twice gives the same table."""
    if not _has_table(dataset):
        return UNTOLD

    def content() -> list[Array]:
        table = _loaded(dataset)
        return [_codes(column) for column in (*table.columns.values(), table.target)]

    expect_repeatable("load", content, content)
    return None


def _codes(column: Array) -> Array:
    """Numbers that tell a column's values apart."""
    column = np.asarray(column)
    if column.dtype.kind in "fiub":
        return column
    return np.frombuffer(repr(column.tolist()).encode(), np.uint8)


@check("dataset")
def prepares(dataset: Dataset) -> str:
    """It can be split, and gives finite inputs."""
    if not _has_table(dataset):
        return UNTOLD
    try:
        problem = _prepared(dataset)
    except DataError as error:
        raise CheckFailure(
            expected="a table that can be split, preprocessed and learned from",
            found=f"{error.key}: {error.message}" if error.key else error.message,
            likely="a mistake in reading or filtering the rows; a study would refuse them, too",
        ) from error
    fold = problem.folds[0]
    for x in (fold.x, fold.x_validation):
        if not np.isfinite(x).all():
            raise CheckFailure(
                expected="finite inputs after preprocessing",
                found=f"{np.count_nonzero(~np.isfinite(x))} that are not",
                likely="infinite numbers in a column",
            )
    told = f"{fold.x.shape[1]} inputs, {problem.outputs} outputs, {problem.task}"
    return f"{told} ({', '.join(problem.classes[:6])})" if problem.classes else told


@check("dataset")
def learns(dataset: Dataset) -> str:
    """A network does better than a constant on it."""
    try:
        problem = _prepared(dataset)
    except (CheckFailure, DataError):
        return "not judged: there is nothing to learn from, as another check says"
    whole, task = problem.folds[0], problem.task
    fold = _few(whole)
    run = trained_on(task, fold, problem.outputs, hidden=(32, 32), epochs=30, batch_size=32)
    found = min(run.checkpoint.metrics["val_loss"])
    constant = _constant(fold, problem)
    # The best of 30 epochs is below it by chance too, with 60 rows by 0.06 of it.
    luck = 0.8 / math.sqrt(len(fold.x_validation))
    if not found < (1 - luck) * constant:
        raise CheckFailure(
            expected=f"a {run.recipe.loss.name} clearly below {constant:.4g} on rows that were "
            "held out, which predicting the same for every row has",
            found=f"{found:.4g} at best, in 30 epochs of a network of 2 x 32 units",
            likely="the columns and the target are not in the same order (one of them was "
            "sorted or shuffled alone), or the inputs say nothing about the target",
        )
    return f"{run.recipe.loss.name} {found:.3g}, a constant prediction {constant:.3g}"


def _few(fold: Fold) -> Fold:
    """As many rows as are trained on in a second."""
    return replace(
        fold,
        x=spread(fold.x, MOST),
        target=spread(fold.target, MOST),
        weight=None,
        x_validation=spread(fold.x_validation, MOST),
        target_validation=spread(fold.target_validation, MOST),
        weight_validation=None,
    )


def _constant(fold: Fold, problem: Problem) -> float:
    """The loss of the mean target, predicted for all rows."""
    loss = LOSSES[problem.task]()
    encoding = Encoding.of(loss, fold.target, problem.outputs)
    mean = encoding.encode(fold.target, "float64").mean(axis=0)
    if problem.task != "regression":
        mean = np.clip(mean, 1e-3, 1 - 1e-3)
        mean = np.log(mean) if problem.task == "classification" else np.log(mean / (1 - mean))
    y = encoding.encode(fold.target_validation, "float64")
    value, _ = loss.value_and_gradient(np.broadcast_to(mean, y.shape), y, None)
    return value if math.isfinite(value) else math.inf
