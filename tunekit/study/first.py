"""Configurations that a study file asks to be tried first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunekit.errors import suggestion
from tunekit.space import Scalar
from tunekit.study.source import Source
from tunekit.study.space import Parameter, Space


def first_configurations(
    tables: Sequence[Mapping[str, Any]], space: Space, source: Source
) -> tuple[dict[str, Scalar], ...]:
    """The full configurations that ``[[study.first]]`` describes.

    Args:
        tables: Values by qualified name; tables within tables stand for names with dots.
        space: The study's space; what a table leaves out has its default.
        source: What errors name.

    Raises:
        StudyError: A name is not in the space, a value outside of its domain, or a parameter is
            not asked for beside the others.
    """
    return tuple(
        _configuration(dict(_flat(table)), space, source, f"study.first[{i}]")
        for i, table in enumerate(tables)
    )


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            # In the study file these stand in [train], in a configuration they have no table.
            yield f"{above}{name}".removeprefix("train."), value


def _configuration(
    wanted: dict[str, object], space: Space, source: Source, key: str
) -> dict[str, Scalar]:
    known = {parameter.name: parameter for parameter in space.parameters}
    for name, value in wanted.items():
        if name not in known:
            hint = suggestion(name, known)
            raise source.error(f"the space has no parameter {name!r}. {hint}", key)
        if not known[name].takes(value):
            raise source.error(
                f"{name} = {value!r} is outside of the space; expected {known[name].domain}", key
            )

    # A hyperparameter says which component it belongs to, and TOML does not let
    # `optimizer = "sgd"` stand beside `optimizer.sgd.lr = 0.1`.
    implied = {
        parameter.when.name: parameter.when.value
        for parameter in reversed(space.parameters)
        if parameter.name in wanted and parameter.when is not None
    }

    def choose(parameter: Parameter) -> Scalar:
        value = {**implied, **wanted}.get(parameter.name, parameter.default)
        return parameter.domain.nearest(value)  # type: ignore[arg-type]

    configuration = space.resolve(choose)
    for name in wanted:
        when = known[name].when
        if name not in configuration and when is not None:
            found = configuration.get(when.name)
            raise source.error(
                f"{name} is asked for only where {when.name} is {when.value!r}, and here it is "
                f"{found!r}",
                key,
            )
    return configuration
