"""After faults between a search and MLflow, MLflow holds each trial once, and whole."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tunekit.records import FinishedTrial, StudyInfo, StudyResult
from tunekit.tracking import courier
from tunekit.tracking.courier import Courier
from tunekit.tracking.projection import Projection
from tunekit.tracking.synchronize import synchronize

if TYPE_CHECKING:
    from tests.tracking.faults.conftest import Difference, Fault, Proxy, Rows, Rule, Served

Trials = Callable[..., tuple[FinishedTrial, ...]]
Result = Callable[[tuple[FinishedTrial, ...]], StudyResult]
Compared = Callable[[Path, Sequence[FinishedTrial]], "Difference"]
Proxied = Callable[["Rule"], "Proxy"]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "PAUSES", (0.1,))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    give_up = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.05)


@contextmanager
def no_room(file: Path) -> Iterator[None]:
    """Files of this process cannot grow beyond the size that `file` has."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def searched(study: StudyInfo, trials: Sequence[FinishedTrial], result: Result) -> bool:
    """Deliver a search; whether all arrived."""
    following = Courier(study)
    following.start()
    for trial in trials:
        following.take(trial)
    return following.finish(result(tuple(trials)))


@pytest.mark.parametrize("first", range(3))
def test_answers_that_are_lost_double_nothing(
    served: StudyInfo,
    server: Served,
    trials: Trials,
    result: Result,
    first: int,
    proxied: Proxied,
    fault: type[Fault],
    compared: Compared,
) -> None:
    def rule(what: str, count: int) -> Fault:
        return fault(loses=count % 3 == first)

    with proxied(rule) as proxy:
        assert searched(replace(served, tracking_uri=proxy.url), trials(8), result)

        assert proxy.faults > 8
    assert compared(server.store, trials(8)).is_none


