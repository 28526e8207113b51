from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunekit import Component, Dataset, Table
from tunekit.builtin.datasets import Friedman, Spirals
from tunekit.plugins import load
from tunekit.testing import Check, CheckFailure, checks_for, parametrize_with_checks

Caught = Callable[[Component], dict[str, CheckFailure]]

REGISTRY = load(entry_points=False)
BUILT_IN = [REGISTRY.find(Dataset, name) for name in REGISTRY.names("dataset")]


@parametrize_with_checks(*BUILT_IN, Spirals(classes=3, rows=600), Friedman(rows=200))
def test_the_built_ins_pass(component: Dataset, check: Check) -> None:
    check(component)


def right() -> Table:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    texts = np.array(["left", "right"], dtype=object)[rng.integers(0, 2, 300)]
    target = np.where(x + (texts == "left") > 0.5, "yes", "no")
    return Table({"x": x, "side": texts}, target, name="mine", task="classification")


class Sides(Dataset):
    """A data set that is right, and into which one mistake is put."""

    name = "mine"
    tasks = ("classification",)

    def load(self) -> Table:
        return right()


def test_what_is_right_passes(caught: Caught) -> None:
    assert caught(Sides()) == {}


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_what_is_right_passes_for_other_tasks(task: Any, caught: Caught) -> None:
    def loaded(self: Any) -> Table:
        table = right()
        x = table.columns["x"]
        target = x**2 if task == "regression" else np.column_stack([x > 0, x > 1]).astype(int)
        return replace(table, target=target, task=task)

    assert caught(type("Mine", (Sides,), {"tasks": (task,), "load": loaded})()) == {}


def changed(**changes: Any) -> Callable[[Any], Table]:
    return lambda self: replace(right(), **changes)


def with_gaps(self: Any) -> Table:
    target = right().target.astype(object)
    target[5] = None
    return replace(right(), target=target)


# What is loaded instead, the checks that find it, and what is told.
MISTAKES: dict[str, tuple[Callable[[Any], Any], set[str], str]] = {
    "nothing returned": (
        lambda self: None,
        {"table"},
        "a `return` is missing",
    ),
    "a column that is too short": (
        changed(columns={"x": np.zeros(200)}),
        {"table"},
        "only the columns were filtered",
    ),
    "a matrix as a column": (
        changed(columns={"x": np.zeros((300, 2))}),
        {"table"},
        "rows and columns are turned round",
    ),
    "no columns": (
        changed(columns={}),
        {"table"},
        "no array with an element a row",
    ),
    "weights of other rows": (
        changed(weight=np.ones(200)),
        {"table"},
        "the weights are those of other rows",
    ),
    "another task than declared": (
        changed(task="regression", target=right().columns["x"]),
        {"table"},
        "say different things",
    ),
    "missing targets": (
        with_gaps,
        {"target_is_known"},
        "leave them out in `load`",
    ),
    "other rows each time": (
        lambda self: replace(
            right(), columns=dict(right().columns, noise=np.random.default_rng().random(300))
        ),
        {"deterministic"},
        "drawn from a generator of its own",
    ),
    "an infinite number": (
        changed(columns=dict(right().columns, y=np.full(300, np.inf))),
        {"prepares"},
        "a study would refuse them, too",
    ),
    "one class": (
        changed(target=np.full(300, "yes")),
        {"prepares"},
        "a study would refuse them, too",
    ),
    "a target in another order": (
        changed(target=np.sort(right().target)),
        {"learns"},
        "sorted or shuffled alone",
    ),
}


def broken(mistake: str) -> Dataset:
    made: Dataset = type("Mine", (Sides,), {"load": MISTAKES[mistake][0]})()
    return made


def test_every_check_finds_some_mistake() -> None:
    checks = {check.name for check in checks_for(Sides) if check.kind}
    assert {name for *_, names, _ in MISTAKES.values() for name in names} == checks


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_caught_by_name(mistake: str, caught: Caught) -> None:
    _, names, told = MISTAKES[mistake]
    failures = caught(broken(mistake))
    assert set(failures) == names
    assert any(told in failure.likely for failure in failures.values())
