"""The record while its study changes: cut off in the middle, from another version, in MLflow."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from tunekit.records import FinishedTrial
from tunekit.search.record import Record
from tunekit.search.run import Search, run_search
from tunekit.search.setting import Setting
from tunekit.study.study import load_study
from tunekit.tracking.client import connect, find_runs, quiet

Make = Callable[..., Setting]

QUICK = ("study.finalists=1", "study.final_seeds=1", "train.epochs=2", "sampler.name=random")
WIDER = ("network.width.high=32", "study.trials=8")
NARROWER = ("network.width.high=10", "study.trials=6")


def values(trials: tuple[FinishedTrial, ...]) -> list[tuple[object, ...]]:
    return [(trial.number, trial.value, trial.curves, trial.started) for trial in trials]


def names(setting: Setting) -> list[str]:
    return sorted(optuna.get_all_study_names(setting.study.storage))


@pytest.fixture
def before(make: Make) -> tuple[FinishedTrial, ...]:
    """The trials of a finished search."""
    return run_search(make("", *QUICK)).result.trials


class PowerCutError(Exception):
    """The machine is gone."""


@pytest.mark.parametrize(
    ("owner", "step", "done"),
    [
        (optuna.Study, "set_user_attr", 0),
        (optuna.Study, "set_user_attr", 2),
        (optuna.Study, "add_trial", 0),
        (optuna.Study, "add_trial", 4),
        (Record, "_rename", 0),
    ],
)
def test_a_kill_in_the_middle_of_a_continuation_loses_nothing(
    make: Make,
    before: tuple[FinishedTrial, ...],
    owner: type,
    step: str,
    done: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, steps = getattr(owner, step), itertools.count()

    def cut(*arguments: object, **named: object) -> object:
        if next(steps) == done:
            raise PowerCutError
        return whole(*arguments, **named)

    setting = make("", *QUICK, *WIDER)
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, cut)
        with pytest.raises(PowerCutError):
            run_search(setting)
    assert values(tuple(Record(setting.study).trials())) == values(before)
    found = run_search(setting)
    assert values(found.result.trials[:6]) == values(before)
    assert len(found.result.trials) == 8
    new, old = names(setting)
    assert (new, old[:13]) == ("small", "small (until ")


def test_a_grid_goes_on_as_the_smaller_grid(make: Make) -> None:
    more = "[space.optimizer.adam]\nlr = 0.01\nbeta1 = 0.9\nbeta2 = 0.999\n"
    few = (*QUICK[:-1], 'search.optimizer="adam"', "sampler.name=grid", "sampler.points=2")
    assert len(run_search(make(more, *few, "study.trials=20")).result.trials) == 8
    smaller = ("network.width.high=10", "train.batch_size=16", "study.trials=20")
    trials = run_search(make(more, *few, *smaller)).result.trials
    found = {(t.configuration["activation"], t.configuration["network.width"]) for t in trials}
    assert found == {("relu", 4), ("relu", 10), ("tanh", 4), ("tanh", 10)}
    assert len(trials) == 4


def test_a_search_given_up_before_its_first_trial_is_the_same_study_later(make: Make) -> None:
    setting = make("", *QUICK)
    record = Record(setting.study)
    record.open(setting.directions, setting.signature())
    other = make("", *QUICK, *WIDER, "study.seed=9")
    search = run_search(other)
    assert search.info.identity == record.identity
    assert search.info.notes == ()
    assert names(other) == ["small"]


def test_a_record_of_a_version_that_noted_less_goes_on(
    make: Make, before: tuple[FinishedTrial, ...], tmp_path: Path
) -> None:
    less = {
        "study_user_attributes": ("tunekit:signature", {"study.constraints"}),
        "trial_user_attributes": (
            "tunekit",
            {"measured", "violation", "spans", "carried", "repeats"},
        ),
    }
    with closing(sqlite3.connect(tmp_path / "optuna.db")) as database, database:
        for table, (attribute, unknown) in less.items():
            query = f"SELECT rowid, value_json FROM {table} WHERE key = ?"
            for row, text in database.execute(query, (attribute,)).fetchall():
                kept = {k: v for k, v in json.loads(text).items() if k not in unknown}
                assert len(kept) < len(json.loads(text))
                change = f"UPDATE {table} SET value_json = ? WHERE rowid = ?"
                database.execute(change, (json.dumps(kept), row))
        gone = "'tunekit:about', 'tunekit:ended', 'tunekit:advised'"
        database.execute(f"DELETE FROM study_user_attributes WHERE key IN ({gone})")
    more = run_search(make("", *QUICK, "study.trials=7"))
    assert values(more.result.trials[:6]) == values(before)
    assert names(more.setting) == ["small"]
    wider = run_search(make("", *QUICK, *WIDER))
    assert values(wider.result.trials[:7]) == values(more.result.trials)
    assert len(wider.result.trials) == 8


def test_a_record_knows_those_that_it_took_the_place_of(
    make: Make, before: tuple[FinishedTrial, ...]
) -> None:
    first = Record(make("", *QUICK).study).identity
    # Where all trials go on it is the study that it was.
    assert run_search(make("", *QUICK, *WIDER)).info.identity == first
    assert Record(make("", *QUICK, *WIDER).study).earlier == ()
    second = run_search(make("", *QUICK, *NARROWER)).info.identity
    assert set(Record(make("", *QUICK, *NARROWER).study).earlier) == {first}
    run_search(make("", *QUICK, *NARROWER), fresh=True)
    assert set(Record(make("", *QUICK, *NARROWER).study).earlier) == {first, second}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new store, which takes MLflow seconds to create."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with quiet():
        connect(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def observed(
    make: Make, before: tuple[FinishedTrial, ...], empty_store: Path, tmp_path: Path
) -> Callable[..., Search]:
    """Search the study that has been searched, now with MLflow; the first time nothing is new."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")

    def search(*set_: str) -> Search:
        return run_search(Setting.of(*load_study(tmp_path / "small.toml", set_=(*QUICK, *set_))))

    search()
    return search


