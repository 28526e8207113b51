"""Passwords stay where they were given: nothing that a search writes or runs shows them."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import sqlalchemy

from tunekit.search.database import without_passwords
from tunekit.tracking.client import connect, failure, quiet

if TYPE_CHECKING:
    from tests.team.conftest import Person, Team

MARK = "Zebra7391"
"""Part of every password here."""


def address(reach: dict[str, str], database: str) -> str:
    password = quote(reach["PGPASSWORD"], safe="")
    return (
        f"postgresql+psycopg://{reach['PGUSER']}:{password}"
        f"@{reach['PGHOST']}:{reach['PGPORT']}/{database}"
    )


def everything_in(url: str) -> str:
    """All rows of all tables of a database."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    found = io.StringIO()
    with engine.connect() as connection:
        tables = sqlalchemy.MetaData()
        tables.reflect(connection)
        for table in tables.sorted_tables:
            for row in connection.execute(sqlalchemy.select(table)):
                found.write(f"{table.name}: {row}\n")
    return found.getvalue()


def telling(folder: Path) -> list[str]:
    """The files that hold the mark."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path.name for path in files if MARK.encode() in path.read_bytes())


@contextmanager
def command_lines() -> Iterator[set[bytes]]:
    """All command lines that are seen while the block runs."""
    seen: set[bytes] = set()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:  # it has just ended
                    continue
            is_over.wait(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


def listening(process: int) -> set[str]:
    """The hexadecimal addresses at which a process or one that it started listens."""
    family, sockets = {process}, set()
    for stat in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parent.name)):
        number, parent = int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])
        if parent in family:
            family.add(number)
    for number in family:
        for file in Path(f"/proc/{number}/fd").iterdir():
            sockets.add(os.readlink(file).removeprefix("socket:[").removesuffix("]"))
    lines = [
        line.split()
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
    ]
    return {line[1].partition(":")[0] for line in lines if line[3] == "0A" and line[9] in sockets}


@pytest.mark.postgresql
def test_a_search_keeps_all_passwords_to_itself(
    person: Person, team: Team, postgresql: dict[str, str]
) -> None:
    password = team.settings["MLFLOW_AUTH_ADMIN_PASSWORD"]
    temporary = person.folder / "tmp"
    temporary.mkdir()
    person.environment = {
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": password,
        "PGPASSWORD": postgresql["PGPASSWORD"],
        "TMPDIR": str(temporary),
    }
    record = address(postgresql, "record")
    person.write(f"http://admin:{password}@{team.host}", "secret", storage=record)
    study = person.folder / "study.toml"
    study.write_text(study.read_text().replace("workers = 0", "workers = 2"))
    said = ""
    with command_lines() as seen:
        for command in (
            "search study.toml --json",
            "search study.toml --trials 4",
            "report study.toml",
            "ui study.toml --no-browser",
        ):
            done = person.run(command)
            assert done.returncode == 0, done.stderr
            said += done.stdout + done.stderr
    assert team.url in said
    assert MARK not in said
    assert not [line for line in seen if MARK.encode() in line]
    assert "secret" in everything_in(record)
    assert MARK not in everything_in(record)
    logged = everything_in(address(postgresql, "mlflow"))
    assert "secret" in logged
    assert MARK not in logged
    assert telling(person.folder) == ["study.toml"]
    assert list(team.artifacts.rglob("study.toml"))
    assert telling(team.artifacts) == []
    assert MARK.encode() not in team.log.read_bytes()


@pytest.mark.postgresql
def test_the_ui_on_a_database_listens_on_this_machine_only_and_hides_the_password(
    person: Person, postgresql: dict[str, str]
) -> None:
    store = address(postgresql, "direct")
    person.write(store, "direct", trials=1)
    assert person.run("search study.toml").returncode == 0
    with command_lines() as seen, person.start("ui study.toml --no-browser") as ui:
        assert ui.stdout is not None
        assert ui.stderr is not None
        said = ""
        while "Ctrl-C ends" not in said:
            line = ui.stdout.readline()
            assert line, ui.stderr.read()
            said += line
        assert listening(ui.pid) == {"0100007F"}  # 127.0.0.1
        ui.send_signal(signal.SIGINT)
        said += "".join(ui.communicate(timeout=60))
    assert ui.returncode == 0
    assert MARK not in said
    assert any(b"uvicorn" in line for line in seen)
    assert not [line for line in seen if MARK.encode() in line]
    assert telling(person.folder) == ["study.toml"]


NOWHERE = [
    f"http://admin:{MARK}@127.0.0.1:9",
    f"http://admin:{MARK}@127.0.0.1:not-a-port",
    f"http://admin:{MARK}/more@127.0.0.1:9",
    f"http://admin:{MARK}#more@127.0.0.1:9",
    f"http://admin:more@{MARK}@127.0.0.1:9",
    f"http://127.0.0.1:9/?token={MARK}",
    f"https://admin:{MARK}@",
    f"ftp://admin:{MARK}@127.0.0.1",
    f"postgresql+psycopg://admin:{MARK}@127.0.0.1:not-a-port/runs",
    f"postgresql+psycopg://127.0.0.1:not-a-port/runs?password={MARK}",
    f"nothing://admin:{MARK}@127.0.0.1",
]


@pytest.mark.parametrize("uri", NOWHERE)
def test_an_address_that_leads_nowhere_is_told_without_its_password(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with quiet(), pytest.raises(Exception) as caught:  # noqa: PT011  each has its own
        connect(uri).get_experiment_by_name("any")
    assert MARK not in failure(uri, caught.value)


@pytest.mark.parametrize("uri", NOWHERE)
def test_a_study_file_is_kept_without_the_passwords_of_its_addresses(uri: str) -> None:
    assert MARK not in without_passwords(f'tracking_uri = "{uri}"\n')


@pytest.mark.parametrize("key", ["study.storage", "mlflow.tracking_uri"])
def test_what_is_no_address_is_not_shown(key: str, person: Person) -> None:
    person.write("sqlite:///mlflow.db")
    done = person.run(f"search study.toml --json --set {key}=admin:{MARK}@127.0.0.1:9")
    assert done.returncode == 2
    assert key in done.stderr
    assert MARK not in done.stdout + done.stderr
