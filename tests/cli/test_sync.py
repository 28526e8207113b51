"""``tunekit sync``, and what a search leaves in MLflow besides its trials."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.cli.conftest import Command
from tunekit.tracking.client import quiet


def held_by_mlflow(folder: Path) -> dict[str, Any]:
    """The studies' own runs, the trials' runs, files and models that the store in a folder has."""
    with quiet():
        client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
        (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
        runs = client.search_runs([experiment.experiment_id])
        parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        files = client.list_artifacts(parents[0].info.run_id)
        models = client.search_logged_models([experiment.experiment_id])
    return {
        "states": [run.info.status for run in parents],
        "trials": len(runs) - len(parents),
        "files": sorted(file.path for file in files),
        "models": len(models),
    }


WHOLE = {
    "states": ["FINISHED"],
    "trials": 4,
    "files": ["data.md", "plots", "report.html", "study.toml"],
    "models": 1,
}


def test_a_search_leaves_trials_report_and_model(searched: Path) -> None:
    assert held_by_mlflow(searched) == WHOLE


def test_where_all_is_there_nothing_is_done(searched: Path, tunekit: Command) -> None:
    done = tunekit("sync", "small.toml")

    assert (done.returncode, done.stderr) == (0, "")
    all_there, best = done.stdout.splitlines()
    assert all_there.endswith("has all 4 trials of small already.")
    assert best.startswith("Best network: models:/m-")
    assert held_by_mlflow(searched) == WHOLE


def test_a_store_that_was_lost_is_made_again(searched: Path, launch: Command) -> None:
    (searched / "mlflow.db").unlink()
    shutil.rmtree(searched / "mlartifacts")

    done = launch("sync", "small.toml", "--json", cwd=searched)

    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["trials"], told["delivered"]) == (4, 4)
    assert told["model"]["uri"].startswith("models:/m-")
    assert held_by_mlflow(searched) == WHOLE


def test_files_that_were_lost_are_made_again(searched: Path, tunekit: Command) -> None:
    shutil.rmtree(searched / "mlartifacts")

    assert tunekit("sync", "small.toml").returncode == 0
    assert held_by_mlflow(searched) == WHOLE


def test_a_study_file_that_was_edited_since_is_no_obstacle(
    searched: Path, tunekit: Command
) -> None:
    for command in ("sync", "report"):
        done = tunekit(command, "small.toml", "--set", 'search.optimizer="lion"')
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_without_a_record_there_is_nothing_to_bring(
    small: Path, tunekit: Command, options: tuple[str, ...]
) -> None:
    done = tunekit("sync", "small.toml", *options)

    assert done.returncode == 2
    assert "there is no search of 'small' yet" in done.stderr
    assert sorted(path.name for path in small.parent.iterdir()) == ["small.toml"]


def test_a_server_that_is_not_there_is_told(searched: Path, tunekit: Command) -> None:
    done = tunekit("sync", "small.toml", "--set", "mlflow.tracking_uri=http://127.0.0.1:9")

    assert done.returncode == 1
    assert done.stderr == "error: MLflow at http://127.0.0.1:9 failed: Connection refused\n"
