"""MLflow that is gone, slow, or comes back, beside a search that goes on."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tracking.conftest import delivered
from tunekit.records import FinishedTrial, StudyInfo, StudyResult
from tunekit.tracking import courier
from tunekit.tracking.courier import Courier

Trials = Callable[..., tuple[FinishedTrial, ...]]
Result = Callable[[tuple[FinishedTrial, ...]], StudyResult]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "PAUSES", (0.1,))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def closed_port() -> int:
    """A loopback port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes every request and answers none."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    give_up = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_a_server_that_is_gone_is_told_once_and_what_is_missing_at_the_end(
    study: StudyInfo,
    trials: Trials,
    result: Result,
    closed_port: int,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    gone = Courier(replace(study, tracking_uri=f"http://me:secret@127.0.0.1:{closed_port}"))

    gone.start()
    for trial in trials(5):
        gone.take(trial)
        time.sleep(0.2)

    assert not gone.finish(result(trials(5)))
    first, last = caplog.messages
    assert first == (
        f"MLflow at http://127.0.0.1:{closed_port} failed: Connection refused. The search goes "
        "on, and what is missing is delivered when MLflow is back."
    )
    assert last == (
        "5 of 5 trials are not in MLflow, but recorded; `tunekit sync study.toml` delivers what "
        "is missing."
    )
    assert "secret" not in caplog.text
    assert capfd.readouterr() == ("", "")


def test_a_search_does_not_wait_for_a_server_that_does_not_answer(
    study: StudyInfo,
    trials: Trials,
    result: Result,
    silent_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silent = Courier(replace(study, tracking_uri=f"http://127.0.0.1:{silent_port}"))
    begin = time.monotonic()

    silent.start()
    for trial in trials(20):
        silent.take(trial)

    assert time.monotonic() - begin < 0.5
    monkeypatch.setattr(courier, "PATIENCE", 0)
    assert not silent.finish(result(trials(20)))  # or it tells its failure to a later test


def test_the_end_of_a_search_waits_for_so_long_and_no_longer(
    study: StudyInfo,
    trials: Trials,
    result: Result,
    silent_port: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(courier, "SLOW", 0.2)
    monkeypatch.setattr(courier, "PATIENCE", 0.5)
    silent = Courier(replace(study, tracking_uri=f"http://127.0.0.1:{silent_port}"))
    silent.start()

    assert not silent.finish(result(trials(3)))

    slow, missing = caplog.messages
    assert slow.startswith("MLflow is slow: 3 of 3 trials are still on the way. Ctrl-C ends")
    assert missing.startswith("3 of 3 trials are not in MLflow")


def test_ctrl_c_ends_the_waiting_at_the_end(
    study: StudyInfo, trials: Trials, result: Result, silent_port: int
) -> None:
    silent = Courier(replace(study, tracking_uri=f"http://127.0.0.1:{silent_port}"))
    silent.start()
    main = threading.main_thread().ident
    assert main is not None
    # Whoever starts the tests in the background has it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT)).start()
        begin = time.monotonic()

        assert not silent.finish(result(trials(3)))

        assert time.monotonic() - begin < 5
    finally:
        signal.signal(signal.SIGINT, before)


def test_delivery_resumes_by_itself_when_the_store_is_back(
    study: StudyInfo, folder: Path, trials: Trials, result: Result, caplog: pytest.LogCaptureFixture
) -> None:
    store, aside = folder / "mlflow.db", folder / "aside.db"
    following = Courier(study)
    following.start()
    following.take(trials()[0])
    until(lambda: following.arrived == 1)
    store.rename(aside)
    store.mkdir()
    for trial in trials(4)[1:]:
        following.take(trial)
    until(lambda: bool(caplog.messages))
    store.rmdir()
    aside.rename(store)

    until(lambda: delivered(study) == 4)

    assert following.finish(result(trials(4)))
    (said,) = caplog.messages
    assert "unable to open database file" in said


def test_a_store_that_is_broken_to_the_end_is_completed_by_the_next_search(
    study: StudyInfo, folder: Path, trials: Trials, result: Result, caplog: pytest.LogCaptureFixture
) -> None:
    store, aside = folder / "mlflow.db", folder / "aside.db"
    first = Courier(study)
    first.start()
    first.take(trials()[0])
    until(lambda: first.arrived == 1)
    store.rename(aside)
    store.mkdir()
    for trial in trials(4)[1:]:
        first.take(trial)
    assert not first.finish(result(trials(4)))
    store.rmdir()
    aside.rename(store)
    assert caplog.messages[-1].startswith("3 of 4 trials are not in MLflow")
    assert delivered(study) == 1

    second = Courier(replace(study, recorded=trials(4)))
    second.start()
    for trial in trials()[4:6]:
        second.take(trial)

    assert second.finish(result(trials(6)))
    assert delivered(study) == 6
