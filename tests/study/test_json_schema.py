"""The JSON Schema of the study file: it accepts what tunekit accepts, and says what is wrong."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from tunekit.components import KINDS
from tunekit.errors import InputError
from tunekit.plugins import load
from tunekit.space import Choices, Hyperparameter, Interval
from tunekit.study.json_schema import PRUNERS, SAMPLERS, study_schema
from tunekit.study.schema import PrunerTable, SamplerTable, SpaceTable, known_keys
from tunekit.study.study import load_study

ROOT = Path(__file__).parents[2]
REGISTRY = load(entry_points=False)
SCHEMA = study_schema(REGISTRY, ["sklearn:digits"])
VALIDATOR = Draft7Validator(SCHEMA)
DATA = '[data]\nsource = "sklearn:digits"\n'
HYPERPARAMETERS = {
    f"{kind}.{name}.{declared.name}": declared
    for kind in SpaceTable.model_fields
    for name in REGISTRY.names(kind)
    for declared in REGISTRY.find(KINDS[kind], name).hyperparameters().values()
}


def paths(text: str) -> list[str]:
    """Where the schema finds something wrong with a study."""
    errors = VALIDATOR.iter_errors(tomllib.loads(text))
    return sorted(".".join(str(part) for part in error.absolute_path) for error in errors)


def studies() -> Iterator[Any]:
    """The studies that the repository shows."""
    for path in sorted((ROOT / "examples").glob("*.toml")):
        yield pytest.param(path.read_text(encoding="utf-8"), id=path.name)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for i, block in enumerate(re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)):
        if "[data]" in block:
            yield pytest.param(block, id=f"README {i}")


def keys(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All keys that a schema describes."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}{name}", inner
        yield from keys(inner, f"{path}{name}.")


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize("text", list(studies()))
def test_the_studies_of_the_repository_are_right(text: str) -> None:
    assert paths(text) == []


def test_every_key_is_there_and_described() -> None:
    described = dict(keys(SCHEMA))
    assert set(known_keys()) <= set(described)
    assert {f"space.{key}" for key in HYPERPARAMETERS} <= set(described)
    assert [key for key, told in described.items() if not told.get("description")] == []


def test_descriptions_are_about_the_study_and_not_about_python() -> None:
    text = json.dumps(SCHEMA)
    assert "``" not in text
    assert "Table" not in text
    assert "\\n" not in text
    assert '"title"' not in text
    assert "null" not in text


def test_a_hyperparameter_is_told_with_default_range_and_limits() -> None:
    told = dict(keys(SCHEMA))
    assert told["space.optimizer.adam.lr"] == {
        "description": "A number, 0 or more. Default: 0.001. Searched: 0.0001 to 0.1, log scale.",
        "default": 0.001,
        "type": ["number", "array", "object"],
        "minimum": 0,
        "items": {"type": "number", "minimum": 0},
        "minItems": 1,
        "properties": {
            "low": {
                "description": "Smallest value that is searched.",
                "type": "number",
                "minimum": 0,
            },
            "high": {
                "description": "Largest value that is searched.",
                "type": "number",
                "minimum": 0,
            },
            "log": {"description": "Search orders of magnitude.", "type": "boolean"},
            "step": {
                "description": "Distance of neighbouring values.",
                "type": "number",
                "exclusiveMinimum": 0,
            },
        },
        "additionalProperties": False,
    }
    assert told["space.optimizer.adam.amsgrad"]["description"] == (
        "True or false. Default: false. Not searched by default."
    )
    assert told["network.depth"]["description"] == (
        "Number of hidden layers. A whole number from 0 to 64."
    )


@pytest.mark.parametrize("kind", list(SpaceTable.model_fields))
def test_every_component_is_offered_with_its_summary(kind: str) -> None:
    names = SCHEMA["definitions"][kind]
    assert names["enum"] == REGISTRY.names(kind)
    summaries = [REGISTRY.find(KINDS[kind], name).summary() for name in names["enum"]]
    told = names["x-taplo"]["docs"]["enumValues"]
    assert told == [summary.replace("``", "`") for summary in summaries]


def test_samplers_and_pruners_are_all_described() -> None:
    assert list(SAMPLERS) == list(get_args(SamplerTable.model_fields["name"].annotation))
    assert list(PRUNERS) == list(get_args(PrunerTable.model_fields["name"].annotation))


def test_data_sets_are_suggested_and_any_text_is_taken() -> None:
    offered = dict(keys(SCHEMA))["data.source"]["anyOf"][0]["enum"]
    assert offered == [*REGISTRY.names("dataset"), "sklearn:digits"]
    assert paths('[data]\nsource = "houses.csv"') == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[search]\noptimizer = "adm"', "search.optimizer"),
        ('[search]\noptimizer = ["adam", "adm"]', "search.optimizer.1"),
        ("[search]\noptimizer = []", "search.optimizer"),
        ("[search]\noptimizer = 5", "search.optimizer"),
        ("[search]\noptimizer = { low = 1, high = 2 }", "search.optimizer"),
        ('[search]\nregularizers = "l2"', "search.regularizers"),
        ('[search]\nregularizers = ["l2", "l3"]', "search.regularizers.1"),
        ('[search]\nloss = "cross"', "search.loss"),
        ('[search]\noptimiser = "adam"', "search"),
        ("[space.optimizer.adm]\nlr = 1.0", "space.optimizer"),
        ("[space.network]\ndepth = 1", "space"),
        ("[space.optimizer.adam]\nbeta = 0.9", "space.optimizer.adam"),
        ("[space.optimizer.adam]\nlr = -1.0", "space.optimizer.adam.lr"),
        ("[space.optimizer.adam]\nbeta1 = 1.0", "space.optimizer.adam.beta1"),
        ("[space.optimizer.adam]\nbeta1 = [0.9, 1.0]", "space.optimizer.adam.beta1.1"),
        ("[space.optimizer.adam]\nlr = []", "space.optimizer.adam.lr"),
        ('[space.optimizer.adam]\nlr = "fast"', "space.optimizer.adam.lr"),
        ("[space.optimizer.adam]\nlr = true", "space.optimizer.adam.lr"),
        ("[space.optimizer.adam]\nlr = { low = -1.0 }", "space.optimizer.adam.lr.low"),
        ("[space.optimizer.adam]\nlr = { lo = 0.1 }", "space.optimizer.adam.lr"),
        ("[space.optimizer.adam]\nlr = { log = 1 }", "space.optimizer.adam.lr.log"),
        ("[space.optimizer.adam]\nlr = { step = 0 }", "space.optimizer.adam.lr.step"),
        ("[space.optimizer.adam]\neps = { low = 1e-9 }", "space.optimizer.adam.eps"),
        ("[space.optimizer.adam]\namsgrad = 1", "space.optimizer.adam.amsgrad"),
        ("[space.optimizer.adam]\namsgrad = { low = 0 }", "space.optimizer.adam.amsgrad"),
        ("[space.optimizer]\nadam = 0.1", "space.optimizer.adam"),
        ("[studdy]", ""),
        ("trials = 5", ""),
        ("[study]\ntrails = 5", "study"),
        ("[study]\ntrials = 0", "study.trials"),
        ("[study]\ntimeout = 0", "study.timeout"),
        ('[study]\nmetric = "acuracy"', "study.metric"),
        ('[study]\nstorage = "optuna.db"', "study.storage"),
        ("[train]\nepochs = { low = 1, high = 9 }", "train.epochs"),
        ("[train]\nbatch_size = 2.5", "train.batch_size"),
        ("[train]\nwarmup = 1.5", "train.warmup"),
        ('[train]\ndtype = "float16"', "train.dtype"),
        ("[network]\ndepth = 65", "network.depth"),
        ("[network]\ndepth = { low = 1 }", "network.depth"),
        ('[network]\nhidden = "12-"', "network.hidden"),
        ('[network]\nhidden = ["12", "0"]', "network.hidden.1"),
        ('[network]\nnormalization = ["batch", "bach"]', "network.normalization.1"),
        ('[network]\nresidual = "yes"', "network.residual"),
        ('[sampler]\nname = "tpa"', "sampler.name"),
        ("[pruner]\nreduction_factor = 1", "pruner.reduction_factor"),
        ("[plugins]\nfiles = 'x.py'", "plugins.files"),
        ('[mlflow]\ntracking_uri = "mlflow.db"', "mlflow.tracking_uri"),
    ],
)
def test_what_is_wrong_is_told_once_and_at_its_place(
    text: str, expected: str, tmp_path: Path
) -> None:
    # First, since it may hold a key outside of all tables.
    study = f"{text}\n{DATA}"
    assert paths(study) == [expected]
    path = tmp_path / "study.toml"
    path.write_text(study)
    with pytest.raises(InputError):
        load_study(path)


@pytest.mark.parametrize(
    "text",
    [
        '[study]\ntimeout = "1h 30M"',
        "[study]\ntimeout = 0.5",
        "[train]\nbatch_size = 32.0",
        '[train]\ndtype = ["float64"]',
        "[train]\nepochs = [1000000]",
        "[network]\ndepth = 0",
        "[network]\nwidth = { low = 8, high = 64, step = 8 }",
        "[network]\nwidth.low = 8\nwidth.high = 64",
        "[network]\nhidden = 12",
        '[network]\nhidden = ["", "none", "007-8", 3]',
        "[search]\nregularizers = []",
        '[search]\noptimizer = ["adam", "adam"]',
        "[space.optimizer.adam]",
        "[space.optimizer.adam]\nlr = 1",
        "[space.optimizer.adam]\nlr = {}",
        "[space.optimizer.adam]\nlr = { high = 0.05 }",
        "[space.optimizer.adam]\nlr = { step = 0.01 }",
        "[space.optimizer.adam]\nbeta1 = [0.0, 0.999999]",
        "[space.optimizer.adam]\neps = { low = 1e-9, high = 1e-6, log = true }",
        "[space.optimizer.adam]\namsgrad = [true, false]",
        '[plugins]\ndisabled = ["lion"]',
        '[mlflow]\ntracking_uri = "databricks"',
    ],
)
def test_what_is_unusual_but_right_is_not_called_wrong(text: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(DATA + text)
    load_study(path)
    assert paths(DATA + text) == []


def test_a_study_without_data_is_incomplete() -> None:
    assert paths("") == [""]
    assert paths("[data]\nfolds = 3") == ["data"]


def within(declared: Hyperparameter) -> st.SearchStrategy[Any]:
    """Values that a study looks at by default, and lists and ranges of them."""
    match declared.search:
        case Interval(low, high, integer=True):
            one: st.SearchStrategy[Any] = st.integers(int(low), int(high))
        case Interval(low, high):
            one = st.floats(low, high)
        case Choices(values):
            one = st.sampled_from(values)
        case _:
            one = st.just(declared.default)
    forms = [one, st.lists(one, min_size=1, max_size=3)]
    if isinstance(declared.search, Interval):
        bounds = st.tuples(one, one).map(sorted)
        forms.append(bounds.map(lambda pair: {"low": pair[0], "high": pair[1]}))
    return st.one_of(forms)


@pytest.mark.parametrize("kind", list(SpaceTable.model_fields))
@given(st.data())
@settings(max_examples=20, deadline=None)
def test_what_a_component_declares_is_right(kind: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(REGISTRY.names(kind)))
    declared = REGISTRY.find(KINDS[kind], name).hyperparameters()
    told = {key: data.draw(within(hyperparameter)) for key, hyperparameter in declared.items()}
    key, chosen = ("regularizers", [name]) if kind == "regularizer" else (kind, name)
    study = {"data": {"source": "x"}, "search": {key: chosen}, "space": {kind: {name: told}}}
    assert list(VALIDATOR.iter_errors(study)) == []


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return repr(value) if isinstance(value, float) else json.dumps(value)


NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, 32, 65, 10**7, 0.0, 0.25, 0.9, 1.0, 2.0, 1e-8, 1e300])
TEXTS = st.sampled_from(["", "x", "007-8", "10m", "90", "1h 30M", "sqlite:///x.db", "databricks"])
NAMES = st.sampled_from(
    ["none", "batch", "balanced", "float64", "grid", "hyperband", "rmse", "adam"]
)
RANGES = st.fixed_dictionaries(
    {}, optional={"low": NUMBERS, "high": NUMBERS, "log": st.booleans(), "step": NUMBERS}
)
SCALARS = (NUMBERS, TEXTS, NAMES, st.booleans())
VALUES = st.one_of(*SCALARS, *(st.lists(scalar, max_size=3) for scalar in SCALARS), RANGES)
KEYS = sorted(
    [key for key in known_keys() if not key.startswith("space.") and key != "plugins.files"]
    + [f"space.{key}" for key in HYPERPARAMETERS]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@given(key=st.sampled_from(KEYS), value=VALUES)
@settings(max_examples=120, deadline=None)
def test_what_tunekit_takes_is_never_called_wrong(folder: Path, key: str, value: Any) -> None:
    study: dict[str, dict[str, Any]] = {"data": {"source": "x.csv"}}
    table, _, inner = key.partition(".")
    if table == "space":
        kind, name, hyperparameter = inner.split(".")
        searched = "regularizers" if kind == "regularizer" else kind
        study["search"] = {searched: [name]}
        study["space"] = {kind: {name: {hyperparameter: value}}}
    else:
        study.setdefault(table, {})[inner] = value
    path = folder / "study.toml"
    text = "".join(f"{key} = {toml(value)}\n" for key, value in study.items())
    path.write_text(text)
    try:
        load_study(path)
    except InputError:
        return
    assert paths(text) == []
