"""Constraints: what a trial has to keep to, such as ``"parameters < 50_000"``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tunekit.errors import StudyError, suggestion

Relation = Literal["<", "<=", ">", ">="]

PARAMETERS = "parameters"
"""A quantity besides metrics: trained numbers of the network, known before training."""
LATENCY = "latency"
"""A quantity besides metrics: milliseconds to predict one row."""

LEAST = 1e-12
"""The violation of a strict constraint whose value is exactly at its bound."""
MOST = 1e9
"""The largest violation, also that of a value that is not finite: sums of it stay finite."""

_TURNED: dict[Relation, Relation] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_RELATION = re.compile(r"[<>=!≤≥]+")
_FORM = re.compile(
    r"\s*(?P<left>[^<>=!≤≥]*?)\s*(?P<relation>[<>=!≤≥]+)\s*(?P<right>[^<>=!≤≥]*?)\s*"
)
_EXAMPLE = 'expected a quantity, a relation and a number, such as "parameters < 50_000"'


@dataclass(frozen=True)
class Constraint:
    """A bound on one quantity of a trial.

    Attributes:
        quantity: A metric's name, `PARAMETERS` or `LATENCY`.
        relation: How the quantity has to stand to the bound.
        bound: Finite.
    """

    quantity: str
    relation: Relation
    bound: float

    @classmethod
    def parse(cls, text: str, quantities: Iterable[str]) -> Constraint:
        """Read ``"parameters < 50_000"``, or the same turned around.

        Args:
            text: Names and numbers are written as in Python; spaces do not matter.
            quantities: The names that there are.

        Raises:
            StudyError: It is no constraint; the message says at which character, counted from 1.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            second = list(_RELATION.finditer(text))[1:2]
            if not second:
                raise StudyError(f"{_EXAMPLE}, got {text!r}")
            raise StudyError(
                f"expected one relation, got {second[0].group()!r} at character "
                f"{second[0].start() + 1} of {text!r} besides; a lower and an upper bound are two "
                "constraints"
            )
        relation = found["relation"]
        if relation not in _TURNED:
            raise StudyError(
                f"expected <, <=, > or >=, got {relation!r} at character "
                f"{found.start('relation') + 1} of {text!r}"
            )
        if _number(found["left"]) is None:
            return cls(_quantity(found, "left", quantities), relation, _bound(found, "right"))
        return cls(_quantity(found, "right", quantities), _TURNED[relation], _bound(found, "left"))

    @property
    def words(self) -> str:
        """It as text that `parse` reads, such as ``"parameters < 50000"``."""
        bound = self.bound
        number = str(int(bound)) if bound.is_integer() and abs(bound) < 1e15 else repr(bound)
        return f"{self.quantity} {self.relation} {number}"

    @property
    def is_upper(self) -> bool:
        """Whether it bounds its quantity from above."""
        return self.relation.startswith("<")

    @property
    def is_strict(self) -> bool:
        """Whether the bound itself is too much."""
        return not self.relation.endswith("=")

    def violation(self, value: float) -> float:
        """How far a value is beyond the bound.

        Returns:
            0 if the constraint is kept; else the distance as a share of the bound's size
            (absolute if the bound is 0), between `LEAST` and `MOST`.
        """
        if not math.isfinite(value):
            return MOST
        beyond = value - self.bound if self.is_upper else self.bound - value
        if beyond < 0 or (beyond == 0 and not self.is_strict):
            return 0.0
        return min(max(beyond / (abs(self.bound) or 1.0), LEAST), MOST)

    def excludes(self, other: Constraint) -> bool:
        """Whether no value keeps both; the two bound one quantity from different sides."""
        upper, lower = (self, other) if self.is_upper else (other, self)
        if upper.bound == lower.bound:
            return upper.is_strict or lower.is_strict
        return upper.bound < lower.bound


def parse_all(texts: Sequence[str], quantities: Iterable[str]) -> tuple[Constraint, ...]:
    """Read the constraints of a study.

    Args:
        texts: One constraint each.
        quantities: The names that there are.

    Raises:
        StudyError: One is no constraint, repeats another one, or excludes it. Its key is that of
            the study file, such as ``study.constraints[1]``.
    """
    known, constraints = sorted(quantities), list[Constraint]()
    for i, text in enumerate(texts):
        try:
            constraint = Constraint.parse(text, known)
            for earlier in constraints:
                _check_pair(earlier, constraint)
        except StudyError as error:
            raise StudyError(error.message, key=f"study.constraints[{i}]") from None
        constraints.append(constraint)
    return tuple(constraints)


def from_words(texts: Sequence[str]) -> tuple[Constraint, ...]:
    """The constraints that have these `Constraint.words`."""
    return parse_all(texts, [text.partition(" ")[0] for text in texts])


def broken(
    constraints: Iterable[Constraint], quantities: Mapping[str, float]
) -> tuple[Constraint, ...]:
    """The constraints that these quantities break; what is not known breaks none."""
    return tuple(
        constraint
        for constraint in constraints
        if constraint.quantity in quantities
        and constraint.violation(quantities[constraint.quantity]) > 0
    )


def _check_pair(earlier: Constraint, later: Constraint) -> None:
    if earlier.quantity != later.quantity:
        return
    if earlier.is_upper == later.is_upper:
        side = "above" if later.is_upper else "below"
        raise StudyError(
            f"{later.words!r} bounds {later.quantity!r} from {side}, as {earlier.words!r} does "
            "already; keep one of them"
        )
    if earlier.excludes(later):
        raise StudyError(f"no value keeps both {earlier.words!r} and {later.words!r}")


def _quantity(found: re.Match[str], side: str, quantities: Iterable[str]) -> str:
    name, known = found[side], list(quantities)
    if not name:
        raise StudyError(f"{_EXAMPLE}, got no quantity in {found.string!r}")
    if name not in known:
        raise StudyError(
            f"no quantity is called {name!r} (at character {found.start(side) + 1} of "
            f"{found.string!r}). {suggestion(name, known)}"
        )
    return name


def _bound(found: re.Match[str], side: str) -> float:
    number = _number(found[side])
    if number is None or not math.isfinite(number):
        raise StudyError(
            f"expected a finite number such as 50_000 or 2.5e-3, got {found[side]!r} at character "
            f"{found.start(side) + 1} of {found.string!r}"
        )
    return number


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
