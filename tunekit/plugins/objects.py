"""Plugins that are objects of the running program."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import inspect
import sys
import types
from collections.abc import Sequence
from contextlib import ExitStack

from tunekit.components import Component
from tunekit.plugins.files import digest
from tunekit.plugins.owner import Owner


def object_owner(plugin: object) -> Owner:
    """How an object is named as the owner of what it brings."""
    if isinstance(plugin, types.ModuleType):
        return Owner(plugin.__name__, _digest(plugin), "object")
    cls = plugin if isinstance(plugin, type) else type(plugin)
    return Owner(f"{cls.__module__}.{cls.__qualname__}", _digest(cls), "object")


def _digest(source: type | types.ModuleType) -> str:
    """That of the source text, or nothing where it cannot be had (as in an interactive session)."""
    try:
        return digest(inspect.getsource(source).encode())
    except (OSError, TypeError):
        return ""


def packed(components: Sequence[tuple[type[Component], Owner]]) -> bytes:
    """Component classes with their owners, as they travel to workers.

    A class of a module that a worker can import travels as its name, all others whole.
    """
    import cloudpickle

    modules = {
        sys.modules[cls.__module__] for cls, _ in components if cls.__module__ in sys.modules
    }
    with ExitStack() as stack:
        for module in modules:
            if not _is_importable(module):
                cloudpickle.register_pickle_by_value(module)
                stack.callback(cloudpickle.unregister_pickle_by_value, module)
        dumped: bytes = cloudpickle.dumps(list(components))
    return dumped


def _is_importable(module: types.ModuleType) -> bool:
    """Whether another process finds the same module under its name."""
    if module.__name__ == "__main__":
        return True  # cloudpickle knows what to do with it
    try:
        spec = importlib.util.find_spec(module.__name__)
    except (ImportError, ValueError, AttributeError):
        return False
    if spec is None or spec.origin != getattr(module, "__file__", None):
        return False
    # `find_spec` answers from the loaded modules; a worker has to find it on the path.
    top = module.__name__.partition(".")[0]
    return importlib.machinery.PathFinder.find_spec(top) is not None
