"""The Markdown that a study's own run shows in MLflow: links, the best trials, the test score."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tunekit.records import FinishedTrial, StudyInfo, StudyResult, TestScore
from tunekit.space import show
from tunekit.tracking.choices import searched
from tunekit.tracking.dataset import in_words
from tunekit.tracking.view import Located

LEADERS = 10
LONGEST = 8000
"""Characters of a run's tag; MLflow cuts what is longer without a word."""


def description(study: StudyInfo, located: Located, result: StudyResult | None) -> str:
    """What to know about a study at first sight.

    Args:
        study: The study.
        located: Where MLflow keeps it.
        result: How it ended, or None while it runs.
    """
    links = {
        "Trials, best first": located.table,
        "Curves of the leading": located.curves,
        "Charts of all completed": located.overview,
        "Objective by trial": located.progress,
    }
    if result and result.status == "finished":
        links["Report"] = located.report
    parts = [" · ".join(f"[{words}]({link})" for words, link in links.items())]
    parts += _outcome(study, result) if result else ["The search is running."]
    return "\n\n".join(parts)[:LONGEST]


def best_first(study: StudyInfo, trials: tuple[FinishedTrial, ...]) -> list[FinishedTrial]:
    """The completed trials, best first; those that break constraints come last."""
    sign = -1 if study.larger_is_better else 1
    scored = [
        (trial.violation, sign * trial.value, trial.number, trial)
        for trial in trials
        if trial.state == "complete" and trial.value is not None
    ]
    return [trial for *_, trial in sorted(scored, key=lambda entry: entry[:3])]


def _outcome(study: StudyInfo, result: StudyResult) -> list[str]:
    counts = [
        f"{sum(trial.state == state for trial in result.trials)} {state}"
        for state in ("complete", "pruned", "failed")
    ]
    parts = [f"Search {result.status}: {', '.join(counts)}. {_plain(in_words(study))}".rstrip()]
    # First, as MLflow's page folds a description after four lines.
    if result.best is not None and result.best.value is not None:
        parts.insert(0, _winner(study, result.best.number, result.best.value, result.test))
    if result.remarks:
        bullets = [f"- {_plain(remark.words)}" for remark in result.remarks]
        parts.append("\n".join(["**Before you believe it:**", "", *bullets]))
    if result.front:
        words = "No other trial beats these in all objectives:"
        more = f" {len(result.front)} trials, {LEADERS} of them here."
        parts.append(words if len(result.front) <= LEADERS else f"{words}{more}")
        parts.append(_table(study, _spread(result.front)))
        parts.append(f"The best by {study.metric}:")
    if leaders := best_first(study, result.trials)[:LEADERS]:
        parts.append(_table(study, leaders))
    if study.file is not None:
        parts.append(_commands(study.file, result.best))
    return parts


def _winner(study: StudyInfo, number: int, value: float, test: TestScore | None) -> str:
    said = f"**Best: trial {number}**, {study.metric} {value:.5g} on validation data"
    if test is None:
        return f"{said}."
    seeds = "1 fresh seed" if len(test.per_seed) == 1 else f"{len(test.per_seed)} fresh seeds"
    return (
        f"{said}; **{test.metric} {test.mean:.4g} ± {test.spread:.2g} on test data** "
        f"that the search never saw ({seeds})."
    )


def _table(study: StudyInfo, leaders: list[FinishedTrial]) -> str:
    choices = [name for name in searched(study) if name in leaders[0].configuration][:6]
    others = list(leaders[0].measured)
    head = ["trial", study.metric, *others]
    rows = [[*head, *choices], [*("---:" for _ in head), *("---" for _ in choices)]]
    for trial in leaders:
        assert trial.value is not None
        chosen = [show(trial.configuration.get(name, "")) for name in choices]
        measured = [_amount(trial.measured.get(name)) for name in others]
        rows.append([str(trial.number), f"{trial.value:.5g}", *measured, *chosen])
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
    )


def _spread(front: tuple[FinishedTrial, ...]) -> list[FinishedTrial]:
    """Some of the front, from one end to the other."""
    count = min(len(front), LEADERS)
    return [front[round(i * (len(front) - 1) / max(count - 1, 1))] for i in range(count)]


def _amount(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def _plain(words: str) -> str:
    """Words without line breaks, and with underscores and the like as they are."""
    return re.sub(r"([\\*_\[\]<>|~])", r"\\\1", " ".join(words.split()))


def _commands(file: str, best: FinishedTrial | None) -> str:
    name = shlex.quote(Path(file).name)
    lines = [f"tunekit search {name}    # goes on, or repeats the search with --fresh"]
    if best is not None:
        lines.append(f"tunekit train {name} --trial {best.number}    # trains the best trial again")
    return "```\n" + "\n".join(lines) + "\n```"
