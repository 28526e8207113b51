"""The team's tracking server as people start it: PostgreSQL, serve.sh, names and passwords."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "mlflow" / "serve.sh"
PASSWORDS = {
    "PGPASSWORD": "pg-Zebra7391-secret",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "admin-Zebra7391-secret",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "flask-Zebra7391-secret",
}
ADMIN = PASSWORDS["MLFLOW_AUTH_ADMIN_PASSWORD"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(is_so: Callable[[], object], log: Path, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.05)


@contextmanager
def process(
    command: list[str],
    log: Path,
    end: signal.Signals,
    *,
    user: str | None = None,
    env: dict[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that ends, with all that it started, when the block does."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            command,
            cwd=log.parent,
            env=env,
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield started
        finally:
            os.killpg(started.pid, end)
            started.wait()


@pytest.fixture(scope="session")
def postgresql(postgresql_programs: Path) -> Iterator[dict[str, str]]:
    """PostgreSQL's own variables for a private server, with empty databases."""
    # Not pytest's folder: the server's user may not enter that.
    with tempfile.TemporaryDirectory(prefix="tunekit-server-") as name:
        folder = Path(name)
        user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        if user:
            shutil.chown(folder, user)
        (folder / "password").write_text(PASSWORDS["PGPASSWORD"])
        port = free_port()
        make = "initdb -D data -U mlflow -A scram-sha-256 -E UTF8 --no-locale --no-sync"
        serve = f"postgres -D data -h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
        program, *options = make.split()
        subprocess.run(
            [str(postgresql_programs / program), *options, "--pwfile=password"],
            cwd=folder,
            user=user,
            check=True,
            capture_output=True,
        )
        program, *options = serve.split()
        reach = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
            "PGUSER": "mlflow",
            "PGPASSWORD": PASSWORDS["PGPASSWORD"],
        }
        command = [str(postgresql_programs / program), *options]
        with process(command, folder / "log", signal.SIGINT, user=user):
            for database in ("mlflow", "record", "direct"):
                create = [str(postgresql_programs / "createdb"), database]

                def is_made(command: list[str] = create) -> bool:
                    done = subprocess.run(command, env=reach, check=False, capture_output=True)
                    return done.returncode == 0

                wait_for(is_made, folder / "log")
            yield reach


@dataclass(frozen=True)
class Team:
    """The running server.

    Attributes:
        settings: What it was told by its environment.
    """

    settings: dict[str, str]
    log: Path

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.settings['MLFLOW_PORT']}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def artifacts(self) -> Path:
        return Path(self.settings["MLFLOW_ARTIFACTS_DESTINATION"])

    def ask(
        self, path: str, body: bytes | None = None, password: str = ADMIN, **headers: str
    ) -> int:
        """The status with which the server answers the admin."""
        request = urllib.request.Request(f"{self.url}{path}", body, headers)
        request.add_header("Content-Type", "application/json")
        told = b64encode(f"admin:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {told}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code


def settings(**changes: str | None) -> dict[str, str]:
    """An environment for serve.sh; None takes a variable away."""
    kept = {name: os.environ[name] for name in ("LANG", "HOME") if name in os.environ}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {**kept, "PATH": path, "PGDATABASE": "mlflow", **PASSWORDS, **changes}
    return {name: value for name, value in given.items() if value is not None}


@pytest.fixture(scope="session")
def team(postgresql: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    told = settings(
        **postgresql,
        MLFLOW_ARTIFACTS_DESTINATION=str(folder / "artifacts"),
        MLFLOW_PORT=str(free_port()),
        MLFLOW_WORKERS="1",
    )
    names = f"127.0.0.1:{told['MLFLOW_PORT']},team.example"
    told["MLFLOW_SERVER_ALLOWED_HOSTS"] = names
    told["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] = "https://team.example"
    team = Team(told, folder / "log")
    with process([str(SCRIPT)], team.log, signal.SIGKILL, env=told) as running:

        def is_up() -> bool:
            assert running.poll() is None, team.log.read_text()
            try:
                return team.ask("/health") == 200
            except OSError:
                return False

        wait_for(is_up, team.log)
        yield team


STUDY = """
[study]
name = "{name}"
storage = "{storage}"
trials = {trials}
workers = 0
finalists = 1
final_seeds = 1

[data]
source = "sklearn:iris"
validation = 0.3

[train]
epochs = 3

[search]
optimizer = ["adam", "sgd"]

[mlflow]
tracking_uri = "{uri}"
"""


@dataclass
class Person:
    """Somebody who searches, in a folder of their own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(
        self, uri: str, name: str = "iris", storage: str = "sqlite:///optuna.db", trials: int = 3
    ) -> None:
        text = STUDY.format(name=name, storage=storage, trials=trials, uri=uri)
        (self.folder / "study.toml").write_text(text)

    def start(self, command: str) -> subprocess.Popen[str]:
        own = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
        return subprocess.Popen(
            [sys.executable, "-m", "tunekit", *command.split()],
            cwd=self.folder,
            env=own | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A tunekit command, to its end."""
        with self.start(command) as running:
            out, err = running.communicate(timeout=300)
        return subprocess.CompletedProcess(command, running.returncode, out, err)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)
