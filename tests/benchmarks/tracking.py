"""What MLflow costs a search.

Three sections, each a table:

- ``trial``: a real trial of two folds of 40 epochs, some 400 values, brought to a SQLite store, to
  a real server over HTTP, and to PostgreSQL where its programs are installed; by tunekit, and by
  MLflow's client and its fluent API as one would write it by hand, and by Optuna's callback where
  that is installed. It keeps no curves.
- ``once``: what a search pays once: importing MLflow, creating a store, opening one.
- ``share``: the wall time of whole searches of 1-second trials with MLflow and without.

Processor time is that of this process, and of the server's processes beside it. Machines are not
equally fast all the time: medians count, and what is compared runs in turns.

Run it: ``python -m tests.benchmarks.tracking [trial] [once] [share]``, about twelve minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import psutil  # type: ignore[import-untyped]

from tests.benchmarks.filled import DIGITS, setting_of
from tests.benchmarks.scale import epochs_a_second, whole_search
from tests.conftest import _postgresql_programs
from tests.search.test_postgresql import Server as PostgreSQL
from tunekit.records import FinishedTrial, StudyInfo
from tunekit.search.run import run_search
from tunekit.tracking import content
from tunekit.tracking.client import connect, quiet
from tunekit.tracking.projection import Projection
from tunekit.tracking.server import serve

# --- trial --------------------------------------------------------------------------------------


class Store(NamedTuple):
    """Where trials are brought to; a server has processes of its own."""

    name: str
    uri: str
    server: psutil.Process | None = None

    def busy(self) -> float:
        """Seconds of the processor that the server has used."""
        if self.server is None:
            return 0.0
        processes = [self.server, *self.server.children(recursive=True)]
        return sum(sum(process.cpu_times()[:2]) for process in processes)


class Way(NamedTuple):
    """A way to bring a trial to MLflow; a slow one is measured in every so many rounds only."""

    name: str
    bring: Callable[[FinishedTrial], object]
    every: int = 1


class Cost(NamedTuple):
    """Milliseconds of one trial."""

    wall: float
    here: float
    server: float


def trial_section(rounds: int) -> None:
    """Print a table for each store."""
    with ExitStack() as stack, quiet():
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tunekit-bench-")))
        study, trial = real_trial(folder)
        stores = list(open_stores(folder, stack))
        ways = {store: list(ways_to(store, study)) for store in stores}
        costs: dict[tuple[Store, Way], list[Cost]] = {}
        for number in range(-1, rounds):  # the first one only warms up
            for store in stores:
                for way in ways[store]:
                    if number % way.every == 0 or number < 0:
                        cost = measured(store, way, dataclasses.replace(trial, number=number))
                        costs.setdefault((store, way), []).append(cost)
        print(
            f"one trial: {len(content.points(trial))} values, "
            f"{len(content.parameters(trial))} parameters; milliseconds, median (least to most)\n"
        )
        print(f"{'store':<12}{'way':<34}{'wall':>26}{'processor, here':>26}{'server':>26}  times")
        for (store, way), found in costs.items():
            columns = "".join(f"{spread(column):>26}" for column in zip(*found[1:], strict=True))
            print(f"{store.name:<12}{way.name:<34}{columns}{len(found) - 1:>7}", flush=True)


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def real_trial(folder: Path) -> tuple[StudyInfo, FinishedTrial]:
    """The defaults of ``examples/digits.toml``, trained, and the study that they belong to."""
    changes = ["study.trials=1", "study.workers=0", "study.finalists=0", "data.folds=2"]
    changes += [
        "train.epochs=40",
        "train.patience=0",
        f"study.storage=sqlite:///{folder}/optuna.db",
    ]
    search = run_search(setting_of(DIGITS, *changes))
    (trial,) = search.result.trials
    trial = dataclasses.replace(trial, curves=tuple(trial.curves))  # read once, and not in turns
    return dataclasses.replace(search.info, recorded=(), experiment="tunekit"), trial


def open_stores(folder: Path, stack: ExitStack) -> Iterator[Store]:
    """New stores, ready."""
    uri = f"sqlite:///{folder}/mlflow.db"
    connect(uri)
    yield Store("SQLite", uri)
    behind = f"sqlite:///{folder}/served.db"
    connect(behind)
    server = stack.enter_context(serve(behind, str(folder / "artifacts")))
    assert server._process is not None
    yield Store("HTTP", server.base, psutil.Process(server._process.pid))
    programs = _postgresql_programs()
    if programs is None:
        print("PostgreSQL's programs are not installed\n")
        return
    data = stack.enter_context(tempfile.TemporaryDirectory(prefix="tunekit-server-"))
    database = PostgreSQL(programs, Path(data))
    database.start()
    stack.callback(database.stop)
    database.execute("CREATE DATABASE mlflow")
    connect(database.url("mlflow"))
    assert database._process is not None
    yield Store("PostgreSQL", database.url("mlflow"), psutil.Process(database._process.pid))


def ways_to(store: Store, study: StudyInfo) -> Iterator[Way]:
    """All the ways, tunekit's first; each opens what it needs once, before it is measured."""
    from mlflow import MlflowClient

    projection = Projection(dataclasses.replace(study, tracking_uri=store.uri))
    projection.start()
    yield Way("tunekit", lambda trial: projection.deliver([trial]))
    client = MlflowClient(store.uri)
    experiment = client.create_experiment("by hand")
    yield Way("client, one log_batch", lambda trial: by_client(client, experiment, trial))
    yield Way("fluent, log_metrics an epoch", lambda trial: by_epoch(store, trial), every=5)
    yield Way("fluent, log_metric a value", lambda trial: by_value(store, trial), every=10)
    try:
        from optuna.integration import MLflowCallback

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is deprecated, and experimental
            callback = MLflowCallback(store.uri, metric_name="objective")
    except ImportError:
        return
    empty = optuna.create_study(study_name="callback", direction="maximize")
    yield Way("Optuna's callback, no curves", lambda trial: callback(empty, frozen(trial)), every=5)


