from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tunekit.tracking import client


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://host:5432/db"),
        ("http://me:p@ss@host/ refused", "http://host/ refused"),
        ("postgresql://host/db?password=secret failed", "postgresql://host/db failed"),
        ("sqlite:////tmp/mlflow.db", "sqlite:////tmp/mlflow.db"),
        ("no address at all", "no address at all"),
    ],
)
def test_addresses_lose_their_credentials(said: str, shown: str) -> None:
    assert client.redacted(said) == shown


def test_an_error_is_told_in_one_line_without_credentials() -> None:
    error = RuntimeError("cannot reach http://me:secret@host\n[SQL: INSERT ...]")

    assert client.told(error) == "cannot reach http://host"
    assert client.told(RuntimeError()) == "RuntimeError"


def test_the_cause_of_a_database_error_is_told_and_not_what_led_there() -> None:
    error = RuntimeError(
        "(raised as a result of Query-invoked autoflush; ...)\n"
        "(sqlite3.OperationalError) attempt to write a readonly database\n"
        "[SQL: INSERT ...]"
    )

    assert client.told(error) == "(sqlite3.OperationalError) attempt to write a readonly database"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:////tmp/a/mlflow.db", Path("/tmp/a/mlflow.db")),
        ("sqlite:///a/mlflow.db?mode=ro", Path("a/mlflow.db")),
        ("file:///tmp/my%20runs", Path("/tmp/my runs")),
        ("/tmp/mlruns", Path("/tmp/mlruns")),
        ("postgresql://host/db", None),
        ("http://host:5000", None),
    ],
)
def test_a_local_store_is_known_by_its_path(uri: str, path: Path | None) -> None:
    assert client.local_path(uri) == path


def test_log_levels_are_as_before_when_mlflow_is_done() -> None:
    with client.quiet():
        pass  # the first import of MLflow sets up its loggers
    logging.getLogger("alembic").setLevel(logging.INFO)

    with client.quiet():
        assert not logging.getLogger("alembic.runtime").isEnabledFor(logging.CRITICAL)

    assert logging.getLogger("alembic").level == logging.INFO


@pytest.mark.parametrize("answers", [False, True])
def test_why_a_server_cannot_be_reached_is_told_in_few_words(
    answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as server, client.quiet():
        server.bind(("127.0.0.1", 0))
        if answers:
            server.listen()
        with pytest.raises(Exception, match="API request") as caught:
            client.connect(f"http://127.0.0.1:{server.getsockname()[1]}").search_experiments()

    assert client.told(caught.value) == ("no answer in time" if answers else "Connection refused")


def test_threads_that_overlap_leave_log_levels_as_before() -> None:
    with client.quiet():
        pass
    logging.getLogger("alembic").setLevel(logging.INFO)
    first, second = client.quiet(), client.quiet()

    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not logging.getLogger("alembic").isEnabledFor(logging.CRITICAL)
    second.__exit__(None, None, None)

    assert logging.getLogger("alembic").level == logging.INFO


def test_a_new_store_is_created_without_a_word(tmp_path: Path) -> None:
    code = (
        "import sys; from tunekit.tracking.client import connect, quiet\n"
        "with quiet(): connect(sys.argv[1]).search_experiments()"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, f"sqlite:///{tmp_path / 'mlflow.db'}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert (done.stdout, done.stderr) == ("", "")
    assert os.listdir(tmp_path) == ["mlflow.db"]


def test_a_store_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    code = (
        "import os, sys; from tunekit.tracking import client\n"
        "import shutil; shutil.copyfile = lambda *paths: os.kill(os.getpid(), 9)\n"
        "with client.quiet(): client.connect(sys.argv[1])"
    )
    command = [sys.executable, "-c", code, f"sqlite:///{tmp_path / 'mlflow.db'}"]

    assert subprocess.run(command, check=False).returncode == -9

    assert os.listdir(tmp_path) == []


def test_observing_costs_no_import_of_mlflow_before_a_search_starts() -> None:
    code = (
        "import sys, tunekit.tracking.observer, tunekit.tracking.server, tunekit.tracking.locate\n"
        "sys.exit('mlflow' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
