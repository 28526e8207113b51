"""A study: everything that the study file, the command line and the environment settle."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

from tunekit import plugins as plugin_manager
from tunekit.components import Component, Loss, Metric, Task
from tunekit.errors import InputError, StudyError, suggestion
from tunekit.plugins import PluginFile, Registry, environment_files, named_files
from tunekit.space import Choices, Fixed, Interval, Scalar
from tunekit.study.assemble import Assembly, unfit
from tunekit.study.command import search_command
from tunekit.study.constraints import LATENCY, PARAMETERS, Constraint, parse_all
from tunekit.study.duration import seconds
from tunekit.study.first import first_configurations
from tunekit.study.places import places
from tunekit.study.schema import (
    DataTable,
    Document,
    PrunerTable,
    SamplerTable,
    known_keys,
    validated,
)
from tunekit.study.source import Source, assign, change, put, read
from tunekit.study.space import Space

logger = logging.getLogger("tunekit")

Recall = Callable[[str, str, str, str], str | None]
"""Who brought a component: told from the record's address, the study's name, kind and name."""

DEFAULT_TRIALS = 50
DEFAULT_VALIDATION = 0.25
DEFAULT_METRIC: dict[Task, str] = {
    "classification": "accuracy",
    # The share of right labels is high for whoever predicts none where labels are rare.
    "multilabel": "micro_f1",
    "regression": "rmse",
}

MEASURED = (PARAMETERS, LATENCY)
"""What can be optimized or constrained besides metrics."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "tpe": ("startup_trials",),
    "random": (),
    "qmc": (),
    "cmaes": ("startup_trials",),
    "gp": ("startup_trials",),
    "grid": ("points",),
    "none": (),
    "median": ("startup_trials", "warmup_epochs"),
    "successive_halving": ("min_epochs", "reduction_factor"),
    "hyperband": ("min_epochs", "reduction_factor"),
}
"""The options of each sampler and pruner."""


@dataclass(frozen=True)
class Study:
    """A validated study.

    Attributes:
        name: The study's name.
        file: The study file, absolute.
        folder: Its folder; relative addresses are resolved there.
        text: Its content.
        metric: The objective, or the first of several; empty as long as it is left to the task
            (see `for_task`).
        metrics: All objectives; the first one is `metric`.
        constraints: What a trial has to keep to.
        trials: The record's planned total, or None for no limit.
        timeout: Seconds of one run of the search, or None for no limit.
        seed: What all randomness derives from.
        workers: Worker processes; 0 for this process.
        executor: Address of a cluster to train on instead, or None.
        finalists: How many of the best configurations are trained again at the end.
        final_seeds: On how many fresh seeds.
        storage: SQLAlchemy address of the record, absolute.
        data: The data set and its splits; exactly one of `folds` and `validation` is set.
        meant_task: The only task that the metric and the losses are for, if there is only one.
        space: The search space; without a loss as long as that is left to the task.
        sampler: The sampler's name.
        sampler_options: Its options as far as they are given.
        pruner: The pruner's name.
        pruner_options: Its options as far as they are given.
        racing: Whether a trial that is behind after some folds is spared the others.
        first: Configurations to try first.
        warm_start: Another study to learn from, or None.
        plugin_files: Single-file plugins.
        tracking_uri: MLflow's address, absolute.
        artifact_root: Where a new local MLflow store keeps artifacts, or None for the server's
            own place.
        experiment: MLflow's experiment name.
        register: The registered model that the best network becomes a version of, or None.
        command: The command that searches it again.
        document: The validated tables, command-line changes included.
        source: What errors about the study name.
    """

    name: str
    file: str | None
    folder: Path
    text: str
    metric: str
    metrics: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    trials: int | None
    timeout: float | None
    seed: int
    workers: int
    executor: str | None
    finalists: int
    final_seeds: int
    storage: str
    data: DataTable
    meant_task: Task | None
    space: Space
    sampler: str
    sampler_options: dict[str, Scalar]
    pruner: str
    pruner_options: dict[str, Scalar]
    racing: bool
    first: tuple[dict[str, Scalar], ...]
    warm_start: str | None
    plugin_files: tuple[PluginFile, ...]
    tracking_uri: str
    artifact_root: str | None
    experiment: str
    register: str | None
    command: str
    document: Document
    source: Source

    @property
    def measures(self) -> tuple[str, ...]:
        """What is measured besides the first metric, for other objectives and for constraints."""
        names = (*self.metrics[1:], *(constraint.quantity for constraint in self.constraints))
        return tuple(dict.fromkeys(name for name in names if name != self.metric))


