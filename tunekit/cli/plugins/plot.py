"""A curve in a terminal: braille dots with axes, or plain letters where there are none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from rich.text import Text

from tunekit.cli.pages import ASIDE, GRADIENT, VALUE
from tunekit.cli.plugins.curve import Curve
from tunekit.components import Array

WIDTH, HEIGHT = 60, 14
"""Characters of the field that the curve is drawn in."""
MARGIN = 8
"""Characters for the labels on the left."""


@dataclass(frozen=True)
class Letters:
    """What a plot is made of.

    Attributes:
        dots: Dots of a character, across and down.
        axis: Upright, with a tick; the corner; level, with a tick.
        solid: A sample of the function's line.
        dotted: A sample of the derivative's line.
    """

    dots: tuple[int, int]
    axis: tuple[str, str, str, str, str]
    solid: str
    dotted: str


BRAILLE = Letters((2, 4), ("│", "┤", "└", "─", "┬"), "⠤⠤⠤", "⠄⠄⠄")
PLAIN = Letters((1, 1), ("|", "+", "+", "-", "+"), "***", "...")
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def letters(encoding: str | None) -> Letters:
    """Braille, if the terminal's encoding has it."""
    try:
        ("".join(BRAILLE.axis) + BRAILLE.solid).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return BRAILLE


def lines(curve: Curve, made_of: Letters) -> Iterator[Text]:
    """The plot, line by line, with what its lines are above it."""
    legend = Text(" " * MARGIN)
    legend.append(f"{made_of.solid} {curve.y_name}", VALUE)
    if curve.derivative is not None:
        legend.append(f"   {made_of.dotted} its derivative", GRADIENT)
    yield legend
    scale = _Scale.of(curve)
    solid, dotted = _Canvas(made_of), _Canvas(made_of)
    solid.draw(*scale.dots(curve.x, curve.y, made_of))
    if curve.derivative is not None:
        dotted.draw(*scale.dots(curve.x, curve.derivative, made_of), dotted=True)
    upright, tick, *_ = made_of.axis
    labels = {scale.row(value): _label(value) for value in scale.y_ticks}
    for row in range(HEIGHT):
        side = tick if row in labels else upright
        line = Text().append(f"{labels.get(row, ''):>{MARGIN - 1}}{side}", ASIDE)
        cells = (_cell(solid, dotted, row, column) for column in range(WIDTH))
        for style, run in groupby(cells, key=lambda cell: cell[1]):
            line.append("".join(letter for letter, _ in run), style)
        line.rstrip()
        yield line
    yield from _x_axis(scale, made_of, curve.x_name)


def _cell(solid: _Canvas, dotted: _Canvas, row: int, column: int) -> tuple[str, str]:
    """A character and its colour; where both lines go through it, it is the function's."""
    if own := solid.letter(row, column, "*"):
        return own, VALUE
    if other := dotted.letter(row, column, "."):
        return other, GRADIENT
    return " ", ""


def _x_axis(scale: _Scale, made_of: Letters, name: str) -> Iterator[Text]:
    *_, corner, level, tick = made_of.axis
    axis, below = [level] * WIDTH, [" "] * (WIDTH + MARGIN)
    for value in scale.x_ticks:
        column, label = scale.column(value), _label(value)
        axis[column] = tick
        # A minus sign stands left of the tick, so that the figure is below it.
        left = MARGIN + column - len(label) // 2
        below[left : left + len(label)] = label
    yield Text(" " * (MARGIN - 1) + corner + "".join(axis), ASIDE)
    yield Text("".join(below).rstrip(), ASIDE)
    yield Text(" " * (MARGIN + (WIDTH - len(name)) // 2) + name, ASIDE)


@dataclass(frozen=True)
class _Scale:
    """From numbers to places of the field."""

    left: float
    right: float
    low: float
    high: float
    x_ticks: list[float]
    y_ticks: list[float]

    @classmethod
    def of(cls, curve: Curve) -> _Scale:
        drawn = [curve.y] if curve.derivative is None else [curve.y, curve.derivative]
        low = min(float(values.min()) for values in drawn)
        low = min(low, 0.0) if curve.derivative is None else low
        high = max(float(values.max()) for values in drawn)
        if high - low <= 1e-9 * max(abs(low), abs(high)):  # a level line lies in the middle
            low, high = low - (abs(low) or 1.0), high + (abs(high) or 1.0)
        left, right = float(curve.x[0]), float(curve.x[-1])
        if curve.derivative is None:
            right = 1.0
        return cls(left, right, low, high, ticks(left, right, 8), ticks(low, high, 5))

    def row(self, value: float) -> int:
        share = (self.high - value) / (self.high - self.low)
        return min(max(math.floor(share * HEIGHT), 0), HEIGHT - 1)

    def column(self, value: float) -> int:
        share = (value - self.left) / (self.right - self.left)
        return min(max(math.floor(share * WIDTH), 0), WIDTH - 1)

    def dots(self, x: Array, y: Array, made_of: Letters) -> tuple[list[int], list[int]]:
        """Columns and rows of points, in dots."""
        across, down = WIDTH * made_of.dots[0], HEIGHT * made_of.dots[1]
        columns = np.floor((x - self.left) / (self.right - self.left) * across)
        rows = np.floor((self.high - y) / (self.high - self.low) * down)
        return (
            np.clip(columns, 0, across - 1).astype(int).tolist(),
            np.clip(rows, 0, down - 1).astype(int).tolist(),
        )


@dataclass
class _Canvas:
    """The dots of one line."""

    made_of: Letters
    on: set[tuple[int, int]] = field(default_factory=set)

    def draw(self, columns: list[int], rows: list[int], *, dotted: bool = False) -> None:
        """Join points that lie no more than a column apart, without holes."""
        before = rows[0]
        is_plain = self.made_of.dots == (1, 1)
        for column, row in zip(columns, rows, strict=True):
            way = range(before + 1, row + 1) if row > before else range(row, before)
            for between in way or [row]:
                along = between if len(way) > 1 else column
                if is_plain or not dotted or along % 4 < 2:
                    self.on.add((between, column))
            before = row

    def letter(self, row: int, column: int, plain: str) -> str:
        """The character of that place, or nothing."""
        across, down = self.made_of.dots
        if (across, down) == (1, 1):
            return plain if (row, column) in self.on else ""
        bits = 0
        for i in range(down):
            for j in range(across):
                if (row * down + i, column * across + j) in self.on:
                    bits |= _DOTS[i][j]
        return chr(0x2800 + bits) if bits else ""


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from `low` to `high`, about so many."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _label(value: float) -> str:
    return f"{round(value, 12) + 0.0:.4g}"
