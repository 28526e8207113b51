"""Plug your own optimizer, activation or schedule into a numpy trainer, and search it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tunekit.components import (
    Activation,
    Array,
    Component,
    Dataset,
    Initializer,
    LearnedActivation,
    Loss,
    Metric,
    Optimizer,
    Progress,
    Regularizer,
    Schedule,
    State,
    Step,
)
from tunekit.errors import (
    ComponentError,
    DataError,
    HyperparameterError,
    InputError,
    PluginError,
    StudyError,
    TunekitError,
    UnknownNameError,
    WorkError,
)
from tunekit.hookspecs import hookimpl
from tunekit.records import (
    Curve,
    Diagnosis,
    Finalist,
    FinishedTrial,
    StudyInfo,
    StudyResult,
    Table,
    TestScore,
)
from tunekit.space import Choice, Flag, Float, Int

if TYPE_CHECKING:
    from tunekit.api import search_study

__version__ = "0.1.0"

__all__ = [
    "Activation",
    "Array",
    "Choice",
    "Component",
    "ComponentError",
    "Curve",
    "DataError",
    "Dataset",
    "Diagnosis",
    "Finalist",
    "FinishedTrial",
    "Flag",
    "Float",
    "HyperparameterError",
    "Initializer",
    "InputError",
    "Int",
    "LearnedActivation",
    "Loss",
    "Metric",
    "Optimizer",
    "PluginError",
    "Progress",
    "Regularizer",
    "Schedule",
    "State",
    "Step",
    "StudyError",
    "StudyInfo",
    "StudyResult",
    "Table",
    "TestScore",
    "TunekitError",
    "UnknownNameError",
    "WorkError",
    "__version__",
    "hookimpl",
    "search_study",
]


def __getattr__(name: str) -> Any:
    """Load what a search needs only when it is asked for; plugins do without."""
    if name == "search_study":
        return importlib.import_module("tunekit.api").search_study
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), "search_study"]
