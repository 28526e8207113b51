"""A study's report and its plots, kept beside its trials in MLflow."""

from __future__ import annotations

from collections.abc import Mapping

from tunekit.errors import WorkError
from tunekit.records import StudyInfo
from tunekit.tracking.client import connect, failure, find_runs, local_path, quiet, redacted
from tunekit.tracking.content import STUDY_TAG
from tunekit.tracking.view import REPORT

PLOTS = "plots"


def keep_report(study: StudyInfo, html: str, plots: Mapping[str, str] | None = None) -> None:
    """Keep a report as artifacts of the study's run; earlier ones are replaced.

    Args:
        study: The study.
        html: The report's page.
        plots: SVG by file name, to look at without the page.

    Raises:
        WorkError: MLflow cannot be reached, refuses, or does not know the study.
    """
    pictures = {f"{PLOTS}/{name}": svg for name, svg in (plots or {}).items()}
    store = local_path(study.tracking_uri)
    run_id = None
    if store is None or store.exists():  # asking would create the store
        try:
            with quiet():
                run_id = _keep(study, {REPORT: html, **pictures})
        except Exception as error:
            raise WorkError(failure(study.tracking_uri, error)) from error
    if run_id is None:
        raise WorkError(
            f"MLflow at {redacted(study.tracking_uri)} does not know this search of {study.name!r}"
        )


def _keep(study: StudyInfo, files: Mapping[str, str]) -> str | None:
    client = connect(study.tracking_uri)
    experiment = client.get_experiment_by_name(study.experiment)
    if experiment is None:
        return None
    query = f"tags.`{STUDY_TAG}` = '{study.identity}'"
    runs = find_runs(client, experiment.experiment_id, query)
    if not runs:
        return None
    run_id = str(runs[0].info.run_id)
    for name, text in files.items():
        client.log_text(run_id, text, name)
    return run_id
