"""The search space that a study file and its components add up to."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tunekit.components import KINDS, Component, Task, averages_weights
from tunekit.errors import InputError, suggestion
from tunekit.plugins import Registry
from tunekit.space import Choices, Domain, Fixed, Scalar
from tunekit.study.schema import Document, SpaceTable
from tunekit.study.settings import NETWORK, TRAIN
from tunekit.study.source import Source
from tunekit.study.space import Condition, Parameter, Space

DEFAULT_LOSS: dict[Task, str] = {
    "classification": "cross_entropy",
    "multilabel": "multilabel_cross_entropy",
    "regression": "squared_error",
}


@dataclass(frozen=True)
class Assembly:
    """Builds the space of a study.

    Attributes:
        document: The validated study file.
        registry: The components there are.
        source: What errors name.
        task: The data's task, or None as long as the data were not looked at. Without it a loss
            that the file leaves to the task has no parameter yet.
    """

    document: Document
    registry: Registry
    source: Source
    task: Task | None = None

    def space(self) -> Space:
        """The space.

        Raises:
            StudyError: A component, hyperparameter or value does not exist or does not fit.
        """
        chosen = {kind: self._chosen(kind) for kind in SpaceTable.model_fields}
        for kind, components in chosen.items():
            self._check_task(kind, components)
            self._check_overrides(kind, components)
        self._check_averages(chosen["regularizer"])
        parameters: list[Parameter] = []
        for kind, components in chosen.items():
            if kind == "regularizer":
                parameters += self._switches(components)
            elif components:
                parameters += self._choice(kind, components)
        parameters += self._network()
        parameters += self._train()
        return Space(tuple(parameters))

    def _chosen(self, kind: str) -> list[type[Component]]:
        """The components of one kind to choose among, in the file's order."""
        key = _key(kind)
        raw = getattr(self.document.search, key.removeprefix("search."))
        if raw is None:
            return [self._find(kind, DEFAULT_LOSS[self.task], key)] if self.task else []
        if not isinstance(raw, list):
            return [self._find(kind, raw, key)]
        if not raw and kind != "regularizer":
            raise self.source.error(f"expected at least one {kind}, got []", key)
        found = [self._find(kind, name, f"{key}[{i}]") for i, name in enumerate(raw)]
        return list(dict.fromkeys(found))

    def _find(self, kind: str, name: object, key: str) -> type[Component]:
        if not isinstance(name, str):
            raise self.source.error(f"expected a name (text), got {name!r}", key)
        try:
            return self.registry.find(KINDS[kind], name)
        except InputError as error:
            raise self.source.error(error.message, key) from None

    def _check_task(self, kind: str, components: list[type[Component]]) -> None:
        for i, component in enumerate(components):
            if self.task is not None and self.task not in component.tasks:
                key = _key(kind) + (f"[{i}]" if len(components) > 1 else "")
                raise self.source.error(unfit(component, self.task), key)

    def _check_averages(self, regularizers: list[type[Component]]) -> None:
        """Each is searched on or off, and two that are both on exclude each other."""
        averages = [r.name for r in regularizers if averages_weights(r)]
        if len(averages) > 1:
            names = " and ".join(repr(name) for name in averages)
            raise self.source.error(
                f"{names} each evaluate the network at weights of their own, so no trial can have "
                "both; choose one of them",
                "search.regularizers",
            )

    def _check_overrides(self, kind: str, components: list[type[Component]]) -> None:
        """Refuse ranges for what the study does not search."""
        names = [component.name for component in components]
        if kind == "loss" and not names and self.task is None:
            names = list(DEFAULT_LOSS.values())
        by_name = {component.name: component for component in components}
        for name, overrides in getattr(self.document.space, kind).items():
            key = f"space.{kind}.{name}"
            if name not in names:
                if name not in self.registry.names(kind):
                    self._find(kind, name, key)
                if _key(kind) in self.source.options:
                    continue  # the file had a reason, before the command line chose something else
                raise self.source.error(
                    f"{name!r} is not among the study's choices ({_key(kind)}). "
                    f"{suggestion(name, names)}",
                    key,
                )
            known = by_name[name].hyperparameters() if name in by_name else overrides
            for hyperparameter in overrides:
                if hyperparameter not in known:
                    hint = suggestion(hyperparameter, known)
                    raise self.source.error(
                        f"the {kind} {name!r} has no such hyperparameter. {hint}",
                        f"{key}.{hyperparameter}",
                    )

    def _choice(self, kind: str, components: list[type[Component]]) -> Iterator[Parameter]:
        names = tuple(component.name for component in components)
        yield _parameter(kind, Choices(names) if len(names) > 1 else Fixed(names[0]), names[0])
        for component in sorted(components, key=lambda component: component.name):
            yield from self._hyperparameters(component, Condition(kind, component.name))

    def _switches(self, components: list[type[Component]]) -> Iterator[Parameter]:
        for component in components:
            switch = f"regularizer.{component.name}"
            yield _parameter(switch, Choices((False, True)), False)
            yield from self._hyperparameters(component, Condition(switch, True))

    def _hyperparameters(self, component: type[Component], when: Condition) -> Iterator[Parameter]:
        kind, name = component.kind, component.name
        overrides = getattr(self.document.space, kind).get(name, {})
        for hyperparameter in component.hyperparameters().values():
            path = f"{kind}.{name}.{hyperparameter.name}"
            domain = hyperparameter.search or Fixed(hyperparameter.default)
            if hyperparameter.name in overrides:
                raw = overrides[hyperparameter.name]
                domain = self.source.domain(raw, hyperparameter, f"space.{path}")
            default = domain.nearest(hyperparameter.default)
            yield Parameter(path, _canonical(domain), default, when)

    def _network(self) -> Iterator[Parameter]:
        table = self.document.network
        layers = ["depth", "width"]
        if table.hidden is not None:
            if table.model_fields_set.intersection(layers):
                raise self.source.error(
                    "give either hidden, or depth and width, not both", "network.hidden"
                )
            layers = ["hidden"]
        for name in [*layers, "normalization", "residual", "input_scaling"]:
            key = f"network.{name}"
            raw = getattr(table, name)
            if name == "hidden":
                raw = self._layers(raw, key)
            domain = self.source.domain(raw, NETWORK[name], key)
            yield _parameter(key, domain, NETWORK[name].default)

    def _layers(self, raw: object, key: str) -> object:
        """Every description of the hidden layers in its one canonical form."""
        if isinstance(raw, list):
            return [self._layers(item, f"{key}[{i}]") for i, item in enumerate(raw)]
        text = str(raw) if type(raw) is int else raw
        if not isinstance(text, str):
            return raw
        if text in ("", "none"):
            return "none"
        units = text.split("-")
        if not all(re.fullmatch(r"[0-9]+", width) and int(width) > 0 for width in units):
            raise self.source.error(
                'expected the units of each hidden layer, such as "128-64", or "none", '
                f"got {raw!r}",
                key,
            )
        return "-".join(str(int(width)) for width in units)

    def _train(self) -> Iterator[Parameter]:
        table = self.document.train
        for name, declared in TRAIN.items():
            key = f"train.{name}"
            raw: Any = getattr(table, name)
            if name == "epochs" and isinstance(raw, dict):
                # Pruners compare trials at the same epochs of few different lengths.
                raise self.source.error("expected a value or a list of values, not a range", key)
            domain = self.source.domain(raw, declared, key)
            if name == "dtype" and not isinstance(domain, Fixed):
                raise self.source.error("the dtype is not searched; expected one value", key)
            if name == "class_weights" and self.task not in (None, "classification"):
                self._check_unweighted(domain, key)
            yield _parameter(name, domain, declared.default)

    def _check_unweighted(self, domain: Domain, key: str) -> None:
        """Refuse class weights where there are no classes that exclude each other."""
        if domain != Fixed("none"):
            raise self.source.error(
                f"class weights are for classification, but the data are for {self.task}; expected "
                '"none"',
                key,
            )


def unfit(component: type[Component], task: Task) -> str:
    """That a component is not made for a task, in words."""
    return (
        f"the {component.kind} {component.name!r} is for {' and '.join(component.tasks)}, "
        f"but the data are for {task}"
    )


def _key(kind: str) -> str:
    """Where the study file chooses components of a kind."""
    return "search.regularizers" if kind == "regularizer" else f"search.{kind}"


def _parameter(name: str, domain: Domain, default: Scalar) -> Parameter:
    """A parameter that is always asked for; a list's first value is its default."""
    cycle = domain.values if isinstance(domain, Choices) else ()
    return Parameter(
        name, _canonical(domain), cycle[0] if cycle else domain.nearest(default), None, cycle
    )


def _canonical(domain: Domain) -> Domain:
    """Sorted choices: the record refuses the same choices in another order."""
    if not isinstance(domain, Choices):
        return domain
    # All values have one type: they passed the same hyperparameter's check.
    return dataclasses.replace(domain, values=tuple(sorted(domain.values)))
