"""Finding a study again in MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tunekit.errors import TunekitError, WorkError
from tunekit.records import StudyInfo
from tunekit.tracking.client import connect, failure, find_runs, local_path, quiet, redacted
from tunekit.tracking.content import REPLACED_TAG, STUDY_TAG
from tunekit.tracking.view import Located

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@contextmanager
def talking_to(tracking_uri: str) -> Iterator[None]:
    """Around what is asked of MLflow.

    Raises:
        WorkError: MLflow cannot be reached, or refuses.
    """
    try:
        with quiet():
            yield
    except TunekitError:
        raise
    except Exception as error:
        raise WorkError(failure(tracking_uri, error)) from error


def run_of(study: StudyInfo) -> tuple[MlflowClient, Run]:
    """A client of the study's store, and the study's own run.

    Raises:
        WorkError: MLflow does not know the study.
    """
    store = local_path(study.tracking_uri)
    if store is None or store.exists():  # asking would create the store
        client = connect(study.tracking_uri)
        if runs := runs_of(client, study.experiment, study.name, study.identity):
            return client, runs[0]
    raise WorkError(
        f"MLflow at {redacted(study.tracking_uri)} does not know this search of {study.name!r}"
    )


def locate(tracking_uri: str, experiment: str, identity: str) -> Located | None:
    """Where MLflow shows the study of that record, or None if it does not or cannot be asked."""
    try:
        return locate_study(tracking_uri, experiment, "", identity)
    except WorkError:
        return None


def locate_study(
    tracking_uri: str, experiment: str, name: str, identity: str | None = None
) -> Located | None:
    """Where MLflow shows a study, or None if it does not.

    Args:
        tracking_uri: MLflow's address.
        experiment: MLflow's experiment.
        name: The study's name; the newest search of that name is meant.
        identity: That of its record, where there is one: others may use the name, too.

    Raises:
        WorkError: MLflow cannot be reached, or refuses.
    """
    path = local_path(tracking_uri)
    if path is not None and not path.exists():
        return None  # asking would create the store
    with talking_to(tracking_uri):
        runs = runs_of(connect(tracking_uri), experiment, name, identity)
    return Located(runs[-1].info.experiment_id, runs[-1].info.run_id) if runs else None


def runs_of(client: MlflowClient, experiment: str, name: str, identity: str | None) -> list[Run]:
    """The runs of a study, see `locate_study`, the newest last."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    if identity is not None:
        query = f"tags.`{STUDY_TAG}` = '{identity}'"
        return find_runs(client, found.experiment_id, query)
    query = f"tags.`{STUDY_TAG}` LIKE '%' AND tags.`{REPLACED_TAG}` IS NULL"
    every = find_runs(client, found.experiment_id, query)
    return [run for run in every if run.info.run_name == name]
