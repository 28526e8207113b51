"""What ``tunekit new`` starts from: every starter is a component as good as the built-in ones."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tunekit.cli.new.names import Beginning
from tunekit.cli.new.source import plugin_file, plugin_module
from tunekit.components import KINDS, Component
from tunekit.plugins import PluginFile, Registry, load
from tunekit.testing import parametrize_with_checks

BUILT_IN = load(entry_points=False)
TEXTS = {kind: plugin_file(Beginning(kind, f"my_{kind}")) for kind in KINDS}


def loaded(kind: str) -> Registry:
    return load([PluginFile(f"{kind}.py", TEXTS[kind])], entry_points=False)


def started(kind: str) -> type[Component]:
    return loaded(kind).find(KINDS[kind], f"my_{kind}")


@parametrize_with_checks(*map(started, KINDS))
def test_it_passes_the_conformance_checks(component: Any, check: Any) -> None:
    check(component)


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_it_is_found_by_its_name(self, kind: str) -> None:
        cls, owner = started(kind), loaded(kind).owner(kind, f"my_{kind}")
        assert (cls.__name__, owner.name) == (f"My{kind.capitalize()}", f"{kind}.py")

    def test_it_is_none_of_the_built_in_ones(self, kind: str) -> None:
        summaries = {BUILT_IN.find(KINDS[kind], name).summary() for name in BUILT_IN.names(kind)}
        assert started(kind).summary() not in summaries

    def test_nothing_of_the_starter_is_left(self, kind: str) -> None:
        for text in (TEXTS[kind], plugin_module(Beginning(kind, f"my_{kind}"))):
            assert not re.search("starter|[{}]name", text, re.IGNORECASE)

    def test_it_says_which_commands_come_next(self, kind: str) -> None:
        head = TEXTS[kind].split('"""')[1]
        assert f"    tunekit check my_{kind}.py\n" in head
        assert f"    tunekit plugins my_{kind} --plugin my_{kind}.py\n" in head
        assert f'    [plugins]\n    files = ["my_{kind}.py"]\n' in head

    def test_it_is_short_and_as_wide_as_formatters_like_it(self, kind: str) -> None:
        lines = TEXTS[kind].split('"""\n', 1)[1].splitlines()
        assert len(lines) <= 70
        assert max(map(len, lines)) <= 88


def test_linter_and_formatter_find_nothing_by_their_own_rules(tmp_path: Path) -> None:
    for kind, text in TEXTS.items():
        (tmp_path / f"{kind}.py").write_text(text, encoding="utf-8")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "."],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
