"""What mattered: importances, and beside them what each choice came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tunekit.records import FinishedTrial
from tunekit.report.facts import Facts, middle, spread_out
from tunekit.report.figures.scores import strip
from tunekit.report.parameters import Parameter
from tunekit.report.words import number, share
from tunekit.space import show

BARS = 12
"""Importances that are shown."""
CHOICES = 20
"""Choices of one hyperparameter that are shown."""
DOTS = 60
"""Trials in one strip."""


@dataclass(frozen=True)
class Bar:
    """A hyperparameter's importance; `width` is the bar's in percent of the longest one."""

    name: str
    share: str
    width: str


@dataclass(frozen=True)
class Choice:
    """What one choice came to.

    Attributes:
        name: The choice.
        trials: How many trials had it.
        best: Its best value.
        median: The median of those that were completed and did not diverge.
        strip: Its complete trials as dots.
        pruned: The share of its trials that were pruned.
        lost: The share of its trials that failed or diverged.
        is_winner: Whether the winner has it.
    """

    name: str
    trials: int
    best: str
    median: str
    strip: Markup
    pruned: str
    lost: str
    is_winner: bool


@dataclass(frozen=True)
class Mattered:
    """What mattered.

    Attributes:
        bars: The importances, the largest first; empty where none is known or stands out.
        left_out: How many importances are not shown.
        by_chance: Whether there are hyperparameters that do not stand out from chance.
        method: How they were estimated.
        words: What they were estimated from.
        choices: By hyperparameter, what its choices came to.
    """

    bars: tuple[Bar, ...]
    left_out: int
    by_chance: bool
    method: str
    words: str
    choices: tuple[tuple[str, tuple[Choice, ...]], ...]


def mattered(facts: Facts) -> Mattered:
    """What mattered in a study."""
    known = facts.importances
    largest = max(facts.shares.values(), default=1.0)
    bars = [
        Bar(name, share(v, 1.0), f"{100 * v / largest:.1f}") for name, v in facts.shares.items()
    ]
    with_choices = [parameter for parameter in facts.leading if not parameter.is_range]
    return Mattered(
        tuple(bars[:BARS]),
        len(bars[BARS:]),
        known is not None and len(known.shares) > len(bars),
        known.method if known else "",
        known.words if known else "",
        tuple((parameter.name, _choices(facts, parameter)) for parameter in with_choices),
    )


def _choices(facts: Facts, parameter: Parameter) -> tuple[Choice, ...]:
    trials: dict[str, list[FinishedTrial]] = {name: [] for name in parameter.choices}
    for trial in facts.trials:
        value = parameter.of(trial)
        if value is not None:
            trials.setdefault(show(value), []).append(trial)
    best = None if facts.winner is None else parameter.of(facts.winner)
    chosen = None if best is None else show(best)
    found = [(name, facts_of(facts, having)) for name, having in trials.items()]
    # The best first, by their best trial; what has none comes last.
    found.sort(key=lambda entry: facts.cost(entry[1][0]) if entry[1] else float("inf"))
    return tuple(
        _choice(facts, name, trials[name], ranked, is_winner=name == chosen)
        for name, ranked in found[:CHOICES]
    )


def facts_of(facts: Facts, trials: Sequence[FinishedTrial]) -> list[FinishedTrial]:
    """Those of `trials` that are ranked, the best first."""
    ranked = [trial for trial in trials if trial.number in facts.places]
    return sorted(ranked, key=lambda trial: facts.places[trial.number])


def _choice(
    facts: Facts,
    name: str,
    trials: Sequence[FinishedTrial],
    ranked: Sequence[FinishedTrial],
    *,
    is_winner: bool,
) -> Choice:
    sound = [trial for trial in ranked if not trial.diverged]
    values = [trial.value for trial in sound if trial.value is not None]
    lost = sum(trial.diverged or trial.state == "failed" for trial in trials)
    dots = [
        (trial.value, facts.css(trial), trial.number)
        for trial in reversed(spread_out(ranked, DOTS, first=DOTS // 3))
        if trial.value is not None
    ]
    return Choice(
        name,
        len(trials),
        number(values[0] if values else None),
        number(middle(values)),
        strip(dots, facts.scale),
        share(sum(trial.state == "pruned" for trial in trials), len(trials)),
        share(lost, len(trials)),
        is_winner,
    )
