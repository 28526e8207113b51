"""A search that is interrupted or killed, and goes on: finished trials are there, once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from tunekit import FinishedTrial, hookimpl
from tunekit.search.run import run_search
from tunekit.search.setting import Setting
from tunekit.tracking.client import connect, quiet

Make = Callable[..., Setting]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

STUDY = """
[study]
name = "killed"
trials = 12
workers = 2
finalists = 1
final_seeds = 1

[data]
source = "sklearn:digits"
validation = 0.3

[train]
epochs = 30

[search]
optimizer = ["adam", "sgd"]
activation = ["relu", "tanh"]

[pruner]
name = "median"
"""

COMMAND = [sys.executable, "-m", "tunekit", "search", "killed.toml"]


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new store, which takes MLflow seconds to create."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with quiet():
        connect(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def folder(tmp_path: Path, empty_store: Path) -> Path:
    (tmp_path / "killed.toml").write_text(STUDY)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
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


def finish(process: subprocess.Popen[str], *numbers: signal.Signals) -> tuple[int, str]:
    for number in numbers:
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
    assert len(trials) == 12
    assert all(trial.state.is_finished() for trial in trials)
    asks = [trial.user_attrs["tunekit"]["ask"] for trial in trials]
    assert sorted(asks) == list(range(12))
    parent = result["mlflow"]["run_id"]
    with quiet():  # MLflow uses what SQLAlchemy warns of
        import mlflow

        client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        search_status = client.get_run(parent).info.status
        runs = client.search_runs(
            [result["mlflow"]["experiment_id"]], f"tags.`mlflow.parentRunId` = '{parent}'"
        )
    counted = Counter(run.data.tags["tunekit.trial"] for run in runs)
    assert counted == Counter(str(number) for number in range(12))
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
    wait_for_trials(process, 3)
    code, rest = finish(process, number)
    assert code == 130
    assert "Traceback" not in rest
    kept = {trial.number: trial.value for trial in recorded(folder)}
    assert 3 <= len(kept) < 12
    result = go_on(folder)
    now = {trial.number: trial.value for trial in recorded(folder)}
    assert {number: now[number] for number in kept} == kept
    check_whole(folder, result)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_is_no_worse_than_a_kill(folder: Path, number: signal.Signals) -> None:
    process = start(folder)
    wait_for_trials(process, 2)
    code, rest = finish(process, number, number)
    assert code in (130, -number)
    assert "Traceback" not in rest
    assert len(recorded(folder)) >= 2
    check_whole(folder, go_on(folder))


def test_a_search_killed_at_random_moments_loses_and_doubles_nothing(folder: Path) -> None:
    chance = random.Random(0)
    kept: dict[int, float | None] = {}
    for _ in range(3):
        process = start(folder)
        wait_for_trials(process, 1)
        time.sleep(chance.uniform(0, 0.2))
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


DEADLY = '''
import os
import signal

import numpy as np

from tunekit import Optimizer, hookimpl

class Deadly(Optimizer):
    """Does not survive its second epoch."""
    name = "deadly"
    lr: float = 0.1

    def direction(self, w, g, state, step):
        if step.t > 8:
            {deed}
        return g

@hookimpl
def tunekit_optimizers():
    return [Deadly]
'''


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        # What a kernel that is short of memory does.
        ("os.kill(os.getpid(), signal.SIGKILL)", "the worker process died (signal 9)"),
        ("os._exit(3)", "the worker process died (exit code 3)"),
        ("np.ones(2**50)", "Unable to allocate"),
    ],
)
def test_what_always_kills_its_worker_is_recorded_as_failed_and_the_others_finish(
    make: Make, tmp_path: Path, deed: str, reason: str
) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY.format(deed=deed))
    more = '[plugins]\nfiles = ["deadly.py"]\n'
    changes = ('search.optimizer=["sgd", "deadly"]', "study.trials=4", "study.workers=2")
    result = run_search(make(more, *changes, "study.finalists=1", "sampler.name=random")).result
    assert result.status == "finished"
    assert len(result.trials) == 4
    dead = [t for t in result.trials if t.configuration["optimizer"] == "deadly"]
    assert dead
    for trial in result.trials:
        assert trial.state == ("failed" if trial in dead else "complete"), trial.reason
        assert trial not in dead or reason in trial.reason


def test_a_trial_whose_worker_was_killed_is_what_it_would_have_been(make: Make) -> None:
    changes = ("sampler.name=random", "study.trials=8", "study.finalists=0")
    alone = run_search(make("", *changes, name="alone")).result.trials
    setting = make("", *changes, "study.workers=2")
    chance, started = random.Random(0), list[int]()

    class Killing:
        @hookimpl
        def tunekit_trial_started(self, ask: int) -> None:
            started.append(ask)
            if len(started) == 3:
                os.kill(chance.choice(_children(os.getpid())), signal.SIGKILL)

    setting.registry.observe(Killing())
    result = run_search(setting).result

    def told(trials: tuple[FinishedTrial, ...]) -> list[tuple[object, ...]]:
        return sorted(
            (t.ask, t.state, t.value, dict(t.configuration), [c.metrics for c in t.curves])
            for t in trials
        )

    assert len(started) == 8
    assert told(result.trials) == told(alone)


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
