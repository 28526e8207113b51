"""A search on a Dask cluster: a real scheduler and real workers on the loopback interface."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from distributed import Client

from tunekit import hookimpl
from tunekit.errors import StudyError, WorkError
from tunekit.records import FinishedTrial, StudyResult
from tunekit.search import cluster as module
from tunekit.search.cluster import DaskCluster, scheduler_address
from tunekit.search.engines import Engine
from tunekit.search.launch import make_engine
from tunekit.search.run import run_search
from tunekit.search.setting import Setting
from tunekit.search.units import Failure, Unit

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

Make = Callable[..., Setting]
T = TypeVar("T")

# What a trial is depends on its ask alone, so that two searches have the same trials.
RANDOM = '[sampler]\nname = "random"\n[pruner]\nname = "none"\n[plugins]\nfiles = ["half.py"]\n'


DASK = [sys.executable, "-m", "dask"]


class Cluster:
    """A scheduler with workers of one thread each.

    Args:
        folder: Where they keep their files.
        settings: Dask's own settings, as in ``DASK_DISTRIBUTED__SCHEDULER__...``.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder, self._settings = folder, settings
        self._file = folder / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.scheduler = self._processes[0]
        self.address = _when(self._address)
        self.client = Client(self.address, set_as_default=False)
        self.executor = self.address.replace("tcp", "dask")

    def _address(self) -> str:
        if not self._file.exists():
            return ""
        try:
            return str(json.loads(self._file.read_text())["address"])
        except json.JSONDecodeError:
            return ""

    def _start(self, program: str, *options: str, **environment: str) -> None:
        with (self.folder / f"{len(self._processes)}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [*DASK, program, *options, "--scheduler-file", str(self._file)],
                    stdout=log,
                    stderr=log,
                    env=os.environ | self._settings | environment,
                )
            )

    def add_worker(self, **environment: str) -> None:
        """Start a worker, and wait until it is there."""
        count = len(self.pids())
        place = ("--local-directory", str(self.folder))
        self._start("worker", "--nthreads", "1", "--no-dashboard", *place, **environment)
        _when(lambda: len(self.pids()) > count)

    def pids(self) -> list[int]:
        """The workers' process ids."""
        return list(self.client.run(os.getpid, on_error="return").values())

    def tasks(self) -> int:
        """How many tasks it knows."""
        found: int = self.client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
        return found

    def stop(self) -> None:
        self.client.close()
        for process in self._processes[::-1]:
            process.kill()
            process.wait()


def _when(condition: Callable[[], T]) -> T:
    """Wait for a condition, and return what it gave."""
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two workers, which all tests that leave it whole use."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.add_worker()
        cluster.add_worker()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster without workers, whose memory manager is quick."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    cluster = Cluster(folder, DASK_DISTRIBUTED__SCHEDULER__ACTIVE_MEMORY_MANAGER__INTERVAL="0.1s")
    yield cluster
    cluster.stop()


@pytest.fixture
def study(make: Make, tmp_path: Path) -> Make:
    """A study whose optimizer is a file's, given how it runs."""
    (tmp_path / "half.py").write_text(HALF)

    def study(*set_: str, name: str = "small") -> Setting:
        # Accuracies are equal now and then, and of equals the first one to be finished is ahead.
        change = ('search.optimizer=["adam","half"]', "study.metric='log_loss'")
        return make(RANDOM, *change, *set_, name=name)

    return study


def on(cluster: Cluster) -> str:
    return f"study.executor={cluster.executor!r}"


def first_unit(setting: Setting) -> Unit:
    return Unit(setting.study.space.defaults()[0], 0, (0, 0), 4)


def answered(engine: Engine, count: int) -> list[Any]:
    """The next so many answers."""
    answers: list[Any] = []
    while len(answers) < count:
        arrived = engine.wait(timeout=60)
        if arrived is not None:
            answers.append(arrived[1])
    return answers


def what_came_out(result: StudyResult) -> Any:
    """All of a result that does not tell the time."""
    trials = {
        trial.ask: (trial.configuration, trial.value, [curve.metrics for curve in trial.curves])
        for trial in result.trials
    }
    return trials, [finalist.scores for finalist in result.finalists], result.test


@pytest.fixture
def here(study: Make) -> Any:
    """What the search gives in this process."""
    return what_came_out(run_search(study(name="here")).result)


def test_a_search_gives_the_same_bits_as_without_a_cluster(
    study: Make, shared: Cluster, here: Any
) -> None:
    there = run_search(study(on(shared), name="there")).result
    assert what_came_out(there) == here
    workers = {span.worker for trial in there.trials for span in trial.spans}
    assert len(workers) == 2
    assert shared.tasks() == 0


