"""What a search needs before its first ask: the data, the task's defaults, checked components."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

import tunekit
from tunekit.components import Loss, Metric
from tunekit.data.options import DataOptions
from tunekit.data.prepare import prepare
from tunekit.data.sources import load_table
from tunekit.errors import DataError, InputError, StudyError
from tunekit.nn.recipe import Recipe
from tunekit.nn.targets import Encoding
from tunekit.plugins import Registry
from tunekit.records import Problem
from tunekit.space import Choices, Fixed, Interval, Scalar
from tunekit.study.study import Study, for_task

Direction = Literal["maximize", "minimize"]
"""Which way a metric gets better, as Optuna says it."""


@dataclass(frozen=True)
class Setting:
    """A study with its data.

    Attributes:
        study: The study, its defaults filled in for the data's task.
        registry: Its components.
        problem: Its data.
    """

    study: Study
    registry: Registry
    problem: Problem

    @classmethod
    def of(cls, study: Study, registry: Registry) -> Setting:
        """Load the data and check what can be checked before anything is trained.

        Raises:
            DataError: The data cannot be used.
            StudyError: The study asks for something that does not fit the data.
        """
        options = DataOptions(**study.data.model_dump())
        table = load_table(options, registry, study.folder, file=study.file)
        dtype = next(p for p in study.space.parameters if p.name == "dtype").default
        try:
            problem = prepare(table, options, seed=study.seed, dtype=str(dtype))
        except DataError as error:
            # What is wrong with the split is wrong in the study file, not in the data.
            file = error.file or study.file
            raise DataError(error.message, file=file, key=error.key) from None
        study = for_task(study, registry, problem.task)
        setting = cls(study, registry, problem)
        setting._check()
        return setting

    def _check(self) -> None:
        """Build every default configuration once: what cannot be built is told before training."""
        for configuration in self.study.space.defaults():
            try:
                recipe = Recipe.of(configuration, self.registry, self.study.metric)
                self._check_loss(recipe.loss)
            except InputError as error:
                raise StudyError(error.message, file=self.study.file, key=error.key) from None

    def _check_loss(self, loss: Loss) -> None:
        Encoding.of(loss, self.problem.folds[0].target, self.problem.outputs)

    @property
    def metric(self) -> type[Metric]:
        """The objective."""
        return self.registry.find(Metric, self.study.metric)

    @property
    def direction(self) -> Direction:
        """Which way the objective gets better."""
        return "maximize" if self.metric.larger_is_better else "minimize"

    @property
    def longest(self) -> int:
        """Epochs of the longest trial."""
        domain = next(p.domain for p in self.study.space.parameters if p.name == "epochs")
        match domain:
            case Fixed(value):
                return int(value)
            case Choices(values):
                return max(int(value) for value in values)
            case Interval():
                return int(domain.high)

    @property
    def data(self) -> dict[str, Scalar]:
        """What the data are, in plain values."""
        problem = self.problem
        return {
            "name": problem.name,
            "task": problem.task,
            "rows": problem.rows,
            "features": len(problem.features),
            "outputs": problem.outputs,
            "folds": len(problem.folds),
            "digest": problem.digest,
        }

    def signature(self) -> Mapping[str, str]:
        """All that makes trials of a study comparable, in words."""
        space = self.study.space
        words = {f"space {name}": text for name, text in space.describe().items()}
        exact = hashlib.sha256(space.signature().encode()).hexdigest()[:16]
        plugins = {f"plugin {_name(file.path)}": file.digest for file in self.registry.files}
        return {
            **words,
            **plugins,
            "space (digest, all digits and the order of regularizers)": exact,
            "data (digest)": self.problem.digest,
            "study.metric": self.study.metric,
            "study.seed": str(self.study.seed),
        }

    def provenance(self) -> dict[str, Scalar]:
        """What a trial needs, besides its configuration, to be trained again to the same bits."""
        plugins = {f"plugin.{_name(file.path)}": file.digest for file in self.registry.files}
        return {
            "seed": self.study.seed,
            "data_digest": self.problem.digest,
            "blas_threads": 1,
            "tunekit": tunekit.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            **plugins,
        }


def _name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]
