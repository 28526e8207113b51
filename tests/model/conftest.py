"""Small networks, trained on all rows but the test rows of a mixed table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pytest

from tunekit.data.options import DataOptions
from tunekit.data.prepare import prepare
from tunekit.data.splits import split_rows
from tunekit.data.targets import read_target
from tunekit.model import Model
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Run
from tunekit.nn.training import advance, start
from tunekit.plugins import PluginFile, Registry, load
from tunekit.records import Problem, Table
from tunekit.space import Scalar

Array = npt.NDArray[Any]
ROWS = 120
PARTS = ("x", "target", "weight")

Changes = Mapping[str, Scalar]

DEFAULTS: dict[str, Scalar] = {
    "activation": "tanh",
    "initializer": "he_normal",
    "loss": "cross_entropy",
    "optimizer": "adam",
    "optimizer.adam.lr": 0.02,
    "schedule": "constant",
    "network.hidden": "6-6",
    "network.normalization": "none",
    "epochs": 4,
    "batch_size": 16,
    "patience": 0,
    "warmup": 0.0,
    "dtype": "float32",
}
METRICS = {
    "cross_entropy": "accuracy",
    "binary_cross_entropy": "log_loss",
    "multilabel_cross_entropy": "hamming_accuracy",
}


def columns(rows: int = ROWS) -> dict[str, Array]:
    """Numbers and categories, some of both missing, and a column that says nothing."""
    rng = np.random.default_rng(5)
    size, weight = rng.normal(10, 3, rows), rng.normal(size=rows)
    size[::7] = np.nan
    city = rng.choice(["Rome", "Oslo", "Lima"], rows).astype(object)
    city[::11] = None
    return {"size": size, "weight": weight, "city": city, "same": np.ones(rows)}


def target(kind: str) -> Array:
    """Something that depends on the columns."""
    given = columns()
    score = (
        np.nan_to_num(given["size"], nan=10) / 3 - 3.3 + given["weight"] * (given["city"] != "Oslo")
    )
    values: dict[str, Array] = {
        "texts": np.array(["low", "mid", "top"])[np.digitize(score, [-0.5, 0.5])],
        "numbers": np.digitize(score, [-0.5, 0.5]) * 10,
        "flags": score > 0,
        "labels": np.column_stack([score > 0, score > 1, given["weight"] > 0]).astype(int),
        "values": score * 1000 + 5000,
        "several": np.column_stack([score * 100, given["weight"] - 7]),
        "counts": np.maximum(np.round(score + 3), 0),
    }
    return values[kind]


@dataclass(frozen=True)
class Trained:
    """A run, the data that it was trained on, and its model."""

    model: Model
    run: Run
    problem: Problem
    test: Array

    @property
    def rows(self) -> dict[str, Array]:
        """The test rows as they came."""
        return {name: values[self.test] for name, values in columns().items()}


class Train(Protocol):
    """What `train_model` is."""

    def __call__(
        self,
        kind: str = "texts",
        changes: Changes = ...,
        *,
        files: Sequence[PluginFile] = ...,
        registry: Registry | None = None,
        test: float = 0.25,
    ) -> Trained: ...


def train_model(
    kind: str = "texts",
    changes: Changes = MappingProxyType({}),
    *,
    files: Sequence[PluginFile] = (),
    registry: Registry | None = None,
    test: float = 0.25,
) -> Trained:
    """Train on a target of that kind, with other values than the defaults."""
    registry = registry or load(files, entry_points=False)
    task = "regression" if kind in ("values", "several", "counts") else None
    options = DataOptions("mixed", test=test, validation=0.3, task=task)
    table = Table(columns(), target(kind), "mixed", weight=np.linspace(0.5, 1.5, ROWS))
    configuration = {**DEFAULTS, **changes}
    problem = prepare(table, options, seed=1, dtype=str(configuration["dtype"]))
    metric = METRICS.get(str(configuration["loss"]), "rmse")
    recipe = Recipe.of(configuration, registry, metric)
    fold = problem.final
    if not problem.has_test:
        fold = replace(fold, **{f"{part}_validation": getattr(fold, part) for part in PARTS})
    begun = start(recipe, fold, problem.outputs, np.random.SeedSequence(2))
    run = advance(begun, recipe.epochs)
    model = Model.of(
        "mixed", run, problem, registry, configuration=configuration, provenance={"trial": 7}
    )
    split = split_rows(read_target(target(kind), task), options, 1)
    return Trained(model, run, problem, split.test)


@pytest.fixture(scope="session")
def train() -> Train:
    """Train on a target of some kind, with other values than the defaults."""
    return train_model


@pytest.fixture(scope="session")
def plain() -> Trained:
    """A network that tells three classes apart."""
    return train_model()
