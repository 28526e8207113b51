"""A record's address and its errors, as a user meets them without a server."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy

from tunekit.errors import StudyError
from tunekit.search import database
from tunekit.search.database import opening, options, patiently, redacted, without_passwords
from tunekit.search.setting import Setting

Make = Callable[..., Setting]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("sqlite:////home/me@work/my optuna.db", "sqlite:////home/me@work/my optuna.db"),
        ("postgresql+psycopg://ann@host/db", "postgresql+psycopg://ann@host/db"),
        ("postgresql+psycopg://ann:secret@host/db", "postgresql+psycopg://ann:***@host/db"),
        ("postgresql+psycopg://ann@host/db?password=secret", "postgresql+psycopg://ann@host/db"),
        ("postgresql+psycopg://ann:se@cret@host/db", "postgresql+psycopg://***"),
        ("postgresql+psycopg://ann:se@cr/et@host/db", "postgresql+psycopg://***"),
        ("postgresql+psycopg://ann:secret@host:x/db", "an address that SQLAlchemy cannot read"),
        ("secret", "an address that SQLAlchemy cannot read"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert redacted(address) == shown


def test_a_study_file_is_shown_without_its_passwords() -> None:
    text = """
name = "a:b@c"
storage = "postgresql+psycopg://ann:s3/cr@et@host:5432/db"
tracking_uri = 'https://me:secret@host/x?password=secret&sslmode=require'
other = "postgresql+psycopg://ann@host/db"  # ask bob@example.org: he knows
"""
    assert without_passwords(text) == (
        text.replace("s3/cr@et", "***").replace(":secret@", ":***@").replace("=secret", "=***")
    )


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("nonsense://ann:secret@host/db", "SQLAlchemy has no driver for 'nonsense'"),
        ("mysql+nothing://ann:secret@host/db", "SQLAlchemy has no driver for 'mysql+nothing'"),
        ("postgres://ann:secret@host/db", "pip install 'tunekit[postgresql]'"),
        ("postgresql+nothing://ann:secret@host/db", 'write "postgresql+psycopg://..."'),
        ("postgresql+psycopg://ann:secret@host:port/db", "expected DIALECT+DRIVER://USER@HOST"),
        ("postgresql+psycopg://ann:se@secret@host/db", "write an @ in the password as %40"),
        ("postgresql+psycopg://ann:secret@/db?host=/nowhere", "See that the server runs there"),
        ("postgresql+psycopg://ann:secret@127.0.0.1/db?pasword=x", 'option "pasword"'),
    ],
)
def test_an_address_that_cannot_be_used_is_told(make: Make, address: str, told: str) -> None:
    with pytest.raises(StudyError) as caught:
        connect(make("", f"study.storage={address}"))
    assert told in caught.value.message
    assert caught.value.key == "study.storage"
    assert "secret" not in str(caught.value)


def connect(setting: Setting) -> None:
    storage = setting.study.storage
    with opening(setting.study):
        sqlalchemy.create_engine(storage, **options(storage)).connect().close()


def test_a_server_that_does_not_run_is_told(make: Make) -> None:
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        address = f"postgresql+psycopg://ann:secret@127.0.0.1:{bound.getsockname()[1]}/db"
        with pytest.raises(StudyError, match="See that the server runs there"):
            connect(make("", f"study.storage={address}"))


def test_a_missing_driver_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StudyError, match=r"pip install 'tunekit\[postgresql\]'"):
        connect(make("", "study.storage=postgresql+psycopg://ann:secret@host/db"))


def test_what_the_user_says_of_the_connection_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "postgresql+psycopg://ann@host/db"
    assert options(address)["connect_args"]["connect_timeout"] == 10
    assert "connect_timeout" not in options(f"{address}?connect_timeout=3")["connect_args"]
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "3")
    assert "connect_timeout" not in options(address)["connect_args"]
    assert options("sqlite:///optuna.db") == {}
    assert options("postgresql+pg8000://ann@host/db") == {"poolclass": sqlalchemy.NullPool}


class Away:
    """Work that fails a few times before it succeeds."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self) -> str:
        self.times -= 1
        if self.times >= 0:
            raise sqlalchemy.exc.OperationalError("", {}, Exception("gone"))
        return "done"


def test_a_server_that_is_away_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "RETRY_SECONDS", 0.0)
    address = "postgresql+psycopg://ann:secret@host/db"
    assert patiently(address, Away(3)) == "done"
    assert [record.getMessage() for record in caplog.records] == [
        "The record at postgresql+psycopg://ann:***@host/db cannot be reached: gone. "
        "Trying again for 60 seconds."
    ]
    monkeypatch.setattr(database, "RECONNECT_SECONDS", 0.0)
    away: Any = Away(1000)
    with pytest.raises(sqlalchemy.exc.OperationalError):
        patiently(address, away)


def test_a_file_is_not_waited_for() -> None:
    with pytest.raises(sqlalchemy.exc.OperationalError):
        patiently("sqlite:///optuna.db", Away(1))
