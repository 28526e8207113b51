from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from tunekit.data.options import DataOptions
from tunekit.data.prepare import prepare
from tunekit.data.store import open_saved, save
from tunekit.records import Fold, Problem, Table


def problem(*, test: float = 0.2, folds: int = 2, weighted: bool = True) -> Problem:
    rng = np.random.default_rng(0)
    table = Table(
        {"a": rng.normal(size=40), "b": np.array(["x", "y"] * 20)},
        np.array(["no", "yes"] * 20),
        "toy",
        weight=rng.random(40) if weighted else None,
    )
    return prepare(table, DataOptions("toy", test=test, folds=folds), seed=0)


def all_folds(problem: Problem) -> list[Fold]:
    return [*problem.folds, problem.final]


@pytest.mark.parametrize("test", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_what_is_saved_is_opened_the_same(tmp_path: Path, test: float, weighted: bool) -> None:
    saved = problem(test=test, weighted=weighted)
    save(saved, tmp_path / "data")
    opened = open_saved(tmp_path / "data")
    for field in fields(Problem):
        if field.name not in ("folds", "final"):
            assert getattr(opened, field.name) == getattr(saved, field.name)
    assert opened.has_test == (test > 0)
    for before, after in zip(all_folds(saved), all_folds(opened), strict=True):
        for field in fields(Fold):
            first, second = getattr(before, field.name), getattr(after, field.name)
            if first is None:
                assert second is None
            else:
                assert first.dtype == second.dtype
                assert np.array_equal(first, second)


def test_opened_arrays_are_plain_and_read_only(tmp_path: Path) -> None:
    save(problem(), tmp_path)
    for fold in all_folds(open_saved(tmp_path)):
        for field in fields(Fold):
            array = getattr(fold, field.name)
            assert type(array) is np.ndarray
            assert array.flags.c_contiguous
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


def test_opened_arrays_are_mapped_not_read(tmp_path: Path) -> None:
    save(problem(), tmp_path)
    assert isinstance(open_saved(tmp_path).folds[0].x.base, np.memmap)


def test_nothing_of_an_earlier_problem_is_left_over(tmp_path: Path) -> None:
    save(problem(), tmp_path)
    save(problem(test=0.0, weighted=False), tmp_path)
    opened = open_saved(tmp_path)
    assert not opened.has_test
    assert opened.folds[0].weight is None


def test_a_worker_that_opens_a_problem_needs_numpy_only(tmp_path: Path) -> None:
    save(problem(), tmp_path)
    program = (
        "import sys; from pathlib import Path; from tunekit.data.store import open_saved;"
        f"open_saved(Path({str(tmp_path)!r}));"
        "print(*({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "numpy" in loaded
    heavy = {"pandas", "sklearn", "scipy", "pyarrow", "mlflow", "optuna"}
    assert not heavy & set(loaded)
