"""What each worker did when, with the share of its time that it was idle."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from tunekit.records import FinishedTrial
from tunekit.report.drawing.plot import Plot
from tunekit.report.drawing.scale import Categories, numeric
from tunekit.report.facts import Facts, outcome
from tunekit.report.figures.figure import Figure
from tunekit.report.words import counted, duration, moment, share

WORKERS = 24
"""Rows that are drawn; more happen where many workers were replaced."""
BARS = 1500
"""Bars that are drawn one by one; where there are more, neighbours are joined."""
PAUSE = 60.0
"""Seconds without any work that are taken for the end of one run of the search."""


@dataclass
class _Worker:
    name: str
    pieces: list[tuple[float, float, FinishedTrial]] = field(default_factory=list)

    @property
    def busy(self) -> float:
        return sum(end - begin for begin, end, _ in self.pieces)


def draw(facts: Facts) -> Figure | None:
    """The timeline, or None where the record does not say who worked."""
    workers = _workers(facts)
    if not workers:
        return None
    clock = _Clock([(a, b) for worker in workers for a, b, _ in worker.pieces])
    caption = _caption(workers, clock)
    drawn = workers[:WORKERS]
    names = tuple(f"{i}" for i in range(len(drawn), 0, -1))
    unit, told = (60.0, "minutes") if clock.length >= 600 else (1.0, "seconds")
    plot = Plot(
        numeric(0.0, clock.length / unit),
        Categories(names),
        caption,
        x_title=told,
        y_title="worker",
        height=30 * len(drawn),
        left=34,
    )
    count = sum(len(worker.pieces) for worker in drawn)
    nearest = clock.length / 500 if count > BARS else clock.length / 4000
    for row, worker in zip(reversed(names), drawn, strict=True):
        for begin, end, trial in _joined(worker, nearest, mix=count > BARS):
            at, until = clock.at(begin) / unit, clock.at(end) / unit
            number = None if count > BARS else trial.number
            plot.bar(at, until, row, f"{facts.css(trial)} piece", number)
    for pause in clock.pauses:
        plot.rule(clock.at(pause) / unit)
    seen = {facts.css(trial) for worker in drawn for *_, trial in worker.pieces}
    keys = [(f"{css} bar", words) for css, words in _KEYS.items() if css in seen]
    return Figure(plot.markup(), caption, tuple(keys))


_KEYS = {
    "complete": "a trial that was completed",
    "winner": "the winner",
    "pruned": "one that was pruned",
    "diverged": "one that diverged",
    "failed": "one that failed",
}


class _Clock:
    """Time as the figure has it: without the pauses between one run of the search and the next."""

    def __init__(self, pieces: list[tuple[float, float]]) -> None:
        pieces = sorted(pieces)
        self._begin, reached = pieces[0][0], pieces[0][1]
        self._cuts: list[tuple[float, float]] = []
        worked = 0.0
        for begin, end in pieces:
            if begin - reached > PAUSE and begin - reached > 0.1 * worked:
                self._cuts.append((reached, begin))
            worked += max(0.0, end - max(begin, reached))
            reached = max(reached, end)
        self.first, self.last = self._begin, reached
        self.length = max(self.at(reached), 1e-3)

    @property
    def pauses(self) -> list[float]:
        """When a run of the search ended and another one went on."""
        return [begin for begin, _ in self._cuts]

    def at(self, time: float) -> float:
        """Seconds from the begin, pauses left out."""
        paused = sum(min(time, end) - begin for begin, end in self._cuts if begin < time)
        return time - self._begin - paused


def _workers(facts: Facts) -> list[_Worker]:
    """Who worked, in the order they began."""
    found: dict[str, _Worker] = {}
    for trial in facts.trials:
        if trial.carried is not None:
            continue  # trained in another search
        for span in trial.spans:
            worker = found.setdefault(span.worker, _Worker(span.worker))
            worker.pieces.append((span.started, max(span.finished, span.started), trial))
    for worker in found.values():
        worker.pieces.sort(key=lambda piece: piece[:2])
    return sorted(found.values(), key=lambda worker: worker.pieces[0][0])


def _joined(
    worker: _Worker, nearest: float, *, mix: bool
) -> list[tuple[float, float, FinishedTrial]]:
    """The worker's pieces, those of a trial in one where hardly anything lies between them."""
    joined: list[tuple[float, float, FinishedTrial]] = []
    for begin, end, trial in worker.pieces:
        if joined:
            before, reached, other = joined[-1]
            is_same = trial is other or (mix and outcome(trial) == outcome(other))
            if is_same and begin - reached <= nearest:
                joined[-1] = (before, max(reached, end), other)
                continue
        joined.append((begin, end, trial))
    return joined


def _idle(workers: list[_Worker], clock: _Clock) -> tuple[float, float]:
    """Seconds that workers had nothing to do between their first and their last work, of all."""
    present = sum(clock.at(w.pieces[-1][1]) - clock.at(w.pieces[0][0]) for w in workers)
    return max(0.0, present - sum(worker.busy for worker in workers)), present


def _caption(workers: list[_Worker], clock: _Clock) -> str:
    idle, present = _idle(workers, clock)
    said = [
        f"{counted(len(workers), 'worker')} trained for "
        f"{duration(sum(worker.busy for worker in workers))} in {duration(clock.length)}, from "
        f"{moment(clock.first)}. Between first and last work they were idle for "
        f"{share(idle, present)} of the time."
    ]
    pieces = [end - begin for worker in workers for begin, end, _ in worker.pieces]
    if idle > 0.3 * present and median(pieces) < 1:
        said.append("Pieces of training this short leave them waiting for the next one.")
    if clock.pauses:
        said.append(
            f"Where the search was interrupted, an upright line stands for the pause: "
            f"{counted(len(clock.pauses), 'pause')}."
        )
    if len(workers) > WORKERS:
        said.append(f"The first {WORKERS} workers are drawn.")
    return " ".join(said)
