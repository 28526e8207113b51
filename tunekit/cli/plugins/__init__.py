"""``tunekit plugins``: what is installed, one kind of it, or one component in detail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunekit.cli import completion
from tunekit.cli.options import Json, Plugin
from tunekit.cli.output import print_json
from tunekit.errors import InputError

if TYPE_CHECKING:
    from tunekit.cli.plugins.lookup import Key
    from tunekit.plugins import Registry


def command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A component, as in adam or optimizer.adam, or a kind, as in optimizer.",
            show_default=False,
            autocompletion=completion.names_and_kinds,
        ),
    ] = None,
    source: Annotated[
        bool, typer.Option("--source", help="Show a component's source code, too.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Draw an activation or a schedule: .svg, .png or .pdf.",
            show_default=False,
        ),
    ] = None,
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """List the components that studies can name, or show one with its formula and ranges."""
    from tunekit.cli.plugins import listing, lookup

    registry = lookup.loaded(plugin or ())
    kinds = lookup.kinds(name)
    if kinds is None:
        assert name is not None
        _show(registry, lookup.components(registry, name), source, output, as_json)
        return
    if source or output is not None:
        asked = "--source" if source else "-o"
        raise InputError(f"{asked} is about one component; say which, as in tunekit plugins relu")
    if as_json:
        print_json(listing.as_json(registry, kinds))
    else:
        listing.print_list(registry, kinds, in_full=name is None)


def _show(
    registry: Registry, found: list[Key], source: bool, output: Path | None, as_json: bool
) -> None:
    from tunekit.cli.plugins import component, listing

    picture = None
    if output is not None:
        from tunekit.cli.plugins import drawing

        picture = drawing.written(registry, found, output)
    if as_json:
        shown = [component.as_json(registry, *key) for key in found]
        where = {"picture": str(picture)} if picture else {}
        print_json({"components": shown, **listing.rest_as_json(registry), **where})
        return
    for key in found:
        component.print_page(registry, *key, source=source)
    listing.print_left_out(registry)
    if picture is not None:
        sys.stdout.write(f"Picture: {picture}\n")
