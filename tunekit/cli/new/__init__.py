"""``tunekit new``: a plugin to start from, as a file or as a distribution."""

from __future__ import annotations

import shlex
import sys
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from tunekit.cli import completion
from tunekit.cli.new.distribution import distribution
from tunekit.cli.new.names import Beginning, begin
from tunekit.cli.new.source import first_study, plugin_file
from tunekit.components import KINDS
from tunekit.errors import InputError

Kind = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        help=f"One of {', '.join(KINDS)}.",
        show_default=False,
        autocompletion=completion.kinds,
    ),
]
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="What studies are to call it, as in my_rule.", show_default=False
    ),
]
Package = Annotated[
    bool,
    typer.Option("--package", help="Write a distribution to install: module, tests, pyproject."),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        help="Where to write it; the current folder if left out.",
        show_default=False,
    ),
]


def command(kind: Kind, name: Name, package: Package = False, output: Output = Path()) -> None:
    """Write a plugin that works as it stands and says what to change. Nothing is overwritten."""
    beginning = begin(kind, name, own_file=not package)
    if not output.is_dir():
        found = "this is no folder" if output.exists() else "there is no such folder; make it first"
        raise InputError(found, key=f"-o {output}")
    if package:
        folder = output / beginning.distribution
        _write(folder, distribution(beginning))
        sys.stdout.write(_after_distribution(beginning, folder))
    else:
        file = output / f"{beginning.name}.py"
        _write(file, plugin_file(beginning))
        sys.stdout.write(_after_file(beginning, file))


def _write(path: Path, content: str | dict[str, str]) -> None:
    """Write a new file with that text, or a new folder with those files."""
    try:
        if isinstance(content, str):
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(content)
            return
        path.mkdir()
        for name, text in content.items():
            (path / name).parent.mkdir(exist_ok=True)
            _write(path / name, text)
    except FileExistsError:
        raise InputError(
            "this is there already, and nothing is overwritten; choose another name, or another "
            "folder with -o",
            file=str(path),
        ) from None
    except OSError as error:
        raise InputError(f"cannot write this: {error.strerror}", file=str(path)) from None


def _after_file(beginning: Beginning, file: Path) -> str:
    shown = shlex.quote(str(file))
    return (
        f"Wrote {file}: {beginning.noun} that works as it stands. "
        "Make it yours, and ask tunekit:\n\n"
        f"  tunekit check {shown}\n"
        f"  tunekit plugins {beginning.name} --plugin {shown}\n\n"
        + _trying(first_study(beginning, file.as_posix()))
    )


def _after_distribution(beginning: Beginning, folder: Path) -> str:
    files = "".join(f"  {folder / name}\n" for name in distribution(beginning))
    return (
        f"Wrote {beginning.noun} that works as it stands, as a distribution:\n\n{files}\n"
        "Install it, make it yours, and test it:\n\n"
        f"  cd {shlex.quote(str(folder))}\n"
        "  pip install -e '.[dev]'\n"
        "  pytest\n"
        f"  tunekit plugins {beginning.name}\n\n" + _trying(first_study(beginning))
    )


def _trying(study: str) -> str:
    shown = textwrap.indent(study, "  ")
    return f"A whole study to try it in, for tunekit search STUDY.toml:\n\n{shown}\n"
