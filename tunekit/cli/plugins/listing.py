"""All that is installed, by kind, and what could not be used."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from tunekit.cli.pages import ASIDE
from tunekit.cli.plugins import facts
from tunekit.cli.plugins.component import described
from tunekit.cli.plugins.lookup import find
from tunekit.cli.plugins.paper import in_brief
from tunekit.plugins import BUILTIN, COMPONENT_HOOKS, HOOKS, LeftOut, Owner, Registry
from tunekit.plugins.registry import plural

NAME = 24
"""Characters for a name and the space after it."""


def as_json(registry: Registry, kinds: Sequence[str]) -> dict[str, Any]:
    """All components of these kinds, and the rest."""
    components = [
        described(find(registry, kind, name), registry.owner(kind, name))
        for kind in kinds
        for name in registry.names(kind)
    ]
    return {"components": components, **rest_as_json(registry)}


def rest_as_json(registry: Registry) -> dict[str, Any]:
    """What was left out, disabled or claimed twice, and who observes."""
    return {
        "left_out": [
            {
                "owner": facts.owner_as_json(left_out.owner),
                "reason": left_out.reason,
                "file": left_out.place.file if left_out.place else None,
                "line": left_out.place.line if left_out.place else None,
            }
            for left_out in registry.left_out
        ],
        "disabled": [facts.owner_as_json(owner) for owner in registry.disabled],
        "contested": [
            {"kind": kind, "name": name, "owners": [facts.owner_as_json(o) for o in owners]}
            for (kind, name), owners in sorted(registry.contested.items())
        ],
        "observers": [{"plugin": who, "hooks": hooks} for who, hooks in observers(registry)],
    }


def observers(registry: Registry) -> Iterator[tuple[str, list[str]]]:
    """The plugins that observe the search, with the hooks they implement; none of tunekit's own."""
    for who, plugin in registry.manager.list_name_plugin():
        if who.startswith(str(BUILTIN)):
            continue
        callers = registry.manager.get_hookcallers(plugin) or []
        hooks = sorted({caller.name for caller in callers} & (HOOKS.keys() - COMPONENT_HOOKS))
        if hooks:
            yield who, hooks


def print_list(registry: Registry, kinds: Sequence[str], *, in_full: bool) -> None:
    """Print components, a line each, and below what could not be used.

    Args:
        registry: Where they are.
        kinds: Those to list.
        in_full: Whether to name observers and what could not be used, too.
    """
    console = Console(highlight=False)
    width = min(console.width, 120)
    with console.capture() as captured:
        for kind in kinds:
            for line in _of_kind(registry, kind, width):
                console.print(line, soft_wrap=True)
        if in_full:
            for line in _rest(registry):
                console.print(line, soft_wrap=True)
        console.print(Text("One in detail: tunekit plugins NAME", ASIDE))
    sys.stdout.write(captured.get())


def print_left_out(registry: Registry) -> None:
    """Print who was left out, if anybody was, in a line."""
    names = ", ".join(_in_short(left_out.owner) for left_out in registry.left_out)
    if names:
        sys.stdout.write(f"Left out: {names}. tunekit plugins says why.\n")


def _of_kind(registry: Registry, kind: str, width: int) -> Iterator[Text]:
    names = registry.names(kind)
    yield Text(plural(kind), "bold")
    if not names:
        yield Text("  none", ASIDE)
    for name in names:
        owner = registry.owner(kind, name)
        from_ = "" if owner.origin == "tunekit" else f"  ({_in_short(owner)})"
        summary = find(registry, kind, name).summary()
        label = f"{name:<{NAME - 3}} "
        room = max(width - 2 - len(label) - len(from_), 10)
        yield Text.assemble("  ", label, (in_brief(summary, room), ASIDE), (from_, "cyan"))
    yield Text()


def _in_short(owner: Owner) -> str:
    return facts.near(owner.name) if owner.origin == "file" else str(owner)


def _rest(registry: Registry) -> Iterator[Text]:
    watching = list(observers(registry))
    if watching:
        yield Text("observers", "bold")
        for who, hooks in watching:
            yield Text.assemble("  ", facts.near(who), (f"  {', '.join(hooks)}", ASIDE))
        yield Text()
    if registry.contested:
        yield Text("contested: several plugins claim the name, so none of them has it", "bold red")
        for (kind, name), owners in sorted(registry.contested.items()):
            yield Text(f"  {kind}.{name}: {', '.join(owner.in_full for owner in owners)}")
        yield Text()
    if registry.left_out:
        yield Text("left out", "bold red")
        for left_out in registry.left_out:
            yield from _left_out(left_out)
        yield Text()
    if registry.disabled:
        yield Text("disabled", "bold")
        for owner in registry.disabled:
            yield Text(f"  {owner.in_full}")
        yield Text()


def _left_out(left_out: LeftOut) -> Iterator[Text]:
    owner, place = left_out.owner, left_out.place
    yield Text(f"  {facts.near(owner.name) if owner.origin == 'file' else owner.in_full}")
    yield Text(f"    {left_out.reason}")
    if place is not None:
        yield Text(f"    {facts.near(place.file)}:{place.line}", ASIDE)
