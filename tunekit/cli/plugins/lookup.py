"""What is there, and what of it a name means."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tunekit.components import KINDS, Component
from tunekit.errors import PluginError, UnknownNameError, suggestion
from tunekit.plugins import LeftOut, Owner, Place, PluginFile, Registry, load
from tunekit.plugins.files import ENVIRONMENT

Key = tuple[str, str]
"""A kind and a name."""


def loaded(named: Iterable[str]) -> Registry:
    """All plugins; of those that the environment names, the ones that can be used.

    Args:
        named: Plugin files of this command.

    Raises:
        PluginError: One of these files cannot be used.
    """
    files = [PluginFile.read(os.path.abspath(name)) for name in named]
    usable, left_out = _of_environment()
    while True:
        try:
            registry = load([*usable, *files], observers=True)
        except PluginError as error:
            broken = [file for file in usable if file.path == error.file]
            if not broken:
                raise
            usable = [file for file in usable if file not in broken]
            left_out.append(_left_out(broken[0].path, error, broken[0].digest))
        else:
            registry.left_out += left_out
            return registry


def _of_environment() -> tuple[list[PluginFile], list[LeftOut]]:
    """The files that can be read, and those that cannot."""
    usable, left_out = [], []
    for name in filter(None, os.environ.get(ENVIRONMENT, "").split(os.pathsep)):
        path = os.path.abspath(name)
        try:
            usable.append(PluginFile.read(path))
        except PluginError as error:
            left_out.append(_left_out(path, error))
    return usable, left_out


def _left_out(path: str, error: PluginError, digest: str = "") -> LeftOut:
    place = Place(path, error.line) if error.line is not None else None
    return LeftOut(Owner(path, digest, "file"), error.message, place)


def kinds(name: str | None) -> list[str] | None:
    """The kinds that a name means: all without a name, none if it is no kind's name."""
    if name is None:
        return list(KINDS)
    found = [kind for kind in KINDS if name in (kind, plural(kind))]
    return found or None


def plural(kind: str) -> str:
    """Several of a kind."""
    return "losses" if kind == "loss" else f"{kind}s"


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
        hint = f"{listing} lists all that there are."
    absent = [f"Left out was {left_out}." for left_out in registry.left_out]
    absent += [f"Disabled is {owner.in_full}." for owner in registry.disabled]
    return " ".join([hint, *absent])
