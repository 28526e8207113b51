"""The record in PostgreSQL, on a real server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState

from tunekit.errors import StudyError, WorkError
from tunekit.records import FinishedTrial
from tunekit.search import database as reaching
from tunekit.search import lock, rows
from tunekit.search.database import options
from tunekit.search.lock import held
from tunekit.search.notes import notes
from tunekit.search.record import Record
from tunekit.search.run import run_search
from tunekit.search.setting import Setting

pytestmark = pytest.mark.postgresql

Make = Callable[..., Setting]

PASSWORD = "s3cret"


class Server:
    """A private PostgreSQL server on the loopback interface.

    Args:
        programs: The folder of its programs.
        folder: An empty folder.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        self._process: subprocess.Popen[bytes] | None = None
        # It refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        password = folder / "password"
        password.write_text(PASSWORD)
        command = [
            *(str(programs / "initdb"), "-D", str(folder / "data"), "-U", "postgres"),
            *(
                "--auth=scram-sha-256",
                f"--pwfile={password}",
                "--no-sync",
                "--no-locale",
                "-E",
                "UTF8",
            ),
        ]
        subprocess.run(command, check=True, capture_output=True, user=self._user, cwd=folder)

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        command = [
            *(str(self._programs / "postgres"), "-D", str(self._folder / "data")),
            *("-p", str(self.port), "-h", "127.0.0.1", "-k", str(self._folder), "-c", "fsync=off"),
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, user=self._user, cwd=self._folder
            )
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        deadline = time.monotonic() + 60
        while subprocess.run(ready, check=False).returncode:
            said = (self._folder / "log").read_text()
            assert self._process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.02)

    def stop(self) -> None:
        """End the server and every connection to it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None

    def url(self, database: str, role: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql+psycopg://{role}:{password}@127.0.0.1:{self.port}/{database}"

    def execute(self, *commands: str, database: str = "postgres") -> None:
        engine = sqlalchemy.create_engine(self.url(database), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for command in commands:
                connection.execute(sqlalchemy.text(command))
        engine.dispose()


@pytest.fixture(scope="session")
def server(postgresql_programs: Path) -> Iterator[Server]:
    # Not pytest's folder: the server's user may not enter that.
    with tempfile.TemporaryDirectory(prefix="tunekit-server-") as folder:
        server = Server(postgresql_programs, Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """An empty database's name."""
    server.execute("CREATE DATABASE record")
    yield "record"
    server.execute("DROP DATABASE record WITH (FORCE)")


@pytest.fixture
def url(server: Server, database: str) -> str:
    return server.url(database)


STUDY = """
[study]
name = "digits"
storage = "{url}"
trials = 16
workers = 2
finalists = 1
final_seeds = 1

[data]
source = "sklearn:digits"
validation = 0.3

[train]
epochs = 8

[search]
optimizer = ["adam", "sgd"]
activation = ["relu", "tanh"]
"""


@pytest.fixture
def folder(tmp_path: Path, url: str) -> Path:
    (tmp_path / "digits.toml").write_text(STUDY.format(url=url))
    return tmp_path


COMMAND = [sys.executable, "-m", "tunekit", "search", "digits.toml", "--json"]


