"""The plugin reference says what the code says, and leaves nothing out."""

from __future__ import annotations

import inspect
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tunekit
from tunekit import hookspecs
from tunekit.components import KINDS, Component, LearnedActivation, Progress, Step
from tunekit.testing.check import CHECKS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference.md").read_text(encoding="utf-8")
HOOKS = [name for name in vars(hookspecs) if name.startswith("tunekit_")]
CLASSES = [Component, *KINDS.values(), LearnedActivation]
RECORDS = [
    *(Step, Progress, tunekit.Table, tunekit.StudyInfo, tunekit.FinishedTrial, tunekit.Curve),
    *(tunekit.Diagnosis, tunekit.StudyResult, tunekit.Finalist, tunekit.TestScore),
]


def section(title: str) -> str:
    """What stands below a heading, up to the next of its rank or a higher one."""
    for marks in ("##", "###"):
        _, found, after = PAGE.partition(f"\n{marks} {title}\n")
        if found:
            ends = [after.find(f"\n{end} ") for end in ("##", marks)]
            return after[: min([end for end in ends if end >= 0], default=len(after))]
    raise AssertionError(f"the reference has no heading {title!r}")


def heading(cls: type) -> str:
    return {"Component": "Every component", "Dataset": "Data set"}.get(cls.__name__, cls.__name__)


def members(cls: type) -> Iterator[str]:
    """The public names that a class itself declares or defines."""
    for name in [*inspect.get_annotations(cls), *vars(cls)]:
        if not name.startswith("_") and name != "kind":
            yield name


def test_it_is_what_the_code_gives() -> None:
    made: Any = runpy.run_path(str(DOCS / "make_reference.py"))
    assert made["reference"]() == PAGE, f"docs/reference.md is out of date: run {made['COMMAND']}"


@pytest.mark.parametrize("hook", HOOKS)
def test_it_has_every_hook_with_all_its_arguments(hook: str) -> None:
    function = getattr(hookspecs, hook)
    for name, parameter in inspect.signature(function).parameters.items():
        assert f"{name}: {parameter.annotation}" in section(hook)
    for paragraph in inspect.cleandoc(function.__doc__).split("\n\n"):
        assert paragraph.replace("``", "`") in section(hook)


@pytest.mark.parametrize("cls", CLASSES, ids=heading)
def test_it_has_every_method_and_setting_of_a_kind(cls: type[Component]) -> None:
    text = section(heading(cls))
    for name in members(cls):
        if callable(getattr(cls, name)):
            must = name in cls.__abstractmethods__
            assert f"**`{name}`**{'; must be defined' if must else ''}\n" in text
            for argument in inspect.signature(getattr(cls, name)).parameters:
                assert argument in text.partition(f"def {name}(")[2].partition("```")[0]
        else:
            assert f"\n| `{name}` | " in text
            assert f" | `{getattr(cls, name)!r}` | " in text


@pytest.mark.parametrize("cls", RECORDS, ids=heading)
def test_it_has_every_attribute_of_what_is_passed_around(cls: type) -> None:
    for name in inspect.get_annotations(cls):
        if not name.startswith("__"):
            assert f"\n| `{name}` | " in section(cls.__name__)


@pytest.mark.parametrize("name", ["Float", "Int", "Flag", "Choice"])
def test_it_has_every_argument_of_a_declaration(name: str) -> None:
    for argument, parameter in inspect.signature(getattr(tunekit, name)).parameters.items():
        assert f"{argument}: {parameter.annotation}" in section(name)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.kind}-{check.name}")
def test_it_has_every_check(check: Any) -> None:
    kinds = {"": "everything", "loss": "losses", "dataset": "data sets"}
    text = section(f"Checks of {kinds.get(check.kind, check.kind + 's')}")
    assert f"| `{check.name}` | {check.summary.replace('``', '`')} |" in text


def test_its_links_lead_somewhere() -> None:
    headings = [line.lstrip("# ") for line in PAGE.splitlines() if line.startswith("##")]
    anchors = [title.lower().replace(" ", "-") for title in headings]
    assert len(anchors) == len(set(anchors))
    assert [part.partition(")")[0] for part in PAGE.split("](#")[1:]] == anchors
