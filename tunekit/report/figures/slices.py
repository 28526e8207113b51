"""The objective against single hyperparameters."""

from __future__ import annotations

from tunekit.report.drawing.plot import Plot
from tunekit.report.facts import Facts, is_finite, spread_out
from tunekit.report.figures.figure import Figure
from tunekit.report.figures.history import shape_of
from tunekit.report.parameters import Parameter
from tunekit.report.words import counted, setting

MOST = 6
"""Hyperparameters that are shown."""
LEAST = 4
"""Trials that make a plot."""
MARKS = 400
"""Trials in one plot."""


def draw(facts: Facts) -> list[Figure]:
    """A figure for each of the numeric hyperparameters that matter most."""
    ranges = [parameter for parameter in facts.leading if parameter.is_range]
    having = {p.name: sum(p.of(trial) is not None for trial in facts.valued) for p in ranges}
    # Where most have many trials, a few dots say nothing.
    least = min(LEAST, max(having.values(), default=0))
    if len(facts.valued) < 2:
        return []
    return [_slice(facts, p) for p in ranges if having[p.name] >= max(least, 1)][:MOST]


def _slice(facts: Facts, parameter: Parameter) -> Figure:
    trials = [t for t in facts.valued if parameter.of(t) is not None]
    best = min(trials, key=lambda t: (t.violation, facts.cost(t)))
    caption = (
        f"{counted(len(trials), 'trial')}; the best of them has {setting(parameter.of(best))}."  # type: ignore[arg-type]
    )
    plot = Plot(
        parameter.scale(),
        facts.scale,
        caption,
        x_title=parameter.name,
        height=170,
        left=48,
        ticks=4,
    )
    shown = spread_out(sorted(trials, key=facts.cost), MARKS, first=MARKS // 4)
    for trial in reversed(shown):
        at = parameter.on_axis(trial)
        if at is None or trial.value is None or not is_finite(trial.value):
            continue
        css = facts.css(trial)
        shape = "star" if css == "winner" else shape_of(trial)
        plot.mark(at, trial.value, css, trial.number, shape)
    return Figure(plot.markup(), caption)