def load_study(
    path: str | Path,
    *,
    set_: Sequence[str] = (),
    changes: Mapping[str, object] | None = None,
    plugins: Sequence[str] = (),
    files: Sequence[PluginFile] | None = None,
    objects: Sequence[object] = (),
    trials: int | None = None,
    timeout: str | float | None = None,
    workers: int | None = None,
    executor: str | None = None,
    recalled: Recall | None = None,
) -> tuple[Study, Registry]:
    """Read a study file and load its plugins.

    Args:
        path: The study file.
        set_: Changes to the file, ``"train.epochs=5"``.
        changes: Likewise, ``{"train.epochs": 5}``.
        plugins: Further single-file plugins, relative to the current folder.
        files: The single-file plugins, instead of those that the study file, the environment
            and `plugins` name.
        objects: Plugins that are objects: component classes, or what has hook implementations.
        trials: Replaces the file's ``study.trials``.
        timeout: Replaces the file's ``study.timeout``.
        workers: Replaces the file's ``study.workers``.
        executor: Replaces the file's ``study.executor``.
        recalled: Who brought the components of a study's record, for those that are gone.

    Returns:
        The study, and the registry that its components are in.

    Raises:
        StudyError: The file cannot be read, or something in it is wrong.
        PluginError: A plugin cannot be used.
    """
    source, content = read(path)
    options = assign(content, set_, known_keys())
    options |= change(content, changes or {}, known_keys(), "changes")
    given = {"trials": trials, "timeout": timeout, "workers": workers, "executor": executor}
    for key, value in given.items():
        if value is not None:
            put(content, f"study.{key}", value, f"--{key}")
            options[f"study.{key}"] = f"--{key}"
    source = dataclasses.replace(source, options=options)
    document = validated(content, source)
    limits = _limits(document, source)
    data = _data(document, source)
    sampler_options = _options("sampler", document.sampler, source)
    pruner_options = _options("pruner", document.pruner, source)
    at = places(document, source)
    optional = environment_files() if files is None else []
    if files is None:
        files = plugin_files(document.plugins.files, source, plugins)
    registry = plugin_manager.load(
        files,
        optional=optional,
        objects=objects,
        disabled=document.plugins.disabled,
        observers=True,
    )
    if recalled is not None:
        registry.recall = partial(recalled, at.storage, at.name)
    for left_out in registry.left_out:
        logger.warning("left out: %s", left_out)
    for kind, name in registry.replaced:
        owner = registry.owner(kind, name)
        logger.warning("%s %r is that of %s, not tunekit's own", kind, name, owner.name)
    metrics = _metrics(document, source, registry)
    constraints = _constraints(document, source, registry)
    _check_sampler(document, source, metrics, constraints)
    space = Assembly(document, registry, source).space()
    _check_rungs(document, source, space)
    study = Study(
        name=at.name,
        file=str(source.path),
        folder=source.folder,
        text=source.text,
        metric=metrics[0] if metrics else "",
        metrics=metrics,
        constraints=constraints,
        trials=limits[0],
        timeout=limits[1],
        seed=document.study.seed,
        workers=document.study.workers,
        executor=document.study.executor,
        finalists=document.study.finalists,
        final_seeds=document.study.final_seeds,
        storage=at.storage,
        data=data,
        meant_task=_meant_task(document, registry),
        space=space,
        sampler=document.sampler.name,
        sampler_options=sampler_options,
        pruner=document.pruner.name,
        pruner_options=pruner_options,
        racing=_racing(document, source, several=len(metrics) > 1),
        first=first_configurations(document.study.first, space, source),
        warm_start=document.study.warm_start,
        plugin_files=registry.files,
        tracking_uri=at.tracking_uri,
        artifact_root=at.artifact_root,
        experiment=at.experiment,
        register=_registered(document, source),
        command=search_command(source, content, tuple(plugins)),
        document=document,
        source=source,
    )
    return study, registry


