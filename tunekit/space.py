"""What a hyperparameter is: a default, the values it may have, and the values that are searched.

Two things are kept apart. The *limits* of a hyperparameter (``min``, ``max``, ``choices``) say
which values make sense at all; a value outside them is an error. Its *search range* (``low``,
``high``, or the choices) is what a study looks at unless the study file says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tunekit.errors import HyperparameterError, suggestion

Scalar = bool | int | float | str
"""What a hyperparameter's value may be."""


LARGEST = 10**308
"""Whole numbers beyond it are no floats."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """One value: nothing to search."""

    value: Scalar

    def __str__(self) -> str:
        return show(self.value)

    def nearest(self, value: Scalar) -> Scalar:
        """The allowed value that is nearest to `value`."""
        return self.value


@dataclass(frozen=True, slots=True)
class Choices:
    """One of several values, without order."""

    values: tuple[Scalar, ...]

    def __str__(self) -> str:
        return "one of " + ", ".join(show(value) for value in self.values)

    def nearest(self, value: Scalar) -> Scalar:
        """`value` itself where it is a choice, else the first choice."""
        return value if value in self.values else self.values[0]


@dataclass(frozen=True, slots=True)
class Interval:
    """All numbers from `low` to `high`, both included.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Whether the search looks at orders of magnitude instead of differences.
        step: Distance of neighbouring values, or None for all numbers (floats) or 1 (integers).
        integer: Whether values are integers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    integer: bool = False

    def __str__(self) -> str:
        text = f"{show(self.low)} to {show(self.high)}"
        if self.step is not None:
            text += f" in steps of {show(self.step)}"
        return text + (", log scale" if self.log else "")

    def nearest(self, value: Scalar) -> Scalar:
        """The allowed value that is nearest to `value`."""
        number = min(max(float(value), self.low), self.high)
        if self.step is not None:
            steps = round((number - self.low) / self.step)
            steps = min(steps, math.floor((self.high - self.low) / self.step + 1e-9))
            # In decimals: 0 + 3 * 0.1 is to be 0.3 and not 0.30000000000000004.
            number = float(Decimal(str(self.low)) + steps * Decimal(str(self.step)))
        return round(number) if self.integer else number

    def grid(self, points: int) -> tuple[Scalar, ...]:
        """At most `points` different values, spread evenly on the interval's own scale."""
        if points == 1 or self.low == self.high:
            return (self.nearest(self.low),)
        fractions = [i / (points - 1) for i in range(points)]
        return tuple(dict.fromkeys(self.at(fraction) for fraction in fractions))

    def at(self, fraction: float) -> Scalar:
        """The value at a fraction in [0, 1] of the way from `low` to `high`."""
        if self.log:
            return self.nearest(self.low * (self.high / self.low) ** fraction)
        return self.nearest(self.low + (self.high - self.low) * fraction)


Domain = Fixed | Choices | Interval
"""The values that a study looks at."""


