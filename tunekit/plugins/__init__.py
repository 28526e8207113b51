"""The plugin manager: built-ins, installed distributions, files and objects, found by name."""

from __future__ import annotations

from tunekit.plugins.failure import Place, place, told
from tunekit.plugins.files import PluginFile, environment_files, named_files
from tunekit.plugins.hooks import COMPONENT_HOOKS, HOOKS
from tunekit.plugins.loading import Packed, load
from tunekit.plugins.owner import BUILTIN, LeftOut, Owner
from tunekit.plugins.registry import Registry

__all__ = [
    "BUILTIN",
    "COMPONENT_HOOKS",
    "HOOKS",
    "LeftOut",
    "Owner",
    "Packed",
    "Place",
    "PluginFile",
    "Registry",
    "environment_files",
    "load",
    "named_files",
    "place",
    "told",
]
