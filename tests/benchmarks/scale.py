"""What a search costs beside the training: as the record grows, a unit, and over a whole search.

Three sections, each a table:

- ``record``: the coordinator's time for each step of a trial, the time to open the record and
  the memory this takes, with so many trials in the record. The space is that of
  ``examples/digits.toml``; the trials are like a real one (30 epochs, 3 folds), see ``filled.py``.
- ``units``: what each engine adds to a unit, by the size of the checkpoint that goes along.
- ``share``: the wall time of whole searches that is not training, with and without MLflow, and
  the speed-up of two workers.

Machines are not equally fast all the time: medians count, and what is compared runs in turns.

Run it: ``python -m tests.benchmarks.scale [record] [units] [share]``; ``record`` fills a record
of 10,000 trials and takes about four minutes, ``--trials 100 1000`` is quicker.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.trial import TrialState

from tests.benchmarks.filled import Likeness, check_alike, fill
from tunekit.search.asking import Asker
from tunekit.search.coordinator import Coordinator
from tunekit.search.engines import Engine
from tunekit.search.launch import make_engine
from tunekit.search.notes import notes
from tunekit.search.record import Record
from tunekit.search.run import describe, run_search
from tunekit.search.setting import Setting
from tunekit.search.units import Outcome, Unit
from tunekit.study.study import load_study

DIGITS = Path(__file__).parents[2] / "examples" / "digits.toml"
TRIALS = (100, 1_000, 10_000)
MEGABYTE = 10**6


def setting_of(path: Path, *set_: str, mlflow: bool = False) -> Setting:
    """A study with its data, unless wanted without MLflow."""
    study, registry = load_study(path, set_=set_)
    if not mlflow:
        for module in list(registry.manager.get_plugins()):
            if getattr(module, "__name__", "").startswith("tunekit.tracking"):
                registry.manager.unregister(module)
    return Setting.of(study, registry)


# --- record -------------------------------------------------------------------------------------


def record_section(sizes: Sequence[int], storage: str | None) -> None:
    """Print a column of figures for each size."""
    with tempfile.TemporaryDirectory(prefix="tunekit-bench-") as folder:
        address = storage or f"sqlite:///{folder}/optuna.db"
        likeness = real_trial(Path(folder))
        setting = setting_of(DIGITS, f"study.storage={address}")
        check_alike(opened(setting, fresh=True), likeness)
        record, had = opened(setting), 0
        columns: dict[int, dict[str, float]] = {}
        for size in sorted(sizes):
            fill(record, likeness, had, size - had)
            command = [sys.executable, "-m", "tests.benchmarks.scale", "--at", address]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            columns[size] = json.loads(done.stdout)
            had = size + int(columns[size].pop("added"))
            print_columns(columns) if size == max(sizes) else None


def print_columns(columns: dict[int, dict[str, float]]) -> None:
    print(f"{'trials in the record':<44}" + "".join(f"{size:>10,}" for size in columns))
    for name in next(iter(columns.values())):
        print(f"{name:<44}" + "".join(f"{column[name]:>10.4g}" for column in columns.values()))


def opened(setting: Setting, *, fresh: bool = False) -> Record:
    """The record of a study, as a search opens it."""
    record = Record(setting.study, fresh=fresh)
    record.open(setting.directions, setting.signature(), setting.registry.files)
    record.remember(setting.owners())
    return record


def real_trial(folder: Path) -> Likeness:
    """Train the first trial of the digits study to its last epoch on all folds."""
    setting = setting_of(
        DIGITS,
        f"study.storage=sqlite:///{folder}/real.db",
        "study.trials=1",
        "study.workers=0",
        "study.finalists=0",
        "train.patience=0",
    )
    run_search(setting)
    (trial,) = opened(setting).optuna.get_trials()
    return Likeness(setting.study.space, trial)


def measure_at(storage: str) -> dict[str, float]:
    """What a search that goes on takes with the record as it is; milliseconds unless named.

    The processor's time, which other processes do not change; waiting for the disk or a server is
    in the wall time alone, given where it matters.
    """
    setting = setting_of(DIGITS, f"study.storage={storage}")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    took: dict[str, list[float]] = {}
    walls: dict[str, list[float]] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        begin, clock = time.process_time(), time.perf_counter()
        yield
        took.setdefault(name, []).append(1000 * (time.process_time() - begin))
        walls.setdefault(name, []).append(1000 * (time.perf_counter() - clock))

    before = resident()
    with timed("start: open the record"):
        record = opened(setting)
    with timed("start: tell the observers"):
        info = describe(setting, record)
    with timed("start: mirror it in memory"):
        asker = Asker(setting.study, record.frozen(), setting.directions, setting.longest)
    with timed("start: the coordinator's own trials"):
        coordinator = Coordinator(setting, record, asker, None)  # type: ignore[arg-type]
    after = resident()
    like = coordinator.trials[-1]
    has = len(info.recorded)
    added = 20 if has < 5000 else 8
    for name, asks in (("tpe", added), ("random", 10)):
        chosen = dataclasses.replace(setting.study, sampler=name)
        if name != "tpe":
            asker = Asker(chosen, record.frozen(), setting.directions, setting.longest)
        for _ in range(asks):
            with timed(f"trial: ask ({name})"):
                asked = asker.ask()
            assert asked is not None
            if name != "tpe":
                continue
            with timed("trial: 30 reports"):
                for epoch in range(1, 31):
                    asker.report(asked, {epoch: 0.9 + epoch / 1000})
            with timed("trial: ask the pruner, 3 times"):
                for _ in range(3):
                    asker.should_prune(asked)
            with timed("trial: tell"):
                told = asker.tell(asked, TrialState.COMPLETE, [0.5], {})
            done = dataclasses.replace(like, ask=asked.ask, configuration=asked.configuration)
            with timed("trial: write it"):
                told.user_attrs = notes(done)
                coordinator.trials.append(record.add(told))
    figures = {name: statistics.median(times) for name, times in took.items()}
    parts = [value for name, value in figures.items() if name.startswith("trial: ")]
    return {
        **dict(sorted(figures.items())),
        "trial: all of it with tpe": sum(parts) - figures["trial: ask (random)"],
        "trial: write it, wall, at best": min(walls["trial: write it"]),
        "memory before, MB": before / MEGABYTE,
        "memory with the record open, MB": after / MEGABYTE,
        "memory at its peak, MB": peak() / MEGABYTE,
        "added": added,
    }


def resident() -> int:
    """Bytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """Bytes of memory that this process had at most."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# --- units --------------------------------------------------------------------------------------

NETWORKS = ((1, 4), (1, 133), (2, 960))
"""Depth and width on the digits: some 300, 10,000 and 1,000,000 parameters."""


def units_section(repeats: int) -> None:
    """Print what each engine adds to a unit, for networks of several sizes."""
    print("parameters  engine       from the start to the first answer, s    added to a unit, ms")
    for depth, width in NETWORKS:
        for name, make in engines().items():
            with tempfile.TemporaryDirectory(prefix="tunekit-bench-") as folder:
                setting = network_setting(Path(folder), depth, width)
                begin = time.perf_counter()
                engine = make(setting, Path(folder))
                try:
                    ready, added, parameters = unit_costs(engine, setting, repeats, begin)
                finally:
                    engine.close()
            spread = f"{statistics.median(added):10.2f} ({min(added):.2f} to {max(added):.2f})"
            print(f"{parameters:>10,}  {name:<12}{ready:>40.2f}{spread:>27}", flush=True)


def network_setting(folder: Path, depth: int, width: int) -> Setting:
    """The digits and one network, trained by Adam, whose checkpoint is five times its size."""
    return setting_of(
        DIGITS,
        f"study.storage=sqlite:///{folder}/optuna.db",
        f"network.depth={depth}",
        f"network.width={width}",
        'network.normalization="none"',
        "train.batch_size=128",
        'search.optimizer="adam"',
        "search.regularizers=[]",
    )


def engines() -> dict[str, Callable[[Setting, Path], Engine]]:
    """Whatever performs units, by name."""

    def with_workers(workers: int) -> Callable[[Setting, Path], Engine]:
        def make(setting: Setting, folder: Path) -> Engine:
            study = dataclasses.replace(setting.study, workers=workers)
            return make_engine(dataclasses.replace(setting, study=study), folder)

        return make

    return {"in process": with_workers(0), "pool": with_workers(1)}


def unit_costs(
    engine: Engine, setting: Setting, repeats: int, begin: float
) -> tuple[float, list[float], int]:
    """Perform units of one epoch, each from the checkpoint before, one at a time.

    Returns:
        Seconds from `begin` to the first answer, milliseconds of each further unit that were not
        spent in the worker, and the number of parameters.
    """
    configuration = setting.study.space.resolve(lambda parameter: parameter.default)
    checkpoint, added, ready, parameters = None, [], 0.0, 0
    for epoch in range(1, repeats + 2):
        unit = Unit(configuration, 0, (0, 0), epoch, checkpoint)
        start = time.perf_counter()
        engine.submit(0, unit)
        arrived = engine.wait()
        took = time.perf_counter() - start
        assert arrived is not None
        outcome = arrived[1]
        assert isinstance(outcome, Outcome), outcome
        checkpoint, parameters = outcome.checkpoint, outcome.parameters
        if epoch == 1:
            ready = time.perf_counter() - begin
        else:
            added.append(1000 * (took - outcome.seconds))
    return ready, added, parameters


# --- share --------------------------------------------------------------------------------------


SEARCHED = """
[study]
seed = 0
finalists = 0

