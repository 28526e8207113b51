"""``tunekit plugins``: what is installed, and one component in detail."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunekit.cli.options import Json, Plugin
from tunekit.cli.output import print_json
from tunekit.components import KINDS, Component
from tunekit.errors import UnknownNameError, suggestion
from tunekit.space import Hyperparameter, show

if TYPE_CHECKING:
    from tunekit.plugins import Registry


def command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="A component, as in adam or optimizer.adam.", show_default=False
        ),
    ] = None,
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """List the components that studies can name, or show one with its hyperparameters."""
    from tunekit.plugins import load

    registry = load(plugin or (), observers=True)
    for left_out, reason in registry.broken.items():
        sys.stderr.write(f"left out: {left_out}: {reason}\n")
    if name is None:
        components = [_described(registry, kind, n) for kind in KINDS for n in registry.names(kind)]
        if as_json:
            print_json({"components": components, "broken": registry.broken})
        else:
            _print_list(registry, components)
        return
    found = _find(registry, name)
    if as_json:
        print_json({"components": [_described(registry, *key) for key in found]})
    else:
        for key in found:
            _print_one(registry, *key)


def _find(registry: Registry, name: str) -> list[tuple[str, str]]:
    known = [(kind, n) for kind in KINDS for n in registry.names(kind)]
    found = [(kind, n) for kind, n in known if name in (n, f"{kind}.{n}")]
    if not found:
        raise UnknownNameError(
            f"no component is called {name!r}. "
            + suggestion(name, {f"{kind}.{n}" if "." in name else n for kind, n in known})
        )
    return found


def _class(registry: Registry, kind: str, name: str) -> type[Component]:
    return registry.find(KINDS[kind], name)


def _described(registry: Registry, kind: str, name: str) -> dict[str, Any]:
    cls = _class(registry, kind, name)
    return {
        "kind": kind,
        "name": name,
        "summary": cls.summary(),
        "owner": str(registry.owner(kind, name)),
        "hyperparameters": [
            {
                "name": h.name,
                "type": h.type.__name__,
                "default": h.default,
                "searched": str(h.search) if h.search else None,
                "min": h.min,
                "max": h.max,
                "choices": h.choices,
            }
            for h in cls.hyperparameters().values()
        ],
    }


def _print_list(registry: Registry, components: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for kind in KINDS:
        table = Table(title=f"{kind}s" if kind != "loss" else "losses", title_justify="left")
        table.title_style = "bold"
        table.box = None
        table.show_header = False
        table.add_column(min_width=22)
        table.add_column(overflow="fold")
        for component in components:
            if component["kind"] == kind:
                owner = str(registry.owner(kind, component["name"]))
                origin = "" if owner.startswith("tunekit ") else f" ({owner})"
                table.add_row(f"  {component['name']}", Text(component["summary"] + origin))
        if table.row_count:
            console.print(table)
            console.print()
    console.print("One in detail: tunekit plugins NAME", style="dim")


def _print_one(registry: Registry, kind: str, name: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    cls = _class(registry, kind, name)
    console.print(f"[bold]{name}[/bold]  {kind}, from {escape(str(registry.owner(kind, name)))}")
    console.print()
    console.print(inspect.cleandoc(cls.__doc__ or ""), markup=False)
    console.print()
    hyperparameters = cls.hyperparameters().values()
    if hyperparameters:
        table = Table("hyperparameter", "default", "searched", "must be", box=None)
        for h in hyperparameters:
            table.add_row(h.name, show(h.default), str(h.search or "no"), _limits(h))
        console.print(table)
    else:
        console.print("It has no hyperparameters.")
    console.print()


def _limits(h: Hyperparameter) -> str:
    if h.choices is not None:
        return "one of " + ", ".join(show(choice) for choice in h.choices)
    if h.min is not None and h.max is not None:
        return f"{show(h.min)} to {show(h.max)}"
    if h.min is not None:
        return f"{show(h.min)} or more"
    if h.max is not None:
        return f"{show(h.max)} or less"
    return {"float": "a number", "int": "a whole number", "bool": "true or false"}.get(
        h.type.__name__, "a text"
    )
