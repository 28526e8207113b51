"""A tunekit search against the script that people write today, doing the same work.

Both search the same five hyperparameters over the same ranges, 20 trials of 20 epochs on the same
number of rows of scikit-learn's digits, without pruning, one BLAS thread each, and both leave an
Optuna record and an MLflow store, in SQLite, with train loss, validation loss and accuracy of each
epoch. They run in turns, each time in a new folder, because machines are not equally fast all the
time: compare within a pair.

Run it: ``make bench``, or ``python tests/benchmarks/search_vs_sklearn.py --pairs 5``.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

TRIALS = 20
EPOCHS = 20
MEASUREMENTS = 3  # of each epoch: train loss, validation loss, accuracy

BASELINE = Path(__file__).with_name("baseline.py")
TUNEKIT = Path(sys.executable).with_name("tunekit")

STUDY = """
[study]
name = "digits"
metric = "accuracy"
trials = {trials}
seed = {seed}
finalists = 0

[data]
source = "sklearn:digits"
test = 0                        # nothing is set aside: 1347 rows to train on, 450 to validate on
validation = 0.25

[train]
epochs = {epochs}
batch_size = 32
patience = 0

[network]
depth = {{ low = 1, high = 3 }}
width = {{ low = 16, high = 256, log = true }}

[search]
optimizer = "adam"
activation = ["relu", "tanh", "sigmoid"]

[space.optimizer.adam]
lr = {{ low = 1e-4, high = 1e-1, log = true }}
beta1 = {{ low = 0.8, high = 0.99 }}
beta2 = 0.999

[sampler]
name = "tpe"

[pruner]
name = "none"
"""


@dataclass(frozen=True)
class Run:
    """What one process took and found.

    Attributes:
        seconds: Of its parts, by name, as the process itself measured them; ``process`` is the
            whole of it, as seen from here.
        best: Best validation accuracy.
        weights: Mean number of weights in the trials' networks: the sides sample on their own, so
            one may have chosen larger networks, which take longer.
    """

    seconds: dict[str, float]
    best: float
    weights: float


def run(command: list[str], folder: Path) -> Run:
    """Run a command in a folder of its own and read the JSON object that it prints."""
    environment = {key: value for key, value in os.environ.items() if "MLFLOW" not in key}
    for library in ("OPENBLAS", "OMP", "MKL", "VECLIB_MAXIMUM"):
        environment[f"{library}_NUM_THREADS"] = "1"
    environment["MLFLOW_DISABLE_TELEMETRY"] = "true"
    begin = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} left with {done.returncode}:\n{done.stderr}")
    report = json.loads(done.stdout)
    check_stores(folder)
    took = {**report["seconds"], "process": seconds}
    return Run(took, report["best"]["value"], mean_weights(folder / "optuna.db"))


def check_stores(folder: Path) -> None:
    """Stop if one of the two stores lacks something: then the sides did not do the same work."""
    wanted = {
        ("optuna.db", "select count(*) from trials where state = 'COMPLETE'"): TRIALS,
        ("mlflow.db", "select count(*) from metrics"): TRIALS * EPOCHS * MEASUREMENTS,
    }
    for (store, query), least in wanted.items():
        with closing(sqlite3.connect(folder / store)) as connection:
            (found,) = connection.execute(query).fetchone()
        if found < least:
            raise SystemExit(f"{store} of {folder}: {query} gives {found}, expected {least}")


def mean_weights(record: Path) -> float:
    """Mean number of weights of the networks in an Optuna record."""
    shapes: dict[int, dict[str, float]] = {}
    with closing(sqlite3.connect(record)) as connection:
        query = "select trial_id, param_name, param_value from trial_params"
        for trial, name, value in connection.execute(query):
            shapes.setdefault(trial, {})[name.rpartition(".")[2]] = value
    inputs, outputs = 64, 10
    return statistics.mean(
        shape["width"] * (inputs + (shape["depth"] - 1) * shape["width"] + outputs)
        for shape in shapes.values()
    )


def run_baseline(seed: int, folder: Path) -> Run:
    """Run the script."""
    return run([sys.executable, str(BASELINE), str(seed)], folder)


def run_tunekit(seed: int, folder: Path) -> Run:
    """Run the same search with tunekit."""
    (folder / "study.toml").write_text(
        STUDY.format(seed=seed, trials=TRIALS, epochs=EPOCHS), encoding="utf-8"
    )
    return run([str(TUNEKIT), "search", "study.toml", "--workers", "1", "--json"], folder)


def in_new_folder(start: Callable[[int, Path], Run], seed: int) -> Run:
    """Run one side in a folder that is empty before and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tunekit-bench-") as folder:
        return start(seed, Path(folder))


def main() -> None:
    """Run the pairs and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=3, help="how often each side runs")
    pairs = parser.parse_args().pairs

    print("      seconds, first to last        whole process      best accuracy    mean weights")
    print("pair  script tunekit ratio    script tunekit ratio    script tunekit    script tunekit")
    runs: list[tuple[Run, Run]] = []
    for seed in range(pairs):
        script, ours = in_new_folder(run_baseline, seed), in_new_folder(run_tunekit, seed)
        runs.append((script, ours))
        cells = "".join(
            f"{a:8.2f}{b:8.2f}{a / b:6.1f}  "
            for a, b in ((script.seconds[p], ours.seconds[p]) for p in ("search", "process"))
        )
        cells += f"{script.best:8.3f}{ours.best:8.3f}  {script.weights:8.0f}{ours.weights:8.0f}"
        print(f"{seed + 1:<4}{cells}", flush=True)
    for name, summary in (("min", min), ("mid", statistics.median), ("max", max)):
        cells = ""
        for part in ("search", "process"):
            a = [script.seconds[part] for script, _ in runs]
            b = [ours.seconds[part] for _, ours in runs]
            ratios = [first / second for first, second in zip(a, b, strict=True)]
            cells += f"{summary(a):8.2f}{summary(b):8.2f}{summary(ratios):6.1f}  "
        print(f"{name:<4}{cells}".rstrip())

    print("\nmedian seconds of the parts")
    for name, side in (("script", 0), ("tunekit", 1)):
        parts = runs[0][side].seconds
        medians = {
            part: statistics.median(pair[side].seconds[part] for pair in runs) for part in parts
        }
        print(f"{name:<9}" + "  ".join(f"{part} {took:.2f}" for part, took in medians.items()))


if __name__ == "__main__":
    main()
