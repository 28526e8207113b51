"""The components that a model predicts with, and the plugins that bring them, as plain values."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from tunekit import plugins
from tunekit.components import KINDS, Component
from tunekit.errors import PluginError
from tunekit.plugins import BUILTIN, Owner, PluginFile, Registry

logger = logging.getLogger("tunekit")


def saved_component(component: Component, owner: Owner) -> dict[str, Any]:
    """A component by name and values, and who brought it.

    Raises:
        PluginError: It came as an object of a program: without a file, its code cannot be kept.
    """
    if owner.origin == "object":
        raise PluginError(
            f"the {component.kind} {component.name!r} is an object of a Python program, so it "
            "cannot be saved with the model; put it into a file of its own, and name that file"
        )
    brought = PurePath(owner.name).name if owner.origin == "file" else owner.name
    return {
        "kind": component.kind,
        "name": component.name,
        "values": component.values(),
        "owner": {"name": brought, "version": owner.version, "origin": owner.origin},
    }


def saved_file(file: PluginFile) -> dict[str, Any]:
    """A plugin file line by line, without the folder that it lay in."""
    return {"path": PurePath(file.path).name, "text": file.text.splitlines(keepends=True)}


def opened_file(plain: Mapping[str, Any]) -> PluginFile:
    """What `saved_file` gave."""
    return PluginFile(plain["path"], "".join(plain["text"]))


def opened_components(
    saved: Sequence[Mapping[str, Any]], files: Sequence[PluginFile]
) -> tuple[dict[str, Component], dict[str, Owner]]:
    """What `saved_component` gave, and who brings them here, by kind.

    Raises:
        PluginError: A component is not there, or a plugin file fails here.
    """
    owners = {plain["kind"]: Owner(**plain["owner"]) for plain in saved}
    # Whatever else is installed cannot be in the way of what comes with tunekit.
    installed = any(owner.origin == "distribution" for owner in owners.values())
    registry = plugins.load(files, entry_points=installed)
    found = {}
    for plain in saved:
        kind, name = plain["kind"], plain["name"]
        _check(registry, kind, name, owners[kind])
        found[kind] = registry.find(KINDS[kind], name)(**plain["values"])
        owners[kind] = registry.owner(kind, name)
    return found, owners


def _check(registry: Registry, kind: str, name: str, owner: Owner) -> None:
    """See that who brought a component is there; tell it where it is another version."""
    if owner == BUILTIN or owner.origin == "file":
        return
    try:
        version = importlib.metadata.version(owner.name)
    except importlib.metadata.PackageNotFoundError:
        raise PluginError(
            f"the model's {kind} {name!r} comes from {owner}, which is not installed; "
            f"pip install '{owner.name}=={owner.version}'"
        ) from None
    if version != owner.version:
        logger.warning(
            "the model's %s %r comes from %s, and %s is installed: it may predict something else",
            kind, name, owner, version,
        )  # fmt: skip
