"""Worker processes: what they load, how they die, and that they leave with their parent."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tunekit import Array, Optimizer, State, Step
from tunekit.data.store import save
from tunekit.errors import WorkError
from tunekit.plugins import Packed, load
from tunekit.search.engines import MAX_FAILED_STARTS, Pool
from tunekit.search.launch import make_engine
from tunekit.search.setting import Setting
from tunekit.search.units import Failure, Outcome, Unit, Workshop

Make = Callable[..., Setting]


@pytest.fixture
def workshop(make: Make, tmp_path: Path) -> Workshop:
    setting = make()
    folder = tmp_path / "data"
    folder.mkdir()
    save(setting.problem, folder)
    return Workshop(folder, Packed.of(setting.registry), "accuracy", 0)


@pytest.fixture
def unit(make: Make) -> Unit:
    return Unit(make().study.space.defaults()[0], 0, (0, 0), 4)


@pytest.fixture
def pool(workshop: Workshop) -> Iterator[Pool]:
    pool = Pool(workshop, 1)
    yield pool
    pool.close()


def test_a_worker_gives_the_same_bits_as_this_process(
    pool: Pool, workshop: Workshop, unit: Unit
) -> None:
    pool.submit(5, unit)
    arrived = pool.wait()
    assert arrived is not None
    key, there = arrived
    here = workshop.open().perform(unit)
    assert key == 5
    assert isinstance(there, Outcome)
    assert isinstance(here, Outcome)
    assert there.checkpoint.weights.tobytes() == here.checkpoint.weights.tobytes()


def test_a_killed_worker_is_told_and_replaced(pool: Pool, unit: Unit) -> None:
    while not pool._workers[0].is_ready:
        pool.wait(timeout=0.01)
    pool.submit(1, unit)
    os.kill(pool._workers[0]._process.pid, signal.SIGKILL)
    arrived = pool.wait()
    assert arrived is not None
    key, answer = arrived
    assert key == 1
    assert isinstance(answer, Failure)
    assert answer.worker_died
    assert "signal 9" in answer.reason
    pool.submit(2, unit)
    arrived = pool.wait()
    assert arrived is not None
    assert isinstance(arrived[1], Outcome)


def kill_while_it_starts(pool: Pool) -> None:
    worker = pool._workers[0]
    assert not worker.is_ready
    os.kill(worker._process.pid, signal.SIGKILL)
    while pool._workers[0] is worker:
        assert pool.wait(timeout=0.01) is None


def test_a_worker_that_dies_while_it_starts_does_not_fail_its_unit(pool: Pool, unit: Unit) -> None:
    pool.submit(1, unit)
    for _ in range(MAX_FAILED_STARTS):
        kill_while_it_starts(pool)
    arrived = pool.wait()
    assert arrived is not None
    assert arrived[0] == 1
    assert isinstance(arrived[1], Outcome)
    assert pool.wait(timeout=0.01) is None


def test_workers_that_cannot_start_are_given_up(pool: Pool, unit: Unit) -> None:
    pool.submit(1, unit)
    for _ in range(MAX_FAILED_STARTS):
        kill_while_it_starts(pool)
    with pytest.raises(WorkError, match=r"cannot start: .*\(signal 9\)"):
        kill_while_it_starts(pool)


def test_a_starting_worker_takes_a_unit_with_a_plugins_own_state(
    make: Make, tmp_path: Path
) -> None:
    (tmp_path / "counting.py").write_text(COUNTING)
    setting = make('[plugins]\nfiles = ["counting.py"]\n', 'search.optimizer="counting"')
    folder = tmp_path / "data"
    folder.mkdir()
    save(setting.problem, folder)
    workshop = Workshop(folder, Packed.of(setting.registry), "accuracy", 0)
    unit = Unit(setting.study.space.defaults()[0], 0, (0, 0), 1)
    begun = workshop.open().perform(unit)
    assert isinstance(begun, Outcome)
    pool = Pool(workshop, 1)
    try:
        pool.submit(0, dataclasses.replace(unit, until=2, checkpoint=begun.checkpoint))
        arrived = pool.wait()
    finally:
        pool.close()
    assert arrived is not None
    assert isinstance(arrived[1], Outcome)


def test_waiting_ends_after_its_timeout(pool: Pool) -> None:
    assert pool.wait(timeout=0.01) is None


def test_what_a_plugin_prints_does_not_reach_the_answers(
    make: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "noisy.py").write_text(NOISY)
    setting = make('[plugins]\nfiles = ["noisy.py"]\n', 'search.optimizer="noisy"')
    folder = tmp_path / "noisy-data"
    folder.mkdir()
    save(setting.problem, folder)
    pool = Pool(Workshop(folder, Packed.of(setting.registry), "accuracy", 0), 1)
    try:
        pool.submit(0, Unit(setting.study.space.defaults()[0], 0, (0, 0), 1))
        arrived = pool.wait()
    finally:
        pool.close()
    assert arrived is not None
    assert isinstance(arrived[1], Outcome)
    assert "step by step" in capfd.readouterr().err


def test_a_worker_has_met_neither_optuna_nor_mlflow(tmp_path: Path) -> None:
    seen = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, tunekit.search.worker, tunekit.search.units, tunekit.plugins;"
            "tunekit.plugins.load();"
            "print([m for m in ('optuna', 'mlflow', 'pandas', 'sklearn') if m in sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert seen.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_workers_leave_when_their_parent_is_killed(workshop: Workshop, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(workshop.data)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while _is_alive(pid):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


NOISY = '''
from tunekit import Optimizer, hookimpl

class Noisy(Optimizer):
    """Prints."""
    name = "noisy"

    def direction(self, w, g, state, step):
        print("step by step")
        return g

@hookimpl
def tunekit_optimizers():
    return [Noisy]
'''

COUNTING = '''
from tunekit import Optimizer, hookimpl

class Count:
    """A number that is counted up."""
    steps = 0

class Counting(Optimizer):
    """Counts."""
    name = "counting"

    def direction(self, w, g, state, step):
        state.setdefault("count", Count()).steps += 1
        return g

@hookimpl
def tunekit_optimizers():
    return [Counting]
'''

PARENT = """
import sys, time
from pathlib import Path
from tunekit.search.engines import Pool
from tunekit.search.units import Workshop

pool = Pool(Workshop(Path(sys.argv[1]), (), "accuracy", 0), 1)
print(pool._workers[0]._process.pid, flush=True)
time.sleep(60)
"""


def test_in_this_process_components_need_not_be_able_to_travel(make: Make, tmp_path: Path) -> None:
    lock = threading.Lock()
    steps = []

    class Locked(Optimizer):
        name = "locked"

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            with lock:
                steps.append(step.t)
                return g

    setting = make("", "train.epochs=1")
    registry = load(objects=[Locked], entry_points=False)
    engine = make_engine(dataclasses.replace(setting, registry=registry), tmp_path)
    configuration = {**setting.study.space.defaults()[0], "optimizer": "locked"}
    engine.submit(0, Unit(configuration, 0, (0, 0), 1))
    arrived = engine.wait()
    engine.close()
    assert arrived is not None
    assert isinstance(arrived[1], Outcome)
    assert steps
