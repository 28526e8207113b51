"""The MLflow UI on a local store: a server for one person, on this machine only."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType, TracebackType
from typing import IO

from tunekit.errors import InputError, WorkError
from tunekit.tracking.client import SETTINGS, local_path, redacted
from tunekit.tracking.view import Located, view_url

__all__ = ["Located", "Server", "serve", "view_url"]

ATTEMPTS = 3  # at a port that somebody else might take
STARTING_SECONDS = 90.0
STOPPING_SECONDS = 5.0


class Server:
    """A running MLflow server; leaving its ``with`` block stops it.

    Inside the block, a closed terminal and a polite kill act as Ctrl-C does.

    Attributes:
        base: Its address, such as ``"http://127.0.0.1:5000"``.
    """

    def __init__(
        self,
        base: str,
        process: subprocess.Popen[bytes] | None = None,
        signals: ExitStack | None = None,
    ) -> None:
        self.base = base
        self._process = process
        self._signals = signals or ExitStack()
        self._leaving = ExitStack()

    def __enter__(self) -> Server:
        self._leaving.enter_context(_ending_as_interrupt())
        self._leaving.callback(self.stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving.close()

    @property
    def is_ours(self) -> bool:
        """Whether the server was started here; if not, there is nothing to wait for or stop."""
        return self._process is not None

    def wait(self) -> None:
        """Block until the server ends by itself; Ctrl-C raises KeyboardInterrupt."""
        if self._process is not None:
            self._process.wait()

    def stop(self) -> None:
        """End the server and every process that it started."""
        process = self._process
        if process is None:
            return
        self._process = None
        _signal_group(process, signal.SIGTERM)
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOPPING_SECONDS)
        finally:
            # What did not listen, and what the first process left behind.
            _signal_group(process, signal.SIGKILL)
            process.wait()
            self._signals.close()


def serve(
    tracking_uri: str,
    artifact_root: str | None,
    host: str = "127.0.0.1",
    port: int = 5000,
) -> Server:
    """Start the MLflow UI on a store and wait until it answers.

    Args:
        tracking_uri: The store. Where it is a server already, nothing is started.
        artifact_root: Where the store keeps artifacts, or None for MLflow's default.
        host: The address to listen on; by default nobody else can reach it.
        port: The first port to try.

    Raises:
        InputError: There is no store yet.
        WorkError: The server does not start; the message has the end of its output.
    """
    if tracking_uri.startswith(("http://", "https://")):
        return Server(redacted(tracking_uri).rstrip("/"))
    store = local_path(tracking_uri)
    if store is not None and not store.exists():
        raise InputError(
            "no results yet: run `tunekit search` with this study first", file=str(store)
        )
    for attempt in range(ATTEMPTS):
        try:
            return _start(tracking_uri, artifact_root, host, _free_port(host, port + attempt))
        except _PortTakenError:
            continue
    raise WorkError(f"the ports of {host} from {port} on are taken as soon as they are free")


class _PortTakenError(Exception):
    """Another process took the port while the server was starting, which takes seconds."""


def _start(tracking_uri: str, artifact_root: str | None, host: str, port: int) -> Server:
    # For as long as the server runs, so that there is no moment in which it could be left behind.
    signals = ExitStack()
    signals.enter_context(_ending_as_interrupt())
    with tempfile.TemporaryFile() as output:
        process = _launch(tracking_uri, artifact_root, host, port, output)
        server = Server(f"http://{host}:{port}", process, signals)
        try:
            _await_health(server, host, port, output)
        except BaseException:
            server.stop()
            raise
    return server


def _launch(
    tracking_uri: str, artifact_root: str | None, host: str, port: int, output: IO[bytes]
) -> subprocess.Popen[bytes]:
    environment = SETTINGS | dict(os.environ)
    # By the environment, as command lines are public and an address may hold a password.
    environment["MLFLOW_BACKEND_STORE_URI"] = tracking_uri
    if artifact_root is not None:
        environment["MLFLOW_ARTIFACTS_DESTINATION"] = artifact_root
    # Measured: 4 s and 0.4 GB to start instead of 10 s and 1.6 GB.
    environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    return subprocess.Popen(
        [*command, "--host", host, "--port", str(port)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # the server starts more processes; all end together
    )


def _await_health(server: Server, host: str, port: int, output: IO[bytes]) -> None:
    process = server._process
    assert process is not None
    deadline = time.monotonic() + STARTING_SECONDS
    while not _is_healthy(host, port):
        if process.poll() is not None:
            if "address already in use" in _tail(output):
                raise _PortTakenError
            raise WorkError(f"the MLflow server ended while it started:\n{_tail(output)}")
        if time.monotonic() > deadline:
            raise WorkError(
                f"the MLflow server did not answer within {STARTING_SECONDS:.0f} seconds:\n"
                f"{_tail(output)}"
            )
        time.sleep(0.1)


def _is_healthy(host: str, port: int) -> bool:
    # Not by urllib: a proxy that the user's environment names must not be asked.
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(output: IO[bytes], lines: int = 15) -> str:
    output.seek(0)
    text = output.read().decode(errors="replace")
    return redacted("\n".join(text.splitlines()[-lines:])) or "(it said nothing)"


def _free_port(host: str, first: int) -> int:
    for port in range(first, min(first + 100, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise WorkError(f"no free port on {host} from {first} on; name another one")


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextmanager
def _ending_as_interrupt() -> Iterator[None]:
    """A closed terminal or a polite kill ends the wait as Ctrl-C does, so the server is stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python hands signals to the main thread only
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # SIGINT too: a shell that starts a command in the background has it ignored.
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
