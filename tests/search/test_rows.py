"""Trials written and read as rows, against Optuna's own way."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from tunekit.search import rows

DOMAINS: dict[str, optuna.distributions.BaseDistribution] = {
    "lr": optuna.distributions.FloatDistribution(1e-4, 1, log=True),
    "depth": optuna.distributions.IntDistribution(1, 3),
    "optimizer": optuna.distributions.CategoricalDistribution(("adam", "sgd")),
}
ENDS: list[tuple[TrialState, list[float] | None, dict[str, Any]]] = [
    (TrialState.COMPLETE, [0.5], {"lr": 0.1, "depth": 2, "optimizer": "sgd"}),
    (TrialState.PRUNED, None, {"lr": 0.01, "optimizer": "adam"}),
    (TrialState.COMPLETE, [math.inf], {}),
    (TrialState.FAIL, None, {"depth": 3}),
]
TRIALS = [
    optuna.trial.create_trial(
        state=state,
        values=values,
        params=params,
        distributions={name: DOMAINS[name] for name in params},
        user_attrs={"tunekit": {"ask": ask}, "curves": [ask]},
        system_attrs={"constraints:small": 0.5},
        intermediate_values={1: 0.25, 3: -math.inf, 9: math.nan},
    )
    for ask, (state, values, params) in enumerate(ENDS)
]


@pytest.fixture
def storage(tmp_path: Path) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/optuna.db")


def new_study(storage: optuna.storages.RDBStorage, objectives: int = 1) -> int:
    directions = [optuna.study.StudyDirection.MINIMIZE] * objectives
    return storage.create_new_study(directions)


def told(trial: FrozenTrial) -> str:
    """All of a trial but its id, NaN included; the order of attributes is nobody's concern."""
    parts = {key: value for key, value in vars(trial).items() if key != "_trial_id"}
    parts["_user_attrs"] = sorted(trial.user_attrs.items())
    return repr(sorted(parts.items()))


def test_a_written_trial_is_what_optuna_would_have_written(
    storage: optuna.storages.RDBStorage,
) -> None:
    ours, theirs = new_study(storage), new_study(storage)
    for trial in TRIALS:
        rows.write(storage, ours, trial)
        storage.create_new_trial(theirs, template_trial=trial)
    expected = storage.get_all_trials(theirs)
    assert len(expected) == len(TRIALS)
    assert list(map(told, storage.get_all_trials(ours))) == list(map(told, expected))


def test_trials_are_read_as_optuna_reads_them(storage: optuna.storages.RDBStorage) -> None:
    study, other = new_study(storage), new_study(storage)
    for trial in TRIALS:
        storage.create_new_trial(study, template_trial=trial)
        storage.create_new_trial(other, template_trial=TRIALS[0])
    expected = storage.get_all_trials(study)
    assert list(map(told, rows.read(storage, study, with_curves=True))) == list(map(told, expected))
    assert rows.count(storage, study) == len(TRIALS)


def test_several_objectives_keep_their_order(storage: optuna.storages.RDBStorage) -> None:
    study = new_study(storage, objectives=2)
    trial = optuna.trial.create_trial(values=[2.0, 1.0])
    assert rows.write(storage, study, trial).number == 0
    assert rows.read(storage, study)[0].values == [2.0, 1.0]
    assert storage.get_all_trials(study)[0].values == [2.0, 1.0]


def test_curves_stay_in_the_database_until_they_are_asked_for(
    storage: optuna.storages.RDBStorage,
) -> None:
    study = new_study(storage)
    for trial in TRIALS:
        rows.write(storage, study, trial)
    second = rows.read(storage, study)[1]
    assert set(second.user_attrs) == {"tunekit"}
    assert rows.curves(storage, second._trial_id) == [1]


def test_a_trial_that_cannot_be_written_leaves_nothing_behind(
    storage: optuna.storages.RDBStorage,
) -> None:
    study = new_study(storage)
    bad = optuna.trial.create_trial(value=1.0, user_attrs={"curves": object()})
    with pytest.raises(TypeError):
        rows.write(storage, study, bad)
    assert rows.count(storage, study) == 0
