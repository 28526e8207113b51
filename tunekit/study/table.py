"""The resolved space as a table, for people."""

from __future__ import annotations

from dataclasses import dataclass

from tunekit.space import show
from tunekit.study.study import Study


@dataclass(frozen=True)
class Row:
    """One parameter in words.

    Attributes:
        name: Qualified name.
        values: What it may be: ``"0.001 to 1, log scale"``.
        default: What it is when nothing is chosen.
        condition: When it is asked for (``"optimizer = adam"``); empty for always.
    """

    name: str
    values: str
    default: str
    condition: str


def describe_space(study: Study) -> list[Row]:
    """The rows of a study's space, in asking order."""
    return [
        Row(
            name=parameter.name,
            values=str(parameter.domain),
            default=show(parameter.default),
            condition=f"{parameter.when.name} = {show(parameter.when.value)}"
            if parameter.when
            else "",
        )
        for parameter in study.space.parameters
    ]