def test_a_server_with_errors_is_asked_again(
    served: StudyInfo,
    server: Served,
    trials: Trials,
    result: Result,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    proxied: Proxied,
    fault: type[Fault],
    compared: Compared,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    def rule(what: str, count: int) -> Fault:
        is_refused = count in (0, 1, 3) and not what.startswith("artifacts/")
        return fault(status=(500, 503, 429)[count % 3] if is_refused else 0)

    with proxied(rule) as proxy:
        following = Courier(replace(served, tracking_uri=proxy.url))
        following.start()
        for trial in trials(8):
            following.take(trial)
        until(lambda: following.arrived == 8)

        assert following.finish(result(trials(8)))
        assert proxy.faults > 8
    assert compared(server.store, trials(8)).is_none
    (said,) = caplog.messages
    assert "The search goes on" in said


def test_a_server_that_went_back_to_an_older_copy_gets_what_that_lacks(
    served: StudyInfo,
    server: Served,
    folder: Path,
    trials: Trials,
    result: Result,
    compared: Compared,
    restored: Callable[[Path, Path], None],
) -> None:
    following = Courier(served)
    following.start()
    following.take(trials()[0])
    until(lambda: following.arrived == 1)
    restored(server.store, folder / "older.db")
    for trial in trials(4)[1:]:
        following.take(trial)
    until(lambda: following.arrived == 4)

    restored(folder / "older.db", server.store)

    assert following.finish(result(trials(4)))
    assert compared(server.store, trials(4)).is_none


def test_delivery_resumes_by_itself_when_a_killed_server_is_back(
    served: StudyInfo,
    server: Served,
    trials: Trials,
    result: Result,
    compared: Compared,
) -> None:
    following = Courier(served)
    following.start()
    following.take(trials()[0])
    until(lambda: following.arrived == 1)
    server.kill()
    for trial in trials(6)[1:]:
        following.take(trial)

    server.start()
    until(lambda: following.arrived == 6)

    assert following.finish(result(trials(6)))
    assert compared(server.store, trials(6)).is_none


@pytest.mark.parametrize(("failed", "delay"), [(0, 5), (1, 1)])
def test_an_attempt_that_fails_while_the_search_ends_is_not_the_last_one(
    served: StudyInfo,
    trials: Trials,
    result: Result,
    failed: int,
    delay: float,
    monkeypatch: pytest.MonkeyPatch,
    proxied: Proxied,
    fault: type[Fault],
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(courier, "PATIENCE_WITH_FAILURE", 4)

    def rule(what: str, count: int) -> Fault:
        if what != "experiments/get-by-name" or count > failed:
            return fault()
        return fault(status=503, delay=delay if count == failed else 0)

    with proxied(rule) as proxy:
        following = Courier(replace(served, tracking_uri=proxy.url))
        following.start()
        until(lambda: proxy.counts["experiments/get-by-name"] == failed + 1)

        assert following.finish(result(trials(2)))


def test_a_study_file_that_was_refused_is_kept_at_the_end(
    served: StudyInfo,
    server: Served,
    trials: Trials,
    result: Result,
    caplog: pytest.LogCaptureFixture,
    proxied: Proxied,
    fault: type[Fault],
) -> None:
    others = set(server.artifacts.rglob("study.toml"))

    def rule(what: str, count: int) -> Fault:
        return fault(status=400 if what == "artifacts/study.toml" and count == 0 else 0)

    with proxied(rule) as proxy:
        assert searched(replace(served, tracking_uri=proxy.url), trials(2), result)
        assert proxy.faults == 1

    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("Trials are delivered, files are not.")
    (kept,) = set(server.artifacts.rglob("study.toml")) - others
    assert kept.read_text() == served.text


@pytest.mark.parametrize("is_same_file", [True, False])
def test_a_store_that_went_back_to_an_older_copy_gets_what_that_lacks(
    study: StudyInfo,
    folder: Path,
    trials: Trials,
    result: Result,
    is_same_file: bool,
    compared: Compared,
    restored: Callable[[Path, Path], None],
) -> None:
    store, older = folder / "mlflow.db", folder / "older.db"
    following = Courier(study)
    following.start()
    following.take(trials()[0])
    until(lambda: following.arrived == 1)
    shutil.copy(store, older)
    for trial in trials(4)[1:]:
        following.take(trial)
    until(lambda: following.arrived == 4)

    if is_same_file:
        restored(older, store)
    else:
        older.replace(store)

    assert following.finish(result(trials(4)))
    assert compared(store, trials(4)).is_none


def test_what_a_full_disk_kept_out_is_delivered_when_there_is_room(
    study: StudyInfo,
    folder: Path,
    trials: Trials,
    result: Result,
    caplog: pytest.LogCaptureFixture,
    compared: Compared,
) -> None:
    store = folder / "mlflow.db"
    following = Courier(study)
    following.start()
    following.take(trials()[0])
    until(lambda: following.arrived == 1)
    with no_room(store):
        for trial in trials()[1:]:
            following.take(trial)
        until(lambda: bool(caplog.messages))
        assert following.arrived < 20

    until(lambda: following.arrived == 20)

    assert following.finish(result(trials()))
    assert compared(store, trials()).is_none
    assert len(caplog.messages) == 1


def test_a_store_that_is_lost_is_made_again_from_the_record(
    study: StudyInfo,
    folder: Path,
    trials: Trials,
    result: Result,
    compared: Compared,
    rows_of: Callable[[Path], Rows],
) -> None:
    store = folder / "mlflow.db"
    study = replace(study, recorded=trials())
    assert searched(study, (), lambda _: result(trials()))
    store.unlink()

    assert synchronize(study, result(trials())) == 20
    assert compared(store, trials()).is_none
    rows = rows_of(store)
    assert synchronize(study, result(trials())) == 0
    assert rows_of(store) == rows


def test_a_start_that_is_tried_again_turns_to_a_store_that_is_new(
    study: StudyInfo, folder: Path, empty_store: Path, trials: Trials, compared: Compared
) -> None:
    store = folder / "mlflow.db"
    projection = Projection(study)
    projection.start()
    store.unlink()
    shutil.copy(empty_store, store)

    projection.start()
    projection.deliver(trials(2))

    assert not compared(store, trials(2)).missing
