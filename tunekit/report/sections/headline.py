"""What was searched on which data, and what came out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tunekit.records import FinishedTrial
from tunekit.report.facts import Facts, outcome, spread
from tunekit.report.figures import front, scores
from tunekit.report.figures.figure import Figure
from tunekit.report.words import (
    configuration,
    counted,
    described,
    duration,
    listed,
    moment,
    number,
    sentence,
    setting,
    with_spread,
)
from tunekit.space import Scalar


@dataclass(frozen=True)
class Score:
    """A figure of the headline.

    Attributes:
        title: What it is.
        value: The figure.
        words: How honest it is.
        is_main: Whether it is the one to quote.
    """

    title: str
    value: str
    words: str
    is_main: bool = False


@dataclass(frozen=True)
class Setting:
    """One of the winner's settings: its name, its value, and what was searched."""

    name: str
    value: str
    searched: str


@dataclass(frozen=True)
class Headline:
    """The head of the report.

    Attributes:
        lead: What was searched on which data, in sentences.
        winner: The winner in words, or why there is none.
        scores: The figures to know.
        figure: The winner's scores as dots.
        settings: The winner's searched settings.
        fixed: What was not searched, in words.
        fronts: With several objectives, the Pareto front against each further one.
        front: Its trials: number, values and words.
        notes: What stands in the way of taking the result for more than it is.
    """

    lead: str
    winner: str
    scores: tuple[Score, ...]
    figure: Figure | None
    settings: tuple[Setting, ...]
    fixed: str
    fronts: tuple[Figure, ...]
    front: tuple[tuple[int, tuple[str, ...], str], ...]
    notes: tuple[str, ...]


def headline(facts: Facts) -> Headline:
    """The head of a study's report."""
    has_front = len(facts.objectives) > 1
    return Headline(
        lead=_lead(facts),
        winner=_winner(facts),
        scores=_scores(facts),
        figure=scores.draw(facts),
        settings=_settings(facts),
        fixed=_fixed(facts),
        fronts=tuple(front.draw(facts)) if has_front else (),
        front=_front(facts) if has_front else (),
        notes=_notes(facts),
    )


def _lead(facts: Facts) -> str:
    info, trials = facts.info, facts.trials
    names = [objective.name for objective in facts.objectives]
    searched = counted(len(facts.parameters), "hyperparameter")
    most = max((sum(p.of(t) is not None for p in facts.parameters) for t in trials), default=0)
    if 0 < most < len(facts.parameters):
        searched += f" (at most {most} in one trial)"
    what = f"{counted(len(trials), 'trial')} over {searched} in search of the best {listed(names)}"
    data = data_words(info.data)
    said = [sentence(f"{what} on {data}." if data else f"{what}.")]
    if info.constraints:
        said.append(f"Constraints: {listed(info.constraints)}.")
    if trials:
        said.append(
            f"The last trial ended on {moment(max(trial.finished for trial in trials))}; training "
            f"took {duration(sum(trial.training_seconds for trial in trials))} in all."
        )
    return " ".join(said)


def data_words(data: Mapping[str, Scalar]) -> str:
    """The data in words: name, task, rows, features, outputs."""
    told = [str(data["task"])] if "task" in data else []
    outputs = {"classification": "class", "multilabel": "label", "regression": "value"}
    for key, what in (("rows", "row"), ("features", "feature"), ("folds", "validation fold")):
        if isinstance(count := data.get(key), int):
            told.append(counted(count, what))
    kind = outputs.get(str(data.get("task")))
    if kind is not None and isinstance(count := data.get("outputs"), int) and count > 1:
        plural = "classes" if kind == "class" else f"{kind}s"
        told.insert(-1 if "folds" in data else len(told), f"{count:,} {plural}")
    name = str(data.get("name", ""))
    return f"{name} ({', '.join(told)})" if name and told else name or ", ".join(told)


def _winner(facts: Facts) -> str:
    best = facts.winner
    if best is None:
        return {
            "failed": f"No winner: {facts.result.why_failed}.",
            "interrupted": "Interrupted before a trial was complete; the same command goes on.",
        }.get(facts.result.status, "No trial is complete yet.")
    size = f"; {counted(best.parameters, 'parameter')}" if best.parameters else ""
    return f"Trial {best.number} won: {described(best.configuration)}{size}."


def _scores(facts: Facts) -> tuple[Score, ...]:
    best, test = facts.winner, facts.result.test
    if best is None:
        return ()
    metric = facts.info.metric
    found = []
    if test is not None:
        found.append(
            Score(
                f"Test {metric}",
                with_spread(test.mean, test.spread),
                f"Honest: rows that the search never saw, {_seeds(len(test.per_seed))}.",
                is_main=True,
            )
        )
    finalist = facts.finalists.get(best.number)
    if finalist is not None and finalist.scores:
        found.append(
            Score(
                "Validation, trained again",
                with_spread(finalist.mean, spread(finalist.scores)),
                f"{_seeds(len(finalist.scores)).capitalize()} on the folds of the search; chose "
                f"the winner among {counted(len(facts.finalists), 'finalist')}.",
                is_main=test is None,
            )
        )
    trials = counted(len(facts.valued), "complete trial")
    found.append(
        Score(
            "Validation in the search",
            with_spread(best.value or 0.0, spread(best.scores)),
            f"Selected among {trials}, so likely too good"
            + (f"; the spread is that of {len(best.scores)} folds." if best.scores[1:] else "."),
            is_main=not found,
        )
    )
    return tuple(found)


def _seeds(count: int) -> str:
    return counted(count, "fresh seed")


def _settings(facts: Facts) -> tuple[Setting, ...]:
    best = facts.winner
    if best is None:
        return ()
    return tuple(
        Setting(parameter.name, setting(value), parameter.words)
        for parameter in facts.parameters
        if (value := parameter.of(best)) is not None
    )


def _fixed(facts: Facts) -> str:
    if facts.winner is None:
        return ""
    searched = {parameter.name for parameter in facts.parameters}
    return ", ".join(
        f"{name} = {setting(value)}"
        for name, value in facts.winner.configuration.items()
        if name not in searched
    )


def _front(facts: Facts) -> tuple[tuple[int, tuple[str, ...], str], ...]:
    return tuple(
        (
            trial.number,
            tuple(_told(facts, trial, objective.name) for objective in facts.objectives),
            configuration(trial.configuration),
        )
        for trial in facts.result.front
    )


def _told(facts: Facts, trial: FinishedTrial, name: str) -> str:
    value = facts.quantity(trial, name)
    return f"{value:,}" if isinstance(value, int) else number(value)


def _notes(facts: Facts) -> tuple[str, ...]:
    """What the figures alone do not say, besides the search's own remarks."""
    info, result = facts.info, facts.result
    said = []
    if result.status == "interrupted":
        is_short = info.trials is not None and info.trials > len(facts.trials)
        planned = f" of {info.trials:,} planned" if is_short else ""
        said.append(
            f"The search was interrupted after {counted(len(facts.trials), 'trial')}{planned}; "
            "the same command goes on."
        )
    if facts.winner is not None and result.test is None:
        said.append(
            "There is no test score: all figures are of rows that the winner was chosen by, and "
            "likely too good."
        )
    if facts.winner is not None and outcome(facts.winner) == "diverged":
        said.append(
            "Every complete trial diverged: the winner scores as an untrained network does. "
            "Smaller learning rates may help."
        )
    if facts.winner is not None and facts.winner.violation > 0:
        said.append("The winner is the one that breaks the constraints the least.")
    return tuple(said)
