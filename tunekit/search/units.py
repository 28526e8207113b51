"""Work units: pure functions that a worker runs.

A unit carries names and values, never component objects, so it can travel to any process that has
the same plugins. This module imports neither Optuna nor MLflow.
"""

from __future__ import annotations

import dataclasses
import math
import os
import socket
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunekit.data.store import open_saved
from tunekit.errors import TunekitError
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Checkpoint, Run
from tunekit.nn.training import advance, start
from tunekit.plugins import Packed, Registry
from tunekit.records import Diagnosis, Fold, Problem
from tunekit.search.measure import measure
from tunekit.space import Scalar

FINAL = -1
"""The fold index of the last training: on all rows that are not set aside."""


@dataclass(frozen=True)
class Workshop:
    """What a worker needs once, before its first unit.

    Attributes:
        data: Folder of the saved problem.
        plugins: What to load besides the built-ins.
        metric: The objective's name.
        seed: The study's seed.
        measures: What to measure besides, once a run has ended: further metrics, ``"parameters"``
            or ``"latency"``.
    """

    data: Path
    plugins: Packed
    metric: str
    seed: int
    measures: tuple[str, ...] = ()

    def open(self) -> Bench:
        """Load the plugins and the data."""
        return Bench(self, self.plugins.load(), open_saved(self.data))


@dataclass(frozen=True)
class Unit:
    """Some epochs of one training run.

    Attributes:
        configuration: The full resolved configuration.
        fold: Which fold to train on, or `FINAL`.
        seed_key: With the study's seed, the source of all of the run's randomness.
        until: The epoch to advance to.
        checkpoint: Where to go on from, or None to start.
        seconds: After this time the unit ends early, at the next epoch's end.
    """

    configuration: Mapping[str, Scalar]
    fold: int
    seed_key: tuple[int, ...]
    until: int
    checkpoint: Checkpoint | None = None
    seconds: float = math.inf


@dataclass(frozen=True)
class Outcome:
    """How far a unit came.

    Attributes:
        checkpoint: Where the next unit goes on.
        score: The validation score so far; for `FINAL`, once the run has ended, the score on the
            test split, or NaN without one.
        parameters: Number of trained parameters.
        seconds: Time spent.
        diagnosis: What the training suffers from so far.
        worker: Who did it: the machine's name and the process id.
        started: When, as Unix time in seconds.
        measured: The workshop's `measures` by name, once the run has ended; for `FINAL`, metrics
            are those on the test split.
    """

    checkpoint: Checkpoint
    score: float
    parameters: int
    seconds: float
    diagnosis: Diagnosis
    worker: str
    started: float
    measured: Mapping[str, float]


@dataclass(frozen=True)
class Failure:
    """A unit that could not be done.

    Attributes:
        reason: What happened, in one sentence.
        worker_died: Whether the process was lost, so that trying again may help.
    """

    reason: str
    worker_died: bool = False


def told(error: BaseException) -> str:
    """An exception in one line, with the line of code that raised it."""
    if isinstance(error, TunekitError):
        return str(error)
    lines = str(error).strip().splitlines() or ["no message"]
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}, line {frame.lineno}, in {frame.name}"
    return f"{type(error).__name__}: {lines[0][:200]} ({place})"


@dataclass(frozen=True)
class Bench:
    """A worker's loaded plugins and data, to perform units with."""

    workshop: Workshop
    registry: Registry
    problem: Problem

    def perform(self, unit: Unit) -> Outcome | Failure:
        """Do a unit; whatever goes wrong in it becomes a `Failure`."""
        try:
            # What overflows ends as a diverged run, which says so in words.
            with np.errstate(all="ignore"):
                return self._advance(unit)
        except (Exception, SystemExit) as error:
            return Failure(told(error))

    def _advance(self, unit: Unit) -> Outcome:
        started, begin = time.time(), time.perf_counter()
        recipe = Recipe.of(unit.configuration, self.registry, self.workshop.metric)
        fold, outputs = self._fold(unit.fold), self.problem.outputs
        if unit.fold == FINAL:
            # There is nothing to stop early on: `until` is known from the validation folds.
            recipe = dataclasses.replace(recipe, patience=0)
        if unit.checkpoint is None:
            seed = np.random.SeedSequence(self.workshop.seed, spawn_key=unit.seed_key)
            run = start(recipe, fold, outputs, seed)
        else:
            run = Run(recipe, fold, outputs, unit.checkpoint)
        run = advance(run, unit.until - run.checkpoint.epoch, unit.seconds)
        score, measured = run.score, dict[str, float]()
        if run.checkpoint.status != "running":
            measures = self.workshop.measures
            if unit.fold != FINAL:
                measured = measure(run, measures, self.registry)
            elif self.problem.has_test:
                names = (recipe.metric.name, *measures)
                measured = measure(run, names, self.registry, self.problem.final)
                score = measured.pop(recipe.metric.name)
            else:
                score = math.nan
        return Outcome(
            run.checkpoint,
            score,
            run.parameters,
            time.perf_counter() - begin,
            run.diagnosis,
            f"{socket.gethostname()}:{os.getpid()}",
            started,
            measured,
        )

    def _fold(self, index: int) -> Fold:
        if index != FINAL:
            return self.problem.folds[index]
        final = self.problem.final
        # The test rows are looked at once, after training: epochs are measured on training rows.
        rows = slice(0, min(len(final.x), 256))
        return Fold(
            final.x,
            final.target,
            final.weight,
            final.x[rows],
            final.target[rows],
            None if final.weight is None else final.weight[rows],
        )
