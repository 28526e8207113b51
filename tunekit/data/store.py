"""A prepared problem in a folder, for worker processes to map into memory.

It imports numpy only, since every worker imports it.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tunekit.records import Fold, Problem

ARRAYS = tuple(field.name for field in fields(Fold))


def save(problem: Problem, folder: Path) -> None:
    """Write a problem: an .npy file for each array, and problem.json for the rest.

    Args:
        problem: What to write.
        folder: Where; it is made if it is not there, and what an earlier problem left is replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for index, fold in enumerate(problem.folds):
        _save_fold(fold, folder, f"fold-{index}")
    _save_fold(problem.final, folder, "final")
    plain = {
        field.name: getattr(problem, field.name)
        for field in fields(Problem)
        if field.name not in ("folds", "final")
    }
    plain["folds"] = len(problem.folds)
    (folder / "problem.json").write_text(json.dumps(plain), encoding="utf-8")


def open_saved(folder: Path) -> Problem:
    """The problem that `save` wrote, its arrays mapped into memory and read-only."""
    plain: dict[str, Any] = json.loads((folder / "problem.json").read_text(encoding="utf-8"))
    for name in ("classes", "features", "targets", "labels"):
        plain[name] = tuple(plain[name])
    plain["folds"] = tuple(_open_fold(folder, f"fold-{i}") for i in range(plain["folds"]))
    plain["final"] = _open_fold(folder, "final")
    return Problem(**plain)


def _save_fold(fold: Fold, folder: Path, name: str) -> None:
    for array in ARRAYS:
        path = folder / f"{name}-{array}.npy"
        values = getattr(fold, array)
        if values is None:
            path.unlink(missing_ok=True)
        else:
            np.save(path, values, allow_pickle=False)


def _open_fold(folder: Path, name: str) -> Fold:
    arrays: dict[str, Any] = {array: _open(folder / f"{name}-{array}.npy") for array in ARRAYS}
    return Fold(**arrays)


def _open(path: Path) -> npt.NDArray[Any] | None:
    # A plain array: arithmetic on a memmap gives memmaps, which are slower to make.
    return np.asarray(np.load(path, mmap_mode="r")) if path.exists() else None
