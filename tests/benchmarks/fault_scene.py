"""A real search and where its trials go, for ``faults.py``."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.tracking.faults.conftest import Served

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