def measured(store: Store, way: Way, trial: FinishedTrial) -> Cost:
    """Bring a trial, once."""
    wall, here, server = time.perf_counter(), time.process_time(), store.busy()
    way.bring(trial)
    wall, here = time.perf_counter() - wall, time.process_time() - here
    return Cost(1000 * wall, 1000 * here, 1000 * (store.busy() - server))


def by_client(client: Any, experiment: str, trial: FinishedTrial) -> None:
    """All in one batch."""
    from mlflow.entities import Metric, Param

    run_id = client.create_run(experiment, run_name=f"trial {trial.number}").info.run_id
    params = [Param(*param) for param in content.parameters(trial).items()]
    client.log_batch(run_id, [Metric(*point) for point in content.points(trial)], params)
    client.set_terminated(run_id)


@contextmanager
def fluent_run(store: Store, trial: FinishedTrial) -> Iterator[Any]:
    """MLflow's own module, inside a run that has the trial's parameters."""
    import mlflow

    mlflow.set_tracking_uri(store.uri)
    mlflow.set_experiment("fluent")
    with mlflow.start_run(run_name=f"trial {trial.number}"):
        mlflow.log_params(content.parameters(trial))
        yield mlflow


def by_epoch(store: Store, trial: FinishedTrial) -> None:
    """What is known after an epoch, in one call."""
    epochs: dict[int, dict[str, float]] = {}
    for point in content.points(trial):
        epochs.setdefault(point.step, {})[point.key] = point.value
    with fluent_run(store, trial) as mlflow:
        for epoch, values in epochs.items():
            mlflow.log_metrics(values, step=epoch)


def by_value(store: Store, trial: FinishedTrial) -> None:
    """One call for each value."""
    with fluent_run(store, trial) as mlflow:
        for point in content.points(trial):
            mlflow.log_metric(point.key, point.value, step=point.step)


def frozen(trial: FinishedTrial) -> optuna.trial.FrozenTrial:
    """The trial as Optuna has it."""
    kinds = {
        name: optuna.distributions.CategoricalDistribution([value])
        for name, value in trial.params.items()
    }
    return optuna.trial.create_trial(
        value=trial.value, params=dict(trial.params), distributions=dict(kinds)
    )


# --- once ---------------------------------------------------------------------------------------

