"""Scales: where on an axis a value lies, and which values are written beside it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MINUS = "\N{MINUS SIGN}"
FURTHEST = 1e200
"""Beyond it, differences are no floats."""
NICE = (1.0, 2.0, 5.0, 10.0)


class Tick(NamedTuple):
    """A value that is written beside an axis; `at` is its place, from 0 to 1."""

    at: float
    words: str


class Scale(ABC):
    """Places values on an axis, from 0 to 1."""

    @abstractmethod
    def at(self, value: float | str) -> float:
        """Where a value lies; numbers outside the range are below 0 or above 1."""

    @abstractmethod
    def ticks(self, most: int = 5) -> list[Tick]:
        """At most about so many values to write beside the axis."""


@dataclass(frozen=True)
class Linear(Scale):
    """Numbers by their differences.

    Attributes:
        low: The value at 0.
        high: The value at 1; greater than `low`.
        whole: Whether only whole numbers are written beside it.
    """

    low: float
    high: float
    whole: bool = False

    def at(self, value: float | str) -> float:
        """Where a number lies."""
        return (float(value) - self.low) / (self.high - self.low)

    def ticks(self, most: int = 5) -> list[Tick]:
        """Multiples of a round step."""
        rough = (self.high - self.low) / (most + 1)
        power = 10.0 ** math.floor(math.log10(rough))
        step = power * next(nice for nice in NICE if nice * power >= rough * (1 - 1e-9))
        step = max(step, 1.0) if self.whole else step
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = [i * step for i in range(first, last + 1)]
        ticks = [Tick(self.at(value), _written(value, decimals)) for value in values]
        return [tick for tick in ticks if -1e-6 <= tick.at <= 1 + 1e-6]


@dataclass(frozen=True)
class Log(Scale):
    """Positive numbers by their ratios.

    Attributes:
        low: The value at 0.
        high: The value at 1; greater than `low`.
    """

    low: float
    high: float

    def at(self, value: float | str) -> float:
        """Where a positive number lies."""
        return math.log(float(value) / self.low) / math.log(self.high / self.low)

    def ticks(self, most: int = 5) -> list[Tick]:
        """Powers of ten, and what lies between them where there are few."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            values = [digit * 10.0**power for power in decades for digit in digits]
            inside = [v for v in values if self.low * 0.999 <= v <= self.high * 1.001]
            if len(inside) <= most:
                break
        if len(inside) > most:
            inside = inside[:: math.ceil(len(inside) / most)]
        if len(inside) < 2:
            inside = [self.low, self.high]
        return [Tick(self.at(value), _power(value)) for value in inside]


@dataclass(frozen=True)
class Categories(Scale):
    """Texts side by side, each in the middle of its own part."""

    names: tuple[str, ...]

    def at(self, value: float | str) -> float:
        """Where a name lies; an unknown one is left of all."""
        index = self.names.index(str(value)) if value in self.names else -1
        return (index + 0.5) / len(self.names)

    def ticks(self, most: int = 5) -> list[Tick]:
        """All names."""
        return [Tick(self.at(name), name) for name in self.names]


def numeric(low: float, high: float, *, log: bool = False, whole: bool = False) -> Scale:
    """A scale from `low` to `high`, widened where they are one value."""
    if log and low > 0:
        return Log(low, high) if high > low * (1 + 1e-9) else Log(low / 2, low * 2)
    return _linear(low, high, whole=whole)


def around(values: Sequence[float], margin: float = 0.05) -> Linear:
    """A linear scale that shows all `values`, with a margin on both sides."""
    if not values:
        return Linear(0.0, 1.0)
    low, high = min(values), max(values)
    space = margin * (high - low)
    return _linear(low - space, high + space)


def _linear(low: float, high: float, *, whole: bool = False) -> Linear:
    low, high = (min(max(bound, -FURTHEST), FURTHEST) for bound in (low, high))
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1 / FURTHEST):
        margin = abs(low) * 0.1 or 1.0
        low, high = low - margin, high + margin
    return Linear(low, high, whole)


def _power(value: float) -> str:
    return f"{value:,.0f}" if 1e3 <= value < 1e7 else f"{float(f'{value:.3g}'):g}"


def _written(value: float, decimals: int) -> str:
    if decimals > 6 or abs(value) >= 1e7:
        return f"{value:.3g}".replace("-", MINUS)
    written = f"{value:,.{decimals}f}"
    return ("0" if float(written.replace(",", "")) == 0 else written).replace("-", MINUS)
