"""Live progress of a search: bars on a terminal, plain lines in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed
from rich.table import Column

from tunekit.cli.numbers import amount
from tunekit.hookspecs import hookimpl
from tunekit.records import FinishedTrial, Objective, StudyInfo, StudyResult
from tunekit.report.words import configuration as in_short
from tunekit.study.constraints import Constraint, broken, from_words


def watcher() -> Bars | Lines:
    """What suits standard error: bars on a terminal, else lines."""
    return Bars() if sys.stderr.isatty() else Lines()


class _Best:
    """The best objective so far."""

    def __init__(self) -> None:
        self.trial: FinishedTrial | None = None
        self.larger_is_better = True
        self._has_one = True

    def follow(self, study: StudyInfo) -> None:
        """Learn the direction; with several objectives there is no single best."""
        self.larger_is_better = study.larger_is_better
        self._has_one = len(study.objectives) == 1

    def take(self, trial: FinishedTrial) -> bool:
        """Whether this trial is the best so far."""
        if trial.state != "complete" or trial.value is None or trial.diverged:
            return False
        if trial.violation > 0 or not self._has_one:
            return False
        if self.trial is not None and self.trial.value is not None:
            gain = trial.value - self.trial.value
            if (gain if self.larger_is_better else -gain) <= 0:
                return False
        self.trial = trial
        return True


class Lines:
    """One line for each finished trial, on standard error."""

    def __init__(self) -> None:
        self._best = _Best()
        self._metric = ""
        self._objectives: tuple[Objective, ...] = ()
        self._constraints: tuple[Constraint, ...] = ()

    def _say(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    @hookimpl
    def tunekit_study_started(self, study: StudyInfo) -> None:
        """Say what starts."""
        self._metric, self._objectives = study.metric, study.objectives
        self._constraints = from_words(study.constraints)
        self._best.follow(study)
        for trial in study.recorded:
            self._best.take(trial)
        for line in opening(study):
            self._say(line)

    @hookimpl
    def tunekit_trial_finished(self, trial: FinishedTrial) -> None:
        """Say how a trial ended."""
        mark = " *best*" if self._best.take(trial) else ""
        self._say(trial_line(trial, self._objectives, self._constraints) + mark)

    @hookimpl
    def tunekit_final_started(self, runs: int) -> None:
        """Say what follows."""
        self._say(f"training the best few again on fresh seeds: {runs} runs")


class Bars:
    """A bar for the search and a line for each running trial, on standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            Elapsed(),
            # The rest of the line is the note's; the bars keep their width.
            TextColumn(
                "{task.fields[note]}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            console=self._console,
            transient=True,
            expand=True,
        )
        self._best = _Best()
        self._metric = ""
        self._objectives: tuple[Objective, ...] = ()
        self._constraints: tuple[Constraint, ...] = ()
        self._whole: TaskID | None = None
        self._running: dict[int, TaskID] = {}
        self._shown: dict[int, str] = {}
        self._counts: dict[str, int] = {}

    @hookimpl
    def tunekit_study_started(self, study: StudyInfo) -> None:
        """Draw the bar of the whole search."""
        self._metric, self._objectives = study.metric, study.objectives
        self._constraints = from_words(study.constraints)
        self._best.follow(study)
        for line in opening(study):
            self._console.print(line, markup=False)
        self._whole = self._progress.add_task("search", total=study.trials, note="")
        for trial in study.recorded:
            self._count(trial)
        self._progress.start()

    def _count(self, trial: FinishedTrial) -> bool:
        assert self._whole is not None
        is_best = self._best.take(trial)
        self._counts[trial.state] = self._counts.get(trial.state, 0) + 1
        notes = [
            f"{self._counts[state]} {state}"
            for state in ("pruned", "failed")
            if state in self._counts
        ]
        if self._best.trial is not None:
            notes.insert(0, f"best {self._metric} {self._best.trial.value:.5g}")
        self._progress.update(self._whole, advance=1, note=", ".join(notes))
        return is_best

    @hookimpl
    def tunekit_trial_started(self, ask: int, configuration: Mapping[str, Any]) -> None:
        """Draw the line of a trial."""
        epochs = int(configuration["epochs"])
        self._shown[ask] = in_short(configuration)
        self._running[ask] = self._progress.add_task("  trial", total=epochs, note=self._shown[ask])

    @hookimpl
    def tunekit_trial_advanced(
        self, ask: int, fold: int, epoch: int, epochs: int, score: float
    ) -> None:
        """Move the line of a trial."""
        if ask in self._running:
            note = f"{self._metric} {score:.4f} (fold {fold + 1})  {self._shown[ask]}"
            self._progress.update(self._running[ask], completed=epoch, total=epochs, note=note)

    @hookimpl
    def tunekit_trial_finished(self, trial: FinishedTrial) -> None:
        """Take the trial's line away, and keep it above if it is the best so far."""
        task = self._running.pop(trial.ask, None)
        if task is not None:
            self._progress.remove_task(task)
        if self._count(trial) or trial.state == "failed":
            self._progress.console.print(
                trial_line(trial, self._objectives, self._constraints), markup=False
            )

    @hookimpl
    def tunekit_final_started(self, runs: int) -> None:
        """Draw the bar of the final."""
        self._final = self._progress.add_task(
            "final", total=runs, note="the best few again, on fresh seeds"
        )

    @hookimpl
    def tunekit_final_advanced(self, done: int, runs: int) -> None:
        """Move the bar of the final."""
        self._progress.update(self._final, completed=done, total=runs)

    @hookimpl
    def tunekit_study_finished(self, result: StudyResult) -> None:
        """Take the bars away."""
        self._progress.stop()

    def stop(self) -> None:
        """Take the bars away, also when the search ended in an error."""
        self._progress.stop()