[data]
source = "sklearn:digits"
test = 0
validation = 0.25

[train]
epochs = {epochs}
batch_size = 32
patience = 0

[network]
depth = 2
width = 128

[search]
optimizer = "adam"
activation = "relu"

[pruner]
name = "none"
"""


def share_section(
    seconds: Sequence[float], rounds: int, wall: float, mlflows: Sequence[bool]
) -> None:
    """Print how much of the wall time is not training, and what the second worker brings.

    Two trainings at once may each be slower than one alone, which no search can help: the
    speed-up is also given as if they were not.
    """
    rate = epochs_a_second()
    print(
        "MLflow  workers  trials   trial, s   wall, s   training, s   not training   start, s   "
        "coordinator, ms a trial"
    )
    for trial in seconds:
        for mlflow in mlflows:
            found: dict[str, list[float]] = {"not training": [], "speed-up": [], "if alone": []}
            for _ in range(rounds):
                epochs, trials = max(1, round(trial * rate)), 2 * round(wall / trial / 2)
                walls, slowness = {}, {}
                for workers in (1, 2):
                    took = whole_search(epochs, trials, workers, mlflow)
                    whole, search, training, busy = took
                    walls[workers], slowness[workers] = search, training
                    share = 1 - training / (search * workers)
                    print(
                        f"{'on' if mlflow else 'off':<6}{workers:>9}{trials:>8}"
                        f"{training / trials:>11.3f}{search:>10.2f}{training:>14.2f}"
                        f"{share:>15.1%}{whole - search:>11.2f}{1000 * busy / trials:>27.1f}",
                        flush=True,
                    )
                found["not training"].append(100 * share)
                found["speed-up"].append(walls[1] / walls[2])
                found["if alone"].append(walls[1] / walls[2] * slowness[2] / slowness[1])
            print(
                f"{trial:g} s, MLflow {'on' if mlflow else 'off'}, two workers, median (range): "
                + ", ".join(
                    f"{name} {statistics.median(f):.2f} ({min(f):.2f} to {max(f):.2f})"
                    for name, f in found.items()
                )
                + "\n",
                flush=True,
            )


def epochs_a_second() -> float:
    """How fast one worker trains here, of the network that `share` trains."""
    epochs = 50
    _, _, training, _ = whole_search(epochs, 2, 1, mlflow=False)
    return 2 * epochs / training


def whole_search(
    epochs: int, trials: int, workers: int, mlflow: bool
) -> tuple[float, float, float, float]:
    """Seconds of a search.

    Returns:
        All of it, from the first ask to the last record, in training, and the processor's time in
        this process.
    """
    with tempfile.TemporaryDirectory(prefix="tunekit-bench-") as folder:
        path = Path(folder) / "study.toml"
        path.write_text(SEARCHED.format(epochs=epochs))
        set_ = (f"study.trials={trials}", f"study.workers={workers}")
        setting, begin = setting_of(path, *set_, mlflow=mlflow), time.process_time()
        seconds = run_search(setting).seconds
        busy = time.process_time() - begin
        return seconds.total, seconds.search, seconds.training, busy


def main() -> None:
    """Run the sections that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    sections = ("record", "units", "share")
    parser.add_argument("sections", nargs="*", metavar="section", help="which; all by default")
    parser.add_argument("--trials", type=int, nargs="+", default=TRIALS, help="sizes of records")
    parser.add_argument("--storage", help="where the record is, instead of a new SQLite file")
    parser.add_argument("--repeats", type=int, default=20, help="units of each kind")
    parser.add_argument("--seconds", type=float, nargs="+", default=(1.0, 0.2), help="of a trial")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of searches")
    parser.add_argument("--without-mlflow", action="store_true", help="do not measure with it")
    parser.add_argument("--wall", type=float, default=20, help="training seconds of a search")
    parser.add_argument("--at", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.at:
        print(json.dumps(measure_at(options.at)))
        return
    for name in options.sections or sections:
        if name == "record":
            record_section(options.trials, options.storage)
        elif name == "units":
            units_section(options.repeats)
        elif name == "share":
            mlflows = (False,) if options.without_mlflow else (False, True)
            share_section(options.seconds, options.rounds, options.wall, mlflows)
        else:
            parser.error(f"no section {name!r}; expected some of {', '.join(sections)}")


if __name__ == "__main__":
    main()
