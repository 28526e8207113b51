"""Small problems that a network learns in a fraction of a second."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from tunekit.builtin.activations.exponential import Elu
from tunekit.builtin.initializers import HeNormal
from tunekit.builtin.losses import (
    CrossEntropy,
    MultilabelCrossEntropy,
    SquaredError,
)
from tunekit.builtin.metrics import R2, Accuracy, HammingAccuracy
from tunekit.builtin.optimizers.adam import Adam
from tunekit.builtin.schedules import Constant
from tunekit.components import Array, Loss, Metric, Task
from tunekit.errors import TunekitError
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Run
from tunekit.nn.training import advance, start
from tunekit.records import Fold
from tunekit.testing.check import CheckFailure

ROWS, HELD = 240, 120
LOSSES: dict[Task, type[Loss]] = {
    "classification": CrossEntropy,
    "multilabel": MultilabelCrossEntropy,
    "regression": SquaredError,
}
METRICS: dict[Task, type[Metric]] = {
    "classification": Accuracy,
    "multilabel": HammingAccuracy,
    "regression": R2,
}


@cache
def problem(task: Task, targets: str = "values") -> tuple[Fold, int]:
    """Five normal inputs, and three bent sums of them that say what the target is.

    Args:
        task: What it is for.
        targets: The form that a loss wants; ``"binary"`` makes two classes, ``"counts"`` counts.

    Returns:
        The rows, and the number of outputs.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS + HELD, 5))
    sums = (x + 0.5 * np.abs(x)) @ rng.normal(size=(5, 3))
    sums = (sums - sums.mean(axis=0)) / sums.std(axis=0)
    target: Array
    if task == "classification":
        target = sums.argmax(axis=1) if targets != "binary" else (sums[:, 0] > 0).astype(int)
    elif task == "multilabel":
        target = (sums > 0).astype(int)
    else:
        target = np.round(np.exp(1 + 0.6 * sums)) if targets == "counts" else sums
    x = x.astype(np.float32)
    fold = Fold(x[:ROWS], target[:ROWS], None, x[ROWS:], target[ROWS:], None)
    return fold, int(target.max()) + 1 if target.ndim == 1 else target.shape[1]


def trained(task: Task, *, targets: str = "values", **parts: Any) -> Run:
    """Train a small network on a small problem.

    Args:
        task: What the problem is for.
        targets: See `problem`.
        **parts: What the recipe has instead of a usual component or value.
    """
    fold, outputs = problem(task, targets)
    return trained_on(task, fold, outputs, **parts)


def trained_on(task: Task, fold: Fold, outputs: int, **parts: Any) -> Run:
    """Train a small network on some rows.

    Raises:
        CheckFailure: The trainer refuses, or the training diverges.
    """
    usual: dict[str, Any] = {
        "hidden": (16,),
        "activation": Elu(),
        "initializer": HeNormal(),
        "loss": LOSSES[task](),
        "metric": METRICS[task](),
        "optimizer": Adam(lr=1e-2),
        "schedule": Constant(),
        "epochs": 20,
        "batch_size": 16,
    }
    recipe = Recipe(**(usual | parts))
    try:
        run = start(recipe, fold, outputs, np.random.SeedSequence(0))
        run = advance(run, recipe.epochs)
    except TunekitError as error:
        raise CheckFailure(
            expected="a small network that is trained",
            found=error.message,
            likely="the trainer refuses it, as it would in a study; another check says more",
        ) from error
    if run.checkpoint.status == "diverged":
        raise CheckFailure(
            expected="a small network that is trained",
            found=f"its loss or its weights are no finite numbers in epoch {run.checkpoint.epoch}",
            likely="something points uphill, or overflows; another check says more",
        )
    return run


def by_chance(task: Task, fold: Fold) -> float:
    """What the best constant prediction scores on the held-out rows, with the task's metric."""
    if task == "classification":
        usual = np.bincount(fold.target).argmax()
        return float(np.mean(fold.target_validation == usual))
    if task == "multilabel":
        return float(np.mean(fold.target_validation == np.round(fold.target.mean(axis=0))))
    return 0.0


def expect_learned(run: Run, task: Task, likely: str, *, bar: float = 0.4) -> str:
    """See that a network does clearly better than a constant prediction.

    Args:
        run: Its training.
        task: What it is for.
        likely: The mistake, where it does not.
        bar: The least share of the way from the constant prediction's score to perfection. A
            linear network goes most of it.

    Returns:
        What it scores, in words.

    Raises:
        CheckFailure: It does not.
    """
    metric, chance = run.recipe.metric.name, by_chance(task, run.fold)
    if run.score < chance + bar * (1 - chance):
        raise CheckFailure(
            expected=f"{metric} well above {chance:.2f}, that of a constant prediction, "
            f"on a small problem of {task}",
            found=f"{metric} {run.score:.2f} after {run.checkpoint.epoch} epochs",
            likely=likely,
        )
    return f"{metric} {run.score:.2f} on a small problem, a constant prediction {chance:.2f}"