@contextmanager
def searching(folder: Path, trials: int) -> Iterator[subprocess.Popen[str]]:
    """A search that has finished so many trials, and goes on."""
    with subprocess.Popen(
        COMMAND, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while trials:
            line = process.stderr.readline()
            assert line, "the search ended early"
            trials -= "  trial " in line
        try:
            yield process
        finally:
            process.kill()


def search(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True, check=False)


def storage(url: str) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(url, options(url))


def recorded(url: str, name: str = "digits") -> list[optuna.trial.FrozenTrial]:
    trials = optuna.load_study(study_name=name, storage=storage(url)).get_trials(deepcopy=False)
    assert all(trial.state.is_finished() for trial in trials)
    return trials


def asks(trials: list[optuna.trial.FrozenTrial]) -> list[int]:
    return sorted(trial.user_attrs["tunekit"]["ask"] for trial in trials)


def test_a_killed_search_goes_on(folder: Path, url: str) -> None:
    with searching(folder, trials=3) as process:
        process.send_signal(signal.SIGSTOP)  # or it might be done before the second begins
        refused = search(folder)
        process.kill()
        process.wait()
        kept = {trial.number: trial.values for trial in recorded(url)}
        done = search(folder)
    assert refused.returncode == 2
    assert f"being searched by process {process.pid} of user " in refused.stderr
    assert json.loads(refused.stdout)["error"]["key"] == "study.name"
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    now = {trial.number: trial.values for trial in recorded(url)}
    assert len(kept) >= 3
    assert {number: now[number] for number in kept} == kept
    assert asks(recorded(url)) == list(range(16))


def test_the_password_is_written_nowhere(folder: Path) -> None:
    study = (folder / "digits.toml").read_text()
    study = study.replace("trials = 16", "trials = 1").replace(":digits", ":iris")
    (folder / "digits.toml").write_text(study)
    done = search(folder)
    assert done.returncode == 0
    assert PASSWORD not in done.stdout + done.stderr
    written = [path for path in folder.rglob("*") if path.is_file()]
    copies = [path for path in written if path.name == "study.toml"]
    assert "://postgres:***@127.0.0.1" in copies[0].read_text()
    told = [path for path in written if PASSWORD.encode() in path.read_bytes()]
    assert told == [folder / "digits.toml"]


def test_a_search_outlives_a_restart_of_the_server(folder: Path, url: str, server: Server) -> None:
    with searching(folder, trials=3) as process:
        server.stop()
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any("cannot be reached" in line for line in lines)
        server.start()
        out, rest = process.communicate()
    assert process.returncode == 0, rest
    assert json.loads(out)["trials"]["complete"] == 16
    assert asks(recorded(url)) == list(range(16))


def test_a_trial_whose_receipt_was_lost_is_not_written_twice(
    make: Make, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = rows.write
    lost: list[FrozenTrial] = []

    def lose_the_first_receipt(*arguments: Any, **named: Any) -> FrozenTrial:
        written = write(*arguments, **named)
        if not lost:
            lost.append(written)
            raise optuna.exceptions.StorageInternalError
        return written

    monkeypatch.setattr(rows, "write", lose_the_first_receipt)
    run_search(make("", f"study.storage={url}", "study.trials=2"))
    assert lost
    assert asks(recorded(url, "small")) == [0, 1]


def test_a_database_without_an_encoding_will_do(make: Make, server: Server) -> None:
    server.execute("CREATE DATABASE plain ENCODING 'SQL_ASCII' TEMPLATE template0")
    try:
        url = server.url("plain")
        run_search(make("", f"study.storage={url}", "study.name=größe", "study.trials=1"))
        assert len(recorded(url, "größe")) == 1
    finally:
        server.execute("DROP DATABASE plain WITH (FORCE)")


def test_a_fresh_start_keeps_the_old_trials(make: Make, url: str) -> None:
    setting = make("", f"study.storage={url}", "study.trials=2")
    first = run_search(setting).result.trials
    run_search(setting, fresh=True)
    names = optuna.get_all_study_names(storage(url))
    assert len(names) == 2
    (old,) = set(names) - {"small"}
    assert old.startswith("small (until ")
    assert [trial.params for trial in recorded(url, old)] == [trial.params for trial in first]
    assert len(recorded(url, "small")) == 2


HOLDER = """
import sys
from tunekit.search.database import options
from tunekit.search.lock import held
from tunekit.study.study import load_study

with held(load_study("small.toml", set_=sys.argv[1:])[0]):
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(folder: Path, *set_: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, *set_]
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def hold(setting: Setting) -> None:
    with held(setting.study) as now:
        now.check(lambda: True)


def test_the_server_tells_who_holds_a_study(make: Make, url: str, tmp_path: Path) -> None:
    at = f"study.storage={url}"
    setting = make("", at)
    with held_elsewhere(tmp_path, at) as process:
        with pytest.raises(StudyError, match=f"searched by process {process.pid} of user ") as told:
            hold(setting)
        hold(make("", at, "study.name=another"))
        process.kill()
        hold(setting)
    assert f" on {socket.gethostname()[:25]}" in told.value.message
    with held(setting.study), pytest.raises(StudyError, match="searched by this very process"):
        hold(setting)


def test_another_role_of_the_database_is_told_as_well(
    make: Make, url: str, server: Server, tmp_path: Path
) -> None:
    server.execute("CREATE ROLE guest LOGIN PASSWORD 'pw'")
    guest = make("", f"study.storage={server.url('record', 'guest', 'pw')}")
    with (
        held_elsewhere(tmp_path, f"study.storage={url}") as process,
        pytest.raises(StudyError, match=f"searched by process {process.pid} of user .* since 20"),
    ):
        hold(guest)
    server.execute("DROP ROLE guest")


def test_schemas_hold_their_studies_apart(make: Make, url: str, server: Server) -> None:
    server.execute("CREATE SCHEMA mine", database="record")
    mine = make("", f"study.storage={url}?options=-csearch_path%3Dmine")
    with held(make("", f"study.storage={url}").study):
        hold(mine)


def test_a_hold_is_taken_again_when_the_server_was_restarted(
    make: Make, url: str, server: Server
) -> None:
    setting = make("", f"study.storage={url}")
    with held(setting.study) as now:
        server.stop()
        server.start()
        now.check(lambda: True)
        with pytest.raises(StudyError, match="is being searched"):
            hold(setting)


def test_a_hold_that_another_search_took_is_lost(
    make: Make, url: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "PATIENCE_AGAIN", 0.0)
    setting = make("", f"study.storage={url}")
    with held(setting.study) as now:
        server.stop()
        server.start()
        with (
            held_elsewhere(tmp_path, f"study.storage={url}") as process,
            pytest.raises(StudyError, match=f"searched by process {process.pid}"),
        ):
            now.check(lambda: True)


@pytest.mark.parametrize("fresh", [False, True])
def test_what_another_search_changed_meanwhile_is_not_written_to(
    fresh: bool, make: Make, url: str, server: Server
) -> None:
    setting = make("", f"study.storage={url}", "study.trials=1")
    run_search(setting)
    with held(setting.study) as now:
        record = Record(setting.study, hold=now)
        record.open(setting.directions, setting.signature())
        server.stop()
        server.start()
        # The hold is lost until it is checked: another search comes and goes.
        run_search(
            make("", f"study.storage={url}", f"study.trials={1 if fresh else 2}"), fresh=fresh
        )
        ours = failed_trial(ask=1)
        for _ in range(2):
            with pytest.raises(StudyError, match="another search meanwhile") as told:
                record.add(ours)
        assert told.value.exit_code == 2
    assert asks(recorded(url, "small")) == ([0] if fresh else [0, 1])


def test_after_a_restart_an_unchanged_record_is_written_to(
    make: Make, url: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "RECONNECT_SECONDS", 0.0)
    setting = make("", f"study.storage={url}")
    with held(setting.study) as now:
        record = Record(setting.study, hold=now)
        record.open(setting.directions, setting.signature())
        for ask in range(2):
            record.add(failed_trial(ask))
            server.stop()
            try:
                with pytest.raises(WorkError, match="refused"):
                    record.add(failed_trial(ask + 1))
            finally:
                server.start()
        record.add(failed_trial(2))
    assert asks(recorded(url, "small")) == [0, 1, 2]


def failed_trial(ask: int) -> FrozenTrial:
    """A failed trial, as the coordinator hands it over."""
    done = FinishedTrial(-1, ask, "failed", None, {}, {}, started=time.time())
    return optuna.trial.create_trial(state=TrialState.FAIL, user_attrs=notes(done))


@pytest.mark.parametrize(
    ("role", "password", "name", "told"),
    [
        ("postgres", "wrong", "record", "password authentication failed for user"),
        ("postgres", PASSWORD, "nowhere", "Create it with createdb"),
        ("stranger", "pw", "record", "permission denied for schema public. Its owner must"),
    ],
)
def test_what_the_server_refuses_is_told(
    role: str, password: str, name: str, told: str, make: Make, server: Server, url: str
) -> None:
    server.execute("CREATE ROLE stranger LOGIN PASSWORD 'pw'")
    try:
        with pytest.raises(StudyError) as caught:
            run_search(make("", f"study.storage={server.url(name, role, password)}"))
    finally:
        server.execute("DROP ROLE stranger")
    assert told in caught.value.message
    assert caught.value.key == "study.storage"
    assert f":{password}@" not in str(caught.value)


def test_a_role_that_may_only_read_is_told(make: Make, server: Server, url: str) -> None:
    run_search(make("", f"study.storage={url}", "study.trials=1"))
    server.execute(
        "CREATE ROLE reader LOGIN PASSWORD 'pw'",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        database="record",
    )
    reader = server.url("record", "reader", "pw")
    try:
        with pytest.raises(StudyError, match="permission denied for "):
            run_search(make("", f"study.storage={reader}", "study.name=other"))
    finally:
        server.execute("DROP OWNED BY reader", "DROP ROLE reader", database="record")
