"""What is told of one component: its paper, what it declares, its code, how a study names it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunekit import __version__
from tunekit.components import (
    Activation,
    Component,
    LearnedActivation,
    Loss,
    Metric,
    Optimizer,
    Regularizer,
    Schedule,
    averages_weights,
)
from tunekit.components.regularizer import MOMENTS
from tunekit.plugins import Owner
from tunekit.space import Choices, Domain, Hyperparameter, Interval, show


def documentation(cls: type[Component]) -> str:
    """The docstring; nothing where a dataclass was only given its signature as one."""
    return inspect.cleandoc(cls.__doc__ or "") if cls.summary() else ""


def traits(cls: type[Component]) -> dict[str, Any]:
    """What the class declares besides hyperparameters, by the attribute's name."""
    if issubclass(cls, Optimizer):
        return {
            "scope": cls.scope,
            "slots": list(cls.slots),
            "evaluates_elsewhere": averages_weights(cls),
        }
    if issubclass(cls, Activation):
        return {"learned": issubclass(cls, LearnedActivation)}
    if issubclass(cls, Schedule):
        return {"every": cls.every}
    if issubclass(cls, Regularizer):
        moments = [m for m in MOMENTS if getattr(cls, m) is not getattr(Regularizer, m)]
        return {"moments": moments, "slots": list(cls.slots)}
    if issubclass(cls, Loss):
        return {"tasks": list(cls.tasks), "targets": cls.targets}
    if issubclass(cls, Metric):
        return {
            "tasks": list(cls.tasks),
            "needs": cls.needs,
            "larger_is_better": cls.larger_is_better,
        }
    return {}


@dataclass(frozen=True)
class Source:
    """The code of a class.

    Attributes:
        file: Its file.
        line: Where the class begins, counted from 1.
        text: The class, as it is written there.
    """

    file: str
    line: int
    text: str


def source(cls: type[Component]) -> Source | None:
    """The code of a class, where it can be had."""
    try:
        lines, first = inspect.getsourcelines(cls)
        file = inspect.getsourcefile(cls)
    except (OSError, TypeError):
        return None
    return Source(file, max(first, 1), "".join(lines)) if file else None


def near(path: str) -> str:
    """A path as seen from the current folder, if it lies in there."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return path


def owner_as_json(owner: Owner) -> dict[str, str]:
    """Who brought something."""
    version = __version__ if owner.origin == "tunekit" else owner.version
    return {
        "name": owner.name,
        "version": version,
        "origin": owner.origin,
        "entry_point": owner.entry_point,
    }


def owner_in_words(owner: Owner) -> str:
    """Who brought something, for a person."""
    if owner.origin == "tunekit":
        return f"tunekit {__version__}"
    name = near(owner.name) if owner.origin == "file" else owner.name
    return f"{name} {owner.version}".strip()


def search_as_json(domain: Domain | None) -> dict[str, Any] | None:
    """What is searched by default."""
    if isinstance(domain, Interval):
        return {
            "low": domain.low,
            "high": domain.high,
            "log": domain.log,
            "step": domain.step,
        }
    return {"choices": list(domain.values)} if isinstance(domain, Choices) else None


def in_a_study(cls: type[Component], owner: Owner) -> str:
    """How a study names the component and changes what is searched of it, in TOML."""
    kind, name = cls.kind, cls.name
    lines = {
        "regularizer": f'[search]\nregularizers = ["{name}"]',
        "metric": f'[study]\nmetric = "{name}"',
        "dataset": f'[data]\nsource = "{name}"',
    }.get(kind, f'[search]\n{kind} = "{name}"')
    searched = [h for h in cls.hyperparameters().values() if h.search is not None]
    if searched and kind not in ("metric", "dataset"):
        lines += f"\n\n[space.{kind}.{name}]\n{searched[0].name} = {_range(searched[0])}"
    if owner.origin == "file":
        path = near(owner.name).replace("\\", "\\\\").replace('"', '\\"')
        lines += f'\n\n[plugins]\nfiles = ["{path}"]'
    return lines


def _range(h: Hyperparameter) -> str:
    """The range that is searched by default, as a study would write it."""
    if isinstance(h.search, Choices):
        return "[" + ", ".join(_toml(value) for value in h.search.values) + "]"
    assert isinstance(h.search, Interval)
    scale = ", log = true" if h.search.log else ""
    step = f", step = {show(h.search.step)}" if h.search.step is not None else ""
    return f"{{ low = {show(h.search.low)}, high = {show(h.search.high)}{scale}{step} }}"


def _toml(value: bool | float | str) -> str:
    return f'"{value}"' if isinstance(value, str) else show(value)
