"""A study and its result as its record knows them; nothing is trained, no data are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunekit.records import (
    Finalist,
    FinishedTrial,
    Objective,
    Remark,
    StudyInfo,
    StudyResult,
    TestScore,
)
from tunekit.search.final import restored
from tunekit.search.front import front_of
from tunekit.search.ranking import leading
from tunekit.search.record import Record
from tunekit.study.study import Study


def kept(info: StudyInfo) -> dict[str, Any]:
    """What a record keeps of a study, in plain types, for `recalled`."""
    return {
        "metric": info.metric,
        "objectives": [[o.name, o.larger_is_better] for o in info.objectives],
        "constraints": list(info.constraints),
        "space": dict(info.space),
        "trials": info.trials,
        "data": dict(info.data),
        "text": info.text,
        "command": info.command,
    }


def recalled(study: Study) -> tuple[StudyInfo, StudyResult] | None:
    """The study and how far it has come, or None if it has no record.

    Args:
        study: Where its record and MLflow are; what was searched is told by the record.

    Raises:
        StudyError: The record cannot be opened.
    """
    record = Record.existing(study)
    if record is None or record.about is None:
        return None
    about, trials = record.about, tuple(record.trials())
    objectives = tuple(Objective(*objective) for objective in about["objectives"])
    info = StudyInfo(
        name=study.name,
        file=study.file,
        folder=str(study.folder),
        text=about["text"],
        identity=record.identity,
        metric=about["metric"],
        larger_is_better=objectives[0].larger_is_better,
        space=about["space"],
        trials=about["trials"],
        recorded=trials,
        data=about["data"],
        tracking_uri=study.tracking_uri,
        artifact_root=study.artifact_root,
        experiment=study.experiment,
        objectives=objectives,
        constraints=tuple(about["constraints"]),
        command=about["command"],
        earlier=record.earlier,
    )
    best = next(iter(leading(trials, objectives, 1)), None)
    ended = record.ended
    if ended is None or ended.get("trials", len(trials)) != len(trials):
        # A search went on since, and was killed: what was said of the end holds no more.
        ended = {"status": "interrupted", "seconds": 0.0, "remarks": []}
    finalists, test = _final(record, trials, objectives)
    if finalists:
        best = next(trial for trial in trials if trial.number == finalists[0].number)
    result = StudyResult(
        ended["status"],
        best,
        trials,
        finalists,
        test,
        ended["seconds"],
        sum(trial.training_seconds for trial in trials),
        front_of(trials, objectives),
        tuple(Remark(*remark) for remark in ended["remarks"]),
    )
    return info, result


def _final(
    record: Record, trials: Sequence[FinishedTrial], objectives: Sequence[Objective]
) -> tuple[tuple[Finalist, ...], TestScore | None]:
    """The final, if it was that of the trials which lead now."""
    stored = record.final()
    if stored is None:
        return (), None
    of = stored["wanted"]["of"]
    now = [trial.number for trial in leading(trials, objectives, len(of))]
    return restored(stored) if now == of else ((), None)
