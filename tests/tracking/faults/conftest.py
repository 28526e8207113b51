"""Real servers with faults, and what a store holds against what follows from a record."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tunekit.records import FinishedTrial, StudyInfo
from tunekit.tracking import content
from tunekit.tracking.projection import PARENT_TAG
from tunekit.tracking.server import serve

Rows = dict[str, list[tuple[Any, ...]]]

# --- what a store holds --------------------------------------------------------------------------


def dump(store: Path) -> Rows:
    """Every row of every table of a SQLite store."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: sorted(database.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for (name,) in names
        }


@dataclass
class Difference:
    """What a store holds, against what follows from a record.

    Attributes:
        runs: Runs of trials; deleted ones do not count, here and below.
        missing: Trials without a run.
        doubled: Runs beyond the first, of a trial or of the study.
        running: Runs that have not ended.
        rows: Values of metrics that follow from the record.
        params: Parameters that follow from the record.
        tags: Tags that follow from the record.
        wrong: How many of what are too many, too few or other ones.
    """

    runs: int = 0
    missing: int = 0
    doubled: int = 0
    running: int = 0
    rows: int = 0
    params: int = 0
    tags: int = 0
    wrong: Counter[str] = field(default_factory=Counter)

    @property
    def is_none(self) -> bool:
        """Whether the store is what follows from the record."""
        return not (self.missing or self.doubled or self.running or self.wrong.total())


