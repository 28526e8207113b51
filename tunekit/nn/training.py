"""Training: start a run, advance it by some epochs, get a new run."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence

import numpy as np

from tunekit.components import Array, Metric
from tunekit.nn.arrays import read_only
from tunekit.nn.checks import check_components, check_size
from tunekit.nn.initial import untrained
from tunekit.nn.memory import Memory
from tunekit.nn.network import Network
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Checkpoint, Run, layout_of
from tunekit.nn.trainer import Trainer
from tunekit.nn.update import Update, remembering
from tunekit.records import Fold


def start(recipe: Recipe, fold: Fold, outputs: int, seed: np.random.SeedSequence) -> Run:
    """Initialize a network and measure it untrained.

    Args:
        recipe: What to train.
        fold: Training and validation rows.
        outputs: Number of classes, or of value columns.
        seed: Source of all of the run's randomness.

    Raises:
        InputError: The loss does not fit the targets.
        ComponentError: The activation returned something unusable.
    """
    # Children are made by key, not by `spawn`, which would count them in `seed` itself.
    initial, shuffle, noise = (
        np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, i)))
        for i in range(3)
    )
    layout = layout_of(recipe, fold, outputs)
    check_size(layout.size, recipe.dtype)
    check_components(recipe, layout.sizes, rows=len(fold.x))
    weights, running = untrained(recipe, layout, copy.deepcopy(initial))
    slots = Update.initial_state(recipe.optimizer, layout, weights)
    memories = [
        Memory.owned(regularizer.initial_state(read_only(weights)))
        for regularizer in remembering(recipe.regularizers)
    ]
    checkpoint = Checkpoint(weights, running, slots, memories, shuffle, noise, initial)
    trainer = Trainer(Run(recipe, fold, outputs, checkpoint))
    with np.errstate(all="ignore"):
        trainer.evaluation.measure()
    return trainer.run


def advance(run: Run, epochs: int, seconds: float = math.inf) -> Run:
    """Train for some more epochs.

    The result depends on the sum of the epochs only: two calls end in the same bits as one.

    Args:
        run: Where to start from; it is not changed.
        epochs: How many epochs at most; a run ends by itself after its recipe's epochs, when
            early stopping says so, or when it diverges.
        seconds: After this time no further epoch is started.

    Raises:
        ComponentError: A component returned something unusable.
    """
    trainer = Trainer(run)
    begin = time.perf_counter()
    # A diverging run overflows on its way; that is told in words, not in warnings.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        for _ in range(epochs):
            if trainer.checkpoint.status != "running":
                break
            trainer.epoch()
            if time.perf_counter() - begin > seconds:
                break
    return trainer.run


def trained(run: Run) -> Network:
    """The network that a run's score belongs to, to predict with."""
    return Trainer(run).evaluation.best_network()


def score_on(run: Run, x: Array, target: Array, weight: Array | None) -> float:
    """The metric of a run's network on other rows; see `scores_on`."""
    return scores_on(run, [run.recipe.metric], x, target, weight)[0]


def scores_on(
    run: Run, metrics: Sequence[Metric], x: Array, target: Array, weight: Array | None
) -> list[float]:
    """What the network that a run's score belongs to scores on some rows.

    Args:
        run: A run that has been trained.
        metrics: What to score it by.
        x: Inputs, shape ``(rows, features)``.
        target: Class indices ``(rows,)``, or values ``(rows, outputs)`` in their own unit.
        weight: Weight of each row, or None.

    Raises:
        ComponentError: A metric returned something unusable.
    """
    evaluation, loss = Trainer(run).evaluation, run.recipe.loss
    encoding = evaluation.encoding
    encoded = encoding.encode(target, run.recipe.dtype)
    with np.errstate(all="ignore"):
        output = evaluation.best_network().infer(x)
        return [
            encoding.measure(loss, metric, output, target, encoded, weight)[1] for metric in metrics
        ]
