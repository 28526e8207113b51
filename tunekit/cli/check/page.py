"""How the checks of components ended, for a person."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from tunekit.cli.pages import ASIDE, print_lines
from tunekit.cli.plugins import facts
from tunekit.components import Component
from tunekit.plugins import Owner
from tunekit.testing import Check, CheckFailure, Finding

WIDEST = 90
INDENT, OUTCOME = 2, 10
WORDS = {
    "passed": ("ok", "green"),
    "failed": ("FAILED", "bold red"),
    "expected failure": ("expected", "yellow"),
    "unexpected pass": ("PASSED", "bold red"),
}


class Page:
    """What a person sees, line by line as it becomes known."""

    def __init__(self) -> None:
        self._width = min(Console().width, WIDEST)
        self._column = 0
        self._components = 0
        self._failures: dict[str, str] = {}

    def begin(self, component: Component, owner: Owner, checks: tuple[Check, ...]) -> None:
        """Say what is checked."""
        self._column = INDENT + OUTCOME + max(len(check.name) for check in checks) + 2
        self._components += 1
        self._failures = {}
        source = f"  {component.kind}, from {facts.owner_in_words(owner)}"
        title = Text.assemble((component.name, "bold"), source)
        _print([title] if self._components == 1 else [Text(), title])

    def add(self, finding: Finding) -> None:
        """Say how a check ended."""
        _print(self._lines(finding))

    def end(self, checks: int, failed: int) -> None:
        """Say how many failed."""
        of = f" of {self._components} components" if self._components > 1 else ""
        words = f"{checks} checks{of}, {failed or 'none'} failed"
        _print([Text(), Text(words, style="bold red" if failed else "bold green")])

    def _lines(self, finding: Finding) -> Iterator[Text]:
        word, style = WORDS[finding.outcome]
        words = finding.check.summary
        if finding.outcome == "unexpected pass":
            words += f" (but was expected to fail: {finding.note})"
        elif finding.note:
            words += f" ({finding.note})"
        name = f"{finding.check.name:<{self._column - INDENT - OUTCOME}}"
        first, *rest = _wrapped(words, self._width - self._column)
        yield Text.assemble(" " * INDENT, (f"{word:<{OUTCOME}}", style), name, first)
        for line in rest:
            yield Text(" " * self._column + line)
        if finding.outcome == "failed" and finding.failure is not None:
            yield from self._told(finding.failure, finding.check.name)

    def _told(self, failure: CheckFailure, name: str) -> Iterator[Text]:
        """What was expected, what came, and why; once, where several checks meet the same."""
        indent = " " * (INDENT + OUTCOME)
        before = self._failures.setdefault(str(failure), name)
        if before != name:
            yield Text(f"{indent}the same as in {before}", style=ASIDE)
            return
        for title in ("expected", "found", "likely"):
            words = getattr(failure, title)
            for i, line in enumerate(_wrapped(words, self._width - len(indent) - OUTCOME)):
                label = title if i == 0 else ""
                yield Text.assemble(indent, (f"{label:<{OUTCOME}}", ASIDE), line)


def _wrapped(words: str, room: int) -> list[str]:
    return textwrap.wrap(words, max(room, 20), break_on_hyphens=False)


def _print(lines: Iterable[Text]) -> None:
    print_lines(lines)
    sys.stdout.flush()  # each line as soon as it is known
