"""A search from its first import to its last record."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import optuna

from tunekit.errors import StudyError
from tunekit.nn.run import Checkpoint
from tunekit.records import Finalist, FinishedTrial, Remark, StudyInfo, StudyResult, TestScore
from tunekit.search.asking import Asker
from tunekit.search.basis import Basis
from tunekit.search.coordinator import Coordinator, Limits
from tunekit.search.database import opening, without_passwords
from tunekit.search.engines import Engine
from tunekit.search.final import Final, epochs_for_test, restored, stored
from tunekit.search.front import front_of
from tunekit.search.interrupt import Interrupt, Interrupted
from tunekit.search.launch import make_engine
from tunekit.search.lock import Hold, held
from tunekit.search.ranking import leading
from tunekit.search.recalled_study import kept
from tunekit.search.record import Record
from tunekit.search.remarks import remarks
from tunekit.search.setting import Setting
from tunekit.search.warm import learn
from tunekit.search.workfolder import workfolder


@dataclass
class Seconds:
    """Where the wall time of a search went.

    Attributes:
        stores: Opening or creating the record, and telling the observers of the start.
        search: From the first ask to the last delivered record.
        final: Training the best few again, and the test.
        total: All of it, and what lies between.
        training: Spent in training by all workers together.
    """

    stores: float = 0.0
    search: float = 0.0
    final: float = 0.0
    total: float = 0.0
    training: float = 0.0

    @contextmanager
    def measured(self, part: str) -> Iterator[None]:
        """Add the time inside to one part."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, part, getattr(self, part) + time.perf_counter() - begin)


@dataclass(frozen=True)
class Search:
    """A finished or interrupted search.

    Attributes:
        setting: What was searched.
        info: What the observers were told at its start.
        result: How it ended.
        seconds: Where the time went.
        network: The winner's, for `winner`; None if it was not trained this time.
    """

    setting: Setting
    info: StudyInfo
    result: StudyResult
    seconds: Seconds = field(default_factory=Seconds)
    network: Checkpoint | None = None


