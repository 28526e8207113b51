"""The study file's schema: its tables, keys, types and defaults.

What may be searched is left to the value rule (`tunekit.space.domain_from`); all else is typed
here. `json_schema` adds the components there are, for editors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from tunekit.components import Task
from tunekit.errors import suggestion
from tunekit.study.settings import NETWORK, TRAIN
from tunekit.study.source import Source

Searched = object
"""What the value rule takes: ``json_schema`` describes it by the setting's own limits."""
Overrides = dict[str, dict[str, Searched]]
"""Hyperparameters by component: what replaces the component's own search ranges."""


class Table(BaseModel):
    """Base of all tables."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class StudyTable(Table):
    """What is optimized, and for how long."""

    name: str | None = Field(default=None, min_length=1)
    """The study's name; the file's name if left out."""
    metric: str | list[str] | None = None
    """Objective on validation data; accuracy, micro_f1 or rmse if left out, by the task. A list
    asks for the best compromises; "parameters" and "latency" may stand behind the first one."""
    constraints: list[str] = []
    """What a trial has to keep to, such as ``"parameters < 50_000"``."""
    trials: int | None = Field(default=None, ge=1)
    """The record's total; 50 if there is no timeout either."""
    timeout: Annotated[
        object, WithJsonSchema({"type": ["string", "number"], "exclusiveMinimum": 0})
    ] = None
    """Time of one run of the search: ``"10m"``, ``"1h30m"``, or a number of seconds."""
    seed: int = Field(default=0, ge=0)
    """What all randomness derives from."""
    workers: int = Field(default=1, ge=0)
    """Worker processes; 0 trains in the coordinator's own process."""
    executor: str | None = Field(
        default=None, min_length=1, json_schema_extra={"pattern": r"^dask(\+tls)?://"}
    )
    """A cluster to train on instead of worker processes: ``"dask://HOST:PORT"``."""
    finalists: int = Field(default=3, ge=0)
    """How many of the best configurations are trained again at the end."""
    final_seeds: int = Field(default=3, ge=1)
    """On how many fresh seeds."""
    storage: str | None = Field(default=None, min_length=1, json_schema_extra={"pattern": "://"})
    """SQLAlchemy address of the record; optuna.db beside the study file if left out."""
    first: list[dict[str, Searched]] = []
    """Configurations to try first: values by qualified name, defaults for the others."""
    warm_start: str | None = Field(default=None, min_length=1)
    """Another study to learn from: its name in this record, or its study file."""


class DataTable(Table):
    """The data set and its splits."""

    source: str = Field(min_length=1)
    """``"sklearn:digits"``, ``"houses.csv"``, ``"openml:40996"``, or a plugin's data set."""
    target: Annotated[
        object,
        WithJsonSchema(
            {
                "type": ["string", "array"],
                "minLength": 1,
                "items": {"type": "string", "minLength": 1},
                "minItems": 1,
                "uniqueItems": True,
            }
        ),
    ] = None
    """The column to predict, or a list of columns: labels of 0 and 1, or numbers."""
    weight: str | None = Field(default=None, min_length=1)
    """A column of numbers that says how much each row counts; rows of 0 are left out."""
    test: float = Field(default=0.2, ge=0, lt=1)
    """Share of the rows that is set aside until the end."""
    folds: int | None = Field(default=None, ge=2)
    """Number of cross-validation folds, instead of `validation`."""
    validation: float | None = Field(default=None, gt=0, lt=1)
    """Share of the other rows to validate on; 0.25 if there are no folds either."""
    repeats: int = Field(default=1, ge=1)
    """How often the split is drawn anew."""
    task: Task | None = None
    """``"classification"``, ``"multilabel"`` (several labels of 0 and 1) or ``"regression"``; told
    from the data if left out."""


