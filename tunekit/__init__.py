"""Plug your own optimizer, activation or schedule into a numpy trainer, and search it."""

from tunekit.components import (
    Activation,
    Array,
    Component,
    Dataset,
    Initializer,
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
    Finalist,
    FinishedTrial,
    StudyInfo,
    StudyResult,
    Table,
    TestScore,
)
from tunekit.space import Choice, Flag, Float, Int

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
    "Finalist",
    "FinishedTrial",
    "Flag",
    "Float",
    "HyperparameterError",
    "Initializer",
    "InputError",
    "Int",
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
]
