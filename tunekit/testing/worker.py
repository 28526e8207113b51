"""Whether a component reaches worker processes."""

from __future__ import annotations

import atexit
import inspect
import sys
import tempfile
from functools import cache
from pathlib import Path

from tunekit.components import KINDS, Component, Loss, Metric, Task
from tunekit.data.store import open_saved, save
from tunekit.errors import TunekitError
from tunekit.plugins import Packed, PluginFile, Registry, load
from tunekit.records import Problem
from tunekit.search.engines import Answer, Pool
from tunekit.search.units import Bench, Failure, Unit, Workshop
from tunekit.space import Scalar
from tunekit.testing.arguments import UNREPEATABLE
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.problems import LOSSES, METRICS, problem

USUAL: dict[str, Scalar] = {
    "optimizer": "adam",
    "activation": "elu",
    "schedule": "constant",
    "initializer": "he_normal",
    "network.hidden": "8",
    "network.normalization": "none",
    "epochs": 1,
    "batch_size": 16,
    "patience": 0,
    "warmup": 0.0,
    "dtype": "float32",
}
TRAINS_THERE = "a worker process that trains with it to the same bits as this process"


@check()
def worker(component: Component) -> str | None:
    """A worker trains with it to the same bits."""
    registry = _registry_with(type(component))
    plugins = _packed(registry)
    workshop = Workshop(_folder(*_target(component)), plugins, _metric(component), 0)
    unit = Unit(_configuration(component), fold=0, seed_key=(0,), until=1)
    bench = Bench(workshop, registry, open_saved(workshop.data))
    here, there = bench.perform(unit), _performed(workshop, unit)
    if isinstance(here, Failure) and isinstance(there, Failure):
        return f"it does not train, neither there nor here: {here.reason}"
    found = _difference(here, there)
    if not found:
        return None
    if _difference(here, bench.perform(unit)):
        return UNREPEATABLE
    raise CheckFailure(
        expected=TRAINS_THERE,
        found=found,
        likely="it depends on something that this process has changed and another has not, such "
        "as a global variable, an attribute of the class or the current folder",
    )


def _difference(here: Answer, there: Answer) -> str:
    """How the answers to one unit differ; nothing if they do not."""
    if isinstance(there, Failure):
        return there.reason
    if isinstance(here, Failure):
        return f"it trains there, but not here: {here.reason}"
    if there.checkpoint.weights.tobytes() != here.checkpoint.weights.tobytes():
        return "other weights after an epoch"
    if repr(there.checkpoint.metrics) != repr(here.checkpoint.metrics):
        return f"a score of {there.score:.9g}, and {here.score:.9g} here"
    return ""


def _performed(workshop: Workshop, unit: Unit) -> Answer:
    """What a worker process answers.

    Raises:
        CheckFailure: There is no worker with these plugins.
    """
    try:
        pool = _pool(workshop)
        pool.submit(0, unit)
        answer = pool.wait()
    except TunekitError as error:
        _close_pools()
        raise CheckFailure(
            expected=TRAINS_THERE,
            found=error.message,
            likely="it needs something that is not there in another process, such as a module "
            "that only this program finds",
        ) from error
    assert answer is not None  # there is no time limit
    return answer[1]


_pools: dict[Workshop, Pool] = {}


def _pool(workshop: Workshop) -> Pool:
    """A worker process, kept for the next component: all built-ins are served by one."""
    if workshop not in _pools:
        _close_pools()
        _pools[workshop] = Pool(workshop, 1)
    return _pools[workshop]


@atexit.register
def _close_pools() -> None:
    while _pools:
        _pools.popitem()[1].close()


def _registry_with(cls: type[Component]) -> Registry:
    """Components among which the one in question is found by its name.

    Raises:
        CheckFailure: It cannot be registered.
    """
    installed = load()
    names = installed.names(cls.kind)
    if cls.name in names and installed.find(KINDS[cls.kind], cls.name) is cls:
        return installed
    file = _plugin_file(cls)
    try:
        # Without what is installed: that may be an older copy of the same.
        if file is not None:
            return load([file], entry_points=False)
        return load(objects=[cls], entry_points=False)
    except TunekitError as error:
        raise CheckFailure(
            expected=f"a {cls.kind} that can be found by its name",
            found=error.message,
            likely="the `name` of the class, or what else its file brings: a study would not "
            "take it",
        ) from error


def _packed(registry: Registry) -> Packed:
    """What a worker loads.

    Raises:
        CheckFailure: It cannot be sent there.
    """
    try:
        return Packed.of(registry)
    except TunekitError as error:
        raise CheckFailure(
            expected="a class that can be sent to a worker process",
            found=error.message,
            likely="the class refers to something that only this process has, such as an open "
            "file or a lock; in a plugin file of its own it would travel as text",
        ) from error


def _plugin_file(cls: type[Component]) -> PluginFile | None:
    """The single-file plugin that a class comes from."""
    module = sys.modules.get(cls.__module__)
    path = getattr(module, "__file__", None)
    if module is None or path is None:
        return None
    try:
        file = PluginFile(path, inspect.getsource(module))
    except OSError:
        return None
    return file if file.module_name == module.__name__ else None


def _configuration(component: Component) -> dict[str, Scalar]:
    """A small training in which the component has its part."""
    kind, name = component.kind, component.name
    task, _ = _target(component)
    configuration = USUAL | {"loss": LOSSES[task].name}
    if kind == "regularizer":
        configuration[f"{kind}.{name}"] = True
    elif kind in configuration:
        configuration[kind] = name
    values = {f"{kind}.{name}.{key}": value for key, value in component.values().items()}
    return configuration | (values if kind in ("regularizer", *configuration) else {})


def _target(component: Component) -> tuple[Task, str]:
    """A task that it is made for, and the form of the targets."""
    targets = component.targets if isinstance(component, Loss) else "values"
    return component.tasks[0], targets


def _metric(component: Component) -> str:
    if isinstance(component, Metric):
        return component.name
    return METRICS[component.tasks[0]].name


@cache
def _folder(task: Task, targets: str) -> Path:
    """Where a small problem is saved, for as long as this process lives."""
    folder = tempfile.TemporaryDirectory(prefix="tunekit-check-")
    atexit.register(folder.cleanup)
    fold, outputs = problem(task, targets)
    features = tuple(f"x{i}" for i in range(fold.x.shape[1]))
    classes = () if task == "regression" else tuple(map(str, range(outputs)))
    save(
        Problem(task, (fold,), fold, outputs, classes, features, "small", len(fold.x), ""),
        Path(folder.name),
    )
    return Path(folder.name)
