"""A study's report and its plots, kept beside its trials in MLflow."""

from __future__ import annotations

from collections.abc import Mapping

from tunekit.records import StudyInfo
from tunekit.tracking.locate import run_of, talking_to
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
    with talking_to(study.tracking_uri):
        client, run = run_of(study)
        pictures = {f"{PLOTS}/{name}": svg for name, svg in (plots or {}).items()}
        for name, text in {REPORT: html, **pictures}.items():
            client.log_text(run.info.run_id, text, name)
