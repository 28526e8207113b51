"""A component with other values of its hyperparameters than its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from typing import Any, TypeVar

from tunekit.components import Component
from tunekit.space import Choices, Hyperparameter, Interval, Scalar

C = TypeVar("C", bound=Component)
MOST = 64  # combinations of switches


def ends(hyperparameter: Hyperparameter) -> tuple[Scalar, ...]:
    """Both ends of what is searched, or all choices; none if it is not searched."""
    domain = hyperparameter.search
    if isinstance(domain, Choices):
        return domain.values
    return (domain.at(0.0), domain.at(1.0)) if isinstance(domain, Interval) else ()


def with_values(component: C, **values: Any) -> C:
    """The component with other values, in an object of its own."""
    return type(component)(**(component.values() | values))


def changed(component: C, **values: Scalar) -> C | None:
    """The component with other values; None if it refuses them."""
    try:
        return with_values(component, **values)
    except (Exception, SystemExit):
        return None


def variants(component: C) -> Iterator[C]:
    """With all that can be switched in other positions, then with each range at its ends."""
    values = component.values()
    switches = {
        name: (values[name], *positions)
        for name, h in type(component).hyperparameters().items()
        if (positions := _positions(h, values[name]))
    }
    combinations = islice(product(*switches.values()), 1, MOST)
    plans: list[dict[str, Scalar]] = [dict(zip(switches, c, strict=True)) for c in combinations]
    plans += [
        {name: end}
        for name, h in type(component).hyperparameters().items()
        if name != "lr"
        for end in ends(h)
    ]
    for plan in plans:
        variant = changed(component, **plan)
        if variant is not None:
            yield variant


def _positions(h: Hyperparameter, value: Scalar) -> tuple[Scalar, ...]:
    """The other positions of what is a switch: a flag, a choice, or a number that is 0."""
    if h.type is bool:
        return (not value,)
    choices = h.choices or (h.search.values if isinstance(h.search, Choices) else ())
    if choices:
        return tuple(choice for choice in choices if choice != value)
    return (turned_on(h),) if value == 0 and h.name != "lr" else ()


def turned_on(h: Hyperparameter) -> Scalar:
    """A value above 0 of a number that is off at 0."""
    if isinstance(h.search, Interval):
        return h.search.at(1.0)
    value = 0.5 if h.type is float else 1
    return value if h.max is None else h.type(min(value, h.max))
