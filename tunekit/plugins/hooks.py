"""Which hooks a plugin implements, and whether there are such hooks."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass
from typing import Any

import pluggy

from tunekit import hookspecs
from tunekit.components import Component
from tunekit.errors import PluginError

COMPONENT_HOOKS = {
    "tunekit_optimizers": "optimizer",
    "tunekit_activations": "activation",
    "tunekit_schedules": "schedule",
    "tunekit_regularizers": "regularizer",
    "tunekit_initializers": "initializer",
    "tunekit_losses": "loss",
    "tunekit_metrics": "metric",
    "tunekit_datasets": "dataset",
}
"""Which kind of component each hook brings."""

HOOKS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(function).parameters)
    for name, function in vars(hookspecs).items()
    if name.startswith("tunekit_")
}
"""The arguments of each hook."""


@dataclass(frozen=True)
class Implementation:
    """A plugin's function for a hook."""

    hook: str
    function: Any


def implementations(manager: pluggy.PluginManager, plugin: object) -> list[Implementation]:
    """The hooks that a plugin implements.

    Args:
        manager: What knows the mark of `hookimpl`.
        plugin: A module or an object.

    Raises:
        PluginError: It implements none, one that there is not, or asks for arguments that the
            hook does not have.
    """
    found = []
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is None:
            continue
        function, hook = getattr(plugin, name), options.get("specname") or name
        if options.get("wrapper") or options.get("hookwrapper"):
            raise PluginError(f"{name} wraps a hook; these hooks cannot be wrapped")
        if hook in HOOKS:
            _check_arguments(hook, function)
            found.append(Implementation(hook, function))
        elif not options.get("optionalhook"):
            raise PluginError(_no_such_hook(hook))
    _refuse_unmarked(plugin, found)
    return found


def _no_such_hook(hook: str) -> str:
    hint = (
        "If it belongs to a newer tunekit, upgrade tunekit, or mark the function with "
        "@hookimpl(optionalhook=True) to do without"
    )
    for near in difflib.get_close_matches(hook, HOOKS, n=1, cutoff=0.85):
        hint = f"Did you mean {near!r}?"
    return f"this version of tunekit has no hook {hook}. {hint}"


def _check_arguments(hook: str, function: Any) -> None:
    for name in inspect.signature(function).parameters:
        if name not in HOOKS[hook]:
            has = ", ".join(HOOKS[hook]) or "no arguments"
            raise PluginError(
                f"{hook} asks for the argument {name!r}, which this version of tunekit does not "
                f"give to that hook; it gives {has}"
            )


def _refuse_unmarked(plugin: object, found: list[Implementation]) -> None:
    """A hook without its mark would be passed over in silence."""
    marked = {implementation.function for implementation in found}
    for name in HOOKS:
        function = getattr(plugin, name, None)
        # Another module's hook specification may have been imported.
        own = getattr(function, "__module__", None) != hookspecs.__name__
        if inspect.isroutine(function) and function not in marked and own:
            raise PluginError(f"{name} is not marked; write @hookimpl above it")
    if not found and isinstance(plugin, Component):
        raise PluginError(f"this is a component; pass its class, {type(plugin).__name__}")
    if not found:
        raise PluginError(
            "this plugin implements no hook; mark a function with @hookimpl, such as "
            "`def tunekit_optimizers(): return [MyRule]`"
        )
