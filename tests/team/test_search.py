"""Searches that log to the team's server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tunekit.tracking.client import find_runs, quiet

if TYPE_CHECKING:
    from tests.team.conftest import Person, Team

pytestmark = pytest.mark.postgresql

USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"


@pytest.fixture
def seen(team: Team, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], list[Run]]]:
    """The runs of an experiment, as the admin sees them."""
    monkeypatch.setenv(USER, "admin")
    monkeypatch.setenv(PASSWORD, team.settings["MLFLOW_AUTH_ADMIN_PASSWORD"])

    def runs(experiment: str) -> list[Run]:
        client = MlflowClient(team.url)
        found = client.get_experiment_by_name(experiment)
        return find_runs(client, found.experiment_id, "") if found else []

    with quiet():
        yield runs


def recorded(folder: Path, name: str) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{folder / 'optuna.db'}").trials


def answer(done: Any) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def warnings(done: Any) -> list[str]:
    return [line for line in done.stderr.splitlines() if "MLflow at" in line]


def test_a_search_logs_to_the_server_by_its_address(
    person: Person, team: Team, seen: Callable[[str], list[Run]]
) -> None:
    person.environment = {USER: "admin", PASSWORD: team.settings["MLFLOW_AUTH_ADMIN_PASSWORD"]}
    person.write(team.url, "all")
    done = person.run("search study.toml --json")
    told = answer(done)["mlflow"]
    assert not warnings(done)
    assert told["url"].startswith(f"{team.url}/#/experiments/")
    runs = {run.info.run_id: run for run in seen("all")}
    parent = runs.pop(told["run_id"])
    trials = recorded(person.folder, "all")
    assert len(runs) == len(trials) == 3
    objective = {
        int(run.data.tags["tunekit.trial"]): run.data.metrics["objective"] for run in runs.values()
    }
    assert objective == {trial.number: trial.value for trial in trials}
    # Files go through the server: people and searches need no access to its folder.
    assert person.run("report study.toml").returncode == 0
    assert str(parent.info.artifact_uri).startswith("mlflow-artifacts:/")
    (files,) = team.artifacts.glob(f"*/{parent.info.run_id}/artifacts")
    kept = {path.name: path for path in files.iterdir()}
    assert {"study.toml", "report.html"} <= set(kept)
    assert "sklearn:iris" in kept["study.toml"].read_text()


def test_a_colleague_goes_on_in_the_same_experiment(
    person: Person, team: Team, seen: Callable[[str], list[Run]]
) -> None:
    body = json.dumps({"username": "ann", "password": "ann-Zebra7391-secret"}).encode()
    assert team.ask("/api/2.0/mlflow/users/create", body) == 200
    person.write(team.url, "shared", trials=1)
    person.environment = {USER: "admin", PASSWORD: team.settings["MLFLOW_AUTH_ADMIN_PASSWORD"]}
    answer(person.run("search study.toml --json"))
    person.environment = {USER: "ann", PASSWORD: "ann-Zebra7391-secret"}
    done = person.run("search study.toml --json --trials 2")
    assert answer(done)["trials"]["complete"] == 2
    assert not warnings(done)
    assert len(seen("shared")) == 3


@pytest.mark.parametrize("given", [{}, {USER: "admin", PASSWORD: "wrong-Zebra7391-secret"}])
def test_without_the_right_password_the_search_goes_on_and_says_why_mlflow_has_nothing(
    given: dict[str, str], person: Person, team: Team, seen: Callable[[str], list[Run]]
) -> None:
    person.environment = given
    person.write(team.url, "refused", trials=2)
    done = person.run("search study.toml --json")
    assert answer(done)["trials"]["complete"] == 2
    (said,) = warnings(done)
    assert USER in said
    assert PASSWORD in said
    assert "Zebra7391" not in done.stdout + done.stderr
    assert not seen("refused")


def test_the_address_may_hold_the_password(
    person: Person, team: Team, seen: Callable[[str], list[Run]]
) -> None:
    password = team.settings["MLFLOW_AUTH_ADMIN_PASSWORD"]
    person.write(f"http://admin:{password}@{team.host}", "inside", trials=1)
    done = person.run("search study.toml --json")
    told = answer(done)
    assert not warnings(done)
    assert told["mlflow"]["tracking_uri"] == team.url
    assert len(seen("inside")) == 2
    assert "Zebra7391" not in done.stdout + done.stderr
