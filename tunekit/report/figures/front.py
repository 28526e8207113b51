"""The Pareto front: what no other trial beats in all objectives."""

from __future__ import annotations

from itertools import pairwise

from tunekit.records import FinishedTrial, Objective
from tunekit.report.drawing.plot import Plot
from tunekit.report.drawing.scale import Scale, around, numeric
from tunekit.report.facts import Facts, direction, is_finite
from tunekit.report.figures.figure import Figure
from tunekit.report.words import counted

WIDE = 30.0
"""Positive values that differ by more than this factor get a log scale."""


def draw(facts: Facts) -> list[Figure]:
    """The first objective against each of the others."""
    first, *others = facts.objectives
    return [figure for other in others if (figure := _against(facts, first, other))]


def _against(facts: Facts, first: Objective, other: Objective) -> Figure | None:
    places = {
        trial.number: (x, y)
        for trial in facts.valued
        if (x := facts.quantity(trial, other.name)) is not None
        and (y := facts.quantity(trial, first.name)) is not None
        and is_finite(x)
        and is_finite(y)
    }
    if not places:
        return None
    front = [trial for trial in facts.result.front if trial.number in places]
    caption = (
        f"{counted(len(front), 'trial')} of {len(places):,} that no other one beats in all "
        f"objectives. Better is {'up' if first.larger_is_better else 'down'} and to the "
        f"{'right' if other.larger_is_better else 'left'}."
    )
    plot = Plot(
        _scale([x for x, _ in places.values()]),
        facts.scale,
        caption,
        x_title=f"{other.name} ({direction(other.larger_is_better)})",
        y_title=f"{first.name} ({direction(first.larger_is_better)})",
        height=300,
    )
    if len(facts.objectives) == 2:
        plot.line(_stairs(sorted(places[trial.number] for trial in front), other), "front")
    on_front = {trial.number for trial in front}
    for trial in sorted(facts.valued, key=lambda t: t.number in on_front):
        if trial.number in places:
            x, y = places[trial.number]
            css, shape = _look(facts, trial, trial.number in on_front)
            plot.mark(x, y, css, trial.number, shape)
    keys = [("front", "on the front"), ("beaten", "beaten by another trial")]
    if any(trial.violation > 0 for trial in facts.valued):
        keys.append(("failed", "breaks a constraint"))
    return Figure(plot.markup(), caption, tuple(keys))


def _stairs(points: list[tuple[float, float]], across: Objective) -> list[tuple[float, float]]:
    """What is reached: between two trials, the value of the one that is no worse across."""
    stairs = points[:1]
    for (x, y), (x_next, y_next) in pairwise(points):
        corner = (x, y_next) if across.larger_is_better else (x_next, y)
        stairs += [corner, (x_next, y_next)]
    return stairs


def _look(facts: Facts, trial: FinishedTrial, is_on_front: bool) -> tuple[str, str]:
    if trial.violation > 0:
        return "failed", "cross"
    if facts.css(trial) == "winner":
        return "winner", "star"
    return ("front", "") if is_on_front else ("beaten", "")


def _scale(values: list[float]) -> Scale:
    low, high = min(values), max(values)
    if low > 0 and high / low > WIDE:
        return numeric(low / 1.2, high * 1.2, log=True)
    return around(values)
