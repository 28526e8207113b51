"""Every trial's value by its number, and the best so far."""

from __future__ import annotations

from tunekit.records import FinishedTrial
from tunekit.report.drawing.plot import Plot
from tunekit.report.drawing.scale import numeric
from tunekit.report.facts import Facts, is_finite, outcome
from tunekit.report.figures.figure import Figure
from tunekit.report.words import counted, number, sentence

SHAPES = {"diverged": "triangle", "failed": "cross", "pruned": "ring"}
KEYS = {
    "complete": "complete",
    "winner": "the winner",
    "pruned": "pruned, at its last value",
    "diverged": "diverged",
    "failed": "failed, without a value",
    "carried": "carried over from an earlier record",
}
MANY = 500
"""Trials from which on dots are smaller."""


def draw(facts: Facts) -> Figure | None:
    """The history, or None if no trial has a value."""
    if not any(is_finite(trial.value) for trial in facts.trials):
        return None
    first, last = facts.trials[0].number, facts.trials[-1].number
    caption = _caption(facts)
    plot = Plot(
        numeric(first - 0.5, max(last, first + 1) + 0.5, whole=True),
        facts.scale,
        caption,
        x_title="trial",
        y_title=facts.metric_words,
        radius=3.2 if len(facts.trials) < MANY else 2,
    )
    plot.line(_best_so_far(facts), "best")
    bad = float("-inf") if facts.info.larger_is_better else float("inf")
    # The most important marks come last and lie on top.
    order = ("failed", "pruned", "diverged", "complete", "winner")
    for trial in sorted(facts.trials, key=lambda t: order.index(facts.css(t))):
        css = facts.css(trial)
        value = trial.value if trial.value is not None and is_finite(trial.value) else bad
        if trial.carried is not None:
            plot.mark(trial.number, value, "carried", trial.number, "box")
        shape = "star" if css == "winner" else SHAPES.get(css, "")
        plot.mark(trial.number, value, css, trial.number, shape)
    seen = {facts.css(trial) for trial in facts.trials}
    seen |= {"carried" for trial in facts.trials if trial.carried is not None}
    keys = [("best", "best so far")] if facts.valued else []
    keys += [(css, words) for css, words in KEYS.items() if css in seen]
    return Figure(plot.markup(), caption, tuple(keys))


def _improvements(facts: Facts) -> list[FinishedTrial]:
    """The trials that were better than all before them."""
    found: list[FinishedTrial] = []
    for trial in facts.valued:
        if trial.violation > 0:
            continue
        if not found or facts.cost(trial) < facts.cost(found[-1]):
            found.append(trial)
    return found


def _best_so_far(facts: Facts) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for trial in _improvements(facts):
        assert trial.value is not None
        if points:
            points.append((trial.number, points[-1][1]))
        points.append((trial.number, trial.value))
    if points:
        points.append((facts.trials[-1].number + 0.5, points[-1][1]))
    return points


def _caption(facts: Facts) -> str:
    improvements = _improvements(facts)
    said = []
    if improvements:
        last, total = improvements[-1], len(facts.trials)
        said.append(
            f"The best value so far reached {number(last.value)} with trial {last.number} of "
            f"{total:,}, after {counted(len(improvements) - 1, 'improvement')}."
        )
        after = sum(trial.number > last.number for trial in facts.trials)
        if after > total / 3 and total >= 12:
            said.append(f"The {after} trials after it brought nothing better.")
    elif facts.valued:
        said.append("No trial kept all constraints.")
    else:
        said.append("No trial was completed.")
    beyond = sum(facts.is_beyond(t) for t in facts.trials if is_finite(t.value))
    if beyond:
        said.append(
            sentence(f"{counted(beyond, 'trial')} far off the others lie at the edge of the plot.")
        )
    return " ".join(said)


def shape_of(trial: FinishedTrial) -> str:
    """The shape of a trial's mark."""
    return SHAPES.get(outcome(trial), "")
