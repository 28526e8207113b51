"""A trained network with its preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tunekit.components import Activation, Array, Loss, Task
from tunekit.data.preprocessing import Numeric, Preprocessing
from tunekit.errors import InputError
from tunekit.model.components import (
    opened_components,
    opened_file,
    saved_component,
    saved_file,
)
from tunekit.model.files import read, unreadable, write
from tunekit.model.predictions import Predictions
from tunekit.nn.arrays import read_only
from tunekit.nn.network import Architecture, Network
from tunekit.nn.run import Run, layout_of
from tunekit.nn.targets import Encoding
from tunekit.nn.trainer import Trainer
from tunekit.plugins import Owner, PluginFile, Registry
from tunekit.records import Problem
from tunekit.space import Scalar

Kind = Literal["number", "category"]


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network with its preprocessing.

    Attributes:
        name: What it is called: the study's name.
        task: ``"classification"``, ``"multilabel"`` or ``"regression"``.
        targets: Names of the predicted columns.
        labels: The classes as they were in the data, in the order of the network's outputs; empty
            unless the task is classification.
        preprocessing: What turns columns into the network's inputs.
        architecture: What the network is made of.
        sizes: Units of each layer, the inputs first, the outputs last.
        parameters: What was trained, flat; its dtype is the network's.
        statistics: Means and variances of normalized layers, flat.
        loss: What turns the raw output into a prediction.
        encoding: How targets were scaled.
        owners: Who brought the architecture's activation and the loss, by kind.
        plugins: The single-file plugins that these come from.
        configuration: The full resolved configuration that it was trained with.
        provenance: Where it comes from: study, trial, seed, digest of the data, versions, scores.
    """

    name: str
    task: Task
    targets: tuple[str, ...]
    labels: tuple[Scalar, ...]
    preprocessing: Preprocessing
    architecture: Architecture
    sizes: tuple[int, ...]
    parameters: Array
    statistics: Array
    loss: Loss
    encoding: Encoding
    owners: Mapping[str, Owner]
    plugins: tuple[PluginFile, ...] = ()
    configuration: Mapping[str, Scalar] = field(default_factory=dict)
    provenance: Mapping[str, Scalar | None] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        run: Run,
        problem: Problem,
        registry: Registry,
        *,
        configuration: Mapping[str, Scalar],
        provenance: Mapping[str, Scalar | None],
    ) -> Model:
        """The network that a run's score belongs to.

        Args:
            name: What to call it.
            run: A run that has ended, on the rows of `Problem.final`.
            problem: Its data.
            registry: Its components.
            configuration: What the run's recipe was made from.
            provenance: Where it comes from.
        """
        recipe, trainer = run.recipe, Trainer(run)
        with np.errstate(all="ignore"):
            trainer.evaluation.best_network()
        brought = {
            component.kind: registry.owner(component.kind, component.name)
            for component in (recipe.activation, recipe.loss)
        }
        paths = {owner.name for owner in brought.values() if owner.origin == "file"}
        return cls(
            name=name,
            task=problem.task,
            targets=problem.targets,
            labels=problem.labels,
            preprocessing=Preprocessing.from_dict(problem.preprocessing),
            architecture=recipe.architecture,
            sizes=layout_of(recipe, run.fold, run.outputs).sizes,
            parameters=read_only(trainer.checkpoint.weights),
            statistics=read_only(trainer.checkpoint.running),
            loss=recipe.loss,
            encoding=trainer.encoding,
            owners=brought,
            plugins=tuple(file for file in registry.files if file.path in paths),
            configuration=dict(configuration),
            provenance=dict(provenance),
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes or labels; empty for regression."""
        if self.task == "multilabel":
            return self.targets
        return tuple(map(str, self.labels))

    @property
    def inputs(self) -> dict[str, Kind]:
        """The columns that it needs, and what they hold; any value may be missing."""
        return {
            column.name: "number" if isinstance(column, Numeric) else "category"
            for column in self.preprocessing.columns
        }

    @property
    def example(self) -> dict[str, list[Any]]:
        """One row that it can predict: medians, and the first category of each column."""
        return {
            column.name: [
                column.median if isinstance(column, Numeric) else next(iter(column.categories), "")
            ]
            for column in self.preprocessing.columns
        }

    @property
    def distributions(self) -> dict[str, str]:
        """The installed distributions that its components come from, with their versions."""
        return {
            owner.name: owner.version
            for owner in self.owners.values()
            if owner.origin == "distribution"
        }

    def network(self) -> Network:
        """The network itself; a new one, since one network cannot serve two threads."""
        layout = self.architecture.layout(self.sizes)
        return Network(self.architecture, layout, self.parameters, self.statistics)

    def predict(self, columns: Mapping[str, Any]) -> Predictions:
        """Predict rows as they come.

        Args:
            columns: Values of shape ``(rows,)`` by column name: arrays, lists, or a data frame.
                None and NaN are missing. More columns than are needed are fine.

        Raises:
            DataError: A column is not there, or holds what it cannot hold.
        """
        x = self.preprocessing.transform(columns, self.parameters.dtype.name)
        rows = len(x)
        # A loss need not know what to make of no rows.
        x = x if rows else np.zeros((1, x.shape[1]), x.dtype)
        with np.errstate(all="ignore"):
            return self._told(self.network().infer(x), rows)

    def _told(self, output: Array, rows: int) -> Predictions:
        def predicted(needs: str) -> Array:
            return self.encoding.predict(self.loss, output, needs)[:rows]

        if self.task == "regression":
            return Predictions(_columns(self.targets, predicted("values")))
        found = predicted("labels")
        chances = _columns(self.classes, predicted("probabilities"))
        if self.task == "multilabel":
            return Predictions(_columns(self.targets, found), chances)
        return Predictions({self.targets[0]: self._labels[found]}, chances)

    @cached_property
    def _labels(self) -> Array:
        """The classes as an array; texts and mixtures as objects."""
        same = len({type(label) for label in self.labels}) == 1
        plain = same and not isinstance(self.labels[0], str)
        return np.array(self.labels, dtype=None if plain else object)

    def save(self, folder: str | Path) -> None:
        """Write it into a new folder, whole or not at all: ``model.json`` and ``network.npz``.

        Raises:
            PluginError: A component came as an object of a program, so that it cannot be saved.
            InputError: The folder is there and not empty.
            WorkError: The files cannot be written.
        """
        write(Path(folder), self._content(), self._arrays())

    def _content(self) -> dict[str, Any]:
        """All but the arrays, in plain values."""
        return {
            "name": self.name,
            "task": self.task,
            "targets": self.targets,
            "labels": self.labels,
            "preprocessing": self.preprocessing.to_dict(),
            "network": {
                "sizes": self.sizes,
                "normalization": self.architecture.normalization,
                "residual": self.architecture.is_residual,
                "input_scaling": self.architecture.has_input_scaling,
            },
            "components": [
                saved_component(component, self.owners[component.kind])
                for component in (self.architecture.activation, self.loss)
            ],
            "plugins": [saved_file(file) for file in self.plugins],
            "configuration": self.configuration,
            "provenance": self.provenance,
        }

    def _arrays(self) -> dict[str, Array]:
        return {
            "parameters": self.parameters,
            "statistics": self.statistics,
            "target_mean": self.encoding.mean,
            "target_scale": self.encoding.scale,
        }

    @classmethod
    def load(cls, folder: str | Path) -> Model:
        """The model that `save` wrote, to the same bits.

        Its plugin files are run, once it is seen that it is whole.

        Raises:
            InputError: There is no model, or it is not whole, or it has been changed.
            PluginError: One of its components is not installed, or its plugin file fails here.
        """
        content, arrays = read(Path(folder))
        try:
            return cls._from(content, arrays)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            if isinstance(error, InputError):
                raise
            reason = f"its content does not fit together ({type(error).__name__}: {error})"
            raise unreadable(Path(folder), reason) from error

    @classmethod
    def _from(cls, content: Mapping[str, Any], arrays: Mapping[str, Array]) -> Model:
        files = tuple(opened_file(file) for file in content["plugins"])
        components, owners = opened_components(content["components"], files)
        activation, loss = components[Activation.kind], components[Loss.kind]
        assert isinstance(activation, Activation)
        assert isinstance(loss, Loss)
        network = content["network"]
        sizes = tuple(network["sizes"])
        outputs = len(content["labels"]) or len(content["targets"])
        model = cls(
            name=content["name"],
            task=content["task"],
            targets=tuple(content["targets"]),
            labels=tuple(content["labels"]),
            preprocessing=Preprocessing.from_dict(content["preprocessing"]),
            architecture=Architecture(
                activation, network["normalization"], network["residual"], network["input_scaling"]
            ),
            sizes=sizes,
            parameters=read_only(arrays["parameters"]),
            statistics=read_only(arrays["statistics"]),
            loss=loss,
            encoding=Encoding(
                loss.targets,
                1 if loss.targets == "binary" else outputs,
                read_only(arrays["target_mean"]),
                read_only(arrays["target_scale"]),
            ),
            owners=owners,
            plugins=files,
            configuration=content["configuration"],
            provenance=content["provenance"],
        )
        model._check(arrays)
        return model

    def _check(self, arrays: Mapping[str, Array]) -> None:
        """See that arrays and sizes fit together.

        Raises:
            ValueError: They do not.
        """
        ends = (len(self.preprocessing.features), self.encoding.columns)
        if (self.sizes[0], self.sizes[-1]) != ends or min(self.sizes) < 1:
            raise ValueError(
                f"layers of {self.sizes} units for {ends[0]} inputs, {ends[1]} outputs"
            )
        layout = self.architecture.layout(self.sizes)
        dtype = "float64" if self.parameters.dtype == np.float64 else "float32"
        scaled = self.encoding.columns if self.encoding.form == "values" else 1
        expected = {
            "parameters": (layout.size, dtype),
            "statistics": (layout.running_size, dtype),
            "target_mean": (scaled, "float64"),
            "target_scale": (scaled, "float64"),
        }
        if arrays.keys() != expected.keys():
            raise ValueError(f"arrays {sorted(arrays)}; expected {sorted(expected)}")
        for name, (size, type_) in expected.items():
            array = arrays[name]
            if array.shape != (size,) or array.dtype != np.dtype(type_):
                raise ValueError(
                    f"{name} has shape {array.shape} and type {array.dtype}; "
                    f"expected {(size,)} and {type_}"
                )


def _columns(names: tuple[str, ...], matrix: Array) -> dict[str, Array]:
    return dict(zip(names, matrix.T, strict=True))
