"""One component in detail, for a person and as JSON."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from tunekit.cli.pages import ASIDE
from tunekit.cli.plugins import facts, plot
from tunekit.cli.plugins.curve import Curve, curve, is_drawn
from tunekit.cli.plugins.lookup import find
from tunekit.cli.plugins.paper import Paper, paper
from tunekit.components import Component
from tunekit.errors import ComponentError
from tunekit.plugins import Owner, Registry
from tunekit.space import Hyperparameter, show

WIDEST = 90
SCOPES = {
    "elementwise": "each parameter on its own",
    "tensor": "a matrix or a vector at a time",
    "vector": "all parameters at once",
}


def as_json(registry: Registry, kind: str, name: str) -> dict[str, Any]:
    """One component with its curve."""
    cls = find(registry, kind, name)
    return described(cls, registry.owner(kind, name)) | _curve_as_json(cls)


def described(cls: type[Component], owner: Owner) -> dict[str, Any]:
    """One component as ``--json`` prints it."""
    doc, code = facts.documentation(cls), facts.source(cls)
    published = paper(doc)
    return {
        "kind": cls.kind,
        "name": cls.name,
        "summary": cls.summary(),
        "doc": doc,
        "paper": {"text": published.text, "url": published.url} if published else None,
        "owner": facts.owner_as_json(owner),
        "traits": facts.traits(cls),
        "hyperparameters": [
            {
                "name": h.name,
                "type": h.type.__name__,
                "default": h.default,
                "searched": str(h.search) if h.search else None,
                "search": facts.search_as_json(h.search),
                "min": h.min,
                "max": h.max,
                "choices": h.choices,
            }
            for h in cls.hyperparameters().values()
        ],
        "source": {"file": code.file, "line": code.line} if code else None,
    }


def _curve_as_json(cls: type[Component]) -> dict[str, Any]:
    if not is_drawn(cls):
        return {}
    try:
        drawn = curve(cls)
    except ComponentError as error:
        return {"curve": None, "error": error.message}
    derivative = {} if drawn.derivative is None else {"derivative": drawn.derivative.tolist()}
    return {"curve": {"x": drawn.x.tolist(), "y": drawn.y.tolist(), **derivative}}


def print_page(registry: Registry, kind: str, name: str, *, source: bool) -> None:
    """Print one component for a person.

    Args:
        registry: Where it is.
        kind: Its kind.
        name: Its name.
        source: Whether to show its code, too.
    """
    console = Console(highlight=False)
    cls, owner = find(registry, kind, name), registry.owner(kind, name)
    width = min(console.width, WIDEST)
    with console.capture() as captured:
        for block in _blocks(cls, owner, width, console, source):
            console.print(block)
            console.print()
    for line in captured.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def _blocks(
    cls: type[Component], owner: Owner, width: int, console: Console, source: bool
) -> Iterator[RenderableType]:
    title = Text.assemble((cls.name, "bold"), f"  {cls.kind}, from {facts.owner_in_words(owner)}")
    title.overflow, title.no_wrap = "ignore", True
    yield title
    doc = facts.documentation(cls)
    if doc:
        yield _document(doc, width, coloured=console.color_system is not None)
    code = facts.source(cls)
    yield _entries(cls, paper(doc), code, source)
    if is_drawn(cls):
        try:
            yield _drawn(curve(cls), console)
        except ComponentError as error:
            yield Text(error.message, "red")
    yield _hyperparameters(cls)
    study = facts.in_a_study(cls, owner)
    written = Text(textwrap.indent(study, "  "), "cyan", no_wrap=True, overflow="ignore")
    yield Group("In a study:", written)
    if source and code is not None:
        if console.color_system is None:
            yield Text(code.text.rstrip(), no_wrap=True, overflow="ignore")
        else:
            # In the terminal's own colours, whatever its background.
            yield Syntax(code.text.rstrip(), "python", theme="ansi_dark", word_wrap=True)


def _document(doc: str, width: int, *, coloured: bool) -> Text:
    """The docstring, its paragraphs wrapped anew, its code in colour if there are colours."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", doc):
        lines = paragraph.splitlines()
        is_set = any(line.startswith((" ", "- ", "* ", ">>>")) for line in lines)
        paragraphs.append(paragraph if is_set else _wrapped(lines, width))
    text = "\n\n".join(paragraphs)
    if not coloured:
        return Text(text)
    written = Text()
    for i, part in enumerate(re.split(r"(``.+?``|`[^`]+`)", text, flags=re.DOTALL)):
        written.append(part.strip("`") if i % 2 else part, "cyan" if i % 2 else "")
    return written


def _wrapped(lines: list[str], width: int) -> str:
    return textwrap.fill(
        " ".join(" ".join(lines).split()), width, break_on_hyphens=False, break_long_words=False
    )


def _entries(
    cls: type[Component], published: Paper | None, code: facts.Source | None, shown: bool
) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=ASIDE, no_wrap=True)
    table.add_column(overflow="fold")
    if published:
        text = Text(published.in_words)
        if published.url:
            text.append("  ").append(published.url, f"blue underline link {published.url}")
        table.add_row("paper", text)
    for name, words in _declared(cls):
        table.add_row(name, words)
    if code is not None:
        hint = "" if shown else "  (--source shows it)"
        table.add_row("source", Text(f"{facts.near(code.file)}:{code.line}{hint}"))
    return table


def _declared(cls: type[Component]) -> Iterator[tuple[str, str]]:
    """What the class declares, in words."""
    declared = facts.traits(cls)
    if "scope" in declared:
        scope = declared["scope"]
        yield "scope", f"{scope}: {SCOPES.get(scope, scope)}"
    if "every" in declared:
        yield "asked", "once an epoch" if declared["every"] == "epoch" else "before each step"
    if declared.get("learned"):
        yield "learns", "one parameter for each unit"
    if "moments" in declared:
        yield "acts", ", ".join(declared["moments"]) or "never"
    if declared.get("slots"):
        yield "slots", ", ".join(declared["slots"])
    if declared.get("evaluates_elsewhere"):
        yield "evaluates", "at other weights than it trains"
    if "tasks" in declared:
        yield "tasks", ", ".join(declared["tasks"])
    if "targets" in declared:
        yield "targets", declared["targets"]
    if "needs" in declared:
        yield "needs", declared["needs"]
        yield "better", "larger" if declared["larger_is_better"] else "smaller"


def _drawn(drawn: Curve, console: Console) -> Group:
    rows = list(plot.lines(drawn, plot.letters(console.encoding)))
    for row in rows:
        row.no_wrap = True
    return Group(*rows, *([Text(drawn.note, ASIDE)] if drawn.note else []))


def _hyperparameters(cls: type[Component]) -> RenderableType:
    hyperparameters = cls.hyperparameters().values()
    if not hyperparameters:
        return Text("It has no hyperparameters.")
    table = Table("hyperparameter", "default", "searched", "must be", box=None, pad_edge=False)
    table.header_style = ASIDE
    for h in hyperparameters:
        table.add_row(h.name, show(h.default), str(h.search or "no"), _limits(h))
    return table


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
