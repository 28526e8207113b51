"""Runs written as rows, against those that MLflow's client writes."""

from __future__ import annotations

import importlib.util
import math
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.store.db.base_sql_model import Base

from tunekit.tracking import rows
from tunekit.tracking.client import quiet
from tunekit.tracking.content import Point
from tunekit.tracking.rows import EndedRun

TIME = 1_700_000_000_000
RUN = EndedRun(
    name="trial 3",
    status="FAILED",
    started=TIME,
    ended=TIME + 1500,
    tags={"tunekit.trial": "3", "state": "complete", "mlflow.user": "ann", "reason": ""},
    params={"optimizer": "adam", "optimizer.adam.lr": "0.001", "regularizer.l2": "false"},
    points=[
        *(Point("val_loss", 1 / (epoch + 3), TIME + epoch, epoch) for epoch in range(50)),
        # The last one is neither the one that comes last nor the smallest.
        Point("val_accuracy", 0.25, TIME, 2),
        Point("val_accuracy", 0.5, TIME, 2),
        Point("val_accuracy", 0.125, TIME + 1, 1),
        Point("lr", 0.0, TIME, 0),
        Point("lr", 0.0, TIME, 0),
    ],
)
BARE = EndedRun("trial 4", "FINISHED", TIME, TIME, {}, {}, [])


@pytest.fixture(autouse=True)
def without_warnings_of_mlflow() -> Iterator[None]:
    with quiet():
        yield


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def client(request: pytest.FixtureRequest) -> Iterator[MlflowClient]:
    """A client of an empty store."""
    uri = request.getfixturevalue(f"{request.param}_store")
    client = MlflowClient(uri)
    yield client
    client._tracking_client.store.engine.dispose()


@pytest.fixture
def sqlite_store(empty_store: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"


@pytest.fixture(scope="module")
def postgresql_store(postgresql_programs: Path) -> Iterator[str]:
    path = Path(__file__).parents[1] / "search" / "test_postgresql.py"
    spec = importlib.util.spec_from_file_location("postgresql_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with tempfile.TemporaryDirectory(prefix="tunekit-server-") as folder:
        server = module.Server(postgresql_programs, Path(folder))
        try:
            server.start()
            server.execute("CREATE DATABASE mlflow")
            yield server.url("mlflow")
        finally:
            server.stop()


def parent_of(client: MlflowClient, experiment: str = "0") -> str:
    return str(client.create_run(experiment, run_name="digits").info.run_id)


def progress(*trials: int) -> list[Point]:
    """Trials in the parent's curves."""
    return [
        Point(key, value, TIME + number, number)
        for number in trials
        for key, value in (("objective", number / 7), ("best", 0.9))
    ]


def by_client(
    client: MlflowClient, run: EndedRun, parent_id: str, progress: list[Point]
) -> str | None:
    """What `rows.write` does, by the client's calls."""
    experiment_id = client.get_run(parent_id).info.experiment_id
    made = client.create_run(experiment_id, run.started, dict(run.tags), run.name)
    params = [Param(*param) for param in run.params.items()]
    client.log_batch(made.info.run_id, [Metric(*point) for point in run.points], params)
    client.log_batch(parent_id, [Metric(*point) for point in progress])
    client.set_terminated(made.info.run_id, run.status, run.ended)
    return str(made.info.run_id)


Dump = set[tuple[str, tuple[Any, ...]]]


def dump(client: MlflowClient) -> Dump:
    """Every row of every table."""
    with client._tracking_client.store.engine.connect() as connection:
        return {
            (name, tuple(row))
            for name, table in Base.metadata.tables.items()
            for row in connection.execute(sqlalchemy.select(table))
        }


def named(change: Dump, names: dict[str, str]) -> list[str]:
    """The rows of a change as texts, with the runs' names in place of their random ids."""
    found = []
    for row in change:
        text = repr(row)
        for run_id, name in names.items():
            text = text.replace(run_id, name)
        found.append(text)
    return sorted(found)


STEPS: list[tuple[EndedRun, list[Point]]] = [
    (RUN, progress(3)),
    (BARE, []),
    (RUN, progress(1)),  # earlier than what is there
    (RUN, progress(4, 3)),  # one of them is there already
]


def test_every_row_is_the_one_that_the_client_writes(client: MlflowClient) -> None:
    changes = []
    for write in (by_client, rows.write):
        parent = parent_of(client)
        names, found = {parent: "the parent"}, []
        for run, added in STEPS:
            before = dump(client)
            run_id = write(client, run, parent, added)
            assert run_id is not None
            names[run_id] = f"the run of {run.name}"
            after = dump(client)
            found.append((named(after - before, names), named(before - after, names)))
        changes.append(found)
    assert changes[0] == changes[1]
    # A full run has 66 rows; in the parent, the curves' last values change with a later trial only.
    assert [len(new) for new, _ in changes[1]] == [66 + 4, 2, 66 + 2, 66 + 4]


def test_a_run_is_there_whole_or_not_at_all(client: MlflowClient) -> None:
    parent, store = parent_of(client), client._tracking_client.store
    with store.engine.begin() as connection:
        # Fails at the last row.
        connection.execute(sqlalchemy.text("DROP INDEX IF EXISTS last_of_all"))
        connection.execute(
            sqlalchemy.text(
                f"CREATE UNIQUE INDEX last_of_all ON latest_metrics (run_uuid) "
                f"WHERE run_uuid = '{parent}'"
            )
        )
    before = dump(client)
    with pytest.raises(MlflowException, match=r"(?i)unique"):
        rows.write(client, RUN, parent, progress(3))
    assert dump(client) == before


@pytest.mark.parametrize("deleted", ["run", "experiment"])
def test_nothing_is_added_to_what_was_deleted(client: MlflowClient, deleted: str) -> None:
    experiment = client.create_experiment(f"without its {deleted}")
    parent = parent_of(client, experiment)
    if deleted == "run":
        client.delete_run(parent)
    else:
        client.delete_experiment(experiment)
    before = dump(client)
    with pytest.raises(MlflowException, match="was deleted"):
        rows.write(client, RUN, parent, progress(3))
    assert dump(client) == before


@pytest.mark.parametrize("client", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [
        {"params": {"features": "x" * 6001}},
        {"params": {"": "1"}},
        {"tags": {"why?": "it is odd"}},
        {"points": [Point("a/../b", 1.0, TIME, 0)]},
        {"points": [Point("k" * 251, 1.0, TIME, 0)]},
        {"points": [Point("loss", math.nan, TIME, 0)]},
        {"points": [Point("loss", math.inf, TIME, 0)]},
    ],
)
def test_what_mlflow_changes_or_refuses_is_left_to_the_client(
    client: MlflowClient, change: dict[str, Any]
) -> None:
    parent = parent_of(client)
    before = dump(client)
    assert rows.write(client, RUN._replace(**change), parent, progress(3)) is None
    assert dump(client) == before


def test_other_tables_are_left_to_the_client(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(rows.TABLES, "runs", "run_uuid name")
    parent = parent_of(client)
    before = dump(client)
    assert rows.write(client, RUN, parent, progress(3)) is None
    assert dump(client) == before


def test_a_server_is_left_to_the_client() -> None:
    assert rows.write(MlflowClient("http://127.0.0.1:9"), RUN, "a1", []) is None
