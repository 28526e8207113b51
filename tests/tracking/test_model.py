"""The best network as an MLflow model."""

from __future__ import annotations

import importlib.metadata
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunekit.errors import InputError, WorkError
from tunekit.model import Model
from tunekit.records import FinishedTrial, StudyInfo
from tunekit.tracking.client import connect, quiet
from tunekit.tracking.fetch import fetch, fetch_best
from tunekit.tracking.locate import locate
from tunekit.tracking.model import DIGEST_TAG, VERSIONS_TAG, KeptModel, keep_model, known_model
from tunekit.tracking.projection import Projection
from tunekit.tracking.server import Server
from tunekit.tracking.view import Located

Trials = Callable[[int], tuple[FinishedTrial, ...]]
Result = Callable[[tuple[FinishedTrial, ...]], Any]


@pytest.fixture
def delivered(study: StudyInfo, trials: Trials, result: Result) -> StudyInfo:
    """A study that MLflow has the trials and the result of."""
    Projection(study).finish(result(trials(3)))
    return study


def run_of(study: StudyInfo) -> Any:
    located = locate(study.tracking_uri, study.experiment, study.identity)
    assert located is not None
    return connect(study.tracking_uri).get_run(located.run_id)


def logged(study: StudyInfo) -> list[Any]:
    """All that MLflow has of models in the study's experiment."""
    return list(
        connect(study.tracking_uri).search_logged_models([run_of(study).info.experiment_id])
    )


def folder_of(study: StudyInfo) -> Path:
    (found,) = logged(study)
    return Path(found.artifact_location)


def test_the_network_is_an_output_of_its_studys_run(delivered: StudyInfo, model: Model) -> None:
    kept = keep_model(delivered, model, "trial 7")
    with quiet():
        run, (found,) = run_of(delivered), logged(delivered)
        assert kept == KeptModel(f"models:/{found.model_id}", None, None)
        assert [output.model_id for output in run.outputs.model_outputs] == [found.model_id]
        assert (found.name, found.source_run_id, str(found.status)) == (
            "model", run.info.run_id, "READY",
        )  # fmt: skip
        assert found.params["optimizer.adam.lr"] == "0.02"
        scores = {score.key: score.value for score in found.metrics}
        best, own = run.data.metrics["best_objective"], model.provenance["test"]
        # Its own: that of the study is a mean over several of its like.
        assert scores == {"best_objective": best, "test_accuracy_of_model": own}


def test_asking_again_changes_nothing(delivered: StudyInfo, model: Model) -> None:
    def everything() -> Any:
        client, run = connect(delivered.tracking_uri), run_of(delivered)
        history = client.get_metric_history(run.info.run_id, "test_accuracy")
        versions = client.search_model_versions("name = 'houses'")
        return (
            [found.to_dictionary() for found in logged(delivered)],
            [(version.version, version.source) for version in versions],
            run.to_dictionary(),
            [point.to_dictionary() for point in history],
        )

    first = keep_model(delivered, model, "trial 7", register="houses")
    with quiet():
        before = everything()
    assert keep_model(delivered, model, "trial 7", register="houses") == first
    with quiet():
        assert everything() == before
    assert first.version == 1


def test_what_is_kept_is_known_without_the_network(delivered: StudyInfo, model: Model) -> None:
    assert not known_model(delivered, "trial 7")
    keep_model(delivered, model, "trial 7")
    assert known_model(delivered, "trial 7")
    assert not known_model(delivered, "trial 8")
    assert not known_model(delivered, "trial 7", register="houses")
    keep_model(delivered, model, "trial 7", register="houses")
    assert known_model(delivered, "trial 7", register="houses")


def test_another_network_is_the_next_version(
    delivered: StudyInfo, model: Model, train: Callable[..., Model]
) -> None:
    first = keep_model(delivered, model, "trial 7", register="houses")
    second = keep_model(delivered, train(seed=1), "trial 8", register="houses")
    assert (first.version, second.version) == (1, 2)
    assert first.uri != second.uri
    # A second name is another registered model of the same network; its page shows both.
    assert keep_model(delivered, model, "trial 7", register="homes") == KeptModel(
        first.uri, "homes", 1
    )
    with quiet():
        shown = {
            found.model_id: json.loads(found.tags[VERSIONS_TAG]) for found in logged(delivered)
        }
    assert shown[first.uri.removeprefix("models:/")] == [
        {"name": "houses", "version": 1},
        {"name": "homes", "version": 1},
    ]


