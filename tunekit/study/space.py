"""The search space: which values a configuration may have, and which belong together."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tunekit.space import Choices, Domain, Fixed, Interval, Scalar


@dataclass(frozen=True)
class Condition:
    """The parameter is asked for only where `name`, fixed or a choice, has `value`."""

    name: str
    value: Scalar


@dataclass(frozen=True)
class Parameter:
    """One entry of a configuration.

    Attributes:
        name: Qualified name, such as ``optimizer.adam.lr``.
        domain: The values it may have; choices are sorted, since the record refuses other orders.
        default: Its value when nothing is chosen, inside `domain`.
        when: When it is asked for; None for always.
        cycle: Choices that the first trials go through, in the study file's order, the default
            first; empty for a parameter that stays at its default in them. Only parameters
            without a condition have a cycle.
    """

    name: str
    domain: Domain
    default: Scalar
    when: Condition | None = None
    cycle: tuple[Scalar, ...] = ()

    def takes(self, value: object) -> bool:
        """Whether `value` is in the domain."""
        if not isinstance(value, (bool, int, float, str)):
            return False
        match self.domain:
            case Fixed(only):
                return value == only and isinstance(value, bool) == isinstance(only, bool)
            case Choices(values):
                return any(
                    value == choice and isinstance(value, bool) == isinstance(choice, bool)
                    for choice in values
                )
            case Interval() as interval:
                if isinstance(value, (bool, str)):
                    return False
                return math.isclose(float(interval.nearest(value)), value, rel_tol=1e-12)


@dataclass(frozen=True)
class Space:
    """All parameters, in asking order: the one that a condition names comes before."""

    parameters: tuple[Parameter, ...]

    @property
    def searched(self) -> tuple[Parameter, ...]:
        """The parameters that have more than one value."""
        return tuple(p for p in self.parameters if not isinstance(p.domain, Fixed))

    def resolve(self, choose: Callable[[Parameter], Scalar]) -> dict[str, Scalar]:
        """A full configuration.

        Args:
            choose: Gives the value of a searched parameter; called in asking order, and only for
                parameters whose condition holds.

        Returns:
            Values by qualified name, fixed ones included.
        """
        configuration: dict[str, Scalar] = {}
        for parameter in self.parameters:
            when = parameter.when
            if when is not None and configuration.get(when.name) != when.value:
                continue
            domain = parameter.domain
            configuration[parameter.name] = (
                domain.value if isinstance(domain, Fixed) else choose(parameter)
            )
        return configuration

    def defaults(self) -> list[dict[str, Scalar]]:
        """The configurations to try first.

        The study file's lists are gone through together, as often as the longest needs; all else
        keeps its default. Trying several optimizers at their defaults is about as good as tuning
        one of them (Schmidt et al., 2021, arXiv:2007.01547).
        """
        longest = max((len(p.cycle) for p in self.parameters), default=0)
        return [
            self.resolve(lambda p: p.cycle[turn % len(p.cycle)] if p.cycle else p.default)  # noqa: B023
            for turn in range(max(longest, 1))
        ]

    def grid(self, points: int) -> Iterator[dict[str, Scalar]]:
        """Every configuration of the grid with at most `points` values of each range."""
        # One entry for each searched parameter that was asked for: the values still to come.
        path: list[list[Scalar]] = []
        depth = itertools.count()

        def choose(parameter: Parameter) -> Scalar:
            at = next(depth)
            if at == len(path):
                path.append(list(_values(parameter.domain, points)))
            return path[at][0]

        while True:
            depth = itertools.count()
            yield self.resolve(choose)
            while path and len(path[-1]) == 1:
                path.pop()
            if not path:
                return
            path[-1].pop(0)

    def size(self, points: int | None = None) -> int | None:
        """How many configurations ``grid(points)`` has.

        Without `points`, how many there are at all, or None where a range has no end of values.
        """
        dependents: dict[str, list[Parameter]] = {}
        for parameter in self.parameters:
            if parameter.when is not None:
                dependents.setdefault(parameter.when.name, []).append(parameter)

        def count(parameter: Parameter) -> float:
            below = dependents.get(parameter.name)
            if below is None:
                return _count(parameter.domain, points)
            return sum(
                math.prod(count(p) for p in below if p.when and p.when.value == value)
                for value in _values(parameter.domain, 1)
            )

        total = math.prod(count(p) for p in self.parameters if p.when is None)
        return None if math.isinf(total) else int(total)

    def describe(self) -> dict[str, str]:
        """Every parameter's domain in words, by qualified name."""
        return {parameter.name: str(parameter.domain) for parameter in self.parameters}

    def signature(self) -> str:
        """Canonical JSON of all that decides what can be sampled: names, domains, conditions.

        The order of choices makes no difference; that of regularizers does, since they act in it.
        """
        return json.dumps(
            [
                {
                    "name": parameter.name,
                    "domain": dataclasses.asdict(parameter.domain),
                    "when": parameter.when and dataclasses.asdict(parameter.when),
                }
                for parameter in self.parameters
            ],
            sort_keys=True,
            separators=(",", ":"),
        )


def _values(domain: Domain, points: int) -> tuple[Scalar, ...]:
    """A domain's values, at most `points` of a range."""
    if isinstance(domain, Fixed):
        return (domain.value,)
    if isinstance(domain, Choices):
        return domain.values
    total = _total(domain)
    if total > points:
        return domain.grid(points)
    step = domain.step or 1
    return tuple(domain.nearest(domain.low + i * step) for i in range(int(total)))


def _count(domain: Domain, points: int | None) -> float:
    """How many values a domain has, or ``_values`` of it with these `points`."""
    if points is None and isinstance(domain, Interval):
        return _total(domain)
    # Without `points` the domain is no range.
    return len(_values(domain, points or 1))


def _total(interval: Interval) -> float:
    """How many values a range has, infinitely many where it has no step."""
    step = interval.step or (1 if interval.integer else 0)
    if not step:
        return math.inf
    return math.floor((interval.high - interval.low) / step + 1e-9) + 1
