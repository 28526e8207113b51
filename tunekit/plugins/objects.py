"""Plugins that are objects of the running program."""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from contextlib import ExitStack

from tunekit.components import Component
from tunekit.plugins.digests import is_importable
from tunekit.plugins.owner import Owner


def object_owner(plugin: object) -> Owner:
    """How an object is named as the owner of what it brings."""
    if isinstance(plugin, types.ModuleType):
        return Owner(plugin.__name__, "", "object")
    cls = plugin if isinstance(plugin, type) else type(plugin)
    return Owner(f"{cls.__module__}.{cls.__qualname__}", "", "object")


def packed(components: Sequence[tuple[type[Component], Owner]]) -> bytes:
    """Component classes with their owners, as they travel to workers.

    A class of a module that a worker can import travels as its name, all others whole.
    """
    import cloudpickle

    names = {base.__module__ for cls, _ in components for base in cls.__mro__} - {"__main__"}
    with ExitStack() as stack:
        for module in [sys.modules[name] for name in names if name in sys.modules]:
            if not is_importable(module):
                cloudpickle.register_pickle_by_value(module)
                stack.callback(cloudpickle.unregister_pickle_by_value, module)
        dumped: bytes = cloudpickle.dumps(list(components))
    return dumped
