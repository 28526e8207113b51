"""Searches that something happens to, for ``faults.py``."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.tracking.faults.conftest import Fault, Proxy, Served

STUDY = """
[study]
name = "faults"
trials = 40
workers = 2
finalists = 1
final_seeds = 1

[data]
source = "sklearn:digits"

[train]
epochs = 60
patience = 0

[network]
depth = 1
width = 64

[search]
optimizer = ["adam", "sgd"]
activation = ["relu", "tanh"]

[sampler]
name = "random"

[pruner]
name = "median"
warmup_epochs = 50

[mlflow]
tracking_uri = "{uri}"
"""


COMMAND = [sys.executable, "-m", "tunekit"]


class Store:
    """Where a search's trials go: a SQLite store, or a server on one."""

    def __init__(self, folder: Path, empty: Path, *, is_served: bool) -> None:
        self.file = folder / "mlflow.db"
        shutil.copy(empty, self.file)
        self._served = Served(self.file) if is_served else None
        self.uri = self._served.url if self._served else f"sqlite:///{self.file}"

    @property
    def server(self) -> Served:
        """The server, where there is one."""
        assert self._served is not None
        return self._served

    def stop(self) -> None:
        """End the server, if there is one."""
        if self._served:
            self._served.stop()


@dataclass
class Scene:
    """One search, and what happens to it.

    Attributes:
        folder: Where the study is.
        store: Where its trials go.
        chance: For what happens at random.
        ended: When the search ended, Unix time.
        kills: How often it was killed.
    """

    folder: Path
    store: Store
    chance: random.Random
    ended: float = 0.0
    kills: int = 0
    _process: subprocess.Popen[bytes] | None = None

    def search(self, uri: str = "", trials: int = 40) -> None:
        """Start the search."""
        (self.folder / "study.toml").write_text(STUDY.format(uri=uri or self.store.uri))
        with (self.folder / "said.txt").open("ab") as said:
            self._process = subprocess.Popen(
                [*COMMAND, "search", "study.toml", "--trials", str(trials)],
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )

    def until(self, recorded: int) -> None:
        """Wait until so many trials are recorded."""
        while self.recorded() < recorded:
            assert self._process is not None
            if self._process.poll() is not None:
                raise RuntimeError(f"the search ended:\n{(self.folder / 'said.txt').read_text()}")
            time.sleep(0.05)

    def until_arrived(self, runs: int) -> None:
        """Wait until so many runs, the study's own included, are in the store."""
        while self._count(self.store.file, "SELECT count(*) FROM runs") < runs:
            time.sleep(0.05)

    def recorded(self) -> int:
        """How many trials are recorded."""
        query = "SELECT count(*) FROM trials WHERE state NOT IN ('RUNNING', 'WAITING')"
        return self._count(self.folder / "optuna.db", query)

    def _count(self, database: Path, query: str) -> int:
        try:
            with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
                return int(opened.execute(query).fetchone()[0])
        except sqlite3.Error:
            return 0

    def end(self) -> None:
        """Wait for the search's end."""
        assert self._process is not None
        code = self._process.wait()
        self.ended = time.time()
        if code:
            raise RuntimeError(f"exit code {code}:\n{(self.folder / 'said.txt').read_text()}")

    def kill(self) -> None:
        """End the search with ``kill -9``, unless it is done."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.kill()
            self.kills += 1
        self._process.wait()

    def sync(self) -> str:
        """Run ``tunekit sync`` and return what it says."""
        done = subprocess.run(
            [*COMMAND, "sync", "study.toml"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        return (done.stdout + done.stderr).strip().replace(str(self.folder), ".")

    def told(self) -> list[str]:
        """What the search told of MLflow."""
        lines = (self.folder / "said.txt").read_text().splitlines()
        return [line.replace(str(self.folder), ".") for line in lines if "MLflow" in line]


# --- cases --------------------------------------------------------------------------------------


def nothing(scene: Scene) -> None:
    """No fault: what the others are measured against."""
    scene.search()
    scene.end()


def server_killed(scene: Scene) -> None:
    """kill -9 of the server in mid-search; it is started again after the search."""
    scene.search()
    scene.until(10)
    scene.until_arrived(5)
    scene.store.server.kill()
    scene.end()
    scene.store.server.start()


def server_never_there(scene: Scene) -> None:
    """No server from the beginning; it is started after the search."""
    scene.store.server.kill()
    scene.search()
    scene.end()
    scene.store.server.start()


def server_restarted(scene: Scene) -> None:
    """kill -9 of the server in mid-search; it is started again while the search goes on."""
    scene.search(trials=100)
    scene.until(10)
    scene.until_arrived(5)
    scene.store.server.kill()
    scene.until(30)
    scene.store.server.start()
    scene.end()


def server_stopped(scene: Scene) -> None:
    """SIGSTOP of the server in mid-search; it goes on after 30 seconds."""
    scene.search(trials=100)
    scene.until(10)
    scene.until_arrived(5)
    scene.store.server.signal(signal.SIGSTOP)
    time.sleep(30)
    scene.store.server.signal(signal.SIGCONT)
    scene.end()


def server_hangs(scene: Scene) -> None:
    """SIGSTOP of the server in mid-search, to the search's end."""
    scene.search()
    scene.until(10)
    scene.until_arrived(5)
    scene.store.server.signal(signal.SIGSTOP)
    scene.end()
    scene.store.server.signal(signal.SIGCONT)


