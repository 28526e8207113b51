"""``tunekit schema``: a JSON Schema of the study file, for editors."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from tunekit.cli.options import Plugin
from tunekit.cli.output import kept_for_json
from tunekit.errors import InputError

if TYPE_CHECKING:
    from tunekit.plugins import Registry


def command(
    study: Annotated[
        Path | None,
        typer.Argument(
            metavar="STUDY.toml",
            help="A study file whose own plugin files are loaded too.",
            show_default=False,
        ),
    ] = None,
    plugin: Plugin = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write the schema to a file, such as study.schema.json.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print a JSON Schema of the study file, so that editors complete and check it.

    It knows the components that are installed, with their hyperparameters.
    """
    from tunekit.data.sources import SKLEARN
    from tunekit.study.json_schema import study_schema

    if output is not None:
        _check_place(output, study)
    with kept_for_json():  # a plugin may print while it is loaded
        registry = _registry(study, plugin or [])
    for left_out in registry.left_out:
        sys.stderr.write(f"left out: {left_out}\n")
    schema = study_schema(registry, [f"sklearn:{name}" for name in SKLEARN])
    text = json.dumps(schema, indent=2, allow_nan=False) + "\n"
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot be written: {reason}", key=f"-o {output}") from None
    sys.stdout.write(
        f"Schema: {output}\nPut this line on top of {study or 'the study file beside it'}:\n"
        f"{_directive(output, study)}\n"
    )


def _check_place(output: Path, study: Path | None) -> None:
    if output.is_dir():
        raise InputError("this is a folder; expected a file's name", key=f"-o {output}")
    if not output.parent.is_dir():
        raise InputError(f"there is no folder {output.parent}; make it first", key=f"-o {output}")
    if study is not None and output.exists() and study.exists() and output.samefile(study):
        raise InputError("this is the study file itself", key=f"-o {output}")


def _registry(study: Path | None, more: list[str]) -> Registry:
    """The components there are, those of a study included, whatever else is wrong with it."""
    from tunekit.plugins import environment_files, load, named_files
    from tunekit.study.source import read
    from tunekit.study.study import plugin_files

    if study is None:
        return load(named_files(more), optional=environment_files())
    source, content = read(study)
    plugins = content.get("plugins")
    table = plugins if isinstance(plugins, dict) else {}
    files = plugin_files(_texts(table.get("files")), source, more)
    disabled = _texts(table.get("disabled"))
    return load(files, optional=environment_files(), disabled=disabled)


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _directive(output: Path, study: Path | None) -> str:
    """The comment by which editors find the schema, from the study file's folder."""
    folder = output.parent if study is None else study.parent
    relative = Path(os.path.relpath(output, folder)).as_posix()
    prefix = "" if relative.startswith("../") else "./"
    return f"#:schema {prefix}{quote(relative)}"
