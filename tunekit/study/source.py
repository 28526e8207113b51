"""The study file as text: reading it, changing it from the command line, finding lines in it."""

from __future__ import annotations

import dataclasses
import os.path
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunekit.errors import HyperparameterError, StudyError, suggestion
from tunekit.space import Domain, Hyperparameter, domain_from

_STRING_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'|#[^\n]*",
    re.DOTALL,
)
_HEADER = re.compile(r"\s*\[{1,2}([^\[\]]+)\]{1,2}\s*")
_KEY = re.compile(r"\s*([\w.\s-]+?)\s*=")


@dataclass(frozen=True)
class Source:
    """Where a study's settings come from, to name it in errors.

    Attributes:
        path: The study file, absolute.
        text: Its content.
        options: The command-line option that gave a key, by the key's path.
    """

    path: Path
    text: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """What the file's relative paths are relative to."""
        return self.path.parent

    def error(self, message: str, key: str | None) -> StudyError:
        """An error about a key, naming the option that gave it, or the file and the line."""
        if key is None:
            return StudyError(message, file=str(self.path))
        for given, option in self.options.items():
            if _is_within(key, given) or _is_within(given, key):
                return StudyError(message, file=option, key=key)
        return StudyError(message, file=str(self.path), key=key, line=line_of(key, self.text))

    def domain(self, raw: object, declared: Hyperparameter, key: str) -> Domain:
        """The value rule, with errors that name the key.

        Raises:
            StudyError: The value does not fit.
        """
        try:
            if isinstance(raw, list):
                for i, value in enumerate(raw):
                    dataclasses.replace(declared, name=f"{key}[{i}]").check(value)
            domain = domain_from(raw, dataclasses.replace(declared, name=key))
            domain.nearest(declared.default)  # where an absurd step would overflow
            return domain
        except HyperparameterError as error:
            raise self.error(error.message, error.key) from None
        except OverflowError:
            raise self.error("expected numbers that can be computed with in 64 bits", key) from None


def read(path: str | Path) -> tuple[Source, dict[str, Any]]:
    """Read a study file.

    Returns:
        The source, and the file's content as plain tables.

    Raises:
        StudyError: It cannot be read or is not TOML.
    """
    # Not resolved: results belong beside the file that was named, also where it is a link.
    path = Path(os.path.abspath(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise StudyError(_missing(path), file=str(path)) from None
    except UnicodeDecodeError:
        raise StudyError("this file is not text in UTF-8", file=str(path)) from None
    except OSError as error:
        raise StudyError(f"cannot read this file: {error.strerror}", file=str(path)) from None
    try:
        return Source(path, text), tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason, _, place = str(error).partition(" (at ")
        at_line = re.match(r"line (\d+)", place)
        line = int(at_line[1]) if at_line else max(1, len(text.splitlines())) if place else None
        raise StudyError(f"this is not valid TOML: {reason}", file=str(path), line=line) from None


def _missing(path: Path) -> str:
    if not path.parent.is_dir():
        return "there is no such file; its folder does not exist either"
    files = [file.name for file in path.parent.glob("*.toml")]
    if not files:
        return "there is no such file, and no other .toml file in its folder"
    return f"there is no such file. {suggestion(path.name, files)}"


def assign(
    content: dict[str, Any], assignments: Sequence[str], known: Sequence[str]
) -> dict[str, str]:
    """Carry out ``--set KEY=VALUE`` in the content of a study file.

    Args:
        content: The file's tables; changed in place.
        assignments: Texts ``KEY=VALUE``; the value is TOML, or else a bare text.
        known: The paths of the keys that a study file may have.

    Returns:
        The changed paths, each with the name of the option.

    Raises:
        StudyError: An assignment has no key or no value, or its key does not exist.
    """
    values = {}
    for text in assignments:
        path, equals, value = text.partition("=")
        if not (equals and path.strip()):
            raise StudyError(f"expected KEY=VALUE, got {text!r}", file="--set")
        values[path.strip()] = _toml_value(value)
    return change(content, values, known, "--set")


def change(
    content: dict[str, Any], values: Mapping[str, object], known: Sequence[str], option: str
) -> dict[str, str]:
    """Replace values in the content of a study file.

    Args:
        content: The file's tables; changed in place.
        values: The new values, by the keys' paths.
        known: The paths of the keys that a study file may have.
        option: What the values came with.

    Returns:
        The changed paths, each with `option`.

    Raises:
        StudyError: There is no such key.
    """
    for path, value in values.items():
        is_known = any(_is_within(path, key) for key in known)
        if not (is_known or path.startswith("space.")):
            hint = suggestion(path, known)
            raise StudyError(f"there is no such key. {hint}", file=option, key=path)
        put(content, path, value, option)
    return dict.fromkeys(values, option)


def put(content: dict[str, Any], path: str, value: object, option: str) -> None:
    """Put a value at a path, making the tables on the way.

    Raises:
        StudyError: Something on the way is no table.
    """
    *tables, last = path.split(".")
    inner: Any = content
    for i, name in enumerate(tables):
        inner = inner.setdefault(name, {})
        if not isinstance(inner, dict):
            on_the_way = ".".join(tables[: i + 1])
            raise StudyError(
                f"the study file gives {on_the_way} = {inner!r}, which has no keys inside; "
                f"set {on_the_way} itself",
                file=option,
                key=path,
            )
    inner[last] = value


def _toml_value(text: str) -> object:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text.strip()
    return parsed["value"] if len(parsed) == 1 else text.strip()


def line_of(key: str, text: str) -> int | None:
    """The line of a key in a TOML text, or of the nearest table around it.

    Args:
        key: A path such as ``space.optimizer.sgd.lr.low`` or ``search.optimizer[1]``.
        text: Valid TOML.
    """
    lines = _lines(text)
    parts = re.sub(r"\[\d+\]", "", key).split(".")
    while parts:
        if ".".join(parts) in lines:
            return lines[".".join(parts)]
        parts.pop()
    return None


def _lines(text: str) -> dict[str, int]:
    """The line of every table header and key that starts a line, and of the tables they imply."""
    lines: dict[str, int] = {}
    table: list[str] = []
    depth = 0
    for number, line in enumerate(_STRING_OR_COMMENT.sub(_bare, text).split("\n"), start=1):
        path: list[str] = []
        if depth == 0:
            if header := _HEADER.fullmatch(line):
                path = table = _parts(header[1])
            elif found := _KEY.match(line):
                path = table + _parts(found[1])
        for end in range(1, len(path) + 1):
            lines.setdefault(".".join(path[:end]), number)
        depth += len(re.findall(r"[\[{]", line)) - len(re.findall(r"[\]}]", line))
    return lines


def _parts(path: str) -> list[str]:
    return [part.strip() for part in path.split(".")]


def _bare(found: re.Match[str]) -> str:
    """A quoted key without its quotes; nothing but line ends for other strings and comments."""
    inside = found[0][1:-1]
    return inside if re.fullmatch(r"[\w-]+", inside) else "\n" * found[0].count("\n")


def _is_within(path: str, table: str) -> bool:
    return path == table or path.startswith((f"{table}.", f"{table}["))
