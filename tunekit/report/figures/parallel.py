"""Parallel coordinates: each trial a line through all its hyperparameters to its value."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tunekit.records import FinishedTrial
from tunekit.report.drawing.plot import ACROSS
from tunekit.report.drawing.scale import Scale
from tunekit.report.drawing.svg import digits, joined, percent, tag
from tunekit.report.facts import Facts, outcome, spread_out
from tunekit.report.figures.figure import Figure
from tunekit.report.parameters import Parameter

AXES = 9
"""Hyperparameters that are shown."""
MOST = 250
"""Lines that are drawn."""
HEIGHT = 300.0
ABSENT = 26.0
"""So many pixels below its axis, a line passes a hyperparameter that its trial does not have."""
RANKS = (0.05, 0.2, 0.5, 1.0)
"""Shares of the complete trials, best first, that have one colour."""

KEYS = {
    "winner": "the winner",
    "rank0": "best 5%",
    "rank1": "best 20%",
    "rank2": "better half",
    "rank3": "the others",
    "diverged": "diverged",
}


def draw(facts: Facts) -> Figure | None:
    """The parallel coordinates, or None with fewer than two hyperparameters or trials."""
    chosen = _axes(facts)
    shown = spread_out(facts.ranked, MOST, first=MOST // 3)
    if len(chosen) < 2 or len(shown) < 2:
        return None
    scales = [parameter.scale() for parameter in chosen]
    lines = [_line(facts, chosen, scales, trial) for trial in reversed(shown)]
    box = f"0 0 {ACROSS:g} {HEIGHT + ABSENT:g}"
    stretched = tag(
        "svg",
        joined(lines),
        viewBox=box,
        preserveAspectRatio="none",
        width="100%",
        height=HEIGHT + ABSENT,
        class_="lines",
    )
    count = len(chosen) + 1
    titles = [parameter.short for parameter in chosen] + [facts.info.metric]
    axes = [
        _axis(i, count, title, scale)
        for i, (title, scale) in enumerate(zip(titles, [*scales, facts.scale], strict=True))
    ]
    caption = _caption(facts, chosen, len(shown))
    svg = tag(
        "svg",
        stretched,
        joined(axes),
        width="100%",
        height=HEIGHT + ABSENT,
        role="img",
        aria_label=caption,
    )
    style = f"padding:56px 56px 22px 40px;min-width:{96 * count}px"
    seen = {_rank(facts, trial) for trial in shown}
    keys = tuple((f"{css} stroke", words) for css, words in KEYS.items() if css in seen)
    return Figure(tag("div", svg, class_="plot parallel", style=style), caption, keys)


def _axes(facts: Facts) -> list[Parameter]:
    """The hyperparameters that matter most, in the study's order."""
    tried = [p for p in facts.leading if any(p.of(trial) is not None for trial in facts.ranked)]
    leading = {parameter.name for parameter in tried[:AXES]}
    return [parameter for parameter in facts.parameters if parameter.name in leading]


def _line(
    facts: Facts, axes: Sequence[Parameter], scales: Sequence[Scale], trial: FinishedTrial
) -> Markup:
    heights = []
    for parameter, scale in zip(axes, scales, strict=True):
        value = parameter.on_axis(trial)
        heights.append(HEIGHT + ABSENT - 4 if value is None else HEIGHT * (1 - scale.at(value)))
    assert trial.value is not None
    heights.append(HEIGHT * (1 - min(max(facts.scale.at(trial.value), 0.0), 1.0)))
    step = ACROSS / (len(heights) - 1)
    points = " ".join(f"{digits(i * step)},{digits(y)}" for i, y in enumerate(heights))
    return tag("polyline", points=points, class_=_rank(facts, trial), data_t=str(trial.number))


def _rank(facts: Facts, trial: FinishedTrial) -> str:
    if facts.css(trial) == "winner" or outcome(trial) == "diverged":
        return facts.css(trial)
    place = (facts.places[trial.number] + 0.5) / len(facts.ranked)
    return f"rank{next(i for i, share in enumerate(RANKS) if place <= share)}"


def _axis(index: int, count: int, title: str, scale: Scale) -> Markup:
    x = percent(index / (count - 1))
    parts = [
        tag("line", x1=x, x2=x, y1=0, y2=HEIGHT, class_="base"),
        # Wider than it looks, to be dragged along.
        tag("rect", x=x, y=0, width=28, height=HEIGHT, class_="brush", data_axis=str(index)),
        _title(title, x),
    ]
    for at, words in scale.ticks(6):
        y = HEIGHT * (1 - at)
        shown = words if len(words) <= 14 else words[:13] + "…"
        parts.append(tag("text", shown, x=x, dx=5, y=y, dy=".32em", class_="tick halo"))
    return joined(parts)


def _title(title: str, x: str) -> Markup:
    """The name above an axis, in two lines where it has two words."""
    first, _, rest = title.partition(" ")
    lines = [first, rest] if rest else ["", first]
    return joined(
        tag("text", line, x=x, y=y, class_="title middle")
        for line, y in zip(lines, (-30, -15), strict=True)
        if line
    )


def _caption(facts: Facts, axes: Sequence[Parameter], shown: int) -> str:
    said = [
        "Each line is a complete trial; where it crosses an axis is its setting, at the right its "
        f"{facts.info.metric}."
    ]
    if any(p.of(trial) is None for p in axes for trial in facts.ranked):
        said.append("Below an axis pass the trials that have no such setting.")
    if len(axes) < len(facts.parameters):
        why = "matter most" if facts.shares else "most trials had"
        said.append(f"Of {len(facts.parameters)} hyperparameters these {len(axes)} {why}.")
    if shown < len(facts.ranked):
        said.append(f"{shown} of {len(facts.ranked):,} trials are drawn, some of every rank.")
    return " ".join(said)
