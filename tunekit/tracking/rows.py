"""A trial's run as rows of MLflow's tables, written whole in one transaction.

MLflow's client takes four calls for it, eight commits and an object for every value: 60 ms of the
processor for 400 values. A table at a time, it takes 11 ms. Only what is known well goes this
way; all else is left to the client: stores that are no databases, tables other than those seen so
far, and whatever MLflow would change or refuse.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tunekit.tracking.content import Point

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy.orm import Session

TABLES = {
    "runs": "artifact_uri deleted_time end_time entry_point_name experiment_id lifecycle_stage "
    "name run_uuid source_name source_type source_version start_time status user_id",
    "metrics": "is_nan key run_uuid step timestamp value",
    "latest_metrics": "is_nan key run_uuid step timestamp value",
    "params": "key run_uuid value",
    "tags": "key run_uuid value",
}
"""The columns of MLflow's tables as they are known (3.17, 3.18): the tests compare all rows."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,249}")
_LONGEST = 6000
"""Characters of a parameter's value; MLflow cuts what is longer."""


class EndedRun(NamedTuple):
    """A run that has ended; times are Unix times in milliseconds."""

    name: str
    status: str
    started: int
    ended: int
    tags: dict[str, str]
    params: dict[str, str]
    points: list[Point]


def write(
    client: MlflowClient, run: EndedRun, parent_id: str, progress: Sequence[Point]
) -> str | None:
    """Add a run to its parent's experiment, and points to the parent's curves.

    Points that the parent has already change nothing.

    Args:
        client: Of the store.
        run: The new run.
        parent_id: The run that is above it.
        progress: What it adds to its parent.

    Returns:
        The new run's id, or None if nothing was written: that is for the client to do.

    Raises:
        MlflowException: The parent or its experiment was deleted, or the database fails.
    """
    store = _database(client)
    if store is None or not _is_plain(run, progress):
        return None
    import sqlalchemy
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlParam, SqlRun, SqlTag

    runs, experiments = SqlRun.__table__, SqlExperiment.__table__
    place = (
        sqlalchemy.select(experiments.c.experiment_id, experiments.c.artifact_location)
        .join(runs, runs.c.experiment_id == experiments.c.experiment_id)
        .where(runs.c.run_uuid == parent_id, runs.c.lifecycle_stage == "active")
    )
    with store.ManagedSessionMaker(read_only=False) as session:
        found = session.execute(place).one_or_none()
        if found is None:
            raise MlflowException(f"the run {parent_id}, or its experiment, was deleted")
        run_id = uuid.uuid4().hex
        session.execute(runs.insert(), _run(run, run_id, *found))
        tags = {**run.tags, "mlflow.runName": run.name}
        for table, texts in ((SqlTag.__table__, tags), (SqlParam.__table__, run.params)):
            rows = [{"run_uuid": run_id, "key": k, "value": text} for k, text in texts.items()]
            if rows:
                session.execute(table.insert(), rows)
        _add(session, run_id, run.points)
        _add(session, parent_id, progress)
    return run_id


def _database(client: MlflowClient) -> SqlAlchemyStore | None:
    if not client.tracking_uri.startswith(("sqlite:", "postgresql")):
        return None
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = client._tracking_client.store
    # Not a class derived from it, which may keep more.
    return store if type(store) is SqlAlchemyStore and _are_known_tables() else None


def _are_known_tables() -> bool:
    """Whether this MLflow has the tables that are known; it opens no database with others."""
    from mlflow.store.db.base_sql_model import Base

    tables = Base.metadata.tables
    return all(
        name in tables and sorted(tables[name].columns.keys()) == columns.split()
        for name, columns in TABLES.items()
    )


def _is_plain(run: EndedRun, progress: Sequence[Point]) -> bool:
    """Whether MLflow takes all of it as it is."""
    points = [*run.points, *progress]
    names = {point.key for point in points}.union(run.tags, run.params)
    return (
        all(map(_NAME.fullmatch, names))
        and all(len(text) <= _LONGEST for text in (*run.tags.values(), *run.params.values()))
        and all(math.isfinite(point.value) for point in points)
    )


def _run(run: EndedRun, run_id: str, experiment_id: int, location: str) -> dict[str, Any]:
    from mlflow.utils.uri import append_to_uri_path

    return {
        "run_uuid": run_id,
        "name": run.name,
        "user_id": run.tags.get("mlflow.user", "unknown"),
        "status": run.status,
        "start_time": run.started,
        "end_time": run.ended,
        "lifecycle_stage": "active",
        "artifact_uri": append_to_uri_path(location, run_id, "artifacts"),  # type: ignore[no-untyped-call]
        "experiment_id": experiment_id,
        # Of no use since tags say it, and never empty.
        "source_type": "UNKNOWN",
        "source_name": "",
        "source_version": "",
        "entry_point_name": "",
    }


def _add(session: Session, run_id: str, points: Sequence[Point]) -> None:
    """Add points to a run's curves, and keep the last of each: by step, then time, then value."""
    if not points:
        return
    import sqlalchemy
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric
    from sqlalchemy.dialects import postgresql, sqlite

    insert = {"sqlite": sqlite, "postgresql": postgresql}[session.get_bind().dialect.name].insert
    metrics, latest = SqlMetric.__table__, SqlLatestMetric.__table__
    session.execute(
        insert(metrics).on_conflict_do_nothing(), [_metric(run_id, point) for point in points]
    )
    last = {point.key: point for point in sorted(points, key=lambda p: (p.step, p.time, p.value))}
    newer = insert(latest)
    order = ("step", "timestamp", "value")
    newer = newer.on_conflict_do_update(
        index_elements=list(latest.primary_key),
        set_={name: newer.excluded[name] for name in (*order, "is_nan")},
        where=sqlalchemy.tuple_(*(newer.excluded[name] for name in order))
        > sqlalchemy.tuple_(*(latest.c[name] for name in order)),
    )
    session.execute(newer, [_metric(run_id, point) for point in last.values()])


def _metric(run_id: str, point: Point) -> dict[str, Any]:
    return {
        "run_uuid": run_id,
        "key": point.key,
        "value": point.value,
        "timestamp": point.time,
        "step": point.step,
        "is_nan": False,
    }