def runs(folder: Path) -> list[tuple[str, Counter[str]]]:
    """How the studies' runs in MLflow ended, the oldest first, and how their trials did."""
    with quiet():
        client = connect(f"sqlite:///{folder}/mlflow.db")
        experiment = client.get_experiment_by_name("small")
        assert experiment is not None
        found = find_runs(client, experiment.experiment_id, "")
    parents = {run.info.run_id: run for run in found if "mlflow.parentRunId" not in run.data.tags}
    trials = {identity: Counter[str]() for identity in parents}
    for run in found:
        if run.info.run_id not in parents:
            trials[run.data.tags["mlflow.parentRunId"]][run.info.status] += 1
    created = sorted(parents.values(), key=lambda run: run.info.start_time)
    return [(run.info.status, trials[run.info.run_id]) for run in created]


def test_in_mlflow_a_study_stays_one_run_when_all_trials_go_on(
    observed: Callable[..., Search], tmp_path: Path
) -> None:
    observed(*WIDER)
    assert runs(tmp_path) == [("FINISHED", Counter(FINISHED=8))]


def test_in_mlflow_a_study_that_left_trials_behind_is_a_new_run(
    observed: Callable[..., Search], tmp_path: Path
) -> None:
    assert "(trial" in observed(*NARROWER).info.notes[0]
    assert runs(tmp_path) == [("FINISHED", Counter(FINISHED=6))] * 2


def test_in_mlflow_a_killed_search_does_not_run_for_ever_when_another_takes_its_place(
    observed: Callable[..., Search], tmp_path: Path
) -> None:
    with quiet():
        client = connect(f"sqlite:///{tmp_path}/mlflow.db")
        experiment = client.get_experiment_by_name("small")
        assert experiment is not None
        for run in find_runs(client, experiment.experiment_id, ""):
            if run.data.tags.get("tunekit.trial", "5") == "5":
                client.update_run(run.info.run_id, status="RUNNING")
    assert runs(tmp_path) == [("RUNNING", Counter(FINISHED=5, RUNNING=1))]
    observed(*NARROWER)
    earlier, current = runs(tmp_path)
    assert earlier == ("KILLED", Counter(FINISHED=5, KILLED=1))
    assert current[0] == "FINISHED"
