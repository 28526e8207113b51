"""The database behind a record: how it is reached, and what its errors mean to a user."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import optuna
import sqlalchemy

from tunekit.errors import StudyError
from tunekit.study.study import Study

logger = logging.getLogger("tunekit")

RECONNECT_SECONDS = 60.0
"""How long a search waits for a server that went away, one that restarts for example."""

RETRY_SECONDS = 0.5

T = TypeVar("T")

# A server or network that is gone without a word is noticed after a minute. Seconds, but for
# the last, which is in milliseconds. A database without an encoding (SQL_ASCII) gives bytes
# otherwise.
_LIBPQ = {
    "client_encoding": "utf8",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_AWAY = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    optuna.exceptions.StorageInternalError,
)
_UNUSABLE = (
    sqlalchemy.exc.SQLAlchemyError,
    optuna.exceptions.OptunaError,
    ImportError,  # the driver
    RuntimeError,  # tables of another version of Optuna
    ValueError,  # the address
)
# By what PostgreSQL and its driver say.
_REMEDIES = {
    "password authentication failed": "Correct it in the address, in ~/.pgpass or in PGPASSWORD",
    "no password supplied": "Put one into the address, into ~/.pgpass or into PGPASSWORD",
    'database "': "Create it with createdb, or name another",
    'role "': "Create it with createuser, or name another",
    "permission denied": "Its owner must allow this role to create tables there, with GRANT",
    "refused": "See that the server runs there",
    "No such file": "See that the server runs there",
    "timeout": "See that the server runs there and can be reached from here",
    "resolve host": "See that the host's name is right",
}

_REMEDIES_OF_FILES = {
    "not a database": "Move it away, or name another place",
    "malformed": "Move it away, or name another place",
    "disk is full": "Make room, and run the same command again",
    "locked": "Another program has it open: close that, and run the same command again",
}
MAKING_SECONDS = 30.0
"""How long another search may take to make the tables of a new record."""
_BEING_MADE = ("already exists", "UNIQUE constraint failed: alembic_version")


def options(storage: str) -> dict[str, Any]:
    """What SQLAlchemy's engine is told beside the address.

    Args:
        storage: The record's address.
    """
    address = sqlalchemy.make_url(storage)
    if address.get_backend_name() == "sqlite":
        return {}
    # A connection for each transaction: none is left open, and none is found to have ended.
    told: dict[str, Any] = {"poolclass": sqlalchemy.NullPool}
    if address.drivername in ("postgresql", "postgresql+psycopg", "postgresql+psycopg2"):
        given = set(address.query)
        if "PGCONNECT_TIMEOUT" in os.environ:
            given.add("connect_timeout")
        told["connect_args"] = {key: _LIBPQ[key] for key in _LIBPQ if key not in given}
    return told


def storage_at(address: str) -> optuna.storages.RDBStorage:
    """Optuna's storage; its tables are made where there are none.

    Args:
        address: The record's address.
    """
    deadline = time.monotonic() + MAKING_SECONDS
    while True:
        try:
            return optuna.storages.RDBStorage(address, engine_kwargs=options(address))
        except Exception as error:
            # Another search makes them at this very moment.
            is_making = any(sign in str(error.__cause__ or error) for sign in _BEING_MADE)
            if not is_making or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def patiently(storage: str, work: Callable[[], T]) -> T:
    """Do what can be done twice, again and again while the record's server is away.

    Args:
        storage: The record's address; a file is not waited for.
        work: What to do.
    """
    deadline: float | None = None
    while True:
        try:
            return work()
        except _AWAY as error:
            if sqlalchemy.make_url(storage).get_backend_name() == "sqlite":
                raise
            if deadline is None:
                deadline = time.monotonic() + RECONNECT_SECONDS
                logger.warning(
                    "The record at %s cannot be reached: %s. Trying again for %.0f seconds.",
                    redacted(storage),
                    cause(error),
                    RECONNECT_SECONDS,
                )
            elif time.monotonic() > deadline:
                raise
        time.sleep(RETRY_SECONDS)


@contextmanager
def opening(study: Study) -> Iterator[None]:
    """Around what first meets a record's database.

    Raises:
        StudyError: The database cannot be used; with the reason and what to do about it.
    """
    try:
        yield
    except _UNUSABLE as error:
        raise StudyError(
            f"cannot open the record of trials at {redacted(study.storage)}: "
            f"{_explained(study.storage, error)}",
            file=study.file,
            key="study.storage",
        ) from None


def _explained(storage: str, error: Exception) -> str:
    try:
        address = sqlalchemy.make_url(storage)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return (
            "expected DIALECT+DRIVER://USER@HOST:PORT/DATABASE, for example "
            '"postgresql+psycopg://ann@localhost:5432/tunekit"'
        )
    if _is_misread(address):
        return "write an @ in the password as %40, a / as %2F and a : as %3A"
    if isinstance(error, sqlalchemy.exc.NoSuchModuleError | ImportError):
        if address.drivername.startswith("postgres"):
            return (
                'write "postgresql+psycopg://..." and install its driver: '
                "pip install 'tunekit[postgresql]'"
            )
        return (
            f"SQLAlchemy has no driver for {address.drivername!r} here. Install one, or write "
            '"sqlite:///..." or "postgresql+psycopg://..."'
        )
    said = cause(error)
    if address.get_backend_name() == "sqlite":
        folder = Path(address.database or "").parent
        if not folder.is_dir():
            return f"there is no folder {folder}. Make it, or name another place"
        remedies = [remedy for sign, remedy in _REMEDIES_OF_FILES.items() if sign in said]
        return f"{said}. {[*remedies, 'Name another place'][0]}"
    remedies = [remedy for sign, remedy in _REMEDIES.items() if sign in said]
    return f"{said}. {[*remedies, 'Correct the address, or name another place'][0]}"


def cause(error: Exception) -> str:
    """The first line of a database error, without SQLAlchemy's and Optuna's wrapping."""
    inner = error.__cause__ or error
    return str(getattr(inner, "orig", None) or inner).partition("\n")[0].rstrip(".")


def redacted(storage: str) -> str:
    """A record's address without its password."""
    try:
        address = sqlalchemy.make_url(storage)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return "an address that SQLAlchemy cannot read"
    if _is_misread(address):
        return f"{address.drivername}://***"
    secrets = [key for key in address.query if "password" in key]
    if not (secrets or address.password):
        return storage
    return address.difference_update_query(secrets).render_as_string(hide_password=True)


def without_passwords(text: str) -> str:
    """A text, such as a study file's, with the passwords of the addresses in it left out."""
    text = re.sub(r"(://[^\s/?:@\"']*):\S*@", r"\1:***@", text)
    # To a web server, a user's name may be a token; an odd one ends up where a path would be.
    text = re.sub(r"(https?://)(?![^\s/?:@\"']*:\*\*\*@)[^\s\"']*@", r"\1***@", text)
    return re.sub(r"([?&]\w*(?:password|token|secret|key)=)[^\s&\"']*", r"\1***", text)


def _is_misread(address: sqlalchemy.URL) -> bool:
    """Whether the rest of a password ended up in the wrong part."""
    return any("@" in (part or "") for part in (address.host, address.database)) and (
        address.get_backend_name() != "sqlite"
    )
