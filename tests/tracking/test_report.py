"""The report beside the trials in MLflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tunekit.errors import WorkError
from tunekit.records import FinishedTrial, StudyInfo
from tunekit.tracking.client import connect, quiet
from tunekit.tracking.locate import locate
from tunekit.tracking.projection import Projection
from tunekit.tracking.report import keep_report
from tunekit.tracking.view import REPORT


def kept(study: StudyInfo) -> str:
    """The report that MLflow keeps."""
    located = locate(study.tracking_uri, study.experiment, study.identity)
    assert located is not None
    with quiet():
        client = connect(study.tracking_uri)
        [path] = Path(study.folder).glob(f"mlartifacts/**/{located.run_id}/artifacts/{REPORT}")
        listed = [artifact.path for artifact in client.list_artifacts(located.run_id)]
    assert listed == [REPORT]
    return path.read_text(encoding="utf-8")


def test_the_report_is_an_artifact_of_the_studys_run(
    study: StudyInfo, trials: Callable[[int], tuple[FinishedTrial, ...]]
) -> None:
    Projection(study).deliver(trials(2))
    keep_report(study, "<p>first</p>")
    keep_report(study, "<p>second ±</p>")
    assert kept(study) == "<p>second ±</p>"


def test_plots_are_kept_beside_the_report(
    study: StudyInfo, trials: Callable[[int], tuple[FinishedTrial, ...]]
) -> None:
    Projection(study).deliver(trials(2))
    keep_report(study, "<p>", {"history.svg": "<svg/>"})
    [path] = Path(study.folder).glob("mlartifacts/**/artifacts/plots/history.svg")
    assert path.read_text(encoding="utf-8") == "<svg/>"


def test_a_search_that_mlflow_does_not_know_is_told_and_not_made_up(study: StudyInfo) -> None:
    with pytest.raises(WorkError, match="does not know this search of 'digits'"):
        keep_report(study, "<p>")
    assert locate(study.tracking_uri, study.experiment, study.identity) is None


def test_no_store_is_created_for_a_report(study: StudyInfo, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.db"
    with pytest.raises(WorkError, match="does not know this search"):
        keep_report(replace(study, tracking_uri=f"sqlite:///{nowhere}"), "<p>")
    assert not nowhere.exists()


def test_a_server_that_is_away_is_told(study: StudyInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = replace(study, tracking_uri="http://user:secret@127.0.0.1:9")
    with pytest.raises(WorkError, match=r"MLflow at http://127\.0\.0\.1:9 failed") as caught:
        keep_report(away, "<p>")
    assert "secret" not in str(caught.value)
