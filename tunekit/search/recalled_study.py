"""A study and its result as its record knows them; nothing is trained, no data are loaded."""

from __future__ import annotations

from typing import Any

from tunekit.records import Objective, Remark, StudyInfo, StudyResult
from tunekit.search.final import leaders, restored
from tunekit.search.front import front_of
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
    )
    best = next(iter(leaders(trials, 1, larger_is_better=info.larger_is_better)), None)
    stored = record.final()
    finalists, test = restored(stored) if stored else ((), None)
    ended = record.ended or {"status": "interrupted", "seconds": 0.0, "remarks": []}
    if {finalist.number for finalist in finalists} - {trial.number for trial in trials}:
        finalists, test = (), None
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