STEPS = {
    "import mlflow": "import mlflow",
    "create a SQLite store": "client = connect('sqlite:///mlflow.db')",
    "open it again": "del client; client = connect('sqlite:///mlflow.db?again')",
    "first look into it": "client.search_experiments()",
}
ONCE = """
import json, os, resource, sys, time
import tunekit.search.run
from tunekit.tracking.client import SETTINGS, connect
os.environ.update(SETTINGS)
found = []
for step in json.loads(sys.argv[1]):
    wall, busy = time.perf_counter(), time.process_time()
    before = int(open("/proc/self/statm").read().split()[1])
    exec(step)
    after = int(open("/proc/self/statm").read().split()[1])
    megabytes = (after - before) * resource.getpagesize() / 1e6
    found.append((time.perf_counter() - wall, time.process_time() - busy, megabytes))
print(json.dumps(found))
"""


def once_section(rounds: int) -> None:
    """Print what is paid once a search, in processes that are new."""
    import json

    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="tunekit-bench-") as folder:
            command = [sys.executable, "-c", ONCE, json.dumps(list(STEPS.values()))]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout))
    print(f"once a search{'wall, s':>35}{'processor, s':>26}{'memory, MB':>26}")
    for i, name in enumerate(STEPS):
        columns = zip(*(one[i] for one in found), strict=True)
        cells = "".join(f"{precise(column):>26}" for column in columns)
        print(f"{name:<22}{cells}", flush=True)


def precise(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


# --- share --------------------------------------------------------------------------------------


def share_section(rounds: int, trials: int, seconds: float) -> None:
    """Print what MLflow adds to whole searches, its store being there already."""
    epochs = max(1, round(seconds * epochs_a_second()))
    with tempfile.TemporaryDirectory(prefix="tunekit-bench-") as folder, quiet():
        connect(f"sqlite:///{folder}/mlflow.db").search_experiments()
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        print("workers  MLflow  wall, s   a trial trains, s   processor here, ms a trial")
        for workers in (1, 2):
            walls: dict[bool, list[float]] = {False: [], True: []}
            here: dict[bool, list[float]] = {False: [], True: []}
            for number in range(rounds):
                # There and back, so that neither always comes first.
                for mlflow in (False, True) if number % 2 else (True, False):
                    wall, _, training, busy = whole_search(epochs, trials, workers, mlflow)
                    walls[mlflow].append(wall)
                    here[mlflow].append(1000 * busy / trials)
                    print(
                        f"{workers:>7}  {'on' if mlflow else 'off':<6}{wall:>9.2f}"
                        f"{training / trials:>20.3f}{here[mlflow][-1]:>29.1f}",
                        flush=True,
                    )
            added = [100 * (w / o - 1) for w, o in zip(walls[True], walls[False], strict=True)]
            work = [w - o for w, o in zip(here[True], here[False], strict=True)]
            print(
                f"{workers} workers: MLflow adds {spread(added)} % to the wall time, "
                f"{spread(work)} ms of the processor to a trial\n",
                flush=True,
            )
        with sqlite3.connect(f"{folder}/mlflow.db") as store:
            query = "select 1.0 * count(*) / count(distinct run_uuid) from metrics"
            print(f"a trial has {store.execute(query).fetchone()[0]:.0f} values")


def main() -> None:
    """Run the sections that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    sections = ("trial", "once", "share")
    parser.add_argument("sections", nargs="*", metavar="section", help="which; all by default")
    parser.add_argument("--rounds", type=int, default=30, help="of trial; a sixth of them of once")
    parser.add_argument("--pairs", type=int, default=5, help="of searches, with MLflow and without")
    parser.add_argument("--trials", type=int, default=20, help="of a search")
    parser.add_argument("--seconds", type=float, default=1.0, help="of training of a trial")
    options = parser.parse_args()
    for name in options.sections or sections:
        if name == "trial":
            trial_section(options.rounds)
        elif name == "once":
            once_section(max(1, options.rounds // 6))
        elif name == "share":
            share_section(options.pairs, options.trials, options.seconds)
        else:
            parser.error(f"no section {name!r}; expected some of {', '.join(sections)}")
        print(flush=True)


if __name__ == "__main__":
    main()