def run_search(
    setting: Setting, *, fresh: bool = False, then: Callable[[Search], None] = lambda _: None
) -> Search:
    """Run or resume a search.

    Args:
        setting: The study and its data.
        fresh: Whether to put an existing record aside and start over.
        then: Called in the end, while the study is still held.

    Raises:
        StudyError: The record cannot be opened or continued.
        WorkError: Workers cannot be started, or the final training failed.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seconds = Seconds()
    with seconds.measured("total"), held(setting.study) as hold:
        with Interrupt() as interrupt, workfolder() as folder:
            search = _searched(setting, hold, folder, interrupt, seconds, fresh=fresh)
        # An observer may take its time with this; Ctrl-C is its own again.
        setting.registry.notify("tunekit_study_finished", result=search.result)
        then(search)
    return search


def _searched(
    setting: Setting,
    hold: Hold,
    folder: Path,
    interrupt: Interrupt,
    seconds: Seconds,
    *,
    fresh: bool,
) -> Search:
    with seconds.measured("stores"):
        record = Record(setting.study, fresh=fresh, hold=hold)
        with opening(setting.study):
            record.open(setting.directions, setting.signature(), setting.registry.files)
            record.remember(setting.owners())
        if record.is_new and setting.study.warm_start is not None:
            try:
                learn(record, setting.study)
            except StudyError:
                record.discard()
                raise
    info = describe(setting, record)
    # Workers start while this process is busy with the observers' stores.
    engine = make_engine(setting, folder)
    conduct = _Conduct(setting, record, engine, interrupt, seconds)
    try:
        with seconds.measured("stores"):
            record.set_about(
                kept(info) | {"split": setting.study.data.model_dump(exclude_none=True)}
            )
            setting.registry.notify("tunekit_study_started", study=info)
        result = conduct.result()
        _conclude(record, result)
    except BaseException:
        # What is recorded is kept, and the same command goes on from there.
        given_up = StudyResult("failed", None, tuple(conduct.trials) or info.recorded)
        setting.registry.notify("tunekit_study_finished", result=given_up)
        raise
    finally:
        engine.close()
    return Search(setting, info, result, seconds, conduct.network)


def describe(setting: Setting, record: Record) -> StudyInfo:
    """What observers are told when a search starts."""
    study = setting.study
    return StudyInfo(
        name=study.name,
        file=study.file,
        folder=str(study.folder),
        text=without_passwords(study.text),
        identity=record.identity,
        metric=study.metric,
        larger_is_better=setting.metric.larger_is_better,
        space=study.space.describe(),
        trials=study.trials,
        recorded=tuple(record.trials()),
        data=setting.data,
        tracking_uri=study.tracking_uri,
        artifact_root=study.artifact_root,
        experiment=study.experiment,
        objectives=setting.objectives,
        constraints=tuple(constraint.words for constraint in study.constraints),
        command=without_passwords(study.command),
        notes=tuple(record.notes),
        earlier=record.earlier,
    )


def _conclude(record: Record, result: StudyResult) -> None:
    """Store how the search ended; time adds up over all its runs."""
    before = record.ended["seconds"] if record.ended else 0.0
    record.set_ended(
        {
            "status": result.status,
            "trials": len(result.trials),
            "seconds": before + result.seconds,
            "remarks": [[remark.kind, remark.words] for remark in result.remarks],
        }
    )


def _reopened(scores: Sequence[float]) -> str:
    told = ", ".join(f"{score:.4g}" for score in scores[-5:])
    return (
        f"The test split has been opened {len(scores)} times in this study ({told}). If an earlier "
        "score was a reason to go on or to change something, this one flatters: choose by "
        "validation, and test once."
    )


class _Conduct:
    """The two parts of a search, trials and final, on an open record and engine."""

    def __init__(
        self,
        setting: Setting,
        record: Record,
        engine: Engine,
        interrupt: Interrupt,
        seconds: Seconds,
    ) -> None:
        self.setting, self.record, self.engine = setting, record, engine
        self.interrupt, self.seconds = interrupt, seconds
        self.trials: list[FinishedTrial] = []
        self.is_exhausted = False
        self.failed_final: list[Remark] = []
        self.network: Checkpoint | None = None

    def result(self) -> StudyResult:
        """Search, then train the best few again; the parts that a signal leaves time for."""
        begin = time.perf_counter()
        with self.seconds.measured("search"):
            self._search()
        trials = self.trials
        best = next(iter(self._leaders(trials, 1)), None)
        finalists: tuple[Finalist, ...] = ()
        test: TestScore | None = None
        if best is not None and not self.interrupt.requested:
            with self.seconds.measured("final"):
                finalists, test = self._final(trials)
        if finalists:
            best = next(trial for trial in trials if trial.number == finalists[0].number)
        if self.interrupt.requested:
            status = "interrupted"
        else:
            status = "failed" if best is None else "finished"
        result = StudyResult(
            status,  # type: ignore[arg-type]
            best,
            tuple(trials),
            finalists,
            test,
            time.perf_counter() - begin,
            self.seconds.training,
            front_of(trials, self.setting.objectives),
        )
        return dataclasses.replace(result, remarks=self._remarks(result))

    def _remarks(self, result: StudyResult) -> tuple[Remark, ...]:
        found = remarks(self.setting.study.space, result, Basis.of(self.setting))
        found = (*self.failed_final, *found)
        opened = self.record.opened(self.setting.problem.digest)
        if result.test is not None and len(opened) > 1:
            found = (Remark("reopened", _reopened(opened)), *found)
        if self.is_exhausted:
            whole = "grid" if self.setting.study.sampler == "grid" else "space"
            found = (*found, Remark("exhausted", f"The whole {whole} has been tried."))
        return found

    def _search(self) -> None:
        setting, study = self.setting, self.setting.study
        asker = Asker(
            study,
            self.record.frozen(),
            setting.directions,
            setting.longest,
            self.record.advised,
        )
        coordinator = Coordinator(setting, self.record, asker, self.engine)
        self.trials = coordinator.trials
        deadline = None if study.timeout is None else time.monotonic() + study.timeout
        coordinator.run(Limits(study.trials, deadline), self.interrupt)
        self.seconds.training += coordinator.training_seconds
        self.is_exhausted = coordinator.is_exhausted

    def _leaders(self, trials: list[FinishedTrial], count: int) -> list[FinishedTrial]:
        return leading(trials, self.setting.objectives, count)

    def _final(self, trials: list[FinishedTrial]) -> tuple[tuple[Finalist, ...], TestScore | None]:
        """Rank the best few on fresh seeds and test the winner, or recall what that gave."""
        setting, study = self.setting, self.setting.study
        chosen = self._leaders(trials, study.finalists)
        if not chosen:
            return (), None
        wanted = {"seeds": study.final_seeds, "of": [trial.number for trial in chosen]}
        known = self.record.final()
        # What failed may have failed by chance: it is tried again.
        if known is not None and known["wanted"] == wanted and not known.get("failed"):
            return restored(known)
        has_test = setting.problem.has_test
        folds = len(setting.problem.folds)
        runs = study.final_seeds * (len(chosen) * folds + has_test)
        setting.registry.notify("tunekit_final_started", runs=runs)
        final = Final(
            study,
            self.engine,
            folds,
            larger_is_better=setting.metric.larger_is_better,
            advanced=lambda done: setting.registry.notify(
                "tunekit_final_advanced", done=done, runs=runs
            ),
            runs=self.record.final_runs,
            keep=self.record.set_final_runs,
        )
        try:
            finalists = final.rank(chosen, self.interrupt)
            test = None
            if has_test:
                winner = next(trial for trial in chosen if trial.number == finalists[0].number)
                epochs = epochs_for_test(finalists[0], int(winner.configuration["epochs"]))
                test = final.test(winner, epochs, self.interrupt)
        except Interrupted:
            return (), None
        finally:
            self.seconds.training += final.training_seconds
        self.failed_final, self.network = final.remarks, final.network
        if test is not None:
            # First: of what a kill leaves between these two, this may not be the missing one.
            seen = [finalists[0].number, *test.per_seed]
            self.record.note_opening(setting.problem.digest, test.mean, seen)
        self.record.set_final({"wanted": wanted, **stored(finalists, test, final.remarks)})
        return tuple(finalists), test