class TrainTable(Table):
    """How one network is trained."""

    epochs: Searched = TRAIN["epochs"].default
    """Passes over the training rows: one value, or a list."""
    batch_size: Searched = TRAIN["batch_size"].default
    """Rows of a mini-batch."""
    patience: Searched = TRAIN["patience"].default
    """Epochs without improvement after which training stops; 0 never stops early."""
    warmup: Searched = TRAIN["warmup"].default
    """Share of the steps over which the learning rate rises from 0."""
    class_weights: Searched = TRAIN["class_weights"].default
    """``"balanced"`` weighs the classes in the training loss as if each had as many rows as the
    others; ``"none"`` does not."""
    dtype: Searched = TRAIN["dtype"].default
    """Precision; not searched."""


class NetworkTable(Table):
    """The network: `depth` and `width`, or `hidden`."""

    depth: Searched = NETWORK["depth"].default
    """Number of hidden layers."""
    width: Searched = NETWORK["width"].default
    """Units of every hidden layer."""
    hidden: Searched = None
    """Units of each hidden layer, such as ``"128-64"``; ``"none"`` for a linear model."""
    normalization: Searched = NETWORK["normalization"].default
    """``"none"``, ``"batch"``, ``"layer"`` or ``"rms"``, of every hidden layer."""
    residual: Searched = NETWORK["residual"].default
    """Whether hidden layers of equal width add their input to their output."""
    input_scaling: Searched = NETWORK["input_scaling"].default
    """Whether each input is multiplied with a trained number."""


class SearchTable(Table):
    """The components to choose among."""

    optimizer: Searched = "adam"
    """Update rules."""
    activation: Searched = "relu"
    """Activations of all hidden layers."""
    schedule: Searched = "constant"
    """Courses of the learning rate."""
    regularizers: list[str] = []
    """Each is searched on or off; they act in this order."""
    initializer: Searched = "he_normal"
    """How weights are drawn at the start."""
    loss: Searched = None
    """What training descends on; cross_entropy, multilabel_cross_entropy or squared_error if left
    out, by the task."""


class SpaceTable(Table):
    """Search ranges that replace the components' own, by kind, component and hyperparameter."""

    optimizer: Overrides = {}
    """Update rules, each with what replaces its own values and ranges."""
    activation: Overrides = {}
    """Activations, each with what replaces its own values and ranges."""
    schedule: Overrides = {}
    """Courses of the learning rate, each with what replaces its own values and ranges."""
    regularizer: Overrides = {}
    """Regularizers, each with what replaces its own values and ranges."""
    initializer: Overrides = {}
    """Initializers, each with what replaces its own values and ranges."""
    loss: Overrides = {}
    """Losses, each with what replaces its own values and ranges."""


class SamplerTable(Table):
    """How the next configuration is chosen."""

    name: Literal["tpe", "random", "qmc", "cmaes", "gp", "grid"] = "tpe"
    """The sampler."""
    startup_trials: int | None = Field(default=None, ge=0)
    """Random trials before it learns (tpe, cmaes, gp)."""
    points: int | None = Field(default=None, ge=1)
    """Values of each range (grid)."""


class PrunerTable(Table):
    """When a hopeless trial is given up."""

    name: Literal["none", "median", "successive_halving", "hyperband"] = "none"
    """The pruner."""
    startup_trials: int | None = Field(default=None, ge=0)
    """Trials that are never pruned, at the start of the search (median)."""
    warmup_epochs: int | None = Field(default=None, ge=0)
    """Epochs of each trial before it can be pruned (median)."""
    min_epochs: int | None = Field(default=None, ge=1)
    """Epochs of the first rung (successive_halving, hyperband)."""
    reduction_factor: int | None = Field(default=None, ge=2)
    """One trial in so many goes on to the next rung (successive_halving, hyperband)."""
    racing: bool | None = None
    """Whether a trial that is behind after some folds is spared the others; if left out, it is
    with every pruner but none."""


class PluginsTable(Table):
    """Plugins besides the installed ones, and without some of these."""

    files: list[str] = []
    """Single-file plugins: paths relative to the study file."""
    disabled: list[str] = []
    """Installed plugins that are left alone, by the names of their entry points."""