def difference(store: Path, trials: Sequence[FinishedTrial]) -> Difference:
    """Compare a SQLite store of one study, whose objective is maximized, with the trials."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:

        def by_run(columns: str, table: str) -> Rows:
            found: Rows = defaultdict(list)
            for run, *row in database.execute(f"SELECT run_uuid, {columns} FROM {table}"):
                found[run].append(tuple(row))
            return found

        runs = by_run("status, lifecycle_stage", "runs")
        tags: dict[str, dict[str, str]] = {
            run: dict(rows) for run, rows in by_run("key, value", "tags").items()
        }
        params = by_run("key, value", "params")
        metrics = by_run("key, value, timestamp, step", "metrics")
    alive = [run for run, ((_, stage),) in runs.items() if stage == "active"]
    status = {run: runs[run][0][0] for run in alive}
    parents = [run for run in alive if content.TRIAL_TAG not in tags[run]]
    of: dict[int, list[str]] = defaultdict(list)
    for run in set(alive) - set(parents):
        of[int(tags[run][content.TRIAL_TAG])].append(run)
    found = Difference(
        runs=len(alive) - len(parents),
        missing=sum(trial.number not in of for trial in trials) + (not parents),
        doubled=sum(len(same) - 1 for same in [*of.values(), parents] if same),
        running=list(status.values()).count("RUNNING"),
    )
    found.wrong["trials"] = len(of.keys() - {trial.number for trial in trials})
    for trial in trials:
        points = set(content.points(trial))
        found.rows += len(points)
        found.params += len(content.parameters(trial))
        found.tags += len(content.tags(trial))
        for run in of[trial.number]:
            found.wrong["values"] += len(points ^ set(metrics[run]))
            found.wrong["params"] += len(content.parameters(trial).items() ^ set(params[run]))
            own = {name: tag for name, tag in tags[run].items() if not name.startswith("mlflow.")}
            found.wrong["tags"] += len(content.tags(trial).items() ^ own.items())
            found.wrong["parents"] += tags[run][PARENT_TAG] not in parents
            found.wrong["states"] += status[run] not in ("RUNNING", content.STATUS[trial.state])
    progress = set(_progress(trials))
    found.rows += len(progress)
    for run in parents:
        own_rows = {row for row in metrics[run] if row[0] in ("objective", "best")}
        found.wrong["values"] += len(progress ^ own_rows)
    return found


def _progress(trials: Sequence[FinishedTrial]) -> Iterator[tuple[str, float, int, int]]:
    best = -float("inf")
    for trial in trials:
        if trial.state == "complete" and trial.value is not None and trial.violation == 0:
            best, end = max(best, trial.value), content.milliseconds(trial.finished)
            yield ("objective", trial.value, end, trial.number)
            yield ("best", best, end, trial.number)


# --- faults --------------------------------------------------------------------------------------


class Served:
    """A server on a SQLite store, on one port for as long as it lives.

    Args:
        store: The store's file.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def artifacts(self) -> Path:
        """Where it keeps artifacts."""
        return self.store.parent / "artifacts"

    def start(self) -> None:
        """Start it, also again."""
        self._server = serve(f"sqlite:///{self.store}", str(self.artifacts), port=self.port)
        assert self._server.base == self.url

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes."""
        assert self._server._process is not None
        os.killpg(self._server._process.pid, number)

    def kill(self) -> None:
        """End it with ``kill -9``."""
        self.signal(signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """End it, if it is there."""
        self._server.stop()
        with socket.socket() as probe:
            while probe.connect_ex(("127.0.0.1", self.port)) == 0:
                time.sleep(0.05)


@dataclass(frozen=True)
class Fault:
    """What a proxy does to a request.

    Attributes:
        delay: Seconds before it is passed on.
        status: What is answered instead of passing it on, or 0.
        loses: Whether the server's answer is thrown away.
    """

    delay: float = 0.0
    status: int = 0
    loses: bool = False


Rule = Callable[[str, int], Fault]
"""From the last two parts of a request's path ("runs/create") and how many of these came before, to
what is done to it."""


class Proxy(ThreadingHTTPServer):
    """Stands in front of a server.

    Args:
        behind: The server's port.
        rule: What is done to requests.

    Attributes:
        counts: How many requests there were, by the last two parts of their path.
        faults: To how many something was done.
    """

    daemon_threads = True

    def __init__(self, behind: int, rule: Rule) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.behind, self.rule = behind, rule
        self.counts: Counter[str] = Counter()
        self.faults = 0
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Passing(BaseHTTPRequestHandler):
    server: Proxy

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        what = "/".join(self.path.partition("?")[0].split("/")[-2:])
        fault = self.server.rule(what, self.server.counts[what])
        self.server.counts[what] += 1
        self.server.faults += fault != Fault()
        time.sleep(fault.delay)
        status, answer, kind = fault.status, b"{}", "application/json"
        if not status:
            behind = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
            headers = {n: v for n, v in self.headers.items() if n.lower() != "host"}
            try:
                behind.request(self.command, self.path, body, headers)
                answered = behind.getresponse()
                status, answer = answered.status, answered.read()
                kind = answered.getheader("Content-Type", kind)
            except (OSError, http.client.HTTPException):
                return
            finally:
                behind.close()
        if fault.loses:
            return
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


# --- fixtures ------------------------------------------------------------------------------------


def put_back(copy: Path, store: Path) -> None:
    """Write a copy over a store that is open, as restoring a backup does."""
    with closing(sqlite3.connect(copy)) as older, closing(sqlite3.connect(store)) as now:
        older.backup(now)


@pytest.fixture(scope="module")
def server(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    store = tmp_path_factory.mktemp("server") / "mlflow.db"
    shutil.copy(empty_store, store)
    server = Served(store)
    yield server
    server.stop()


@pytest.fixture
def served(server: Served, empty_store: Path, study: StudyInfo) -> StudyInfo:
    """The study, to be brought to a server whose store is empty."""
    put_back(empty_store, server.store)
    return replace(study, tracking_uri=server.url, artifact_root=None)


@pytest.fixture
def fault() -> type[Fault]:
    return Fault


@pytest.fixture
def proxied(server: Served) -> Callable[[Rule], Proxy]:
    """A proxy in front of the server, to be entered."""
    return lambda rule: Proxy(server.port, rule)


@pytest.fixture(scope="session")
def compared() -> Callable[[Path, Sequence[FinishedTrial]], Difference]:
    """`difference`."""
    return difference


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Path], Rows]:
    """`dump`."""
    return dump


@pytest.fixture(scope="session")
def restored() -> Callable[[Path, Path], None]:
    """`put_back`."""
    return put_back
