"""Plugins that are a single file."""

from __future__ import annotations

import linecache
import os
import re
import sys
import threading
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunekit.errors import PluginError
from tunekit.plugins.digests import digest
from tunekit.plugins.failure import is_request, place, told

ENVIRONMENT = "TUNEKIT_PLUGINS"
"""The environment variable that names files, separated as in ``PATH``."""

_running = threading.RLock()  # a module is in `sys.modules` before all of it has run


@dataclass(frozen=True)
class PluginFile:
    """A single-file plugin as it travels to workers: where it came from, and its text."""

    path: str
    text: str

    @classmethod
    def read(cls, path: str | Path) -> PluginFile:
        """Read a plugin file.

        Raises:
            PluginError: It cannot be read.
        """
        try:
            return cls(str(path), Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise PluginError(f"cannot read this plugin file: {reason}", file=str(path)) from None

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the text's SHA-256."""
        return digest(self.text.encode())

    @property
    def module_name(self) -> str:
        """A module name that other files of the same name do not share."""
        stem = re.sub(r"\W", "_", Path(self.path).stem)
        return f"tunekit_plugin_{stem}_{self.digest}"


def environment_files() -> list[str]:
    """The paths of the files that ``TUNEKIT_PLUGINS`` names."""
    return [
        os.path.abspath(name) for name in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if name
    ]


def named_files(names: Iterable[str]) -> list[PluginFile]:
    """The files that a person names, relative to the current folder.

    Raises:
        PluginError: One cannot be read.
    """
    return [PluginFile.read(os.path.abspath(name)) for name in names]


def unique(files: Sequence[PluginFile]) -> list[PluginFile]:
    """Each text once: two files that hold the same are one plugin."""
    found: dict[str, PluginFile] = {}
    for file in files:
        found.setdefault(file.digest, file)
    return list(found.values())


def module_from(file: PluginFile) -> types.ModuleType:
    """Run a plugin file's text as a module of its own.

    Raises:
        PluginError: It raises.
    """
    with _running:
        return sys.modules.get(file.module_name) or _run(file)


def _run(file: PluginFile) -> types.ModuleType:
    module = types.ModuleType(file.module_name)
    module.__file__ = file.path
    # Tracebacks and `inspect.getsource` find the text even where the file is not (in a worker).
    lines = file.text.splitlines(keepends=True)
    linecache.cache[file.path] = (len(file.text), None, lines, file.path)
    sys.modules[file.module_name] = module
    try:
        exec(compile(file.text, file.path, "exec"), module.__dict__)
    except BaseException as error:
        del sys.modules[file.module_name]
        if is_request(error):
            raise
        raise in_file(error, file.path) from error
    return module


def in_file(error: BaseException, path: str) -> PluginError:
    """What a plugin file raised, with the line of the file."""
    if isinstance(error, PluginError) and error.file is not None:
        return error
    at = place(error, [path])
    line = at.line if at is not None and at.file == path else None
    return PluginError(told(error), file=path, line=line)
