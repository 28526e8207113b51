"""A JSON Schema of the study file, with the components there are: what editors complete and check.

It is draft 7, the newest that both taplo (the TOML server of most editors) and editors of JSON
know in full. Where one value, a list and a range may stand, one schema describes all three: most
keywords hold for one type only, and so an error is told at its own place and a completion is
offered once. ``enum`` holds for all types, so names are told apart by ``if`` and ``then``; taplo
does not look for completions there, which is why an ``anyOf`` that all values pass offers them.

The schema may accept what tunekit refuses (an optimizer's ranges without the optimizer), but never
the other way round: an editor that warns of a good file is worse than one that says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tunekit.components import KINDS, Component, Dataset, Metric
from tunekit.plugins import BUILTIN, Registry
from tunekit.space import Hyperparameter, Interval, show
from tunekit.study.schema import Document, SpaceTable, Table
from tunekit.study.settings import NETWORK, TRAIN
from tunekit.study.study import MEASURED

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
WORDS = {bool: "True or false", int: "A whole number", float: "A number", str: "A text"}

SAMPLERS = {
    "tpe": "Tree-structured Parzen estimator: looks where good trials lie (Bergstra et al., 2011).",
    "random": "Every value at random.",
    "qmc": "Quasi-random: a Sobol sequence, which covers the space evenly (Sobol, 1967).",
    "cmaes": "Covariance matrix adaptation, for numbers (Hansen and Ostermeier, 2001).",
    "gp": "Gaussian process, for few and costly trials; needs PyTorch.",
    "grid": "Every combination of values, `points` of each range.",
}
PRUNERS = {
    "none": "Every trial trains to its end.",
    "median": "Gives up what is worse than the median of the trials before at the same epoch.",
    "successive_halving": "Gives up all but the best at every rung (Jamieson and Talwalkar, 2016).",
    "hyperband": "Successive halving with early and late rungs (Li et al., 2018, JMLR 18).",
}
HIDDEN: Schema = {
    "type": ["string", "integer"],
    "pattern": "^(none|0*[1-9][0-9]*(-0*[1-9][0-9]*)*)?$",
    "minimum": 1,
}
RELATED = "^[^<>=]*[<>]=?[^<>=]*$"
"""What every constraint looks like."""


def study_schema(registry: Registry, sources: Iterable[str] = ()) -> Schema:
    """The JSON Schema of a study file.

    Args:
        registry: The components that a study can name.
        sources: Names to suggest for ``data.source`` besides the components'.
    """
    tables = {
        name: _table(field.annotation)
        for name, field in Document.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Table)
    }
    keys = {name: table["properties"] for name, table in tables.items()}
    _put_settings(keys["train"], TRAIN)
    _put_settings(keys["network"], NETWORK)
    keys["network"]["hidden"] |= _or_list(HIDDEN)
    definitions = {}
    for kind in SpaceTable.model_fields:
        regularizer = kind == "regularizer"
        key = keys["search"]["regularizers" if regularizer else kind]
        definitions[kind] = _described(key, _names(registry, kind))
        one = {"$ref": f"#/definitions/{kind}"}
        key |= {"items": one} if regularizer else _name_or_list(one, one)
        keys["space"][kind] |= _components(registry, kind)
    keys["study"]["metric"] = _metrics(registry, keys["study"]["metric"]["description"])
    keys["study"]["constraints"]["items"] |= {"pattern": RELATED}
    source = keys["data"]["source"]
    source |= _offered(_described(source, _sources(registry, sources)), {"type": "string"})
    keys["sampler"]["name"] |= _enum(SAMPLERS)
    keys["pruner"]["name"] |= _enum(PRUNERS)
    return {
        "$schema": DIALECT,
        "description": "A tunekit study.",
        "type": "object",
        "properties": tables,
        "required": [name for name, field in Document.model_fields.items() if field.is_required()],
        "additionalProperties": False,
        "definitions": definitions,
    }


def _table(model: type[Table]) -> Schema:
    """A table as pydantic describes it, without what is about Python."""
    schema = model.model_json_schema()
    del schema["title"]
    schema["properties"] = {key: _key(told) for key, told in schema["properties"].items()}
    return _readable(schema)


def _key(told: Schema) -> Schema:
    """A key without its generated title and without null, which TOML does not have."""
    told = {name: value for name, value in told.items() if name != "title"}
    if told.get("default", 0) is None:
        del told["default"]
    alternatives = [one for one in told.pop("anyOf", ()) if one != {"type": "null"}]
    if alternatives:
        told |= alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}
    return _readable(told)


def _readable(described: Schema) -> Schema:
    return described | {"description": _markdown(described["description"])}


def _markdown(text: str) -> str:
    """A docstring as editors show it: in one line, with Markdown's marks of code."""
    return " ".join(re.sub("`+", "`", text).split())


def _put_settings(keys: dict[str, Schema], settings: Mapping[str, Hyperparameter]) -> None:
    for name, setting in settings.items():
        if setting.type in (int, float):
            keys[name]["description"] += f" {_limits(setting)}."
        # Pruners compare trials at the same few epochs.
        keys[name] = _value(setting, keys[name], ranges=name != "epochs")