def opening(study: StudyInfo) -> list[str]:
    """What a person wants to know before the first trial."""
    data = study.data
    nouns = {"classification": "classes", "multilabel": "labels"}
    task = str(data["task"])
    what = f"{data['outputs']} {nouns[task]}" if task in nouns else task
    lines = [
        f"{study.name}: {data['rows']} rows, {data['features']} features, {what}, "
        f"{data['folds']} validation fold{'s' if data['folds'] != 1 else ''}"
    ]
    if study.recorded:
        count = len(study.recorded)
        lines.append(f"going on after {count} recorded trial{'s' if count > 1 else ''}")
    return [*lines, *study.notes]


def trial_line(
    trial: FinishedTrial, objectives: Sequence[Objective], constraints: Sequence[Constraint] = ()
) -> str:
    """A finished trial in one line."""
    first, *others = objectives
    value = "" if trial.value is None else f"{first.name} {trial.value:.5g}"
    if trial.state == "complete":
        value = ", ".join([value, *(f"{o.name} {amount(trial.measured[o.name])}" for o in others)])
    notes = [trial.reason] if trial.reason else []
    if trial.state == "complete" and trial.violation > 0:
        known = {**trial.measured, first.name: trial.value or 0.0}
        notes += [
            f"breaks {constraint.words!r}: {amount(known[constraint.quantity])}"
            for constraint in broken(constraints, known)
        ]
    if trial.diagnosis is not None and trial.diagnosis.verdict not in ("healthy", "too_short"):
        notes.append(trial.diagnosis.verdict.replace("_", " "))
    reason = f"  ({'; '.join(notes)})" if notes else ""
    took = f"{trial.finished - trial.started:.1f} s"
    clock = time.strftime("%H:%M:%S", time.localtime(trial.finished))
    short = in_short(trial.configuration)
    return (
        f"{clock}  trial {trial.number:<4} {trial.state:<8} {value:<18} {took:>7}  {short}{reason}"
    )
