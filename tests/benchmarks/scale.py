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
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks.filled import DIGITS, setting_of
from tests.benchmarks.scale_record import record_section
from tunekit.search.engines import Engine
from tunekit.search.launch import make_engine
from tunekit.search.run import run_search
from tunekit.search.setting import Setting
from tunekit.search.units import Outcome, Unit

TRIALS = (100, 1_000, 10_000)


# --- units --------------------------------------------------------------------------------------

NETWORKS = ((1, 4), (1, 133), (2, 960))
"""Depth and width on the digits: some 300, 10,000 and 1,000,000 parameters."""


def units_section(repeats: int, executor: str | None) -> None:
    """Print what each engine adds to a unit, for networks of several sizes."""
    print("parameters  engine       from the start to the first answer, s    added to a unit, ms")
    for depth, width in NETWORKS:
        for name, make in engines(executor).items():
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


def engines(executor: str | None) -> dict[str, Callable[[Setting, Path], Engine]]:
    """Whatever performs units, by name."""

    def engine(**changes: object) -> Callable[[Setting, Path], Engine]:
        def make(setting: Setting, folder: Path) -> Engine:
            study = dataclasses.replace(setting.study, **changes)  # type: ignore[arg-type]
            return make_engine(dataclasses.replace(setting, study=study), folder)

        return make

    found = {"in process": engine(workers=0), "pool": engine(workers=1)}
    return found | ({"cluster": engine(executor=executor)} if executor else {})


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
    parser.add_argument("--executor", help="a Dask cluster whose units are measured too")
    options = parser.parse_args()
    for name in options.sections or sections:
        if name == "record":
            record_section(options.trials, options.storage)
        elif name == "units":
            units_section(options.repeats, options.executor)
        elif name == "share":
            mlflows = (False,) if options.without_mlflow else (False, True)
            share_section(options.seconds, options.rounds, options.wall, mlflows)
        else:
            parser.error(f"no section {name!r}; expected some of {', '.join(sections)}")


if __name__ == "__main__":
    main()