class Killer:
    """Kills a worker of a cluster when the second trial is finished."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._finished = 0

    @hookimpl
    def tunekit_trial_finished(self, trial: FinishedTrial) -> None:
        self._finished += 1
        if self._finished == 2:
            os.kill(self._cluster.pids()[0], signal.SIGKILL)


def test_a_killed_worker_costs_no_trial_and_changes_no_bit(
    study: Make, shared: Cluster, here: Any
) -> None:
    before = set(shared.pids())
    setting = study(on(shared), name="there")
    setting.registry.observe(Killer(shared))
    result = run_search(setting).result
    assert [trial.number for trial in result.trials] == list(range(6))
    assert what_came_out(result) == here
    # Its nanny starts another one.
    _when(lambda: len(shared.pids()) == 2)
    assert len(before & set(shared.pids())) == 1


def test_a_unit_that_kills_its_process_leaves_the_worker_alive(
    make: Make, tmp_path: Path, shared: Cluster
) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY.format(action="os._exit(3)"))
    before = sorted(shared.pids())
    setting = make('[plugins]\nfiles = ["deadly.py"]\n', 'search.optimizer="deadly"', on(shared))
    result = run_search(setting).result
    assert result.status == "failed"
    assert {trial.state for trial in result.trials} == {"failed"}
    assert "the worker process died (exit code 3)" in result.why_failed
    assert sorted(shared.pids()) == before


@pytest.mark.parametrize(("allowed", "is_tried_again"), [("1", False), ("0", True)])
def test_a_unit_whose_workers_die_again_and_again_is_given_up(
    make: Make, tmp_path: Path, allowed: str, *, is_tried_again: bool
) -> None:
    (tmp_path / "deadly.py").write_text(
        DEADLY.format(action="os.kill(os.getppid(), 9), time.sleep(60)")
    )
    folder = tmp_path / "cluster"
    folder.mkdir()
    cluster = Cluster(folder, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=allowed)
    setting = make('[plugins]\nfiles = ["deadly.py"]\n', 'search.optimizer="deadly"', on(cluster))
    try:
        cluster.add_worker()
        with closing(make_engine(setting, tmp_path)) as engine:
            assert isinstance(engine, DaskCluster)
            engine.submit(0, first_unit(setting))
            (failure,) = answered(engine, 1)
    finally:
        cluster.stop()
    assert isinstance(failure, Failure)
    assert "workers of the cluster died" in failure.reason
    assert failure.worker_died is is_tried_again


def test_a_search_waits_for_workers_and_uses_those_that_join(
    make: Make,
    own: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "SAID_AFTER", (0,))
    monkeypatch.setattr(module, "LOOK", 0.1)
    setting = make("", on(own))
    unit = first_unit(setting)
    with closing(make_engine(setting, tmp_path)) as engine:
        assert isinstance(engine, DaskCluster)
        assert engine.slots == 1
        engine.submit(0, unit)
        assert engine.wait(timeout=0.5) is None
        assert f"waiting for workers at {own.executor}" in caplog.text
        own.add_worker()
        (alone,) = answered(engine, 1)
        own.add_worker()
        begin = time.monotonic()
        assert engine.wait(timeout=60) is None
        assert time.monotonic() - begin < 50
        assert engine.slots == 2
        engine.submit(0, unit)
        engine.submit(1, unit)
        both = answered(engine, 2)
    assert {outcome.worker for outcome in both} > {alone.worker}


def test_the_data_reach_each_worker_once(make: Make, own: Cluster, tmp_path: Path) -> None:
    own.add_worker()
    own.add_worker()
    setting = make("", on(own))
    with closing(make_engine(setting, tmp_path)) as engine:
        outcomes = []
        for _ in range(4):
            engine.submit(0, first_unit(setting))
            engine.submit(1, first_unit(setting))
            outcomes += answered(engine, 2)
            # Time for Dask's memory manager to drop what is held twice.
            time.sleep(0.3)
        assert len(list(own.folder.rglob("tunekit-*/problem.json"))) == 2
    # The processes end with the parcel that they belong to.
    assert len({outcome.worker for outcome in outcomes}) == 2
    _when(lambda: not list(own.folder.rglob("tunekit-*")))


def test_a_worker_that_cannot_work_says_why(make: Make, own: Cluster, tmp_path: Path) -> None:
    own.add_worker()
    setting = make("", on(own))
    with closing(make_engine(setting, tmp_path)) as engine:
        shutil.rmtree(own.folder / "dask-scratch-space")
        engine.submit(0, first_unit(setting))
        with pytest.raises(WorkError, match="cannot do its work: FileNotFoundError"):
            answered(engine, 1)


@pytest.mark.filterwarnings("ignore:Mismatched versions found")  # Dask's own word for it
def test_a_worker_with_another_version_is_refused(make: Make, own: Cluster, tmp_path: Path) -> None:
    about = tmp_path / "shadow" / "numpy-1.9.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.9\n")
    setting = make("", on(own))
    with closing(make_engine(setting, tmp_path)) as engine:
        engine.submit(0, first_unit(setting))
        own.add_worker(PYTHONPATH=str(about.parent))
        with pytest.raises(WorkError, match="something else installed than this process") as late:
            answered(engine, 1)
    with pytest.raises(StudyError, match=r"(?s)python +tunekit +numpy\n.*this process") as early:
        make_engine(setting, tmp_path)
    assert early.value.key == "study.executor"
    for error in (late, early):
        assert str(error.value).splitlines()[-1].split()[-1] == "1.9"


def test_a_plugin_gets_no_unit_where_it_cannot_be_loaded(make: Make, shared: Cluster) -> None:
    setting = make("", on(shared))
    with closing(make_engine(setting, Path())) as engine:
        assert isinstance(engine, DaskCluster)
        engine.submit(0, Unit({}, 0, (0, 0), 1))
        (failure,) = answered(engine, 1)
    assert isinstance(failure, Failure)
    assert not failure.worker_died


COMMAND = [sys.executable, "-m", "tunekit", "search", "small.toml", "--executor"]


def started(study: Make, cluster: Cluster, folder: Path) -> subprocess.Popen[str]:
    """The command, when it has finished a trial."""
    study()
    search = subprocess.Popen(
        [*COMMAND, cluster.executor, "--set", "train.epochs=50", "--set", "study.trials=1000"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert search.stderr is not None
    while "  trial " not in (line := search.stderr.readline()):
        assert line, "the search ended early"
    return search


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_nothing_of_a_search_that_ended_stays_on_the_cluster(
    study: Make, shared: Cluster, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    search = started(study, shared, tmp_path)
    assert shared.tasks() > 1
    search.send_signal(number)
    _, told = search.communicate(timeout=60)
    assert search.returncode == code
    assert "distributed" not in told
    _when(lambda: shared.tasks() == 0)


def test_a_lost_scheduler_ends_the_search_with_one_sentence(
    study: Make, own: Cluster, tmp_path: Path
) -> None:
    own.add_worker()
    search = started(study, own, tmp_path)
    own.client.close()
    own.scheduler.kill()
    _, told = search.communicate(timeout=60)
    assert search.returncode == 1
    *_, last = [line for line in told.splitlines() if "  trial " not in line]
    assert last == (
        f"error: the Dask scheduler at {own.executor} is lost or was restarted. What was finished "
        "is kept; the same command goes on"
    )
    assert "Traceback" not in told
    assert "distributed" not in told


def test_where_no_scheduler_answers_it_is_said_what_starts_one(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 1)
    with pytest.raises(StudyError, match="no Dask scheduler answers at dask://127") as error:
        make_engine(make("", "study.executor='dask://127.0.0.1:9'"), tmp_path)
    assert error.value.key == "study.executor"
    assert "`dask scheduler` starts one" in str(error.value)


def test_without_dask_it_is_said_how_to_install_it(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tunekit.search.cluster")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(StudyError, match=r"pip install 'tunekit\[dask\]'"):
        make_engine(make("", "study.executor='dask://127.0.0.1:9'"), tmp_path)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("dask://10.0.0.1:8786", "tcp://10.0.0.1:8786"),
        ("dask://head.example:80/", "tcp://head.example:80"),
        ("dask://[::1]:8786", "tcp://[::1]:8786"),
        ("dask+tls://head:8786", "tls://head:8786"),
    ],
)
def test_an_address_is_what_dask_calls_it(given: str, meant: str) -> None:
    assert scheduler_address(given) == meant


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("tcp://head:8786", "dask://head:8786"),
        ("tls://head:8786", "dask+tls://head:8786"),
        ("head:8786", "dask://head:8786"),
        ("dask://head", "dask://head:8786"),
        ("dask://head:port", "dask://head:8786"),
        ("dask://head:99999", "dask://head:8786"),
        ("dask://[::1]", "dask://[::1]:8786"),
        ("dask://head:8786/status", "dask://head:8786"),
        ("ray://head:10001", "dask://head:10001"),
    ],
)
def test_a_wrong_address_leads_to_the_right_one(given: str, near: str) -> None:
    with pytest.raises(StudyError) as error:
        scheduler_address(given)
    assert f"Did you mean {near!r}?" in str(error.value)


HALF = '''
from tunekit import Float, Optimizer, hookimpl

class Half(Optimizer):
    """Half of the gradient."""
    name = "half"
    lr: float = Float(0.1, low=0.01, high=1.0, log=True)
    def direction(self, w, g, state, step):
        return 0.5 * g

@hookimpl
def tunekit_optimizers():
    return [Half]
'''

DEADLY = '''
import os, time
from tunekit import Float, Optimizer, hookimpl

class Deadly(Optimizer):
    """Ends where it is."""
    name = "deadly"
    lr: float = Float(0.1, low=0.01, high=1.0, log=True)
    def direction(self, w, g, state, step):
        {action}

@hookimpl
def tunekit_optimizers():
    return [Deadly]
'''
