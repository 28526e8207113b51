"""Who holds a study: only one search at a time asks, tells and writes its record."""

from __future__ import annotations

import datetime
import getpass
import hashlib
import json
import logging
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import filelock
import sqlalchemy
from sqlalchemy import text

from tunekit.errors import StudyError
from tunekit.search.database import opening, options, patiently
from tunekit.study.addresses import sqlite_file
from tunekit.study.study import Study

logger = logging.getLogger("tunekit")

PATIENCE = 1.0
"""Seconds in which a search that was killed a moment ago is gone."""
PATIENCE_AGAIN = 90.0
"""Seconds in which a server notices that a network took a connection away."""


class Hold(Protocol):
    """A study that is held."""

    def check(self, is_unchanged: Callable[[], bool]) -> None:
        """See that the study is still held; to be called before the record is written.

        Args:
            is_unchanged: Whether the record is as this search knows it; asked when the hold was
                lost for a while.

        Raises:
            StudyError: The connection was lost, and another search has the study or had it.
        """


@dataclass(frozen=True)
class Holder:
    """Who searches a study.

    Attributes:
        pid: The process.
        host: Its machine.
        user: Whose process it is.
        since: When the search began, in ISO 8601 with the offset from UTC.
    """

    pid: int
    host: str
    user: str
    since: str

    @classmethod
    def here(cls) -> Holder:
        """This process, now."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError, ImportError):  # a container's user need not have a name
            user = "unknown"
        now = datetime.datetime.now().astimezone()
        return cls(os.getpid(), socket.gethostname(), user, now.isoformat(timespec="seconds"))

    def __str__(self) -> str:
        since = datetime.datetime.fromisoformat(self.since).astimezone()
        is_here = self.pid == os.getpid() and socket.gethostname().startswith(self.host)
        who = "this very process" if is_here else f"process {self.pid}"
        return f"{who} of user {self.user} on {self.host} since {since:%Y-%m-%d %H:%M:%S}"


@contextmanager
def held(study: Study) -> Iterator[Hold]:
    """Hold a study for a search; to be entered before anything is written.

    The hold ends with the process, however that ends: the operating system drops the lock on a
    file beside a SQLite record, PostgreSQL the lock of a connection. Other databases and a
    record in memory are not locked, and neither is a folder whose file system has no locks;
    there two searches on one study are up to the user.

    Args:
        study: The study, known by its storage and name.

    Raises:
        StudyError: Another search holds the study, or its server cannot be reached.
    """
    file = sqlite_file(study.storage)
    if file is not None:
        with _file_held(study, file) as unlosable:
            yield unlosable
        return
    with opening(study):
        is_postgresql = sqlalchemy.make_url(study.storage).get_backend_name() == "postgresql"
        server = _ServerHold(study) if is_postgresql else None
    if server is None:
        logger.debug("No lock is known for this record; a second search would not be noticed.")
        yield _Unlosable()
        return
    try:
        yield server
    finally:
        server.close()


def _taken(study: Study, holder: object) -> StudyError:
    return StudyError(
        f"the study {study.name!r} is being searched by {holder}. Wait until that search is "
        "done, or stop it (what it has finished is kept, and this command goes on from there), "
        "or give this study another name",
        file=study.file,
        key="study.name",
    )


def _taken_meanwhile(study: Study) -> StudyError:
    return StudyError(
        f"the study {study.name!r} was searched by another search meanwhile: the connection to "
        "its server was lost for a while. What is recorded is kept, and the same command goes on "
        "from there",
        file=study.file,
        key="study.name",
    )


class _Unlosable:
    """A hold that ends with the process at the earliest."""

    def check(self, is_unchanged: Callable[[], bool]) -> None:
        """Nothing can have happened."""


@contextmanager
def _file_held(study: Study, database: Path) -> Iterator[Hold]:
    lock: filelock.BaseFileLock | None = None
    try:
        path = _lock_file(database, study.name)
        if path.parent.is_dir():  # filelock would make the folder
            lock = filelock.FileLock(
                path,
                timeout=PATIENCE,
                thread_local=False,
                fallback_to_soft=False,  # a soft lock outlives a killed process
                on_acquired=_write_holder,
            )
            lock.acquire()
    except filelock.Timeout:
        raise _taken(study, _read_holder(path)) from None
    except (OSError, ValueError) as error:
        lock = None
        # Where no file can be written the record says so itself.
        level = logging.WARNING if os.access(database.parent, os.W_OK) else logging.DEBUG
        logger.log(
            level,
            "The study cannot be locked (%s). See that no second search runs on it.",
            error,
        )
    try:
        yield _Unlosable()
    finally:
        if lock is not None:
            if sys.platform != "win32":  # where filelock itself removes the file
                # While it is locked: whoever waits for it then sees that the file is gone.
                with suppress(OSError):
                    path.unlink()
            lock.release()


def _lock_file(database: Path, name: str) -> Path:
    """Beside the database itself, wherever links to it lie."""
    database = database.resolve()
    readable = re.sub(r"[^\w.-]+", "_", name)[:40]
    if readable != name:
        readable += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return database.with_name(f"{database.name}.{readable}.lock")


def _write_holder(descriptor: int) -> None:
    # The first byte is the locked one on Windows, where nobody else may read it.
    os.ftruncate(descriptor, 0)
    os.write(descriptor, b"\n" + json.dumps(asdict(Holder.here())).encode())


def _read_holder(path: Path) -> Holder | str:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(1)
            return Holder(**json.loads(file.read()))
    except (OSError, ValueError, TypeError):
        return "another process"


_TRY = text("SELECT pg_try_advisory_lock(:key)")
# The two halves of the key are how the server shows it. Of another role's connection it shows
# little more than this name.
_WHO = text(
    "SELECT a.application_name FROM pg_locks l"
    " JOIN pg_stat_activity a ON a.pid = l.pid"
    " JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
    " AND l.classid = CAST(:high AS oid) AND l.objid = CAST(:low AS oid)"
)
# The lock's connection idles for hours, and must end soon after its client's machine does.
_SETTINGS = {
    "idle_session_timeout": "0",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_SET = text(
    "SELECT set_config(name, :value, false) FROM pg_settings WHERE name = :name"  # as far as known
)
_APPLICATION = re.compile(r"tunekit (\d+) (\d+) (\S+) (.*)")


class _ServerHold:
    """An advisory lock of PostgreSQL, on a connection of its own."""

    def __init__(self, study: Study) -> None:
        self._study = study
        here = Holder.here()
        # PostgreSQL keeps 63 bytes of it.
        began = int(datetime.datetime.fromisoformat(here.since).timestamp())
        self._application = f"tunekit {here.pid} {began} {here.host[:25]} {here.user}"
        self._engine = sqlalchemy.create_engine(
            study.storage,
            isolation_level="AUTOCOMMIT",
            **options(study.storage),
        )
        self._connection = self._take(PATIENCE)
        self._lost: StudyError | None = None

    def _take(self, patience: float) -> sqlalchemy.Connection:
        connection = self._engine.connect()
        try:
            for name, value in {**_SETTINGS, "application_name": self._application}.items():
                connection.execute(_SET, {"name": name, "value": value})
            # Databases hold advisory locks apart; schemas are ours to hold apart.
            schema = connection.scalar(text("SELECT current_schema()"))
            digest = hashlib.sha256(f"tunekit {schema} {self._study.name}".encode()).digest()
            key = int.from_bytes(digest[:8], "big", signed=True)
            deadline = time.monotonic() + patience
            while not connection.scalar(_TRY, {"key": key}):
                if time.monotonic() > deadline:
                    raise _taken(self._study, _server_holder(connection, digest))
                time.sleep(0.05)
        except BaseException:
            connection.close()
            raise
        return connection

    def check(self, is_unchanged: Callable[[], bool]) -> None:
        """See that the connection is there, or take the study again if it is what it was."""
        if self._lost is not None:
            raise self._lost
        try:
            self._connection.execute(text("SELECT 1"))
        except sqlalchemy.exc.SQLAlchemyError:  # also that an earlier check has closed it
            with suppress(sqlalchemy.exc.SQLAlchemyError):
                self._connection.close()
            try:
                self._connection = patiently(
                    self._study.storage, lambda: self._take_again(is_unchanged)
                )
            except StudyError as lost:
                self._lost = lost
                raise

    def _take_again(self, is_unchanged: Callable[[], bool]) -> sqlalchemy.Connection:
        connection = self._take(PATIENCE_AGAIN)
        try:
            # Only now: while the study is not held, what is true of it may change.
            if not is_unchanged():
                raise _taken_meanwhile(self._study)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Let go of the study."""
        with suppress(sqlalchemy.exc.SQLAlchemyError):
            self._connection.close()
        self._engine.dispose()


def _server_holder(connection: sqlalchemy.Connection, digest: bytes) -> Holder | str:
    halves = {
        "high": int.from_bytes(digest[:4], "big"),
        "low": int.from_bytes(digest[4:8], "big"),
    }
    application = connection.scalar(_WHO, halves)
    match = _APPLICATION.fullmatch(application or "")
    if match is None:
        return "another process"
    since = datetime.datetime.fromtimestamp(int(match[2])).astimezone()
    return Holder(int(match[1]), match[3], match[4], since.isoformat())