def _value(declared: Hyperparameter, key: Schema, *, ranges: bool = True) -> Schema:
    """A key with what the value rule takes: a value, a list of values, or a range."""
    one: Schema = {"type": TYPES[declared.type]}
    if declared.choices is not None:
        one["enum"] = list(declared.choices)
        return key | _name_or_list(one, _described(key, one))
    if declared.min is not None:
        one["minimum"] = declared.min
    if declared.max is not None:
        one["maximum"] = declared.max
    schema = key | _or_list(one)
    if ranges and declared.type in (int, float):
        schema["type"].append("object")
        schema |= _range(declared, one)
    return schema


def _or_list(one: Schema) -> Schema:
    """One value or a list, in one schema."""
    types = [one["type"]] if isinstance(one["type"], str) else one["type"]
    return one | {"type": [*types, "array"], "items": one, "minItems": 1}


def _name_or_list(one: Schema, described: Schema) -> Schema:
    return {
        "type": ["string", "array"],
        "if": {"type": "string"},
        "then": one,
        "items": one,
        "minItems": 1,
    } | _offered(described, {"type": "array"})


def _described(key: Schema, one: Schema) -> Schema:
    """What is offered for a key: taplo describes the key by it, before a value is there."""
    return {"description": key["description"]} | one


def _offered(*completions: Schema) -> Schema:
    """What taplo is to complete for a key; ``true`` lets all values pass."""
    # The empty text: tooltips put all descriptions together, and here they are the same.
    return {"anyOf": [*completions, True], "x-taplo": {"docs": {"main": ""}}}


def _range(declared: Hyperparameter, one: Schema) -> Schema:
    """What a range adds to the schema of a number."""
    schema: Schema = {
        "properties": {
            "low": {"description": "Smallest value that is searched."} | one,
            "high": {"description": "Largest value that is searched."} | one,
            "log": {"description": "Search orders of magnitude.", "type": "boolean"},
            "step": {
                "description": "Distance of neighbouring values.",
                "type": one["type"],
                "exclusiveMinimum": 0,
            },
        },
        "additionalProperties": False,
    }
    if not isinstance(declared.search, Interval):
        schema["required"] = ["low", "high"]  # nothing to take them from
    return schema


def _components(registry: Registry, kind: str) -> Schema:
    """The tables of ``[space.KIND]``, one a component."""
    return {
        "type": "object",
        "properties": {
            name: {
                "description": _summary(registry, kind, name),
                "type": "object",
                "properties": {
                    declared.name: _value(
                        declared, {"description": _about(declared), "default": declared.default}
                    )
                    for declared in _component(registry, kind, name).hyperparameters().values()
                },
                "additionalProperties": False,
            }
            for name in registry.names(kind)
        },
        "additionalProperties": False,
    }


def _about(declared: Hyperparameter) -> str:
    """A hyperparameter in words: its limits, its default, its search range."""
    searched = f"Searched: {declared.search}" if declared.search else "Not searched by default"
    return f"{_limits(declared)}. Default: {show(declared.default)}. {searched}."


def _limits(declared: Hyperparameter) -> str:
    if declared.choices is not None:
        return "One of " + ", ".join(show(choice) for choice in declared.choices)
    words = WORDS[declared.type]
    if declared.min is not None and declared.max is not None:
        return f"{words} from {show(declared.min)} to {show(declared.max)}"
    if declared.min is not None:
        return f"{words}, {show(declared.min)} or more"
    return words if declared.max is None else f"{words}, {show(declared.max)} or less"


def _names(registry: Registry, kind: str) -> Schema:
    return _enum({name: _summary(registry, kind, name) for name in registry.names(kind)})


def _metrics(registry: Registry, description: str) -> Schema:
    """A metric, or a list of metrics and of what is measured besides."""
    one = _names(registry, Metric.kind)
    schema = {"description": description} | _name_or_list(one, {"description": description} | one)
    return schema | {
        "items": {"type": "string", "enum": [*one["enum"], *MEASURED]},
        "uniqueItems": True,
    }


def _enum(described: Mapping[str, str]) -> Schema:
    """One of several texts, each with a description where taplo looks for it."""
    return {
        "type": "string",
        "enum": list(described),
        "x-taplo": {"docs": {"enumValues": list(described.values())}},
    }


def _sources(registry: Registry, more: Iterable[str]) -> Schema:
    kind = Dataset.kind
    known = {name: _summary(registry, kind, name) for name in registry.names(kind)}
    return _enum(known | dict.fromkeys(more, "A data set of scikit-learn."))


def _summary(registry: Registry, kind: str, name: str) -> str:
    summary = _markdown(_component(registry, kind, name).summary()) or f"The {kind} {name}."
    owner = registry.owner(kind, name)
    return summary if owner == BUILTIN else f"{summary} From {owner}."


def _component(registry: Registry, kind: str, name: str) -> type[Component]:
    return registry.find(KINDS[kind], name)
