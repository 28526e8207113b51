"""Learning curves: the validation metric after each epoch of the first fold."""

from __future__ import annotations

import math
from statistics import quantiles

from tunekit.records import Curve, FinishedTrial
from tunekit.report.drawing.plot import Plot
from tunekit.report.drawing.scale import Scale, around, numeric
from tunekit.report.facts import Facts, outcome, spread_out
from tunekit.report.figures.figure import Figure
from tunekit.report.words import counted

MOST = 60
"""Curves in one figure; more cannot be told apart."""
BEST = 15
"""So many of the best trials are always among them."""


def draw(facts: Facts) -> Figure | None:
    """The curves, or None where nothing was measured by epoch."""
    name, measured = _measured(facts)
    having = [trial for trial in facts.trials if trial.number in measured]
    if not having:
        return None
    ranked = [trial for trial in facts.ranked if trial.number in measured]
    others = [trial for trial in having if trial.state != "complete"]
    room = max(MOST - len(others), MOST // 2)
    complete = spread_out(ranked, room, first=BEST)
    drawn = [*complete, *spread_out(others, MOST - len(complete))]
    if facts.winner in having and facts.winner not in drawn:
        drawn.append(facts.winner)
    curves = {trial.number: measured[trial.number] for trial in drawn}
    scale = _scale(list(curves.values()), [curves[trial.number] for trial in complete])
    caption = _caption(name, list(curves.values()), scale, len(having))
    last = max((x for points in curves.values() for x, _ in points), default=1.0)
    plot = Plot(
        numeric(0, max(last, 1), whole=True),
        scale,
        caption,
        x_title="epoch",
        y_title=name.replace("val_", "validation ", 1),
        height=320,
    )
    best = {trial.number for trial in ranked[:5]}
    for trial in sorted(drawn, key=lambda t: _order(facts, t)):
        css = facts.css(trial)
        css = "leading" if trial.number in best and css == "complete" else css
        plot.line(curves[trial.number], css, trial.number)
    keys = [("winner", "the winner"), ("leading", "the best five"), ("complete", "complete")]
    keys += [("pruned", "pruned"), ("diverged", "diverged"), ("failed", "failed")]
    seen = {facts.css(trial) for trial in drawn} | ({"leading"} if len(best) > 1 else set())
    return Figure(
        plot.markup(), caption, tuple((f"{k} stroke", words) for k, words in keys if k in seen)
    )


def _measured(facts: Facts) -> tuple[str, dict[int, list[tuple[float, float]]]]:
    """The metric's name in the curves, or that of the validation loss, and its values by trial."""
    wanted = f"val_{facts.info.metric}"
    found: dict[str, dict[int, list[tuple[float, float]]]] = {wanted: {}, "val_loss": {}}
    for trial in facts.trials:
        # They are read from the record: once.
        first = next((curve for curve in trial.curves if curve.fold == 0), None)
        for name, values in found.items():
            if first is not None and name in first.metrics:
                values[trial.number] = _points(first, name)
    name = wanted if found[wanted] else "val_loss"
    return name, found[name]


def _points(curve: Curve, name: str) -> list[tuple[float, float]]:
    points = list(zip(curve.epochs, curve.metrics[name], strict=False))
    every = math.ceil(len(points) / 400)
    # The last point stays, whatever is left out between.
    return [(float(x), y) for x, y in [*points[:-1:every], *points[-1:]]]


def _scale(
    curves: list[list[tuple[float, float]]], complete: list[list[tuple[float, float]]]
) -> Scale:
    """Where the better half of the curves end, and the last part of how they came there."""
    trained = [y for points in curves for x, y in points if x > 0 and math.isfinite(y)]
    ends = [points[-1][1] for points in complete if math.isfinite(points[-1][1])]
    if len(ends) < 4:
        return around(trained)
    lower, *_, upper = quantiles(ends, n=6)
    reach = 1.5 * (upper - lower)
    inside = [y for y in trained if lower - reach <= y <= upper + reach]
    return around(inside or trained)


def _order(facts: Facts, trial: FinishedTrial) -> tuple[int, float]:
    if facts.css(trial) == "winner":
        return (2, 0.0)
    return (1 if outcome(trial) == "complete" else 0, -facts.cost(trial))


def _caption(name: str, curves: list[list[tuple[float, float]]], scale: Scale, having: int) -> str:
    told = name.replace("val_", "validation ", 1)
    which = counted(having, "trial")
    if len(curves) < having:
        which = (
            f"{len(curves)} of {having:,} trials, the best {BEST} and of the others some of every "
            "rank"
        )
    said = f"The {told} after each epoch of the first fold: {which}. Epoch 0 is before training."
    if any(not 0 <= scale.at(y) <= 1 for points in curves for _, y in points if math.isfinite(y)):
        said += " What is far off is cut, so that the ends can be told apart."
    return said
