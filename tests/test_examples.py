"""Every example study runs, through the installed command, in a copy of its folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
STUDIES = sorted(path.name for path in EXAMPLES.glob("*.toml"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The examples in a tree of their own; they keep their MLflow store in ``mlflow/``."""
    (tmp_path / "mlflow").mkdir()
    return Path(
        shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("*.db*"))
    )


@pytest.mark.parametrize("study", STUDIES)
def test_example_is_searched(study: str, copy: Path) -> None:
    limits = ("study.trials=3", "train.epochs=3", "study.final_seeds=1")
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("tunekit")),
            *("search", study, "--json", "--workers", "1"),
            *(part for limit in limits for part in ("--set", limit)),
        ],
        cwd=copy,
        env={key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {"study", "metric", "trials", "best", "test", "mlflow", "seconds"} <= set(report)
    assert sum(report["trials"][state] for state in ("complete", "pruned", "failed")) == 3
    assert report["trials"]["failed"] == 0
    assert {"number", "value", "params"} <= set(report["best"])
    assert (copy / "optuna.db").is_file()
    assert "Traceback" not in done.stderr


def test_there_are_examples() -> None:
    assert STUDIES
