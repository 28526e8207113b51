"""The end of a search: the best few again on fresh seeds, then the winner on the test split."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
import statistics
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunekit.errors import WorkError
from tunekit.nn.run import Checkpoint
from tunekit.records import Finalist, FinishedTrial, Remark, TestScore
from tunekit.search.engines import Answer, Engine
from tunekit.search.interrupt import Interrupt
from tunekit.search.trial import MAX_DEATHS, SILENCE, SLICE
from tunekit.search.units import FINAL, Failure, Unit
from tunekit.study.study import Study

FIRST_NETWORK = (2, 0)
"""The seed key of the network that becomes the study's model: the first of those tested."""
FAILED = "failed_final"
"""The kind of a remark on what failed in the final."""

logger = logging.getLogger("tunekit")


def leaders(
    trials: Sequence[FinishedTrial], count: int, *, larger_is_better: bool
) -> list[FinishedTrial]:
    """The best complete trials of different configurations, best first.

    Diverged trials, which have the scores of untrained networks, are left out unless there is
    nothing else, and so are those that break constraints.
    """
    complete = [trial for trial in trials if trial.state == "complete"]
    complete = [trial for trial in complete if trial.violation == 0] or complete
    sound = [trial for trial in complete if not trial.diverged] or complete

    def rank(trial: FinishedTrial) -> tuple[float, float, int]:
        assert trial.value is not None
        value = -trial.value if larger_is_better else trial.value
        return (trial.violation, value, trial.number)

    different: dict[str, FinishedTrial] = {}
    for trial in sorted(sound, key=rank):
        different.setdefault(str(sorted(trial.configuration.items())), trial)
    return list(different.values())[:count]


def perform_all(
    engine: Engine, units: Sequence[Unit], interrupt: Interrupt, given_up: Collection[int] = ()
) -> Iterator[tuple[int, Answer]]:
    """Perform units on all slots; yields each outcome or failure as it comes.

    Args:
        engine: Who does the work.
        units: What to do, each up to its last epoch.
        interrupt: Ends the waiting.
        given_up: Indices of units nobody wants any more; it may grow meanwhile.

    Yields:
        A unit's index and what came of it; a unit that was given up may have no answer.

    Raises:
        WorkError: Workers cannot be started.
        Interrupted: A signal came.
    """
    waiting, deaths, seconds = dict(enumerate(units)), [0] * len(units), [0.0] * len(units)
    running: dict[int, Unit] = {}
    is_told = False
    while True:
        for index in given_up:
            waiting.pop(index, None)
        while waiting and len(running) < engine.slots:
            index = min(waiting)
            running[index] = waiting.pop(index)
            engine.submit(index, running[index])
        if not running:
            return
        with interrupt.waiting():
            arrived: tuple[int, Answer] | None = engine.wait(SILENCE)
        if arrived is None:
            if not is_told:
                is_told = True
                logger.warning(
                    "nothing was heard of the final training for %.0f s: an epoch takes long, or "
                    "a component hangs. Ctrl-C ends the search and keeps what is finished.",
                    SILENCE,
                )
            continue
        index, answer = arrived
        unit = running.pop(index)
        if isinstance(answer, Failure):
            deaths[index] += 1
            if answer.worker_died and deaths[index] < MAX_DEATHS:
                waiting[index] = unit
            else:
                yield index, answer
            continue
        deaths[index] = 0
        seconds[index] += answer.seconds
        if answer.checkpoint.status == "running" and answer.checkpoint.epoch < unit.until:
            waiting[index] = dataclasses.replace(unit, checkpoint=answer.checkpoint)
        else:
            yield index, dataclasses.replace(answer, seconds=seconds[index])


@dataclass(frozen=True)
class FreshRun:
    """A training run of the final.

    Attributes:
        number: Whose it is: the trial's number in the record.
        unit: What to do.
        group: When one run of a group fails, the others are given up.
    """

    number: int
    unit: Unit
    group: int

    @property
    def key(self) -> str:
        """What tells its outcome apart from all others of the same record."""
        configuration = json.dumps(sorted(self.unit.configuration.items()))
        digest = hashlib.sha256(configuration.encode()).hexdigest()[:16]
        return ":".join(map(str, (self.number, digest, *self.unit.seed_key)))


