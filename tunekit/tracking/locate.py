"""Finding a study again in MLflow."""

from __future__ import annotations

from tunekit.tracking.client import connect, find_runs, local_path, quiet, quoted
from tunekit.tracking.content import REPLACED_TAG, STUDY_TAG
from tunekit.tracking.view import Located


def locate(tracking_uri: str, experiment: str, identity: str) -> Located | None:
    """Where MLflow shows the study of that record, or None if it does not or cannot be asked."""
    return _newest(tracking_uri, experiment, f"tags.`{STUDY_TAG}` = '{identity}'")


def locate_study(tracking_uri: str, experiment: str, name: str) -> Located | None:
    """Where MLflow shows the newest search of that name, or None; no record is needed."""
    is_current = f"tags.`{STUDY_TAG}` LIKE '%' AND tags.`{REPLACED_TAG}` IS NULL"
    query = f"{is_current} AND attributes.run_name = {quoted(name)}"
    return _newest(tracking_uri, experiment, query)


def _newest(tracking_uri: str, experiment: str, query: str) -> Located | None:
    path = local_path(tracking_uri)
    if path is not None and not path.exists():
        return None  # asking would create the store
    try:
        with quiet():
            client = connect(tracking_uri)
            found = client.get_experiment_by_name(experiment)
            runs = find_runs(client, found.experiment_id, query) if found else []
    except Exception:
        return None
    return Located(runs[-1].info.experiment_id, runs[-1].info.run_id) if runs else None
