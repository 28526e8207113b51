"""A warm start: what a new study learns from another one's trials."""

from __future__ import annotations

import dataclasses

import optuna

from tunekit.errors import suggestion
from tunekit.search.continuation import Differences, UnfitError, carried, nearest
from tunekit.search.final import leaders
from tunekit.search.record import Record
from tunekit.study.places import places_of
from tunekit.study.study import Study

ADVISED = 10
"""How many of another study's configurations are tried first where its scores mean nothing."""


def learn(record: Record, study: Study) -> None:
    """Let the record of a study that has no trials yet begin with what another study knows.

    Trials on the same data and splits, by the same metric, are taken over as they are. Scores on
    other data mean nothing here, so the best configurations are only tried first.

    Args:
        record: The study's record, newly made.
        study: The study, with a `warm_start`.

    Raises:
        StudyError: There is no such study.
    """
    other = _other(study)
    differences = Differences(other.signature, record.signature)
    known = other.frozen(with_curves=True)
    whose = f"the study {study.warm_start!r}"
    if not differences.exact:
        taken = 0
        with record.filling():
            for trial in known:
                try:
                    joined = carried(trial, study.space, differences.changed_components)
                except UnfitError:
                    continue
                record.take(joined)
                taken += 1
        record.notes.append(f"warm start: {taken} of {len(known)} trials of {whose} are taken over")
        return
    larger = other.optuna.directions[0] == optuna.study.StudyDirection.MAXIMIZE
    best = leaders(other.trials(), ADVISED, larger_is_better=larger)
    advised = [nearest(trial.configuration, study.space) for trial in best]
    record.advise(advised)
    record.notes.append(
        f"warm start: the best {len(advised)} configurations of {whose} are tried first; its "
        f"scores are not comparable ({', '.join(differences.exact)} differ)"
    )


def _other(study: Study) -> Record:
    name = str(study.warm_start)
    where = dataclasses.replace(study, name=name)
    if name.endswith(".toml"):
        found = places_of(study.folder / name)
        where = dataclasses.replace(study, name=found.name, storage=found.storage)
    if (where.name, where.storage) == (study.name, study.storage):
        raise study.source.error(
            "a study cannot start from itself; name another one, such as the dated name under "
            "which --fresh keeps the old trials",
            "study.warm_start",
        )
    record = Record.existing(where)
    if record is None or not record.is_ours:
        there = [n for n in Record(study).names() if n != study.name]
        hint = suggestion(name, there) if there else "There is no other one."
        raise study.source.error(
            f"the record holds no study {where.name!r} with trials of tunekit. {hint}",
            "study.warm_start",
        )
    return record
