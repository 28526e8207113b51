"""What is there, and what of it a name means."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tunekit.components import KINDS, Component
from tunekit.errors import UnknownNameError, suggestion
from tunekit.plugins import PluginFile, Registry, environment_files, load
from tunekit.plugins.registry import plural

Key = tuple[str, str]
"""A kind and a name."""


def loaded(named: Iterable[str], files: Iterable[PluginFile] = ()) -> Registry:
    """All plugins that can be used; the others are named in `Registry.left_out`.

    Args:
        named: Plugin files of this command, besides those of the environment.
        files: Those that it is about.

    Raises:
        PluginError: One that it is about cannot be used.
    """
    paths = [os.path.abspath(name) for name in named]
    return load(files, optional=[*environment_files(), *paths], observers=True)


def kinds(name: str | None) -> list[str] | None:
    """The kinds that a name means: all without a name, none if it is no kind's name."""
    if name is None:
        return list(KINDS)
    found = [kind for kind in KINDS if name in (kind, plural(kind))]
    return found or None


def components(registry: Registry, name: str) -> list[Key]:
    """The components that a name means: ``"adam"`` or ``"optimizer.adam"``.

    Raises:
        UnknownNameError: There is none.
        PluginError: Several plugins claim the name.
    """
    known = [(kind, n) for kind in KINDS for n in registry.names(kind)]
    found = [key for key in known if name in (key[1], ".".join(key))]
    contested = [key for key in registry.contested if name in (key[1], ".".join(key))]
    if contested and not found:
        find(registry, *contested[0])  # tells who claims it
    if not found:
        raise UnknownNameError(f"no component is called {name!r}. {_hint(registry, name, known)}")
    return found


def find(registry: Registry, kind: str, name: str) -> type[Component]:
    """The component's class."""
    return registry.find(KINDS[kind], name)


def _hint(registry: Registry, name: str, known: list[Key]) -> str:
    """Where a name that there is not may lead."""
    kind, dot, rest = name.partition(".")
    if not dot:
        hint = suggestion(name, {n for _, n in known} | {plural(kind) for kind in KINDS})
    elif kind in KINDS:
        hint = suggestion(rest, registry.names(kind))
    else:
        hint = suggestion(name, map(".".join, known))
    if not hint.startswith("Did you mean"):
        listing = f"tunekit plugins {kind}" if kind in KINDS else "tunekit plugins"
        hint = f"{listing} lists all that there are; a plugin file is named with --plugin FILE."
    absent = [f"Left out was {left_out}." for left_out in registry.left_out]
    absent += [f"Disabled is {owner.in_full}." for owner in registry.disabled]
    return " ".join([hint, *absent])