def show(value: Scalar) -> str:
    """A value as a study file would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """One field of a component.

    Attributes:
        name: The field's name.
        type: ``bool``, ``int``, ``float`` or ``str``.
        default: Its value when nothing is said.
        search: What a study looks at by default, or None for a setting that is not searched.
        min: Smallest value that makes sense, or None.
        max: Largest value that makes sense, or None.
        choices: The values that make sense, or None for all of the type.
    """

    name: str
    type: type[Scalar]
    default: Scalar
    search: Domain | None = None
    min: float | None = None
    max: float | None = None
    choices: tuple[Scalar, ...] | None = None

    def check(self, value: object) -> Scalar:
        """Return `value` in the hyperparameter's own type.

        Raises:
            HyperparameterError: The type is wrong or the value is outside the limits.
        """
        value = self._typed(value)
        if self.choices is not None and value not in self.choices:
            hint = suggestion(str(value), [show(choice) for choice in self.choices])
            raise HyperparameterError(f"{value!r} is not a choice. {hint}", key=self.name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise HyperparameterError(f"expected a finite number, got {value}", key=self.name)
            if self.min is not None and value < self.min:
                raise HyperparameterError(
                    f"expected {show(self.min)} or more, got {show(value)}", key=self.name
                )
            if self.max is not None and value > self.max:
                raise HyperparameterError(
                    f"expected {show(self.max)} or less, got {show(value)}", key=self.name
                )
        return value

    def _typed(self, value: object) -> Scalar:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if is_number and isinstance(value, int) and abs(value) > LARGEST:
            raise HyperparameterError("expected a number below 1e308", key=self.name)
        if self.type is float and is_number:
            return float(value)  # type: ignore[arg-type]
        if self.type is int and is_number and float(value).is_integer():  # type: ignore[arg-type]
            return int(value)  # type: ignore[call-overload, no-any-return]
        if self.type is bool and isinstance(value, bool):
            return value
        if self.type is str and isinstance(value, str):
            return value
        expected = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
        raise HyperparameterError(f"expected {expected[self.type]}, got {value!r}", key=self.name)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What `Float`, `Int`, `Flag` and `Choice` leave in the class body, before it has a name."""

    type: type[Scalar]
    default: Scalar
    search: Domain | None
    min: float | None = None
    max: float | None = None
    choices: tuple[Scalar, ...] | None = None

    def named(self, name: str) -> Hyperparameter:
        """The hyperparameter that this declares."""
        return Hyperparameter(
            name, self.type, self.default, self.search, self.min, self.max, self.choices
        )


def _numeric(
    type_: type[Scalar],
    default: float,
    low: float | None,
    high: float | None,
    log: bool,
    step: float | None,
    smallest: float | None,
    largest: float | None,
) -> Any:
    if (low is None) != (high is None):
        raise HyperparameterError("give both low and high, or neither")
    search: Domain | None = None
    if low is not None and high is not None:
        search = interval(low, high, log=log, step=step, integer=type_ is int)
        limits = Declaration(type_, default, None, smallest, largest).named("search range")
        limits.check(low)
        limits.check(high)
    return Declaration(type_, default, search, smallest, largest)


# These are functions, not classes, and typed as the value that a component's field will hold:
# `lr: float = Float(1e-3)` then means the same to a type checker as `lr: float = 1e-3`.
def Float(  # noqa: N802
    default: float,
    *,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    step: float | None = None,
    min: float | None = None,
    max: float | None = None,
) -> float:
    """Declare a real-valued hyperparameter.

    Args:
        default: Its value when nothing is said.
        low: Smallest value that is searched; with no `low` and `high` it is not searched.
        high: Largest value that is searched.
        log: Search orders of magnitude.
        step: Distance of neighbouring searched values.
        min: Smallest value that makes sense; smaller ones are errors.
        max: Largest value that makes sense.
    """
    return _numeric(float, default, low, high, log, step, min, max)  # type: ignore[no-any-return]


def Int(  # noqa: N802
    default: int,
    *,
    low: int | None = None,
    high: int | None = None,
    log: bool = False,
    step: int | None = None,
    min: int | None = None,
    max: int | None = None,
) -> int:
    """Declare a whole-number hyperparameter; the arguments are those of `Float`."""
    return _numeric(int, default, low, high, log, step, min, max)  # type: ignore[no-any-return]


def Flag(default: bool, *, search: bool = True) -> bool:  # noqa: N802
    """Declare an on/off hyperparameter, searched over both unless `search` is false."""
    both = Choices((False, True)) if search else None
    return Declaration(bool, default, both)  # type: ignore[return-value]


def Choice(default: str, choices: Sequence[str], *, search: bool = True) -> str:  # noqa: N802
    """Declare a hyperparameter with named values, all of them searched unless `search` is false."""
    values = tuple(choices)
    if default not in values:
        raise HyperparameterError(f"the default {default!r} is not among the choices {values}")
    searched = Choices(values) if search else None
    return Declaration(str, default, searched, choices=values)  # type: ignore[return-value]


