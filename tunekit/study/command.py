"""The command that searches a study again."""

from __future__ import annotations

import itertools
import json
import os
import shlex
from collections.abc import Mapping
from typing import Any

from tunekit.study.source import Source


def search_command(source: Source, content: Mapping[str, Any], plugins: tuple[str, ...]) -> str:
    """The command, with every option that changed the study file.

    Args:
        source: The study file, and which options gave which keys.
        content: The study file's tables, changed by the options.
        plugins: Plugin files of the command line.
    """
    file = os.path.relpath(source.path)
    # What begins with a dash would be taken for an option.
    words = ["tunekit", "search", os.path.join(".", file) if file.startswith("-") else file]
    for key, option in source.options.items():
        try:
            value = _at(content, key)
        except (KeyError, TypeError):
            continue  # a later option replaced the whole table around it
        if option.startswith("--") and option != "--set":
            words += [option, str(value)]
        else:
            words += ["--set", f"{key}={_toml(value)}"]
    for plugin in plugins:
        words += ["--plugin", plugin]
    return shlex.join(words)


def other_command(search: str, name: str) -> str:
    """Another command on the results of a search.

    Args:
        search: What `search_command` gave.
        name: The command's name, such as ``"sync"``.
    """
    program, _, file, *options = shlex.split(search)
    words = [program, name, file]
    for option, value in itertools.pairwise(options):
        if option == "--set" and value.startswith(("study.name=", "study.storage=", "mlflow.")):
            words += [option, value]
    return shlex.join(words)


def _at(content: Mapping[str, Any], key: str) -> object:
    value: Any = content
    for name in key.split("."):
        value = value[name]
    return value


def _toml(value: object) -> str:
    """A value as TOML in one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_name(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, (bool, str)):
        # TOML takes all that JSON does, but this one character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def _name(key: str) -> str:
    is_bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if is_bare else json.dumps(key)