def for_task(study: Study, registry: Registry, task: Task, rows: int | None = None) -> Study:
    """The study with what it left to the task: the metric and the loss.

    Args:
        study: As it was loaded.
        registry: Its components.
        task: The data's task.
        rows: Rows to train on, where they are known: batches of more rows, which hold them all,
            are warned of.

    Raises:
        StudyError: A component that it names is not made for the task.
    """
    metrics = study.metrics or (DEFAULT_METRIC[task],)
    asked = {c.quantity: f"study.constraints[{i}]" for i, c in enumerate(study.constraints)}
    for name, key in (asked | dict.fromkeys(metrics, "study.metric")).items():
        if name not in MEASURED and task not in registry.find(Metric, name).tasks:
            raise study.source.error(unfit(registry.find(Metric, name), task), key)
    space = Assembly(study.document, registry, study.source, task).space()
    if rows is not None and "batch_size" in study.document.train.model_fields_set:
        largest = _largest(space, "batch_size")
        if largest > rows:
            logger.warning(
                "train.batch_size: %d is more than the %d rows to train on; "
                "such a batch holds them all",
                largest, rows,
            )  # fmt: skip
    first = first_configurations(study.document.study.first, space, study.source)
    return dataclasses.replace(study, metric=metrics[0], metrics=metrics, space=space, first=first)


def _limits(document: Document, source: Source) -> tuple[int | None, float | None]:
    """The number of trials and the seconds after which no further trial starts."""
    table = document.study
    if table.timeout is None:
        return table.trials or DEFAULT_TRIALS, None
    try:
        return table.trials, seconds(table.timeout)
    except ValueError as error:
        raise source.error(str(error), "study.timeout") from None


def _data(document: Document, source: Source) -> DataTable:
    data = document.data
    _check_target(data.target, source)
    if data.folds is not None and data.validation is not None:
        raise source.error("give either folds or validation, not both", "data.validation")
    if data.folds is None and data.validation is None:
        return data.model_copy(update={"validation": DEFAULT_VALIDATION})
    return data


def _check_target(target: object, source: Source) -> None:
    """A target is a column's name, or a list of different ones."""
    names = target if isinstance(target, list) else [] if target is None else [target]
    if target == []:
        raise source.error("expected at least one column, got []", "data.target")
    for i, name in enumerate(names):
        key = f"data.target[{i}]" if isinstance(target, list) else "data.target"
        if not isinstance(name, str):
            raise source.error(f"expected a text, got {name!r}", key)
        if not name:
            raise source.error("expected a text that is not empty, got ''", key)
        if name in names[:i]:
            raise source.error(f"the column {name!r} is in this list twice", key)


def _registered(document: Document, source: Source) -> str | None:
    """The name of a registered model, such as MLflow takes it."""
    name = document.mlflow.registered
    if name is not None and (not name.strip() or "/" in name or ":" in name):
        raise source.error(f"expected a name without / and :, got {name!r}", "mlflow.register")
    return name


def _options(table: str, chosen: SamplerTable | PrunerTable, source: Source) -> dict[str, Scalar]:
    given: dict[str, Scalar] = chosen.model_dump(exclude_none=True, exclude={"name", "racing"})
    known = OPTIONS[chosen.name]
    for option in given:
        if option not in known:
            hint = suggestion(option, known)
            raise source.error(
                f"the {table} {chosen.name!r} has no such option. {hint}", f"{table}.{option}"
            )
    return given


def plugin_files(
    names: Sequence[str], source: Source, more: Sequence[str] = ()
) -> list[PluginFile]:
    """The plugin files of a study, then of the command line.

    Args:
        names: The study's ``plugins.files``.
        source: The study.
        more: The command line's.

    Raises:
        StudyError: There is no such file.
        PluginError: One cannot be read.
    """
    files = []
    for i, name in enumerate(names):
        path = Path(os.path.abspath(source.folder / name))
        if not path.is_file():
            near = [file.name for file in path.parent.glob("*.py")]
            hint = f" {suggestion(path.name, near)}" if near else ""
            raise source.error(f"there is no file {path}.{hint}", f"plugins.files[{i}]")
        files.append(PluginFile.read(path))
    return files + named_files(more)


