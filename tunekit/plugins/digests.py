"""Whether a component's code is still what it was: digests of sources, or of the code itself."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def digest(content: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def class_digest(cls: type) -> str:
    """The digest of a class's code and of what its code refers to.

    For a class of a module that every process finds, it is that of the module's text (of a
    package, all of its modules), so it does not depend on where the text lies. For one of a
    script, a notebook or a function, it is that of its methods, with the values and functions
    around them that they use.
    """
    if _is_found(cls):
        return digest(b"\0".join(_texts(sys.modules[cls.__module__])))
    return digest("\n".join(_parts(cls, set())).encode())


def is_importable(module: types.ModuleType) -> bool:
    """Whether another process finds the same module under its name."""
    top = module.__name__.partition(".")[0]
    if top in sys.stdlib_module_names:
        return True
    if top == "__main__":
        return False
    try:
        spec = importlib.util.find_spec(module.__name__)
    except (ImportError, ValueError, AttributeError):
        return False
    if spec is None or spec.origin != getattr(module, "__file__", None):
        return False
    # That answers from the loaded modules; a worker has to find the same one on the path.
    on_path = importlib.machinery.PathFinder.find_spec(top)
    loaded = getattr(sys.modules.get(top), "__file__", None)
    return on_path is not None and on_path.origin == loaded


def _texts(module: types.ModuleType) -> Iterator[bytes]:
    """The text of a module, or of all modules of its package."""
    top = sys.modules.get(module.__name__.partition(".")[0], module)
    folders = [Path(folder) for folder in getattr(top, "__path__", [])]
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    for file in files or [Path(module.__file__ or "")]:
        # Line ends are not code, and a single file's text has these.
        yield file.read_bytes().replace(b"\r\n", b"\n")


def _parts(value: Any, seen: set[int]) -> Iterator[str]:
    """What makes a value what it is, in words that are the same in every process."""
    if isinstance(value, (bool, int, float, complex, str, bytes, type(None))):
        yield repr(value)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _parts(item, seen)
    elif isinstance(value, (set, frozenset)):
        yield from sorted(part for item in value for part in _parts(item, seen))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (*_parts(key, seen), *_parts(item, seen))
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape} {digest(value.tobytes())}"
    elif id(value) in seen:
        yield "itself"
    else:
        seen.add(id(value))
        yield from _parts_of_code(value, seen)


def _parts_of_code(value: Any, seen: set[int]) -> Iterator[str]:
    """The same for code and classes; of anything else its type must do."""
    if isinstance(value, types.CodeType):
        yield value.co_code.hex()
        names = (value.co_names, value.co_varnames, value.co_freevars, value.co_consts)
        yield from _parts(names, seen)
    elif isinstance(value, types.FunctionType):
        yield value.__qualname__
        closure = [cell.cell_contents for cell in value.__closure__ or ()]
        around = [value.__globals__[name] for name in _names(value.__code__, value.__globals__)]
        mine = [thing for thing in around if not _is_found(thing)]
        kept = [value.__code__, value.__defaults__, value.__kwdefaults__, closure, mine]
        yield from _parts(kept, seen)
    elif isinstance(value, (classmethod, staticmethod)):
        yield from _parts(value.__func__, seen)
    elif isinstance(value, property):
        yield from _parts([value.fget, value.fset], seen)
    elif isinstance(value, type) and not _is_found(value):
        yield value.__qualname__
        yield from _parts([base for base in value.__mro__[1:] if not _is_found(base)], seen)
        for name in sorted(vars(value)):
            if name not in _WRITTEN:
                yield name
                yield from _parts(vars(value)[name], seen)
    else:
        yield f"{type(value).__qualname__} {getattr(value, '__qualname__', '')}"


# What Python and dataclasses write into a class.
_WRITTEN = {
    *("__dict__", "__weakref__", "__module__", "__doc__", "__abstractmethods__", "_abc_impl"),
    *("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__match_args__"),
    *("__dataclass_fields__", "__dataclass_params__", "__replace__", "__annotations__"),
    *("__firstlineno__", "__static_attributes__", "__annotate_func__", "__annotations_cache__"),
}


def _names(code: types.CodeType, known: dict[str, Any]) -> Iterator[str]:
    """The global names that a function and the functions inside it use."""
    yield from (name for name in code.co_names if name in known)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant, known)


def _is_found(value: Any) -> bool:
    """Whether every process finds a value, by its name in a module."""
    if isinstance(value, types.ModuleType):
        return True
    if not isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return False
    module = sys.modules.get(value.__module__ or "")
    is_named = getattr(module, value.__qualname__, None) is value
    return module is not None and is_named and is_importable(module)
