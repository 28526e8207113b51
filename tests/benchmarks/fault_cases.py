"""What happens to searches, for ``faults.py``."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from tests.benchmarks.fault_scene import Scene
from tests.tracking.faults.conftest import Fault, Proxy


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
    scene.search(trials=200)
    scene.until(10)
    scene.until_arrived(5)
    scene.store.server.kill()
    scene.until(30)
    scene.store.server.start()
    scene.end()


def server_stopped(scene: Scene) -> None:
    """SIGSTOP of the server in mid-search; it goes on after 30 seconds."""
    scene.search(trials=200)
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
    scene.search(trials=200)
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
    scene.search(trials=200)
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
