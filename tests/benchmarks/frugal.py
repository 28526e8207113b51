"""What pruning and racing save, and what they cost: the same searches with and without.

Run as ``python -m tests.benchmarks.frugal [--seeds N] [--trials N]``. For each of three real data
sets and some seeds, one search trains every trial to its end on every fold, the other one gives
trials up by hyperband on the first fold and by the race on the others. Both try as many trials and
have the same final: the best three again on fresh seeds, the winner on the test split.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tunekit import plugins
from tunekit.records import StudyResult
from tunekit.search.run import Search, run_search
from tunekit.search.setting import Setting
from tunekit.study.study import load_study

STUDY = """
[study]
name = "frugal"
finalists = 3
final_seeds = 3

[data]
source = "{source}"
folds = 5
test = 0.3

[train]
epochs = 40
batch_size = [32, 64]
patience = 10

[network]
depth = {{ low = 1, high = 2 }}
width = {{ low = 8, high = 128, log = true }}
normalization = ["none", "batch"]

[search]
optimizer = ["sgd", "adam", "rmsprop"]
activation = ["relu", "tanh", "gelu"]
schedule = ["constant", "cosine"]
regularizers = ["l2", "dropout"]

[pruner]
name = "{pruner}"
"""
SOURCES = ("sklearn:digits", "sklearn:breast_cancer", "sklearn:diabetes")


def search(source: str, pruner: str, seed: int, trials: int) -> tuple[Search, float]:
    """Run one search in an empty folder, without MLflow; its result and its training time."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.toml"
        file.write_text(STUDY.format(source=source, pruner=pruner))
        changes = {"study.seed": seed}
        study, _ = load_study(file, changes=changes, trials=trials, workers=2)
        found = run_search(Setting.of(study, plugins.load(())))  # without MLflow
        # What is spent on the final is the same for both, and no part of the search.
        return found, sum(trial.training_seconds for trial in found.result.trials)


def score(result: StudyResult) -> float:
    """The winner's test score."""
    assert result.test is not None
    return result.test.mean


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=40)
    options = parser.parse_args()
    print(f"{options.trials} trials a search, 5 folds, up to 40 epochs; test scores mean (sd)")
    print(f"{'data':<14} {'test, all trained':>22} {'test, frugal':>22} {'difference':>18} "
          f"{'training, all':>14} {'frugal':>9} {'share':>6}")  # fmt: skip
    for source in SOURCES:
        scores: dict[str, list[float]] = {"none": [], "hyperband": []}
        seconds: dict[str, list[float]] = {"none": [], "hyperband": []}
        begin = time.perf_counter()
        for seed in range(options.seeds):
            for pruner in scores if seed % 2 else reversed(scores):
                found, took = search(source, pruner, seed, options.trials)
                scores[pruner].append(score(found.result))
                seconds[pruner].append(took)
        differences = [b - a for a, b in zip(scores["none"], scores["hyperband"], strict=True)]
        error = statistics.stdev(differences) / len(differences) ** 0.5
        share = sum(seconds["hyperband"]) / sum(seconds["none"])
        cells = [f"{statistics.fmean(v):.4g} ({statistics.stdev(v):.2g})" for v in scores.values()]
        spent = [f"{statistics.fmean(values):.0f} s" for values in seconds.values()]
        print(
            f"{source.partition(':')[2]:<14} {cells[0]:>22} {cells[1]:>22} "
            f"{statistics.fmean(differences):>+10.3g} ±{error:<6.2g} "
            f"{spent[0]:>14} {spent[1]:>9} {share:>6.0%}"
        )
        sys.stdout.flush()
        print(f"  ({time.perf_counter() - begin:.0f} s)", file=sys.stderr)


if __name__ == "__main__":
    main()