def interval(
    low: float,
    high: float,
    *,
    log: bool = False,
    step: float | None = None,
    integer: bool = False,
) -> Interval:
    """A checked `Interval`.

    Raises:
        HyperparameterError: The interval is empty or its scale is impossible.
    """
    for name, bound in (("low", low), ("high", high)):
        if not math.isfinite(bound):
            raise HyperparameterError(f"expected a finite number, got {bound}", key=name)
        if integer and not float(bound).is_integer():
            raise HyperparameterError(f"expected a whole number, got {show(bound)}", key=name)
    if low > high:
        raise HyperparameterError(
            f"low = {show(low)} is greater than high = {show(high)}; expected low <= high"
        )
    if log and low <= 0:
        raise HyperparameterError(f"low = {show(low)}, but a log scale needs low > 0")
    if step is not None:
        if log:
            raise HyperparameterError("a log scale has no step; leave out one of the two")
        if not (math.isfinite(step) and step > 0):
            raise HyperparameterError(f"expected a step above 0, got {show(step)}", key="step")
        if integer and not float(step).is_integer():
            raise HyperparameterError(f"expected a whole step, got {show(step)}", key="step")
    if integer:
        return Interval(int(low), int(high), log, None if step is None else int(step), True)
    return Interval(float(low), float(high), log, None if step is None else float(step))


def domain_from(raw: object, declared: Hyperparameter) -> Domain:
    """The one value rule: a bare value fixes, a list is a choice, a table is a range.

    Args:
        raw: What the study file says: a scalar, a list of scalars, or a mapping with any of
            ``low``, ``high``, ``log``, ``step`` (what it leaves out is taken from `declared`).
        declared: The hyperparameter it is about.

    Raises:
        HyperparameterError: The value does not fit the hyperparameter.
    """
    if isinstance(raw, Mapping):
        return _interval_from(raw, declared)
    if isinstance(raw, (list, tuple)):
        if not raw:
            raise HyperparameterError("expected at least one choice, got []", key=declared.name)
        values = tuple(dict.fromkeys(declared.check(value) for value in raw))
        return Choices(values) if len(values) > 1 else Fixed(values[0])
    return Fixed(declared.check(raw))


def _interval_from(raw: Mapping[str, object], declared: Hyperparameter) -> Domain:
    if declared.type not in (int, float):
        raise HyperparameterError(
            "a range { low, high } fits numbers only; expected a value or a list",
            key=declared.name,
        )
    for key in raw:
        if key not in ("low", "high", "log", "step"):
            hint = suggestion(key, ("low", "high", "log", "step"))
            raise HyperparameterError(
                f"unknown key in a range. {hint}", key=f"{declared.name}.{key}"
            )
    given = dict(raw)
    if isinstance(declared.search, Interval):
        given = {"low": declared.search.low, "high": declared.search.high} | given
        # A log scale is a property of the hyperparameter; a step replaces it.
        given.setdefault("log", declared.search.log and "step" not in raw)
    for key in ("low", "high"):
        if key not in given:
            raise HyperparameterError(f"the range has no {key!r}", key=declared.name)
        try:
            given[key] = declared.check(given[key])
        except HyperparameterError as error:
            raise HyperparameterError(error.message, key=f"{declared.name}.{key}") from None
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise HyperparameterError(
            f"expected true or false, got {log!r}", key=f"{declared.name}.log"
        )
    step = given.get("step")
    if step is not None and (isinstance(step, bool) or not isinstance(step, (int, float))):
        raise HyperparameterError(f"expected a number, got {step!r}", key=f"{declared.name}.step")
    try:
        built = interval(
            given["low"],  # type: ignore[arg-type]
            given["high"],  # type: ignore[arg-type]
            log=log,
            step=step,
            integer=declared.type is int,
        )
    except HyperparameterError as error:
        where = f"{declared.name}.{error.key}" if error.key else declared.name
        raise HyperparameterError(error.message, key=where) from None
    return built if built.low < built.high else Fixed(built.nearest(built.low))
