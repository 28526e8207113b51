"""What a search needs before its first ask: the data, the task's defaults, checked components."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

import tunekit
from tunekit.components import KINDS, Dataset, Loss, Metric
from tunekit.data.options import DataOptions
from tunekit.data.prepare import prepare
from tunekit.data.sources import load_table
from tunekit.errors import DataError, InputError, StudyError
from tunekit.nn.checks import check_size
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import layout_of
from tunekit.nn.targets import Encoding
from tunekit.plugins import BUILTIN, Owner, Registry
from tunekit.records import Objective, Problem
from tunekit.space import Choices, Fixed, Interval, Scalar
from tunekit.study.study import MEASURED, Study, for_task

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
        dtype = next(p for p in study.space.parameters if p.name == "dtype").default
        problem = _problem(study, registry, str(dtype))
        rows = min(len(fold.x) for fold in problem.folds)
        setting = cls(for_task(study, registry, problem.task, rows), registry, problem)
        setting._check()
        return setting

    @classmethod
    def recalled(cls, study: Study, registry: Registry, *, dtype: str) -> Setting:
        """The setting of a recorded trial: its data, whatever today's space would be.

        Raises:
            DataError: The data cannot be used.
        """
        return cls(study, registry, _problem(study, registry, dtype))

    def _check(self) -> None:
        """What cannot be sampled or built is told before anything is written or trained."""
        from tunekit.search import samplers

        samplers.check(self.study)
        most = 32 * (os.cpu_count() or 1)
        if self.study.executor is None and self.study.workers > most:
            raise StudyError(
                f"{self.study.workers} worker processes are too many for this machine; expected "
                f"at most {most}",
                file=self.study.file,
                key="study.workers",
            )
        self._check_metric()
        for configuration in self.study.space.defaults():
            try:
                recipe = Recipe.of(configuration, self.registry, self.study.metric)
                self._check_loss(recipe.loss)
                size = layout_of(recipe, self.problem.folds[0], self.problem.outputs).size
                check_size(size, recipe.dtype)
            except InputError as error:
                raise StudyError(error.message, file=self.study.file, key=error.key) from None

    def _check_metric(self) -> None:
        """Some metrics are for some values only, such as counts."""
        target = self.problem.folds[0].target
        if self.metric.needs == "values":
            values = target.reshape(len(target), -1)
            try:
                self.metric().score(values, values, None)
            except InputError as error:
                raise StudyError(error.message, file=self.study.file, key="study.metric") from None

    def _check_loss(self, loss: Loss) -> None:
        Encoding.of(loss, self.problem.folds[0].target, self.problem.outputs)

    @property
    def metric(self) -> type[Metric]:
        """The objective."""
        return self.registry.find(Metric, self.study.metric)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All that is optimized; the first one is `metric`."""
        return tuple(
            Objective(
                name,
                name not in MEASURED and self.registry.find(Metric, name).larger_is_better,
            )
            for name in self.study.metrics
        )

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Which way each objective gets better."""
        return tuple(
            "maximize" if objective.larger_is_better else "minimize"
            for objective in self.objectives
        )

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
        classes = {"classes": ", ".join(problem.classes)} if problem.classes else {}
        return {
            "name": problem.name,
            "source": self.study.data.source,
            "target": ", ".join(problem.targets),
            "task": problem.task,
            **classes,
            "rows": problem.rows,
            "test_rows": len(problem.final.x_validation),
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
        return {
            **words,
            **self._plugins(),
            "space (digest, all digits and the order of regularizers)": exact,
            "data (digest)": self.problem.digest,
            "study.metric": ", ".join(self.study.metrics),
            "study.constraints": ", ".join(c.words for c in self.study.constraints) or "none",
            "study.seed": str(self.study.seed),
        }

    def provenance(self) -> dict[str, Scalar]:
        """What a trial needs, besides its configuration, to be trained again to the same bits."""
        return {
            "seed": self.study.seed,
            "data_digest": self.problem.digest,
            "blas_threads": 1,
            "tunekit": tunekit.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            **self._plugins(),
            **{
                owner.name: owner.version
                for owner in self.owners().values()
                if owner.origin == "distribution"
            },
        }

    def _plugins(self) -> dict[str, str]:
        """The digest of the code of each component that did not come with tunekit.

        A data set has another digest, that of its data.
        """
        keys = [name.split(".") for name in self.owners()]
        return {
            f"plugin {kind}.{name}": self.registry.digest(kind, name)
            for kind, name in keys
            if kind != Dataset.kind
        }

    def owners(self) -> dict[str, Owner]:
        """Who brought the study's components, by kind and name, as far as it was not tunekit."""
        asked = {self.study.metric, *self.study.measures}
        named = {("metric", name) for name in asked if name not in MEASURED}
        if self.study.data.source in self.registry.names(Dataset.kind):
            named.add((Dataset.kind, self.study.data.source))
        for parameter in self.study.space.parameters:
            domain = parameter.domain
            values = domain.values if isinstance(domain, Choices) else ()
            if isinstance(domain, Fixed):
                values = (domain.value,)
            if parameter.name in KINDS:
                named |= {(parameter.name, str(value)) for value in values}
            elif parameter.name.startswith("regularizer.") and parameter.name.count(".") == 1:
                named.add(("regularizer", parameter.name.partition(".")[2]))
        owners = {key: self.registry.owner(*key) for key in sorted(named)}
        return {".".join(key): owner for key, owner in owners.items() if owner != BUILTIN}


def _problem(study: Study, registry: Registry, dtype: str) -> Problem:
    options = DataOptions(**study.data.model_dump(), meant_task=study.meant_task)
    table = load_table(options, registry, study.folder, file=study.file)
    try:
        return prepare(table, options, seed=study.seed, dtype=dtype)
    except DataError as error:
        # What is wrong with the split is wrong in the study file, not in the data.
        file = error.file or study.file
        raise DataError(error.message, file=file, key=error.key) from None