class Final:
    """Ranks finalists and scores the winner.

    A run that fails, or whose score is not finite, takes its finalist out; the others go on.

    Args:
        study: The study.
        engine: Who does the work.
        folds: How many folds the data have.
        larger_is_better: The metric's direction.
        advanced: Called with the number of training runs that are finished or given up.
        runs: What `keep` was given before a final was cut short; its runs are not repeated.
        keep: Called with all outcomes so far, in plain types, after each of them.

    Attributes:
        training_seconds: Time spent in training, over all workers.
        remarks: What failed.
        network: The winner's, of the first fresh seed; None if it was not trained this time.
    """

    def __init__(
        self,
        study: Study,
        engine: Engine,
        folds: int,
        *,
        larger_is_better: bool,
        advanced: Callable[[int], None],
        runs: Mapping[str, Any],
        keep: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._study, self._engine, self._folds = study, engine, folds
        self._larger_is_better = larger_is_better
        self._advanced, self._keep = advanced, keep
        self._outcomes = dict(runs)
        self._settled = 0
        self.training_seconds = 0.0
        self.remarks: list[Remark] = []
        self.network: Checkpoint | None = None

    def rank(self, trials: Sequence[FinishedTrial], interrupt: Interrupt) -> list[Finalist]:
        """Train these trials again on fresh seeds and rank them by validation, best first.

        Raises:
            WorkError: Every one of them failed.
            Interrupted: A signal came.
        """
        seeds, folds = range(self._study.final_seeds), range(self._folds)
        runs = {
            # Fresh seeds: those of the search have chosen the finalists already.
            (trial.number, seed, fold): FreshRun(
                trial.number,
                Unit(
                    trial.configuration,
                    fold,
                    (1, seed, fold),
                    int(trial.configuration["epochs"]),
                    seconds=SLICE,
                ),
                trial.number,
            )
            for trial in trials
            for seed in seeds
            for fold in folds
        }
        failed = self._train(list(runs.values()), interrupt)
        finalists = []
        for trial in trials:
            number = trial.number
            if number in failed:
                self._remark(f"Trial {number} failed when it was trained again {failed[number]}")
                continue
            own = [[self._outcomes[runs[number, s, f].key] for f in folds] for s in seeds]
            scores = tuple(statistics.fmean(run["score"] for run in of_seed) for of_seed in own)
            epochs = tuple(run["best_epoch"] for of_seed in own for run in of_seed)
            assert trial.value is not None
            mean = statistics.fmean(scores)
            finalists.append(Finalist(number, trial.value, scores, mean, epochs))
        if not finalists:
            told = "; ".join(f"trial {number} {reason}" for number, reason in failed.items())
            raise WorkError(f"the final training failed for every finalist: {told}")
        # Sorting is stable: at equal means the one that was better in the search stays ahead.
        return sorted(finalists, key=lambda f: f.mean, reverse=self._larger_is_better)

    def test(self, winner: FinishedTrial, epochs: int, interrupt: Interrupt) -> TestScore | None:
        """Train the winner on all rows that are not set aside, and open the test split.

        Args:
            winner: The winning trial.
            epochs: How long to train it; its schedule is laid out over them.
            interrupt: Ends the waiting.

        Returns:
            The score over the seeds that did not fail; None if all did. Another finalist is not
            tested in its place: the winner was chosen by validation, and stays it.

        Raises:
            Interrupted: A signal came.
        """
        configuration = {**winner.configuration, "epochs": epochs}
        runs = [
            FreshRun(
                winner.number,
                Unit(configuration, FINAL, (2, seed), epochs, seconds=SLICE),
                seed,
            )
            for seed in range(self._study.final_seeds)
        ]
        failed = self._train(runs, interrupt)
        scores = tuple(self._outcomes[run.key]["score"] for run in runs if run.group not in failed)
        if failed:
            rests = f"rests on {len(scores)} of {len(runs)} fresh seeds" if scores else "is missing"
            reason = next(iter(failed.values()))
            self._remark(
                f"The test score of trial {winner.number} {rests}: its training on all rows "
                f"failed {reason}"
            )
        if not scores:
            return None
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        return TestScore(self._study.metric, statistics.fmean(scores), spread, scores)

    def _train(self, runs: Sequence[FreshRun], interrupt: Interrupt) -> dict[int, str]:
        """Perform what is not known yet; returns why groups failed, those which did."""
        failed: dict[int, str] = {}
        left = [run for run in runs if run.key not in self._outcomes]
        given_up: set[int] = set()
        units = [run.unit for run in left]
        for index, answer in perform_all(self._engine, units, interrupt, given_up):
            run = left[index]
            reason = self._taken(run, answer)
            if reason:
                failed.setdefault(
                    run.group, f"with fresh seed {run.unit.seed_key[1] + 1}: {reason}"
                )
                given_up.update(i for i, other in enumerate(left) if other.group == run.group)
            known = sum(run.group in failed or run.key in self._outcomes for run in runs)
            self._advanced(self._settled + known)
        self._settled += len(runs)
        return failed

    def _taken(self, run: FreshRun, answer: Answer) -> str:
        """Keep an outcome; returns why it is none, if so."""
        if isinstance(answer, Failure):
            return answer.reason
        self.training_seconds += answer.seconds
        if not math.isfinite(answer.score):
            return f"{self._study.metric} is {answer.score}"
        if run.unit.seed_key == FIRST_NETWORK:
            self.network = answer.checkpoint
        best_epoch = answer.checkpoint.best_epoch
        self._outcomes[run.key] = {"score": answer.score, "best_epoch": best_epoch}
        self._keep(self._outcomes)
        return ""

    def _remark(self, words: str) -> None:
        words = words if words.endswith(".") else f"{words}."
        logger.warning("%s", words)
        self.remarks.append(Remark(FAILED, words))


def epochs_for_test(finalist: Finalist, configured: int) -> int:
    """How long to train the winner where no validation rows are left to stop it early on.

    As long as the longest of its fresh runs needed; without early stopping these are all the
    configured epochs. Against their median, cutting the schedule short, this was 0.000 (digits)
    and 1.2 (diabetes, RMSE 58.8) better in the mean over the best of 28 random configurations.
    """
    return max(finalist.epochs, default=0) or configured


def stored(
    finalists: Sequence[Finalist], test: TestScore | None, failed: Sequence[Remark] = ()
) -> dict[str, Any]:
    """Finalists, test score and what failed in plain types, for the record."""
    return {
        "finalists": [vars(finalist) for finalist in finalists],
        "test": vars(test) if test else None,
        "failed": [remark.words for remark in failed],
    }


def restored(
    record: Mapping[str, Any],
) -> tuple[tuple[Finalist, ...], TestScore | None]:
    """Finalists and test score from what `stored` made."""
    finalists = tuple(
        Finalist(f["number"], f["searched"], tuple(f["scores"]), f["mean"], tuple(f["epochs"]))
        for f in record["finalists"]
    )
    test = record["test"]
    if test is not None:
        test = TestScore(test["metric"], test["mean"], test["spread"], tuple(test["per_seed"]))
    return finalists, test
