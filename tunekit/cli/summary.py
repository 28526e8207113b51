"""The end of a search, for a person and as JSON."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tunekit.cli.numbers import amount, counted
from tunekit.records import FinishedTrial, StudyInfo, StudyResult
from tunekit.report.words import configuration as in_short
from tunekit.report.words import duration
from tunekit.search.front import values_of
from tunekit.space import show

MAX_ROWS = 5
MAX_FRONT = 15


def counts(trials: tuple[FinishedTrial, ...]) -> dict[str, int]:
    """How many trials ended in each state."""
    return {
        state: sum(trial.state == state for trial in trials)
        for state in ("complete", "pruned", "failed")
    }


def diagnoses(trials: tuple[FinishedTrial, ...]) -> dict[str, int]:
    """How many trials got each verdict, the most frequent first."""
    return dict(Counter(t.diagnosis.verdict for t in trials if t.diagnosis).most_common())


def as_json(
    info: StudyInfo, result: StudyResult, mlflow: Mapping[str, Any], seconds: Mapping[str, float]
) -> dict[str, Any]:
    """The result as ``tunekit search --json`` prints it."""
    best, test, several = result.best, result.test, len(info.objectives) > 1
    return {
        "study": info.name,
        "status": result.status,
        "metric": [objective.name for objective in info.objectives] if several else info.metric,
        "constraints": list(info.constraints),
        "trials": counts(result.trials),
        "best": [_trial_as_json(trial, info) for trial in result.front]
        if several
        else None
        if best is None
        else _trial_as_json(best, info),
        "diagnoses": diagnoses(result.trials),
        "finalists": [
            {"number": f.number, "value": f.searched, "mean": f.mean, "per_seed": f.scores}
            for f in result.finalists
        ],
        "test": None
        if test is None
        else {
            "metric": test.metric,
            "mean": test.mean,
            "spread": test.spread,
            "per_seed": test.per_seed,
        },
        "remarks": [dataclasses.asdict(remark) for remark in result.remarks],
        "mlflow": dict(mlflow),
        "seconds": dict(seconds),
    }


def _trial_as_json(trial: FinishedTrial, info: StudyInfo) -> dict[str, Any]:
    return {
        "number": trial.number,
        "value": trial.value,
        "measured": dict(trial.measured),
        "violation": trial.violation,
        "params": dict(trial.params),
        "configuration": dict(trial.configuration),
        "diagnosis": None if trial.diagnosis is None else dataclasses.asdict(trial.diagnosis),
    }


def print_summary(
    info: StudyInfo, result: StudyResult, *, look: str, console: Console | None = None
) -> None:
    """Print the end of a search for a person.

    Args:
        info: The study.
        result: How it ended.
        look: The command that opens the MLflow UI.
        console: Where to print; standard output if not given.
    """
    console = console or Console(file=sys.stdout, highlight=False)
    numbers = counts(result.trials)
    told = ", ".join(f"{count} {state}" for state, count in numbers.items() if count)
    how = f" ({told})" if told else ""
    console.print()
    console.print(
        f"[bold]{escape(info.name)}[/bold]: {counted(len(result.trials), 'trial')}{how} "
        f"in {duration(result.seconds)}"
    )
    if verdicts := diagnoses(result.trials):
        told = ", ".join(f"{n} {verdict.replace('_', ' ')}" for verdict, n in verdicts.items())
        console.print(f"[dim]Diagnoses: {told}[/dim]", soft_wrap=True)
    if result.best is None:
        console.print("Interrupted before a trial was complete; the same command goes on.")
        return
    console.print()
    if len(info.objectives) > 1:
        _print_front(console, info, result)
    console.print(_ranking(info, result))
    console.print()
    _print_winner(console, info, result)
    _print_remarks(console, result)
    console.print(f"Look at all trials: [bold]{escape(look)}[/bold]", soft_wrap=True)


def _ranking(info: StudyInfo, result: StudyResult) -> Table:
    by_number = {trial.number: trial for trial in result.trials}
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("trial", justify="right")
    table.add_column(f"{info.metric} in the search", justify="right")
    if result.finalists:
        table.add_column("on fresh seeds", justify="right")
        rows = [(by_number[f.number], f"{f.mean:.5g}") for f in result.finalists]
    else:
        complete = [t for t in result.trials if t.state == "complete" and t.value is not None]
        complete.sort(key=lambda t: t.value or 0.0, reverse=info.larger_is_better)
        complete.sort(key=lambda t: t.violation)
        rows = [(trial, "") for trial in complete[:MAX_ROWS]]
    table.add_column("what it is")
    for trial, fresh in rows:
        cells = [str(trial.number), f"{trial.value:.5g}", fresh, in_short(trial.configuration)]
        table.add_row(*(cells if result.finalists else [cells[0], cells[1], cells[3]]))
    return table


def _print_front(console: Console, info: StudyInfo, result: StudyResult) -> None:
    """The trials that no other one beats in all objectives."""
    if not result.front:
        kept = " that keeps the constraints" if info.constraints else ""
        console.print(f"No trial{kept} is on the front.\n")
        return
    shown = _spread(result.front, MAX_FRONT)
    left = "" if len(shown) == len(result.front) else f", {len(shown)} of them shown"
    console.print(f"No other trial beats these {len(result.front)} in all objectives{left}:")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("trial", *(objective.name for objective in info.objectives)):
        table.add_column(name, justify="right")
    table.add_column("what it is")
    for trial in shown:
        values = [amount(value, digits=5) for value in values_of(trial, info.objectives)]
        table.add_row(str(trial.number), *values, in_short(trial.configuration))
    console.print(table)
    again = ", again on fresh seeds" if result.finalists else ""
    console.print(f"\nThe best by {info.objectives[0].name}{again}:")


def _spread(front: Sequence[FinishedTrial], most: int) -> list[FinishedTrial]:
    """At most so many, from one end to the other."""
    if len(front) <= most:
        return list(front)
    return [front[round(i * (len(front) - 1) / (most - 1))] for i in range(most)]


def _print_winner(console: Console, info: StudyInfo, result: StudyResult) -> None:
    best, test = result.best, result.test
    assert best is not None
    parameters = f", {best.parameters:,} parameters" if best.parameters else ""
    console.print(f"[bold]Trial {best.number}[/bold]{parameters}")
    for name, value in best.params.items():
        console.print(f"  {name} = {show(value)}", markup=False)
    if best.diagnosis is not None:
        verdict = best.diagnosis.verdict.replace("_", " ")
        told = Text(f"diagnosis: {verdict}. {best.diagnosis.words}", style="dim")
        console.print(Padding(told, (0, 0, 0, 2)))
    console.print()
    if best.diverged:
        console.print(
            "Every complete trial diverged: its loss or a weight stopped being finite, and it "
            "scores as an untrained network does. Smaller learning rates may help."
        )
    if test is not None:
        spread = f" ± {test.spread:.2g}" if len(test.per_seed) > 1 else ""
        console.print(
            f"Test {test.metric} [bold]{test.mean:.4g}{spread}[/bold]: the mean of "
            f"{len(test.per_seed)} fresh seeds on rows that the search never saw."
        )
    elif result.status == "interrupted":
        console.print("Interrupted: what is finished is kept; the same command goes on.")


def _print_remarks(console: Console, result: StudyResult) -> None:
    if not result.remarks:
        return
    console.print()
    console.print("Before you believe it:")
    bullets = Table.grid(padding=(0, 1))
    for remark in result.remarks:
        bullets.add_row("-", Text(remark.words))
    console.print(bullets)
    console.print()
