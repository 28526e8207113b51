"""A plot: axes, lines and marks in a drawing as wide as the page.

Across, places are percentages, so the browser stretches the drawing and not its letters; lines,
which know no percentages, are in an inner drawing that is stretched as a whole. Colours come from
classes, so that light, dark and printed pages differ in their style sheet only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import groupby

from markupsafe import Markup

from tunekit.report.drawing.scale import Scale
from tunekit.report.drawing.svg import digits, joined, percent, tag

ACROSS = 1000.0
"""Width of the inner drawing that holds the lines."""
BAND = 6.0
"""Distance from the frame, in pixels, of what lies beyond it."""


class Plot:
    """Axes to draw on.

    Args:
        x: The scale from left to right.
        y: The scale from bottom to top.
        words: What the plot shows, for those who do not see it.
        x_title: What is written below.
        y_title: What is written above.
        height: In pixels, of the inner frame.
        left: Room for what is written beside the frame, in pixels.
        ticks: At most about so many numbers below.
        radius: Of the dots, in pixels.
    """

    def __init__(
        self,
        x: Scale,
        y: Scale,
        words: str,
        *,
        x_title: str = "",
        y_title: str = "",
        height: float = 260,
        left: float = 52,
        ticks: int = 6,
        radius: float = 3.2,
    ) -> None:
        self.x, self.y, self.words, self.height, self.left = x, y, words, height, left
        self._titles = (x_title, y_title)
        self._ticks, self._radius = ticks, radius
        self._drawn: list[tuple[bool, Markup]] = []

    def down(self, value: float | str) -> float:
        """Pixels from the top; what lies beyond the frame is put at its edge."""
        at = self.y.at(value)
        if at > 1:
            return -BAND
        return self.height + BAND if at < 0 else self.height * (1 - at)

    def mark(
        self, x: float | str, y: float | str, css: str, trial: int | None = None, shape: str = ""
    ) -> None:
        """Draw a mark: a dot, or one of the page's shapes."""
        place = percent(min(max(self.x.at(x), 0.0), 1.0))
        common = {"class_": css, "data_t": None if trial is None else str(trial)}
        if shape:
            element = tag("use", href=f"#{shape}", x=place, y=self.down(y), **common)
        else:
            element = tag("circle", cx=place, cy=self.down(y), r=self._radius, **common)
        self._drawn.append((False, element))

    def line(
        self, points: Iterable[tuple[float, float]], css: str, trial: int | None = None
    ) -> None:
        """Draw a line; it is broken where a value is not finite."""
        path, pen = "", "M"
        for x, y in points:
            if not (math.isfinite(x) and math.isfinite(y)):
                pen = "M"
                continue
            down = self.height * (1 - min(max(self.y.at(y), -1.0), 2.0))
            path += f"{pen}{digits(ACROSS * self.x.at(x))} {digits(down)}"
            pen = "L"
        if path:
            number = None if trial is None else str(trial)
            self._drawn.append((True, tag("path", d=path, class_=css, data_t=number)))

    def bar(self, x: float, end: float, row: str, css: str, trial: int | None = None) -> None:
        """Draw a bar from `x` to `end`, 14 pixels high, around the value `row`."""
        begin = self.x.at(x)
        bar = tag(
            "rect",
            x=percent(begin),
            y=self.down(row) - 7,
            width=percent(max(self.x.at(end) - begin, 0.001)),
            height=14,
            class_=css,
            data_t=None if trial is None else str(trial),
        )
        self._drawn.append((False, bar))

    def note(self, x: float | str, y: float | str, words: str, *, rise: float) -> None:
        """Write words so many pixels above a place."""
        element = tag("text", words, x=percent(self.x.at(x)), y=self.down(y) - rise, class_="label")
        self._drawn.append((False, element))

    def rule(self, x: float) -> None:
        """Draw an upright line."""
        at = percent(self.x.at(x))
        self._drawn.append((False, tag("line", x1=at, x2=at, y1=0, y2=self.height, class_="rule")))

    def markup(self) -> Markup:
        """The plot as HTML."""
        layers = [
            self._stretched(joined(part for _, part in parts))
            if is_line
            else joined(part for _, part in parts)
            for is_line, parts in groupby(self._drawn, key=lambda entry: entry[0])
        ]
        svg = tag(
            "svg",
            self._frame(),
            *layers,
            width="100%",
            height=self.height,
            role="img",
            aria_label=self.words,
        )
        below = 44 if self._titles[0] else 28
        above = 30 if self._titles[1] else 10
        padding = f"padding:{above}px 12px {below}px {self.left:g}px"
        return tag("div", svg, class_="plot", style=padding)

    def _stretched(self, lines: Markup) -> Markup:
        box = f"0 0 {ACROSS:g} {digits(self.height)}"
        return tag(
            "svg",
            lines,
            viewBox=box,
            preserveAspectRatio="none",
            width="100%",
            height=self.height,
            class_="lines",
        )

    def _frame(self) -> Markup:
        parts = []
        for at, words in self.y.ticks(max(3, round(self.height / 48))):
            y = self.height * (1 - at)
            parts.append(tag("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
            parts.append(tag("text", words, x=-8, y=y, dy=".32em", class_="tick end"))
        parts.append(tag("line", x1="0", x2="100%", y1=self.height, y2=self.height, class_="base"))
        for at, words in self.x.ticks(self._ticks):
            place = percent(at)
            css = "tick end" if at > 0.97 and len(words) > 3 else "tick middle"
            parts.append(tag("text", words, x=place, y=self.height + 21, class_=css))
        x_title, y_title = self._titles
        if x_title:
            below = self.height + 38
            parts.append(tag("text", x_title, x="100%", y=below, class_="title end"))
        if y_title:
            parts.append(tag("text", y_title, x=-self.left, y=-16, class_="title"))
        return joined(parts)