def slow(scene: Scene) -> None:
    """Each request takes a second longer."""
    with Proxy(scene.store.server.port, lambda what, count: Fault(delay=1)) as proxy:
        scene.search(proxy.url)
        scene.end()


def lost_answers(scene: Scene) -> None:
    """The server does all, but every fourth answer is lost, and the first ones of all creations."""

    def rule(what: str, count: int) -> Fault:
        return Fault(loses=count % 4 == 0)

    with Proxy(scene.store.server.port, rule) as proxy:
        scene.search(proxy.url)
        scene.end()


def errors(scene: Scene) -> None:
    """Every third request is answered with 500, 503 or 429."""

    def rule(what: str, count: int) -> Fault:
        return Fault(status=(500, 503, 429)[count // 3 % 3] if count % 3 == 0 else 0)

    with Proxy(scene.store.server.port, rule) as proxy:
        scene.search(proxy.url)
        scene.end()


def server_store_replaced(scene: Scene) -> None:
    """The server comes back on a store of before the search."""
    before = scene.folder / "before.db"
    shutil.copy(scene.store.file, before)
    scene.search(trials=100)
    scene.until(10)
    scene.until_arrived(5)
    scene.store.server.kill()
    before.replace(scene.store.file)
    scene.store.server.start()
    scene.end()


def disk_full(scene: Scene) -> None:
    """The store's disk is full in mid-search, and has room again later."""
    ballast = _small_disk(scene)
    scene.search(trials=100)
    scene.until(10)
    scene.until_arrived(5)
    _fill(ballast)
    scene.until(60)
    ballast.unlink()
    scene.end()


def disk_full_to_the_end(scene: Scene) -> None:
    """The store's disk is full from mid-search on."""
    ballast = _small_disk(scene)
    scene.search()
    scene.until(10)
    scene.until_arrived(5)
    _fill(ballast)
    scene.end()
    ballast.unlink()


def store_deleted(scene: Scene) -> None:
    """mlflow.db is deleted in mid-search."""
    scene.search()
    scene.until(15)
    scene.store.file.unlink()
    scene.end()


def store_deleted_after(scene: Scene) -> None:
    """mlflow.db is deleted after the search."""
    scene.search()
    scene.end()
    scene.store.file.unlink()


def older_copy(scene: Scene) -> None:
    """An older copy of mlflow.db takes its place in mid-search."""
    _go_back(scene, lambda older: older.replace(scene.store.file))


def older_copy_inside(scene: Scene) -> None:
    """An older copy is written over mlflow.db, into the same file."""
    _go_back(scene, lambda older: shutil.copyfile(older, scene.store.file))


def older_copy_after(scene: Scene) -> None:
    """An older copy of mlflow.db takes its place after the search."""
    scene.search()
    scene.until(10)
    scene.until_arrived(5)
    older = _copied(scene)
    scene.end()
    older.replace(scene.store.file)


def read_only(scene: Scene) -> None:
    """mlflow.db cannot be written to during the search; root may do all, so it is mounted so."""
    place = scene.store.file.parent
    subprocess.run(["mount", "--bind", place, place], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        scene.search()
        scene.end()
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def locked(scene: Scene) -> None:
    """Another process holds mlflow.db for 30 seconds."""
    scene.search(trials=100)
    scene.until(10)
    scene.until_arrived(5)
    with closing(sqlite3.connect(scene.store.file, timeout=60, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        time.sleep(30)
        other.execute("ROLLBACK")
    scene.end()


def search_killed(scene: Scene) -> None:
    """kill -9 of the search at ten random moments, and the same command again each time."""
    for _ in range(10):
        scene.search()
        time.sleep(scene.chance.uniform(1, 8))
        scene.kill()
    scene.search()
    scene.end()


def _go_back(scene: Scene, put: Callable[[Path], object]) -> None:
    scene.search()
    scene.until(10)
    scene.until_arrived(5)
    older = _copied(scene)
    scene.until(25)
    put(older)
    scene.end()


def _copied(scene: Scene) -> Path:
    older = scene.folder / "older.db"
    with closing(sqlite3.connect(scene.store.file)) as now, closing(sqlite3.connect(older)) as copy:
        now.backup(copy)
    return older


def _small_disk(scene: Scene) -> Path:
    place = scene.store.file.parent
    empty = scene.folder / "empty.db"
    shutil.copy(scene.store.file, empty)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], check=True)
    shutil.copy(empty, scene.store.file)
    return place / "ballast"


def _fill(ballast: Path) -> None:
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


SERVED = (
    nothing,
    server_killed,
    server_never_there,
    server_restarted,
    server_stopped,
    server_hangs,
    slow,
    lost_answers,
    errors,
    server_store_replaced,
    search_killed,
)
LOCAL = (
    nothing,
    disk_full,
    disk_full_to_the_end,
    store_deleted,
    store_deleted_after,
    older_copy,
    older_copy_inside,
    older_copy_after,
    read_only,
    locked,
    search_killed,
)
