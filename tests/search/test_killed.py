"""A search that is interrupted or killed, and goes on: finished trials are there, once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest

from tunekit.tracking.client import quiet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

STUDY = """
[study]
name = "killed"
trials = 24
workers = 2
finalists = 1
final_seeds = 1

[data]
source = "sklearn:digits"
validation = 0.3

[train]
epochs = 12

[search]
optimizer = ["adam", "sgd"]
activation = ["relu", "tanh"]

[pruner]
name = "median"
"""

COMMAND = [sys.executable, "-m", "tunekit", "search", "killed.toml"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "killed.toml").write_text(STUDY)
    return tmp_path


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        COMMAND, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def wait_for_trials(process: subprocess.Popen[str], count: int) -> list[str]:
    """Read the progress until so many trials are finished; returns their lines."""
    assert process.stderr is not None
    lines: list[str] = []
    while len(lines) < count:
        line = process.stderr.readline()
        assert line, "the search ended early"
        if "  trial " in line:
            lines.append(line)
    return lines


def finish(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    assert process.stderr is not None
    rest = process.stderr.read()
    process.stderr.close()
    return process.wait(), rest


def recorded(folder: Path) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name="killed", storage=f"sqlite:///{folder}/optuna.db")
    return study.get_trials(deepcopy=False)


def check_whole(folder: Path, result: dict[str, Any]) -> None:
    """Every trial is in the record and in MLflow, once, and nothing is left running."""
    trials = recorded(folder)
    assert len(trials) == 24
    assert all(trial.state.is_finished() for trial in trials)
    asks = [trial.user_attrs["tunekit"]["ask"] for trial in trials]
    assert sorted(asks) == list(range(24))
    parent = result["mlflow"]["run_id"]
    with quiet():  # MLflow uses what SQLAlchemy warns of
        import mlflow

        client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        search_status = client.get_run(parent).info.status
        runs = client.search_runs(
            [result["mlflow"]["experiment_id"]], f"tags.`mlflow.parentRunId` = '{parent}'"
        )
    counted = Counter(run.data.tags["tunekit.trial"] for run in runs)
    assert counted == Counter(str(number) for number in range(24))
    assert {run.info.status for run in runs} <= {"FINISHED", "FAILED"}
    assert search_status == "FINISHED"


def go_on(folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [*COMMAND, "--json"], cwd=folder, capture_output=True, text=True, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_keeps_what_is_finished_and_goes_on(
    folder: Path, number: signal.Signals
) -> None:
    process = start(folder)
    seen = wait_for_trials(process, 4)
    code, rest = finish(process, number)
    assert code == 130
    assert "Traceback" not in rest
    kept = {trial.number: trial.value for trial in recorded(folder)}
    assert 4 <= len(kept) < 24
    result = go_on(folder)
    now = {trial.number: trial.value for trial in recorded(folder)}
    assert {number: now[number] for number in kept} == kept
    assert len(seen) == 4
    check_whole(folder, result)


def test_a_search_killed_at_random_moments_loses_and_doubles_nothing(folder: Path) -> None:
    chance = random.Random(0)
    kept: dict[int, float | None] = {}
    for _ in range(3):
        process = start(folder)
        wait_for_trials(process, 1)
        time.sleep(chance.uniform(0, 0.6))
        finish(process, signal.SIGKILL)
        now = {trial.number: trial.value for trial in recorded(folder)}
        assert {number: now[number] for number in kept} == kept
        assert len(now) > len(kept)
        kept = now
    check_whole(folder, go_on(folder))


def test_nothing_is_left_behind_by_an_interrupted_search(folder: Path) -> None:
    process = start(folder)
    wait_for_trials(process, 1)
    group = _children(process.pid)
    assert group
    finish(process, signal.SIGINT)
    deadline = time.monotonic() + 10
    while any(_is_alive(pid) for pid in group):
        assert time.monotonic() < deadline, "a worker outlived its search"
        time.sleep(0.02)


def _children(parent: int) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                status = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            if int(status.rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry))
    return found


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
