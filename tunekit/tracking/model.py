"""The best network as an MLflow model: kept under its study's run, and registered."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunekit.model import Model
from tunekit.records import StudyInfo
from tunekit.tracking import content
from tunekit.tracking.client import quoted
from tunekit.tracking.folder import NETWORK, digest_of, write_folder
from tunekit.tracking.locate import run_of, talking_to

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

NAME = "model"
"""What MLflow calls the network below its run: ``runs:/RUN/model``."""

KEY_TAG = "tunekit.winner"
"""What a network was trained from."""

DIGEST_TAG = "tunekit.model"
"""The digest of ``model.json``, which has those of everything else."""

VERSIONS_TAG = "mlflow.modelVersions"
"""Where MLflow's page looks for a model's registered versions."""


@dataclass(frozen=True)
class KeptModel:
    """A network in MLflow.

    Attributes:
        uri: Its address, ``models:/m-...``.
        name: The registered name, or None if it was not to be registered.
        version: Its version under the registered name, or None if it was not to be registered.
    """

    uri: str
    name: str | None
    version: int | None

    def __str__(self) -> str:
        return (
            f"{self.uri}, registered as models:/{self.name}/{self.version}"
            if self.name
            else self.uri
        )


def keep_model(
    study: StudyInfo, model: Model, key: str, *, register: str | None = None
) -> KeptModel:
    """Keep a network as an MLflow model below the study's run; one that is there stays as it is.

    Args:
        study: The study; MLflow holds its run.
        model: Its best network.
        key: What it was trained from: two networks of the same key are the same.
        register: Also make it a version of the registered model of that name.

    Raises:
        WorkError: MLflow cannot be reached, refuses, or does not know the study.
    """
    with talking_to(study.tracking_uri), tempfile.TemporaryDirectory(prefix="tunekit-") as scratch:
        client, run = run_of(study)
        logged = _found(client, run, key)
        if logged is None or not _is_whole(client, logged):
            logged = _logged(client, run, logged, model, key, Path(scratch))
        _score(client, run, logged, model)
        _put_out(client, run, logged)  # after which it counts as complete
        version = None
        if register is not None:
            version = _registered(client, logged, register)
            _show_version(client, logged.model_id, register, version)
        return KeptModel(f"models:/{logged.model_id}", register, version)


def known_model(study: StudyInfo, key: str, *, register: str | None = None) -> KeptModel | None:
    """What `keep_model` made, or None if anything of it is missing.

    Raises:
        WorkError: MLflow cannot be reached, refuses, or does not know the study.
    """
    with talking_to(study.tracking_uri):
        client, run = run_of(study)
        logged = _found(client, run, key)
        if logged is None or not _is_whole(client, logged) or not _is_out(run, logged):
            return None
        version = None if register is None else _version(client, logged, register)
        is_registered = register is None or version is not None
        return KeptModel(f"models:/{logged.model_id}", register, version) if is_registered else None


def _is_whole(client: MlflowClient, logged: LoggedModel) -> bool:
    """Whether it was logged to the end, and its files are still there."""
    if str(logged.status) != "READY":
        return False
    return len(client.list_logged_model_artifacts(logged.model_id, NETWORK)) > 1


def _found(client: MlflowClient, run: Run, key: str) -> LoggedModel | None:
    query = f"tags.`{KEY_TAG}` = '{key}' AND source_run_id = '{run.info.run_id}'"
    found = client.search_logged_models([run.info.experiment_id], query)
    return found[0] if found else None


def _logged(
    client: MlflowClient,
    run: Run,
    begun: LoggedModel | None,
    model: Model,
    key: str,
    scratch: Path,
) -> LoggedModel:
    """Log the network; what a kill left half written is written again."""
    model.save(scratch / "network")
    tags = {KEY_TAG: key, DIGEST_TAG: digest_of(scratch / "network")}
    if begun is None:
        origin = ("mlflow.user", "mlflow.source.name", "mlflow.source.type")
        known = {name: run.data.tags[name] for name in origin if name in run.data.tags}
        begun = client.create_logged_model(
            run.info.experiment_id,
            name=NAME,
            source_run_id=run.info.run_id,
            tags={**known, **tags},
            params={name: content.text(value) for name, value in model.configuration.items()},
        )
    else:
        client.set_logged_model_tags(begun.model_id, tags)
    write_folder(model, scratch / "network", scratch / "folder", begun)
    client.log_model_artifacts(begun.model_id, str(scratch / "folder"))
    return client.finalize_logged_model(begun.model_id, "READY")


def _is_out(run: Run, logged: LoggedModel) -> bool:
    outputs = run.outputs.model_outputs if run.outputs is not None else []
    return logged.model_id in [output.model_id for output in outputs]


def _put_out(client: MlflowClient, run: Run, logged: LoggedModel) -> None:
    """Show the network as an output of its run; MLflow refuses to be told twice."""
    from mlflow.entities import LoggedModelOutput

    if not _is_out(run, logged):
        client.log_outputs(run.info.run_id, [LoggedModelOutput(logged.model_id, step=0)])


def _score(client: MlflowClient, run: Run, logged: LoggedModel, model: Model) -> None:
    """Show what the network itself scored, beside the study's mean over several of its like."""
    from mlflow.entities import Metric

    shown = client.get_metric_history(run.info.run_id, "best_objective")
    scores = [shown[-1]] if shown else []
    test, when = model.provenance.get("test"), run.info.end_time or run.info.start_time
    found = [("best_objective", score.value, score.timestamp, score.step) for score in scores]
    if test is not None:
        found.append((f"test_{model.provenance['metric']}_of_model", float(test), when, 0))
    metrics = [Metric(*point, model_id=logged.model_id) for point in found]
    client.log_batch(run.info.run_id, metrics, synchronous=True)


def _version(client: MlflowClient, logged: LoggedModel, name: str) -> int | None:
    """The version of a registered model that is this network."""
    there = client.search_model_versions(f"name = {quoted(name)}")
    place = logged.artifact_location
    return next((int(found.version) for found in there if found.source == place), None)


def _registered(client: MlflowClient, logged: LoggedModel, name: str) -> int:
    """The version of a registered model that is this network; it is made if there is none."""
    from mlflow.exceptions import MlflowException

    there = _version(client, logged, name)
    if there is not None:
        return there
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # By its place: MLflow looks `models:/m-...` up in whatever store the process calls its own.
    made = client.create_model_version(
        name,
        logged.artifact_location,
        run_id=logged.source_run_id,
        tags={DIGEST_TAG: logged.tags[DIGEST_TAG]},
        model_id=logged.model_id,
        await_creation_for=0,
    )
    return int(made.version)


def _show_version(client: MlflowClient, model_id: str, name: str, version: int) -> None:
    """Lead from the model to its version, as a server does by itself and a local store does not."""
    told = client.get_logged_model(model_id).tags.get(VERSIONS_TAG)
    versions = json.loads(told) if told else []
    if (name, str(version)) not in [(known["name"], str(known["version"])) for known in versions]:
        versions.append({"name": name, "version": version})
        client.set_logged_model_tags(model_id, {VERSIONS_TAG: json.dumps(versions)})
