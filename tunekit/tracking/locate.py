"""Finding a study again in MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunekit.errors import WorkError
from tunekit.tracking.client import connect, failure, find_runs, local_path, quiet
from tunekit.tracking.content import REPLACED_TAG, STUDY_TAG
from tunekit.tracking.view import Located

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


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
    try:
        with quiet():
            runs = runs_of(connect(tracking_uri), experiment, name, identity)
    except Exception as error:
        raise WorkError(failure(tracking_uri, error)) from error
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
