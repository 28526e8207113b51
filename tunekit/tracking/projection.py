"""The record, projected onto MLflow: one run for the study, below it one run for each trial.

The record is the truth and MLflow a picture of it. Runs are found again by their tags, and all
that is written follows from the trials, so a delivery may be repeated, interrupted at any moment
and completed later.
"""

from __future__ import annotations

import contextlib
import getpass
import time
from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tunekit.errors import WorkError
from tunekit.records import FinishedTrial, StudyInfo, StudyResult
from tunekit.tracking import content, dataset, rows
from tunekit.tracking.client import (
    connect,
    disconnect,
    find_runs,
    pages_of_runs,
    quiet,
    store_file,
)
from tunekit.tracking.colours import colour
from tunekit.tracking.content import REPLACED_TAG, STUDY_TAG, Point, milliseconds
from tunekit.tracking.description import description
from tunekit.tracking.rows import EndedRun
from tunekit.tracking.view import Located, shared_views

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
ENDED = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


class Below(NamedTuple):
    """A trial's run, as far as the projection has to know it."""

    run_id: str
    number: int
    is_running: bool


class Projection:
    """One study in MLflow.

    Its methods raise whatever MLflow raises. After that, the next call looks up anew what MLflow
    holds and goes on from there.

    Args:
        study: The study, with the trials that its record holds already.

    Attributes:
        steps: Grows as the work gets on.
    """

    def __init__(self, study: StudyInfo) -> None:
        self.study = study
        self._parent: Run | None = None
        self._runs: dict[int, str] = {}
        self._delivered: set[int] = set()
        self.steps = 0
        self._is_stopped = False
        self._leaders: list[tuple[int, float]] = []
        self._store: tuple[int, int] | None = None
        # MLflow may come to know of it much later.
        self._began = min([time.time(), *(trial.started for trial in study.recorded)])
        self._remember(study.recorded)

    @property
    def arrived(self) -> int:
        """How many trials MLflow is known to hold."""
        return len(self._delivered)

    def stop(self) -> None:
        """Deliver no further trial; to be called from another thread."""
        self._is_stopped = True

    def start(self) -> None:
        """Open the study's run and mark the search as running."""
        with quiet():
            self._see_that_the_store_is_there()
            self._parent = None
            parent = self._open()
            self._client.update_run(parent.info.run_id, status="RUNNING")
            self._describe(None)

    def deliver(self, trials: Iterable[FinishedTrial]) -> int:
        """Bring those of `trials` to MLflow that are not there yet, and return how many."""
        with quiet():
            self._see_that_the_store_is_there()
            try:
                parent = self._open()
                missing = [trial for trial in trials if trial.number not in self._delivered]
                self._remember(missing)
                for trial in sorted(missing, key=lambda trial: trial.number):
                    if self._is_stopped:
                        raise WorkError("the delivery was stopped")
                    self._deliver(trial, parent)
                    self.steps += 1
            except BaseException:
                self._parent = None
                raise
            return len(missing)

    def finish(self, result: StudyResult) -> None:
        """Deliver what is missing, write the result down and close the study's run."""
        with quiet():
            # Once more with open eyes: a lost answer leaves a second run, a store that went back to
            # an older copy lacks some.
            self._parent = None
            self.deliver(result.trials)
            self._describe(result)
            self._client.set_terminated(
                self._open().info.run_id, ENDED[result.status], _last(result.trials)
            )

    def keep_files(self) -> None:
        """Keep the study file's text and a page on the data as artifacts of the study's run."""
        with quiet():
            run_id = self._open().info.run_id
            self._client.log_text(run_id, self.study.text, "study.toml")
            self._client.log_text(run_id, dataset.page(self.study), dataset.PAGE)

    @cached_property
    def _client(self) -> MlflowClient:
        client = connect(self.study.tracking_uri)
        self._store = store_file(self.study.tracking_uri)
        return client

    def _see_that_the_store_is_there(self) -> None:
        """Turn to the new store where somebody deleted or replaced its file.

        A database that is open goes on in the deleted file, from where nobody ever reads.
        """
        if "_client" in self.__dict__ and store_file(self.study.tracking_uri) != self._store:
            disconnect(self._client)
            del self._client
            self._parent = None

    def _open(self) -> Run:
        if self._parent is None:
            experiment_id = self._experiment()
            self._close_earlier(experiment_id)
            query = f"tags.`{STUDY_TAG}` = '{self.study.identity}'"
            found = find_runs(self._client, experiment_id, query)
            if not found:
                if not self._restore_parent(experiment_id, query):
                    self._create_parent(experiment_id)
                found = find_runs(self._client, experiment_id, query)
            below = {parent.info.run_id: self._below(parent) for parent in found}
            # MLflow's client repeats requests, so one lost answer makes two runs.
            parent, *spare = sorted(found, key=lambda run: -len(below[run.info.run_id]))
            for run in spare:
                for run_id in [
                    *(child.run_id for child in below[run.info.run_id]),
                    run.info.run_id,
                ]:
                    self._client.delete_run(run_id)
            self._look_up_trials(below[parent.info.run_id])
            self._parent = parent
        return self._parent

    def _below(self, parent: Run) -> list[Below]:
        """The runs below a study's own; of their contents only what is needed is kept."""
        found = list[Below]()
        query = f"tags.`{PARENT_TAG}` = '{parent.info.run_id}'"
        for page in pages_of_runs(self._client, parent.info.experiment_id, query):
            self.steps += 1
            for run in page:
                number = run.data.tags.get(content.TRIAL_TAG)
                if number is not None:
                    is_running = run.info.status == "RUNNING"
                    found.append(Below(run.info.run_id, int(number), is_running))
        return found

    def _close_earlier(self, experiment_id: str) -> None:
        """End what a killed search left running in records that this one took the place of."""
        for identity in self.study.earlier:
            query = f"tags.`{STUDY_TAG}` = '{identity}' AND tags.`{REPLACED_TAG}` IS NULL"
            for parent in find_runs(self._client, experiment_id, query):
                below = f"tags.`{PARENT_TAG}` = '{parent.info.run_id}'"
                query = f"{below} AND attributes.status = 'RUNNING'"
                for run in [*find_runs(self._client, experiment_id, query), parent]:
                    if run.info.status == "RUNNING":
                        self._client.set_terminated(run.info.run_id, "KILLED")
                self._client.set_tag(parent.info.run_id, REPLACED_TAG, "true")

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        name = self.study.experiment
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            # The answer may be lost, or somebody else be faster.
            try:
                return self._client.create_experiment(name, self.study.artifact_root)
            except MlflowException:
                experiment = self._client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        if experiment.lifecycle_stage != "active":
            raise WorkError(f"the experiment {name!r} was deleted; restore it, or name another one")
        return str(experiment.experiment_id)

    def _create_parent(self, experiment_id: str) -> None:
        self._client.create_run(
            experiment_id,
            start_time=milliseconds(self._began),
            tags={STUDY_TAG: self.study.identity, **_origin()},
            run_name=self.study.name,
        )

    def _restore_parent(self, experiment_id: str, query: str) -> bool:
        """Bring the study's run back if somebody deleted it; the trials below it know no other."""
        from mlflow.entities import ViewType

        deleted = self._client.search_runs(
            [experiment_id], query, run_view_type=ViewType.DELETED_ONLY, max_results=1
        )
        for run in deleted:
            self._client.restore_run(run.info.run_id)
        return bool(deleted)

    def _look_up_trials(self, below: Iterable[Below]) -> None:
        """Learn which trials MLflow holds, and which of them a kill left half delivered."""
        runs, delivered = dict[int, str](), set[int]()
        # Of two runs of one trial, the one that is whole stays.
        for run in sorted(below, key=lambda run: run.is_running):
            if run.number in runs:
                self._client.delete_run(run.run_id)
                continue
            runs[run.number] = run.run_id
            if not run.is_running:
                delivered.add(run.number)
        self._runs, self._delivered = runs, delivered

    def _deliver(self, trial: FinishedTrial, parent: Run) -> None:
        run = EndedRun(
            name=f"trial {trial.number}",
            status=content.STATUS[trial.state],
            started=milliseconds(trial.started),
            ended=milliseconds(trial.finished),
            tags={
                PARENT_TAG: parent.info.run_id,
                **content.tags(trial),
                **colour(self.study, trial),
                **_origin(),
            },
            params=content.parameters(trial),
            points=content.points(trial),
        )
        progress, half = self._progress(trial), self._runs.get(trial.number)
        written = None if half else rows.write(self._client, run, parent.info.run_id, progress)
        self._runs[trial.number] = written or self._by_client(run, half, parent, progress)
        self._delivered.add(trial.number)

    def _by_client(
        self, run: EndedRun, run_id: str | None, parent: Run, progress: list[Point]
    ) -> str:
        """Write a run call by call, or complete one that a kill left half written."""
        if run_id is None:
            made = self._client.create_run(
                parent.info.experiment_id, run.started, run.tags, run.name
            )
            run_id = str(made.info.run_id)
        for points, params in content.batches(run.points, run.params):
            self._log(run_id, points, params)
        self._log(parent.info.run_id, progress)
        # Last, so that a run that has ended is whole and counted in its parent.
        self._client.set_terminated(run_id, run.status, run.ended)
        return run_id

    def _log(
        self,
        run_id: str,
        points: Iterable[Point] = (),
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        self._client.log_batch(
            run_id,
            [Metric(*point) for point in points],
            [Param(name, value) for name, value in (params or {}).items()],
            [RunTag(name, value) for name, value in (tags or {}).items()],
            synchronous=True,
        )

    def _remember(self, trials: Iterable[FinishedTrial]) -> None:
        """Keep number and value of each trial that is better than all with smaller numbers."""
        for trial in trials:
            value = _rivals_value(trial)
            if value is None:
                continue
            place = self._place(trial.number)
            if place == 0 or self._is_better(value, self._leaders[place - 1][1]):
                later = [led for led in self._leaders[place:] if self._is_better(led[1], value)]
                self._leaders[place:] = [(trial.number, value), *later]

    def _place(self, number: int) -> int:
        """How many of the leaders have this number or a smaller one."""
        return bisect_right(self._leaders, number, key=lambda led: led[0])

    def _is_better(self, one: float, other: float) -> bool:
        return one > other if self.study.larger_is_better else one < other

    def _progress(self, trial: FinishedTrial) -> list[Point]:
        """The trial's objective and the best so far, by trial number."""
        value = _rivals_value(trial)
        if value is None:
            return []
        _, best = self._leaders[self._place(trial.number) - 1]
        end = milliseconds(trial.finished)
        return [
            Point("objective", value, end, trial.number),
            Point("best", best, end, trial.number),
        ]

    def _describe(self, result: StudyResult | None) -> None:
        """Write down where the search stands, and refresh the views."""
        info = self._open().info
        located = Located(info.experiment_id, info.run_id)
        # Not when the run is made: a study without trials may still become another one.
        data = {f"data.{name}": content.text(value) for name, value in self.study.data.items()}
        tags = {
            "metric": self.study.metric,
            "larger_is_better": content.text(self.study.larger_is_better),
            **data,
            "state": result.status if result else "running",
            NOTE_TAG: description(self.study, located, result),
        }
        self._log(info.run_id, _scores(result) if result else (), tags=tags)
        self._name_data(info.run_id)
        updated = (_last(result.trials) if result else None) or info.start_time
        for key, value in shared_views(self.study, located, info.start_time, updated).items():
            self._client.set_experiment_tag(info.experiment_id, key, value)

    def _name_data(self, run_id: str) -> None:
        """Tell what the study learns from; MLflow may refuse to be told again."""
        inputs = self._client.get_run(run_id).inputs
        learnt_from = dataset.dataset_input(self.study)
        if learnt_from is not None and not (inputs and inputs.dataset_inputs):
            self._client.log_inputs(run_id, [learnt_from])


def _rivals_value(trial: FinishedTrial) -> float | None:
    """The value of a trial that may become the best one."""
    return trial.value if trial.state == "complete" and trial.violation == 0 else None


def _scores(result: StudyResult) -> list[Point]:
    scores: dict[str, float] = {}
    if result.best is not None and result.best.value is not None:
        scores["best_objective"] = result.best.value
    if result.test is not None:
        scores[f"test_{result.test.metric}"] = result.test.mean
        scores[f"test_{result.test.metric}_spread"] = result.test.spread
    # By the record's length: a search that went on has the newest score as its last.
    time, step = _last(result.trials) or 0, len(result.trials)
    return [Point(key, value, time, step) for key, value in scores.items()]


def _last(trials: Iterable[FinishedTrial]) -> int | None:
    """When the last trial ended, in Unix milliseconds."""
    return max((milliseconds(trial.finished) for trial in trials), default=None)


def _origin() -> dict[str, str]:
    """What MLflow's page shows as user and source."""
    origin = {"mlflow.source.name": "tunekit", "mlflow.source.type": "LOCAL"}
    with contextlib.suppress(KeyError, OSError):  # in a container, a user may have no name
        origin["mlflow.user"] = getpass.getuser()
    return origin