def _metrics(document: Document, source: Source, registry: Registry) -> tuple[str, ...]:
    """The objectives that the file names; the first one has to be a metric."""
    raw = document.study.metric
    if raw is None:
        return ()
    if isinstance(raw, list) and not raw:
        raise source.error("expected at least one metric, got []", "study.metric")
    names = tuple(raw) if isinstance(raw, list) else (raw,)
    for i, name in enumerate(names):
        key = f"study.metric[{i}]" if len(names) > 1 else "study.metric"
        if name in names[:i]:
            raise source.error(f"{name!r} is there twice", key)
        if name in MEASURED and i == 0:
            raise source.error(
                f"{name!r} cannot come first: a metric does, which training watches and by which "
                "the winner is tested",
                key,
            )
        if name not in MEASURED:
            try:
                registry.find(Metric, name)
            except InputError as error:
                raise source.error(error.message, key) from None
    return names


def _constraints(document: Document, source: Source, registry: Registry) -> tuple[Constraint, ...]:
    quantities = (*registry.names(Metric.kind), *MEASURED)
    try:
        return parse_all(document.study.constraints, quantities)
    except StudyError as error:
        raise source.error(error.message, error.key) from None


def _check_sampler(
    document: Document,
    source: Source,
    metrics: tuple[str, ...],
    constraints: tuple[Constraint, ...],
) -> None:
    """Samplers that would leave an objective or a constraint aside are refused."""
    match document.sampler.name:
        case "cmaes" if len(metrics) > 1 or constraints:
            what = "several metrics" if len(metrics) > 1 else "constraints"
            raise source.error(
                f"the sampler 'cmaes' cannot handle {what}; expected tpe, which learns from them, "
                "or random, qmc or grid, which learn nothing",
                "sampler.name",
            )
        case "gp" if any(constraint.quantity == PARAMETERS for constraint in constraints):
            # What is too large is never trained, and this sampler looks at complete trials only.
            raise source.error(
                f"the sampler 'gp' cannot learn from a constraint on {PARAMETERS!r}; expected tpe, "
                "which does, or random, qmc or grid, which learn nothing",
                "sampler.name",
            )


def _racing(document: Document, source: Source, *, several: bool) -> bool:
    table = document.pruner
    if several and (table.name != "none" or table.racing):
        raise source.error(
            "with several metrics there is no single score to give a trial up by; expected no "
            f"pruner and no racing, got {table.name if table.name != 'none' else 'racing'!r}",
            "pruner.name" if table.name != "none" else "pruner.racing",
        )
    return table.name != "none" if table.racing is None else table.racing


def _meant_task(document: Document, registry: Registry) -> Task | None:
    """The only task that the metric and the losses are for, if there is only one.

    Counts look like classes; who asks for Poisson's loss does not mean them so.
    """
    losses = document.search.loss
    names = losses if isinstance(losses, list) else [] if losses is None else [losses]
    wanted: list[type[Component]] = [registry.find(Loss, str(name)) for name in names]
    raw = document.study.metric or []
    metrics = raw if isinstance(raw, list) else [raw]
    wanted += [registry.find(Metric, name) for name in metrics if name not in MEASURED]
    tasks = [task for task in get_args(Task) if all(task in found.tasks for found in wanted)]
    return tasks[0] if wanted and len(tasks) == 1 else None


def _check_rungs(document: Document, source: Source, space: Space) -> None:
    """The first rung must lie within the longest trial."""
    first = document.pruner.min_epochs
    longest = _largest(space, "epochs")
    if first is not None and first > longest:
        raise source.error(
            f"expected at most the epochs of the longest trial, {longest}, got {first}",
            "pruner.min_epochs",
        )


def _largest(space: Space, name: str) -> int:
    """The largest value that a whole number can take."""
    match next(p.domain for p in space.parameters if p.name == name):
        case Fixed(value):
            return int(value)
        case Choices(values):
            return max(int(value) for value in values)
        case Interval() as interval:
            return int(interval.high)
