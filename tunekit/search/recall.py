"""What a record knows of plugins that are not there any more."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from tunekit.plugins import PluginFile
from tunekit.study.addresses import sqlite_file

IDENTITY = "tunekit:identity"
"""Where the record keeps what stays the same for as long as it exists."""
OWNERS = "tunekit:owners"
"""Where the record keeps who brought its components, by kind and name."""
FILES = "tunekit:plugins"
"""Where it keeps the single-file plugins, as text."""


def recalled(storage: str, study: str, kind: str, name: str) -> str | None:
    """Say who brought a component, as far as a study's record knows.

    Args:
        storage: The record's address.
        study: The study's name.
        kind: The component's kind.
        name: The component's name.

    Returns:
        A sentence, or None where there is no record or it does not know.
    """
    owner = _notes(storage, study).get(OWNERS, {}).get(f"{kind}.{name}")
    if owner is None:
        return None
    had = f"The trials in the record had it from {owner['name']} {owner['version']}"
    match owner["origin"]:
        case "distribution":
            return f"{had}, {_now(owner['name'])}."
        case "file":
            return (
                f"{had.removesuffix(' ' + owner['version'])}; name that file in [plugins] files, "
                "or with --plugin."
            )
        case _:
            return f"{had.strip()}, an object of a Python program; pass it again."


def kept_files(storage: str, study: str) -> tuple[PluginFile, ...] | None:
    """The single-file plugins that a study's record keeps, or None where there is no record.

    Args:
        storage: The record's address.
        study: The study's name.
    """
    kept = _notes(storage, study).get(FILES)
    return None if kept is None else tuple(PluginFile(**file) for file in kept)


def identity_of(storage: str, study: str) -> str | None:
    """What MLflow knows a study's record by, or None where there is no record.

    Args:
        storage: The record's address.
        study: The study's name.
    """
    identity = _notes(storage, study).get(IDENTITY)
    return None if identity is None else str(identity)


def _notes(storage: str, study: str) -> dict[str, Any]:
    """What a record says of itself; nothing where there is none or it cannot be read."""
    file = sqlite_file(storage)
    if file is not None and not file.exists():
        return {}
    import optuna

    from tunekit.search.database import storage_at

    try:
        kept = storage_at(storage)
        return dict(optuna.load_study(study_name=study, storage=kept).user_attrs)
    except Exception:
        return {}  # whoever opens the record to use it tells why it cannot be opened


def _now(distribution: str) -> str:
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return f"which is not installed; pip install {distribution}"
    return f"of which {version} is installed now and does not bring it"
