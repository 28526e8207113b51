from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tunekit.errors import WorkError
from tunekit.records import FinishedTrial, StudyInfo, StudyResult
from tunekit.tracking import rows
from tunekit.tracking.client import quiet
from tunekit.tracking.locate import locate, locate_study
from tunekit.tracking.projection import Projection
from tunekit.tracking.synchronize import synchronize

Trials = Callable[..., tuple[FinishedTrial, ...]]
Result = Callable[[tuple[FinishedTrial, ...]], StudyResult]


@pytest.fixture(autouse=True)
def without_warnings_of_mlflow() -> Iterator[None]:
    with quiet():
        yield


def runs(study: StudyInfo) -> tuple[Run, list[Run]]:
    """The study's own run and its trials' runs, as MLflow's own client finds them."""
    client = MlflowClient(study.tracking_uri)
    experiment = client.get_experiment_by_name(study.experiment)
    assert experiment is not None
    found = list(client.search_runs([experiment.experiment_id]))
    (parent,) = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    children = [r for r in found if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(children) == len(found) - 1
    return parent, sorted(children, key=lambda run: int(run.data.tags["tunekit.trial"]))


def history(study: StudyInfo, run: Run, key: str) -> list[tuple[int, float]]:
    points = MlflowClient(study.tracking_uri).get_metric_history(run.info.run_id, key)
    return sorted((point.step, point.value) for point in points)


def content(folder: Path) -> dict[str, list[Any]]:
    """Every row of every table of the store."""
    with sqlite3.connect(folder / "mlflow.db") as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: sorted(database.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for (name,) in names
        }


def test_a_search_becomes_one_run_with_one_run_below_for_each_trial(
    study: StudyInfo, trials: Trials, result: Result
) -> None:
    projection = Projection(study)
    projection.start()
    for trial in trials():
        projection.deliver([trial])
    projection.finish(result(trials()))

    parent, children = runs(study)
    assert [run.info.run_name for run in children] == [f"trial {n}" for n in range(20)]
    assert parent.info.run_name == "digits"
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["state"] == "finished"
    assert parent.data.metrics["best_objective"] == result(trials()).best.value  # type: ignore[union-attr]
    assert parent.data.metrics["test_accuracy"] == 0.953
    assert parent.data.metrics["test_accuracy_spread"] == 0.004


def test_a_trial_keeps_its_curves_configuration_and_times(study: StudyInfo, trials: Trials) -> None:
    trial = trials(1)[0]
    Projection(study).deliver([trial])

    _, (run,) = runs(study)
    steps, values = trial.curves[1].epochs, trial.curves[1].metrics["val_accuracy"]
    assert history(study, run, "val_accuracy.fold2") == list(zip(steps, values, strict=True))
    assert len(history(study, run, "train_loss")) == 20  # not measured before the first epoch
    assert run.data.metrics["objective"] == trial.value
    assert run.data.metrics["trial_number"] == 0
    assert run.data.params["optimizer"] == "sgd"
    assert run.data.params.keys() == trial.configuration.keys()
    assert run.data.tags["numpy"] == "2.4.0"
    assert run.info.start_time == round(trial.started * 1000)
    assert run.info.end_time == round(trial.finished * 1000)


def test_the_state_of_a_trial_can_be_filtered(study: StudyInfo, trials: Trials) -> None:
    Projection(study).deliver(trials())

    _, children = runs(study)
    states = {n: (children[n].data.tags["state"], children[n].info.status) for n in (4, 5, 13)}
    assert states == {
        4: ("complete", "FINISHED"),
        5: ("pruned", "FINISHED"),
        13: ("failed", "FAILED"),
    }
    assert children[13].data.tags["reason"] == "the loss is NaN"


@pytest.mark.parametrize(("larger_is_better", "choose"), [(True, max), (False, min)])
def test_the_studys_run_follows_the_best_so_far(
    study: StudyInfo, trials: Trials, larger_is_better: bool, choose: Callable[..., float]
) -> None:
    study = replace(study, larger_is_better=larger_is_better)
    Projection(study).deliver(trials())

    parent, _ = runs(study)
    complete = {t.number: t.value for t in trials() if t.state == "complete" and t.value}
    assert dict(history(study, parent, "objective")) == complete
    assert dict(history(study, parent, "best")) == {
        n: choose(value for m, value in complete.items() if m <= n) for n in complete
    }


@pytest.mark.parametrize("larger_is_better", [True, False])
def test_a_late_trial_counts_for_those_after_it_only(
    study: StudyInfo, trials: Trials, larger_is_better: bool
) -> None:
    sign = 1 if larger_is_better else -1
    values = {0: 5.0, 1: 7.0, 2: 6.0, 3: 6.5, 4: 9.0, 6: 8.0, 7: 5.0, 10: 9.5, 11: 5.0}
    made = {n: replace(trials()[n], value=sign * value) for n, value in values.items()}
    projection = Projection(replace(study, larger_is_better=larger_is_better))
    for numbers in ([6, 10], [2, 3], [0], [1, 4], [3], [7, 11]):
        projection.deliver([made[n] for n in numbers])

    # Each as far as it was known at its delivery.
    parent, _ = runs(study)
    assert dict(history(study, parent, "best")) == {
        n: sign * value for n, value in (values | {7: 9.0, 11: 9.5}).items()
    }


def test_a_second_delivery_changes_nothing(
    study: StudyInfo, folder: Path, trials: Trials, result: Result
) -> None:
    study = replace(study, recorded=trials())

    def search() -> dict[str, list[Any]]:
        projection = Projection(study)
        projection.start()
        projection.deliver(trials())
        projection.keep_files()
        projection.finish(result(trials()))
        return content(folder)

    assert search() == search()


def test_a_resumed_search_goes_on_in_the_same_run(
    study: StudyInfo, trials: Trials, result: Result
) -> None:
    first = Projection(study)
    first.start()
    first.finish(replace(result(trials(3)), status="interrupted", test=None))
    killed, _ = runs(study)

    second = Projection(replace(study, recorded=trials(3)))
    second.start()
    running, _ = runs(study)
    second.finish(result(trials(5)))
    finished, children = runs(study)

    assert [run.info.status for run in (killed, running, finished)] == [
        "KILLED",
        "RUNNING",
        "FINISHED",
    ]
    assert killed.info.run_id == finished.info.run_id
    assert len(children) == 5
    assert len(history(study, finished, "best")) == 5


def test_another_record_gets_a_run_of_its_own(study: StudyInfo, trials: Trials) -> None:
    Projection(study).deliver(trials(2))
    fresh = replace(study, identity="another")
    Projection(fresh).deliver(trials(1))

    first = locate(study.tracking_uri, study.experiment, study.identity)
    second = locate(study.tracking_uri, study.experiment, "another")
    assert first is not None
    assert second is not None
    assert first.run_id != second.run_id


def test_missing_trials_are_delivered_when_the_search_goes_on(
    study: StudyInfo, trials: Trials
) -> None:
    Projection(study).deliver(trials()[1::2])

    Projection(replace(study, recorded=trials())).deliver(trials())

    parent, children = runs(study)
    assert len(children) == 20
    best = dict(history(study, parent, "best"))
    assert best[0] == trials()[0].value
    assert list(best.values()) == sorted(best.values())


@pytest.mark.parametrize("calls", range(1, 4))
def test_a_kill_in_the_middle_of_a_delivery_is_repaired(
    study: StudyInfo,
    folder: Path,
    trials: Trials,
    calls: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A delivery is three calls for the trial's run and one for the study's run.
    Projection(study).deliver(trials(2))
    whole = {name: len(rows) for name, rows in content(folder).items()}
    monkeypatch.setattr(rows, "TABLES", {"runs": ""})  # call by call, as with a server
    half = Projection(replace(study, identity="killed", experiment="killed"))
    half.deliver(trials(1))
    left = calls

    def killed(call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return call(*args, **kwargs)

        return instead

    for name in ("create_run", "log_batch", "set_terminated"):
        monkeypatch.setattr(half._client, name, killed(getattr(half._client, name)))
    with pytest.raises(KeyboardInterrupt):
        half.deliver(trials(2))
    _, children = runs(half.study)
    assert children[1].info.status == "RUNNING"

    Projection(half.study).deliver(trials(2))

    _, children = runs(half.study)
    assert [run.info.status for run in children] == ["FINISHED", "FINISHED"]
    after = {name: len(rows) for name, rows in content(folder).items()}
    for name in ("metrics", "params", "runs", "latest_metrics"):
        assert after[name] == 2 * whole[name]


def test_a_database_gets_a_trial_in_one_piece(
    study: StudyInfo, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    projection = Projection(study)
    projection.start()
    monkeypatch.setattr(projection._client, "create_run", None)

    projection.deliver(trials(2))

    assert [run.info.status for run in runs(study)[1]] == ["FINISHED", "FINISHED"]


def test_a_run_that_was_created_twice_is_one_again(study: StudyInfo, trials: Trials) -> None:
    Projection(study).deliver(trials(1))
    _, (run,) = runs(study)
    client = MlflowClient(study.tracking_uri)
    client.create_run(run.info.experiment_id, start_time=run.info.start_time, tags=run.data.tags)

    Projection(study).deliver(trials(1))

    assert len(runs(study)[1]) == 1


def test_a_run_whose_creation_was_not_confirmed_is_not_created_again(
    study: StudyInfo, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "TABLES", {"runs": ""})  # call by call, as with a server
    projection = Projection(study)
    projection.deliver(trials(1))
    create = projection._client.create_run

    def lose_the_answer(*args: Any, **kwargs: Any) -> Run:
        create(*args, **kwargs)
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(projection._client, "create_run", lose_the_answer)
        with pytest.raises(ConnectionError):
            projection.deliver(trials(2))

    projection.deliver(trials(2))

    assert len(runs(study)[1]) == 2


def test_a_deleted_experiment_is_refused_in_words(study: StudyInfo, trials: Trials) -> None:
    Projection(study).deliver(trials(1))
    client = MlflowClient(study.tracking_uri)
    client.delete_experiment(runs(study)[0].info.experiment_id)

    with pytest.raises(WorkError, match="'digits' was deleted; restore it"):
        Projection(study).start()


def test_the_study_file_is_kept_where_the_study_says(study: StudyInfo, folder: Path) -> None:
    projection = Projection(study)
    projection.start()
    projection.keep_files()

    (kept,) = (folder / "mlartifacts").rglob("study.toml")
    assert kept.read_text() == study.text


def test_the_description_leads_to_the_views_and_tells_the_result(
    study: StudyInfo, trials: Trials, result: Result
) -> None:
    Projection(study).finish(result(trials()))

    parent, _ = runs(study)
    note = parent.data.tags["mlflow.note.content"]
    located = locate(study.tracking_uri, study.experiment, study.identity)
    assert located is not None
    assert note.startswith(f"[Trials, best first]({located.table})")
    assert "**Best: trial 1**, accuracy 0.9523 on validation data" in note
    assert "**accuracy 0.953 ± 0.004 on test data**" in note
    assert "| trial | accuracy | optimizer | activation | schedule |" in note
    assert "tunekit train study.toml --trial 1 " in note


def test_synchronizing_tells_how_many_trials_were_missing(
    study: StudyInfo, trials: Trials, result: Result
) -> None:
    Projection(study).deliver(trials(15))
    study = replace(study, recorded=trials())

    assert synchronize(study, result(trials())) == 5
    assert synchronize(study, result(trials())) == 0
    assert runs(study)[0].info.status == "FINISHED"


def test_synchronizing_with_what_is_not_there_fails_without_credentials(
    study: StudyInfo, result: Result, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    study = replace(study, tracking_uri="http://me:secret@127.0.0.1:9")

    with pytest.raises(WorkError, match=r"MLflow at http://127.0.0.1:9 failed") as caught:
        synchronize(study, result(trials(1)))
    assert "secret" not in str(caught.value)


def test_a_study_is_found_by_its_record_or_its_name(study: StudyInfo, trials: Trials) -> None:
    Projection(study).deliver(trials(1))

    parent, _ = runs(study)
    located = locate(study.tracking_uri, study.experiment, study.identity)
    assert located is not None
    assert located.run_id == parent.info.run_id
    assert locate_study(study.tracking_uri, study.experiment, "digits") == located
    assert locate_study(study.tracking_uri, study.experiment, "trial 0") is None
    assert locate(study.tracking_uri, study.experiment, "unknown") is None
    assert locate(study.tracking_uri, "unknown", study.identity) is None


def test_looking_for_a_study_creates_no_store(tmp_path: Path) -> None:
    path = tmp_path / "none.db"

    assert locate(f"sqlite:///{path}", "digits", "0f3a9c") is None
    assert not path.exists()


def test_a_store_that_was_deleted_is_made_again_with_all_trials(
    study: StudyInfo, folder: Path, trials: Trials, result: Result
) -> None:
    projection = Projection(study)
    projection.start()
    projection.deliver(trials(3))
    (folder / "mlflow.db").unlink()

    projection.deliver(trials(4))
    projection.finish(result(trials(4)))

    parent, children = runs(study)
    assert len(children) == 4
    assert parent.data.metrics["best_objective"] == result(trials(4)).best.value  # type: ignore[union-attr]
