"""A network back from MLflow: its two files, and nothing that MLflow would run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunekit.errors import InputError, WorkError, suggestion
from tunekit.tracking.client import connect, local_path, quoted, redacted, told
from tunekit.tracking.folder import NETWORK, digest_of
from tunekit.tracking.locate import runs_of, talking_to
from tunekit.tracking.model import DIGEST_TAG, NAME

if TYPE_CHECKING:
    from mlflow import MlflowClient

ADDRESSES = "models:/NAME/VERSION, models:/NAME@ALIAS, models:/m-..., or runs:/RUN/model"
"""What `fetch` takes."""


@dataclass(frozen=True)
class Kept:
    """A network in MLflow.

    Attributes:
        location: Where its artifacts are.
        digest: What it was logged with, or None if MLflow does not know.
    """

    location: str
    digest: str | None


def fetch(address: str, tracking_uri: str, folder: Path) -> Path:
    """Bring a network from MLflow.

    Args:
        address: One of `ADDRESSES`.
        tracking_uri: MLflow's address, absolute.
        folder: A folder to put it below.

    Returns:
        The network's own folder, for `Model.load`.

    Raises:
        InputError: There is no such network, or it is not the one that was logged.
        WorkError: MLflow cannot be reached, or refuses.
    """
    return _fetched(address, tracking_uri, folder, lambda client: _kept(client, address))


def fetch_best(
    study: str, experiment: str, tracking_uri: str, folder: Path, identity: str | None = None
) -> Path:
    """Bring a study's best network; see `fetch` and `locate_study`."""
    return _fetched(
        study,
        tracking_uri,
        folder,
        lambda client: _best_of(client, study, experiment, identity),
    )


def _fetched(
    what: str, tracking_uri: str, folder: Path, look_up: Callable[[MlflowClient], Kept]
) -> Path:
    store = local_path(tracking_uri)
    if store is not None and not store.exists():  # asking would create the store
        raise InputError(
            f"there is no MLflow store {str(store)!r}; say where it is, with --tracking-uri or "
            "MLFLOW_TRACKING_URI",
            file=what,
        )
    with talking_to(tracking_uri):
        return _downloaded(what, look_up(connect(tracking_uri)), tracking_uri, folder)


def _downloaded(what: str, kept: Kept, tracking_uri: str, folder: Path) -> Path:
    """The network's files, compared with what MLflow's database says of them."""
    from mlflow.artifacts import download_artifacts

    address = f"{kept.location}/{NETWORK}"
    try:
        network = Path(download_artifacts(address, dst_path=str(folder), tracking_uri=tracking_uri))
    except Exception as error:
        if kept.digest is not None:
            raise WorkError(
                f"the network's files cannot be fetched ({told(error)}). Where they are lost, "
                "`tunekit sync` with the study makes them again"
            ) from error
        raise InputError("this is not a model that tunekit logged", file=what) from error
    # What cannot be read at all is for `Model.load` to tell.
    with suppress(ValueError, LookupError, TypeError, OSError):
        found = digest_of(network)
        if kept.digest not in (None, found):
            raise InputError(
                "this is not the network that was logged: its files were changed since "
                f"(SHA-256 {found[:16]}..., expected {str(kept.digest)[:16]}...)",
                file=what,
            )
    return network


def _kept(client: MlflowClient, address: str) -> Kept:
    if match := re.fullmatch(r"runs:/+([^/']+)/([^/']+)", address):
        return _output_of(client, address, *match.groups())
    if match := re.fullmatch(r"models:/+(m-[0-9a-f]{32})", address):
        return _logged(client, address, match[1])
    if match := re.fullmatch(r"models:/+([^/@']+)@([^/@']+)", address):
        return _version(client, address, match[1], alias=match[2])
    if match := re.fullmatch(r"models:/+([^/']+)/([0-9]+)", address):
        return _version(client, address, match[1], number=match[2])
    raise InputError(f"expected {ADDRESSES}", file=address)


def _version(
    client: MlflowClient, address: str, name: str, *, number: str = "", alias: str = ""
) -> Kept:
    at = redacted(client.tracking_uri)
    versions = {
        str(version.version): version
        for version in client.search_model_versions(f"name = {quoted(name)}")
    }
    if not versions:
        names = [model.name for model in client.search_registered_models()]
        raise InputError(
            f"MLflow at {at} has no registered model {name!r}. {suggestion(name, names)}",
            file=address,
        )
    if alias:
        aliases = client.get_registered_model(name).aliases
        if alias not in aliases:
            hint = suggestion(alias, aliases)
            raise InputError(f"{name!r} has no alias {alias!r} there. {hint}", file=address)
        number = str(aliases[alias])
    if number not in versions:
        known = ", ".join(sorted(versions, key=int))
        raise InputError(f"{name!r} has no version {number} there. Known: {known}.", file=address)
    location = client.get_model_version_download_uri(name, number)
    return Kept(location, versions[number].tags.get(DIGEST_TAG))


def _logged(client: MlflowClient, address: str, model_id: str) -> Kept:
    with _telling_what_is_not_there(client, address, "model"):
        logged = client.get_logged_model(model_id)
    return Kept(logged.artifact_location, logged.tags.get(DIGEST_TAG))


def _output_of(client: MlflowClient, address: str, run_id: str, name: str) -> Kept:
    with _telling_what_is_not_there(client, address, "run"):
        experiment_id = client.get_run(run_id).info.experiment_id
    newest = _newest(client, experiment_id, run_id, name)
    if newest is None:
        raise InputError(f"this run has no model of the name {name!r}", file=address)
    return newest


def _best_of(client: MlflowClient, study: str, experiment: str, identity: str | None) -> Kept:
    runs = runs_of(client, experiment, study, identity)
    newest = (
        _newest(client, runs[-1].info.experiment_id, runs[-1].info.run_id, NAME) if runs else None
    )
    if newest is None:
        raise InputError(
            f"MLflow at {redacted(client.tracking_uri)} has no model of {study!r} yet; it is "
            "logged when a search of it ends, or by `tunekit sync`",
            file=study,
        )
    return newest


def _newest(client: MlflowClient, experiment_id: str, run_id: str, name: str) -> Kept | None:
    """The newest of a run's models that is whole."""
    query = f"source_run_id = '{run_id}' AND name = '{name}'"
    for logged in client.search_logged_models([experiment_id], query):
        if str(logged.status) == "READY":
            return Kept(logged.artifact_location, logged.tags.get(DIGEST_TAG))
    return None


@contextmanager
def _telling_what_is_not_there(client: MlflowClient, address: str, what: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise InputError(
            f"MLflow at {redacted(client.tracking_uri)} has no such {what}", file=address
        ) from None
