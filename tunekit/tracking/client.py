"""MLflow's client: imported late, kept silent, with passwords out of what it says."""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tunekit.errors import WorkError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# What the user set wins. MLflow's own values let a search hang for minutes when the server is gone.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}

_REFUSALS = {
    401: "it wants a user name and a password, or other ones than it was given: set "
    "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    403: "it does not let this user write there: ask for the permission EDIT on the experiment, or "
    "name another one",
    421: "it does not answer to this name: its MLFLOW_SERVER_ALLOWED_HOSTS must have it",
}

_TALKATIVE = ("mlflow", "alembic", "sqlalchemy", "urllib3")
_UNHEARD = rf"({'|'.join(_TALKATIVE)})\b"
_levels = list[dict[str, int]]()  # those before the first one inside, one entry for each inside
_changing = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """MLflow, loaded, and nothing that it and its libraries log or warn about meets the user.

    Several threads may be inside at the same time.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    # For good: `warnings.catch_warnings` is for one thread at a time.
    if not any(getattr(entry[3], "pattern", None) == _UNHEARD for entry in warnings.filters):
        warnings.filterwarnings("ignore", module=_UNHEARD)
    # Before the levels are changed: the import sets its own.
    import mlflow  # noqa: F401

    with _changing:
        _levels.append({name: logging.getLogger(name).level for name in _TALKATIVE})
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        with _changing:
            # Whoever leaves last leaves the levels as the first one found them.
            before = _levels.pop() if len(_levels) == 1 else _levels.pop(1)
            if not _levels:
                for name, level in before.items():
                    logging.getLogger(name).setLevel(level)


def connect(tracking_uri: str) -> MlflowClient:
    """A client of that store; a SQLite store that is not there yet is created."""
    from mlflow import MlflowClient

    path = local_path(tracking_uri)
    if tracking_uri.startswith("sqlite:") and path is not None and not path.exists():
        if not path.parent.is_dir():
            raise WorkError(f"there is no folder {path.parent}; make it")
        _create(path)
        # This process may have had the file open that was there before.
        disconnect(MlflowClient(tracking_uri))
    return MlflowClient(tracking_uri)


def disconnect(client: MlflowClient) -> None:
    """Close the connections to a store that is a file; MLflow keeps them for the next client."""
    engine = getattr(client._tracking_client.store, "engine", None)
    if engine is not None:
        engine.dispose()


def _create(path: Path) -> None:
    """Create a SQLite store, whole or not at all.

    It takes MLflow seconds, and one that a kill left half made it can never open again.
    """
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory(prefix="tunekit-", ignore_cleanup_errors=True) as folder:
        made = Path(folder) / path.name
        MlflowClient(f"sqlite:///{made}")._tracking_client.store.engine.dispose()
        near = path.with_name(f".{path.name}.{os.getpid()}")
        shutil.copyfile(made, near)
        if path.exists():  # another search was faster
            near.unlink()
        else:
            near.replace(path)


def find_runs(client: MlflowClient, experiment_id: str, query: str) -> list[Run]:
    """All runs that MLflow's filter `query` selects, the oldest first."""
    return [run for page in pages_of_runs(client, experiment_id, query) for run in page]


def pages_of_runs(client: MlflowClient, experiment_id: str, query: str) -> Iterator[list[Run]]:
    """The same, a thousand at a time: a page takes MLflow seconds."""
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id],
            query,
            max_results=1000,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        yield page
        token = page.token
        if not token:
            return


def quoted(text: str) -> str:
    """A text as MLflow's filters take it."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def local_path(tracking_uri: str) -> Path | None:
    """The file or folder that holds a local store, or None for a database or HTTP server."""
    if tracking_uri.startswith("sqlite:"):
        # sqlite:///relative, sqlite:////absolute
        path = tracking_uri.partition("?")[0].partition(":///")[2]
        return Path(path)
    if tracking_uri.startswith("file:"):
        return Path(unquote(urlsplit(tracking_uri).path))
    return None if "://" in tracking_uri else Path(tracking_uri)


def store_file(tracking_uri: str) -> tuple[int, int] | None:
    """Which file a local store is in at the moment; None for a server, or if there is none."""
    path = local_path(tracking_uri)
    try:
        at = path.stat() if path is not None else None
    except OSError:
        return None
    return None if at is None else (at.st_dev, at.st_ino)


def redacted(text: str) -> str:
    """`text` with the user names, passwords and options of the addresses in it left out."""
    text = re.sub(r"://\S*@", "://", text)
    return re.sub(r"(://[^\s?]*)\?\S*", r"\1", text)


def told(error: Exception) -> str:
    """An exception in one line that is safe to show."""
    status = getattr(error, "get_http_status_code", lambda: 0)()
    if status in _REFUSALS:
        return _REFUSALS[421 if "Invalid Host" in str(error) else status]
    cause: BaseException = error
    while deeper := cause.__cause__ or cause.__context__:
        cause = deeper
    if isinstance(cause, OSError) and not isinstance(error, OSError):
        # What MLflow says of it is a long chain of whoever passed it on.
        no_answer = isinstance(cause, TimeoutError)
        return "no answer in time" if no_answer else redacted(str(cause.strerror or cause))
    # Of a request that was repeated: (Caused by ResponseError('too many 503 error responses')).
    if caused := re.search(r"Caused by \w+\(['\"](.*?)['\"]", str(error)):
        return redacted(caused[1])
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # SQLAlchemy may say first what it was doing; "(sqlite3.OperationalError) ..." is the cause.
    causes = [line for line in lines if re.match(r"\([\w.]+(Error|Exception)\) ", line)]
    return redacted([*causes, *lines][0])[:300]


def failure(tracking_uri: str, error: Exception) -> str:
    """One line on what went wrong with MLflow, without credentials."""
    return f"MLflow at {redacted(tracking_uri)} failed: {told(error)}"
