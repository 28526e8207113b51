"""The best trials, and the finalists on fresh seeds."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from tunekit.records import FinishedTrial
from tunekit.report.drawing.scale import around
from tunekit.report.facts import Facts, is_finite, outcome, spread
from tunekit.report.figures.scores import strip
from tunekit.report.words import DASH, configuration, duration, number, with_spread

ROWS = 15


@dataclass(frozen=True)
class Row:
    """A trial of the leaderboard; texts beside the numbers that the table is sorted by."""

    number: int
    css: str
    value: str
    sort_value: float
    folds: str
    strip: Markup
    fresh: str
    sort_fresh: float | None
    size: str
    sort_size: int
    seconds: str
    sort_seconds: float
    diagnosis: str
    words: str


@dataclass(frozen=True)
class Fresh:
    """A finalist: what it scored in the search and on each fresh seed."""

    number: int
    searched: str
    seeds: tuple[str, ...]
    strip: Markup
    mean: str
    words: str


@dataclass(frozen=True)
class Leaderboard:
    """The best trials.

    Attributes:
        rows: The best of them.
        total: How many complete trials there are.
        finalists: The best few, by their means on fresh seeds.
        has_fresh: Whether any of the rows was trained again.
        note: What to know about the ranking.
    """

    rows: tuple[Row, ...]
    total: int
    finalists: tuple[Fresh, ...]
    has_fresh: bool
    note: str


def leaderboard(facts: Facts) -> Leaderboard:
    """The best trials of a study: the finalists by their fresh means, then the others."""
    finalists = [facts.by_number[n] for n in facts.finalists if n in facts.by_number]
    others = [trial for trial in facts.ranked if trial.number not in facts.finalists]
    trials = [*finalists, *others][:ROWS]
    near = [trial for trial in trials if not facts.is_beyond(trial)] or trials
    scale = around([score for trial in near for score in trial.scores if is_finite(score)])
    rows = tuple(_row(facts, trial, strip(_dots(facts, trial), scale)) for trial in trials)
    note = ""
    if finalists and others:
        note = "Finalists come first, by what they scored on fresh seeds."
    return Leaderboard(rows, len(facts.valued), _fresh(facts), bool(finalists), note)


def _dots(facts: Facts, trial: FinishedTrial) -> list[tuple[float, str, int | None]]:
    css = facts.css(trial)
    return [(score, css, trial.number) for score in trial.scores if is_finite(score)]


def _row(facts: Facts, trial: FinishedTrial, dots: Markup) -> Row:
    finalist = facts.finalists.get(trial.number)
    fresh = "" if finalist is None else with_spread(finalist.mean, spread(finalist.scores))
    verdict = trial.diagnosis.verdict.replace("_", " ") if trial.diagnosis else DASH
    return Row(
        number=trial.number,
        css=facts.css(trial),
        value=number(trial.value),
        sort_value=trial.value or 0.0,
        folds=" ".join(number(score) for score in trial.scores),
        strip=dots,
        fresh=fresh,
        sort_fresh=finalist.mean if finalist is not None and is_finite(finalist.mean) else None,
        size=DASH if trial.parameters is None else f"{trial.parameters:,}",
        sort_size=trial.parameters or 0,
        seconds=duration(trial.training_seconds),
        sort_seconds=trial.training_seconds,
        diagnosis="diverged" if outcome(trial) == "diverged" else verdict,
        words=configuration(trial.configuration),
    )


def _fresh(facts: Facts) -> tuple[Fresh, ...]:
    known = [f for f in facts.result.finalists if f.number in facts.by_number and f.scores]
    scale = around([score for finalist in known for score in (*finalist.scores, finalist.searched)])
    return tuple(
        Fresh(
            finalist.number,
            number(finalist.searched),
            tuple(number(score) for score in finalist.scores),
            strip(
                [
                    (finalist.searched, "searched", finalist.number),
                    *(
                        (score, facts.css(facts.by_number[finalist.number]), finalist.number)
                        for score in finalist.scores
                    ),
                ],
                scale,
            ),
            with_spread(finalist.mean, spread(finalist.scores)),
            configuration(facts.by_number[finalist.number].configuration),
        )
        for finalist in known
    )
