"""What a study is called, and where its results live."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunekit.errors import StudyError
from tunekit.study.addresses import absolute, shown, sqlite_file
from tunekit.study.schema import Document, known_keys, validated
from tunekit.study.source import Source, assign, read


@dataclass(frozen=True)
class Places:
    """A study's name, and where its results live.

    Attributes:
        name: The study's name.
        file: The study file, absolute.
        storage: SQLAlchemy address of the record, absolute.
        tracking_uri: MLflow's address, absolute.
        artifact_root: Where a new local MLflow store keeps artifacts, or None for the server's
            own place.
        experiment: MLflow's experiment name.
    """

    name: str
    file: str
    storage: str
    tracking_uri: str
    artifact_root: str | None
    experiment: str


def places_of(path: str | Path, set_: Sequence[str] = ()) -> Places:
    """Where the results of a study file live; its plugins may be gone.

    Args:
        path: The study file.
        set_: Changes to the file, ``"study.name=second"``.

    Raises:
        StudyError: The file cannot be read, or something in it is wrong.
    """
    source, content = read(path)
    options = assign(content, set_, known_keys())
    source = dataclasses.replace(source, options=options)
    return places(validated(content, source), source)


def places(document: Document, source: Source) -> Places:
    """Where the results of a study live.

    Raises:
        StudyError: An address cannot be used.
    """
    name = document.study.name or source.path.stem
    tracking_uri = _tracking_uri(document, source)
    store = sqlite_file(tracking_uri)
    return Places(
        name=name,
        file=str(source.path),
        storage=_storage(document, source),
        tracking_uri=tracking_uri,
        artifact_root=None if store is None else str(store.parent / "mlartifacts"),
        experiment=document.mlflow.experiment or name,
    )


def _storage(document: Document, source: Source) -> str:
    address = document.study.storage or "sqlite:///optuna.db"
    if "://" not in address:
        raise source.error(
            f'expected an address such as "sqlite:///optuna.db", got {shown(address)}',
            "study.storage",
        )
    return absolute(address, source.folder)


def _tracking_uri(document: Document, source: Source) -> str:
    """The file's address, else the environment's, else a store beside the study file."""
    variable = "MLFLOW_TRACKING_URI"
    address = document.mlflow.tracking_uri
    given = address or os.environ.get(variable) or "sqlite:///mlflow.db"
    if "://" not in given and not given.startswith("databricks"):
        message = (
            'expected an address such as "sqlite:///mlflow.db" or "http://localhost:5000", '
            f"got {shown(given)}"
        )
        if address is None:
            raise StudyError(message, file=variable)
        raise source.error(message, "mlflow.tracking_uri")
    return absolute(given, source.folder)