class MlflowTable(Table):
    """Where MLflow keeps its view of the study."""

    tracking_uri: str | None = Field(
        default=None, min_length=1, json_schema_extra={"pattern": "://|^databricks"}
    )
    """MLflow's address; MLFLOW_TRACKING_URI, or mlflow.db beside the study file, if left out."""
    experiment: str | None = Field(default=None, min_length=1)
    """The experiment's name; the study's name if left out."""
    registered: str | None = Field(
        default=None,
        min_length=1,
        alias="register",  # which every class has already
        json_schema_extra={"pattern": r"^[^/:]*[^/:\s][^/:]*$"},
    )
    """The registered model that the best network becomes a version of; none if left out."""


class Document(Table):
    """A study file."""

    study: StudyTable = StudyTable()
    data: DataTable
    train: TrainTable = TrainTable()
    network: NetworkTable = NetworkTable()
    search: SearchTable = SearchTable()
    space: SpaceTable = SpaceTable()
    sampler: SamplerTable = SamplerTable()
    pruner: PrunerTable = PrunerTable()
    plugins: PluginsTable = PluginsTable()
    mlflow: MlflowTable = MlflowTable()


def tables() -> dict[str, list[str]]:
    """The keys of every table."""
    known = {}
    for name, field in Document.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, Table)
        fields = field.annotation.model_fields
        known[name] = [inner.alias or key for key, inner in fields.items()]
    return known


def known_keys() -> list[str]:
    """The path of every key, such as ``"study.trials"``."""
    return [f"{table}.{key}" for table, keys in tables().items() for key in keys]


def validated(content: Mapping[str, Any], source: Source) -> Document:
    """The checked content of a study file.

    Raises:
        StudyError: It has an unknown table or key, lacks one, or a value has the wrong type.
    """
    try:
        return Document.model_validate(content)
    except ValidationError as error:
        # An unknown key explains a missing one, so it comes first.
        problems = sorted(
            error.errors(include_url=False),
            key=lambda problem: problem["type"] != "extra_forbidden",
        )
        message, key = _told(problems[0])
        more = len({_told(problem)[1] for problem in problems}) - 1
        if more:
            message += f" ({more} more problem{'s' if more > 1 else ''} in this study)"
        raise source.error(message, key) from None


def _told(problem: Any) -> tuple[str, str]:
    """One of pydantic's findings in this project's words: the message and the key."""
    place, found, limits = problem["loc"], problem["input"], problem.get("ctx", {})
    if place[-1] in ("str", "list[str]"):  # pydantic names what it tried
        place = place[:-1]
        return f"expected a text or a list of texts, got {found!r}", ".".join(map(str, place))
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)[1:]
    expected = {
        "string_type": "a text",
        "int_type": "a whole number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "list_type": "a list",
        "dict_type": "a table",
        "model_type": "a table",
        "string_too_short": "a text that is not empty",
        "greater_than": f"more than {limits.get('gt'):g}" if "gt" in limits else "",
        "greater_than_equal": f"{limits.get('ge'):g} or more" if "ge" in limits else "",
        "less_than": f"less than {limits.get('lt'):g}" if "lt" in limits else "",
    }
    match problem["type"]:
        case "extra_forbidden":
            return _unknown(place), key
        case "missing":
            return (
                'the study names no data; give [data] a source, such as "sklearn:digits" or '
                '"houses.csv"',
                "data.source",
            )
        case "literal_error":
            choices = limits["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return f"{found!r} is not a choice. {suggestion(str(found), choices)}", key
        case kind:
            return f"expected {expected.get(kind, 'another value')}, got {found!r}", key


def _unknown(place: tuple[str, ...]) -> str:
    *above, name = place
    if not above:
        homes = [table for table, keys in tables().items() if name in keys]
        if homes:
            return f"a key outside of all tables. Did you mean [{homes[0]}] {name}?"
        return f"unknown table. {suggestion(name, tables())}"
    own = tables()[above[0]]
    hint = suggestion(name, own)
    if not hint.startswith("Did you mean"):
        elsewhere = [table for table, keys in tables().items() if name in keys]
        if elsewhere:
            hint = f"Did you mean [{elsewhere[0]}] {name}?"
    return f"unknown key. {hint}"
