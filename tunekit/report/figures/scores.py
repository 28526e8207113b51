"""The winner's validation beside its test: each fold and seed, and their means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from tunekit.report.drawing.plot import Plot
from tunekit.report.drawing.scale import Categories, Scale, around
from tunekit.report.drawing.svg import joined, percent, tag
from tunekit.report.facts import Facts
from tunekit.report.figures.figure import Figure


@dataclass(frozen=True)
class Row:
    """Scores of one kind.

    Attributes:
        words: What they are.
        scores: The single scores.
        css: The class that colours them.
    """

    words: str
    scores: tuple[float, ...]
    css: str


def rows_of(facts: Facts) -> list[Row]:
    """The winner's scores: in the search, on fresh seeds, on the test split."""
    if facts.winner is None:
        return []
    finalist = facts.finalists.get(facts.winner.number)
    rows = [Row("in the search, each fold", facts.winner.scores, "complete")]
    if finalist is not None:
        rows.append(Row("validation again, each fresh seed", finalist.scores, "fresh"))
    if facts.result.test is not None:
        rows.append(Row("test, each fresh seed", facts.result.test.per_seed, "winner"))
    return [row for row in rows if row.scores and all(map(math.isfinite, row.scores))]


def draw(facts: Facts) -> Figure | None:
    """The scores, or None if there are fewer than two kinds of them."""
    rows = rows_of(facts)
    if len(rows) < 2:
        return None
    scale = around([score for row in rows for score in row.scores], 0.08)
    names = tuple(row.words for row in reversed(rows))
    caption = (
        "Each dot is one score, each upright line a mean. Folds are different rows; seeds are "
        "different starts on the same rows."
    )
    plot = Plot(
        scale, _Rows(names), caption, x_title=facts.metric_words, height=50 * len(rows), left=6
    )
    for row in rows:
        plot.note(scale.low, row.words, row.words, rise=16)
        for score in row.scores:
            plot.mark(score, row.words, row.css)
        plot.mark(fmean(row.scores), row.words, row.css, shape="mean")
    return Figure(plot.markup(), caption)


class _Rows(Categories):
    """Rows that are named inside the plot and not beside it."""

    def ticks(self, most: int = 5) -> list:  # type: ignore[type-arg]
        """None."""
        return []


def strip(scores: Sequence[tuple[float, str, int | None]], scale: Scale) -> Markup:
    """A table's cell with a dot for each score: its value, class and trial."""
    dots = [
        tag(
            "circle",
            cx=percent(min(max(scale.at(value), 0.0), 1.0)),
            cy=9,
            r=3,
            class_=css,
            data_t=None if trial is None else str(trial),
        )
        for value, css, trial in scores
    ]
    line = tag("line", x1="0", x2="100%", y1=9, y2=9, class_="grid")
    return tag(
        "svg", line, joined(dots), class_="strip", width="100%", height=18, aria_hidden="true"
    )