def test_what_a_kill_left_half_written_is_completed(
    delivered: StudyInfo, model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    def killed(*_: object) -> None:
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "finalize_logged_model", killed)
        with pytest.raises(WorkError, match="failed: gone"):
            keep_model(delivered, model, "trial 7")
    with quiet():
        (half,) = logged(delivered)
    assert not known_model(delivered, "trial 7")
    with pytest.raises(InputError, match="has no model of 'digits' yet"):
        fetch_best("digits", "digits", delivered.tracking_uri, tmp_path / "early")
    assert keep_model(delivered, model, "trial 7").uri == f"models:/{half.model_id}"
    with quiet():
        assert [str(found.status) for found in logged(delivered)] == ["READY"]
    fetch_best("digits", "digits", delivered.tracking_uri, tmp_path / "late")


def test_nothing_in_the_folder_is_pickled(delivered: StudyInfo, model: Model) -> None:
    keep_model(delivered, model, "trial 7")
    files = [path for path in folder_of(delivered).rglob("*") if path.is_file()]
    assert {"MLmodel", "network.npz", "served.py"} <= {path.name for path in files}
    for path in files:
        assert path.suffix in (".py", ".txt", ".json", ".npz", ".yaml", ".typed", "")
        with path.open("rb") as content, pytest.raises(Exception):  # noqa: B017, PT011
            pickle.load(content)
    with np.load(next(p for p in files if p.suffix == ".npz"), allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind == "f" for name in arrays.files)


def test_the_folder_says_what_it_needs_and_what_it_takes(
    delivered: StudyInfo, model: Model
) -> None:
    from mlflow.models import Model as Description

    keep_model(delivered, model, "trial 7")
    folder = folder_of(delivered)
    needed = ("mlflow", "numpy", "pandas", "pluggy")
    assert (folder / "requirements.txt").read_text().split() == [
        f"{name}=={importlib.metadata.version(name)}" for name in needed
    ]
    with quiet():
        told: Any = Description.load(folder)
        (found,) = logged(delivered)
    inputs = {column.name: column.required for column in told.signature.inputs}
    assert inputs == {"size": False, "rooms": True, "town": False}
    assert told.signature.outputs.input_names() == [
        "price", "probability of high", "probability of low",
    ]  # fmt: skip
    assert told.load_input_example(str(folder)).to_dict("list") == model.example
    assert told.metadata["tunekit"] | {"trial": 7, "validation": 0.9} == told.metadata["tunekit"]
    assert told.metadata["tunekit"]["inputs"] == dict(model.inputs)
    assert told.metadata["tunekit"]["digest"] == found.tags[DIGEST_TAG]
    assert told.model_id == found.model_id


def test_nothing_of_this_process_leaks(
    delivered: StudyInfo, model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import mlflow

    here = tmp_path / "project"
    here.mkdir()
    monkeypatch.chdir(here)
    # A project of the person's own, whose packages are none of the network's.
    (here / "pyproject.toml").write_text('[project]\nname = "own"\n')
    (here / "uv.lock").write_text("version = 1\n")
    uri = mlflow.get_tracking_uri()
    keep_model(delivered, model, "trial 7", register="houses")
    assert {path.name for path in here.iterdir()} == {"pyproject.toml", "uv.lock"}
    assert (mlflow.get_tracking_uri(), mlflow.active_run()) == (uri, None)
    folder = folder_of(delivered)
    assert not (folder / "uv.lock").exists()
    assert str(Path(__file__).parents[2]) not in (folder / "MLmodel").read_text()


def test_a_search_that_mlflow_does_not_know_is_told(study: StudyInfo, model: Model) -> None:
    with pytest.raises(WorkError, match="does not know this search of 'digits'"):
        keep_model(study, model, "trial 7")


def test_a_server_that_is_away_is_told(
    study: StudyInfo, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = replace(study, tracking_uri="http://user:secret@127.0.0.1:9")
    with pytest.raises(WorkError, match=r"MLflow at http://127\.0\.0\.1:9 failed") as caught:
        keep_model(away, model, "trial 7")
    assert "secret" not in str(caught.value)


def test_a_network_goes_to_a_server_and_comes_back(
    served: tuple[Server, Located], study: StudyInfo, model: Model, tmp_path: Path
) -> None:
    server, located = served
    remote = replace(study, tracking_uri=server.base)
    kept = keep_model(remote, model, "trial 7", register="houses")
    assert keep_model(remote, model, "trial 7", register="houses") == kept
    with quiet():
        found = connect(server.base).get_logged_model(kept.uri.removeprefix("models:/"))
    assert len(json.loads(found.tags[VERSIONS_TAG])) == 1
    addresses = [kept.uri, f"models:/houses/{kept.version}", f"runs:/{located.run_id}/model"]
    for i, address in enumerate(addresses):
        back = Model.load(fetch(address, server.base, tmp_path / str(i)))
        assert back.parameters.tobytes() == model.parameters.tobytes()
    best = fetch_best(study.name, study.experiment, server.base, tmp_path / "best")
    assert json.loads((best / "model.json").read_text())["provenance"]["trial"] == 7
