"""Racing over folds: error rates, power, and what is saved, against Optuna's Wilcoxon pruner.

Scores are simulated: trial + fold + noise, of which a good trial has a standard deviation of 1; a
quarter of the trials is far below the others. Run it in the project's folder:
``python -m tests.benchmarks.racing``. It takes a minute on a quiet machine.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import get_args

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial

from tests.search.test_racing import Drops, Noise, World, drop_rate, never, race, simulate_study
from tunekit.search.racing import ALPHA, Race

FOLDS = (3, 5, 10)
CASES = {
    "equal": {"better": 0.0, "chosen": False},
    "equal to a lucky best": {"better": 0.0, "chosen": True},
    "1 better than a lucky best": {"better": 1.0, "chosen": True},
    "3 worse": {"better": -3.0, "chosen": False},
    "6 worse": {"better": -6.0, "chosen": False},
}


def wilcoxon(threshold: float) -> Drops:
    """Optuna's pruner, told of the incumbent and of the trial."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruner = optuna.pruners.WilcoxonPruner(p_threshold=threshold)

    @lru_cache(maxsize=64)
    def study_of(incumbent: tuple[float, ...]) -> optuna.Study:
        study = optuna.create_study(direction="maximize")
        steps = dict(enumerate(incumbent))
        study.add_trial(create_trial(value=sum(incumbent), intermediate_values=steps))
        return study

    def drops(scores: Sequence[float], complete: dict[int, list[float]]) -> bool:
        if len(scores) < 2 or not complete:
            return False  # as the pruner would say
        study = study_of(tuple(max(complete.values(), key=sum)))
        steps = dict(enumerate(scores))
        trial = create_trial(state=TrialState.RUNNING, intermediate_values=steps)
        return pruner.prune(study, trial)

    return drops


def main() -> None:
    """Print the tables."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print_rates()
    print_noise()
    print_studies()
    print_cost()


def print_rates() -> None:
    """How often a trial is dropped before its last fold, by what it is in truth."""
    print(f"Share of trials that are dropped, alpha = {ALPHA}\n")
    print("| folds | complete trials | test | " + " | ".join(CASES) + " |")
    print("| --- " * (3 + len(CASES)) + "|")
    for folds in FOLDS:
        for complete in (3, 10, 40):
            print_rate(folds, complete, "race", race(folds), 600)
        print_rate(folds, 40, "Wilcoxon, 0.1", wilcoxon(0.1), 200)


def print_rate(folds: int, complete: int, name: str, drops: Drops, times: int) -> None:
    """Print one row."""
    rates = [
        drop_rate(World(folds), drops, complete=complete, times=times, **case)  # type: ignore[arg-type]
        for case in CASES.values()
    ]
    print(f"| {folds} | {complete} | {name} | " + " | ".join(f"{r:.3f}" for r in rates) + " |")


def print_noise() -> None:
    """How often an equal trial is dropped when the noise is not what the test assumes."""
    print("\nShare of trials equal to the incumbent that are dropped, 20 complete trials\n")
    print("| noise | " + " | ".join(f"{folds} folds" for folds in FOLDS) + " |")
    print("| --- " * (1 + len(FOLDS)) + "|")
    for noise in get_args(Noise):
        rates = [
            drop_rate(World(folds, noise), race(folds), complete=20, times=1000) for folds in FOLDS
        ]
        print(f"| {noise} | " + " | ".join(f"{rate:.3f}" for rate in rates) + " |")


def print_studies(studies: int = 200) -> None:
    """What a study of 40 trials saves, and what that does to its winner."""
    print("\nStudies of 40 trials; the winner's true mean in standard deviations of a fold\n")
    print("| folds | race | trainings saved | winner is worse by | another winner |")
    print("| --- " * 5 + "|")
    for folds in FOLDS:
        world = World(folds)
        whole = [simulate_study(world, never, seed=seed).winner for seed in range(studies)]
        rules = {f"alpha {alpha}": race(folds, alpha) for alpha in (0.05, ALPHA, 0.2, 0.4)}
        for name, drops in (rules | {"Wilcoxon, 0.1": wilcoxon(0.1)}).items():
            # Optuna's pruner takes longer.
            some = studies if name in rules else studies // 8
            raced = [simulate_study(world, drops, seed=seed) for seed in range(some)]
            lost = np.array(whole[:some]) - [study.winner for study in raced]
            saved = np.mean([study.saved for study in raced])
            error = lost.std() / some**0.5
            print(
                f"| {folds} | {name} | {saved:.0%} | {lost.mean():.3f} ± {error:.3f} "
                f"| {np.mean(lost != 0):.1%} |"
            )


def print_cost() -> None:
    """The time of a verdict."""
    print("\n| complete trials | ms a verdict |\n| --- | --- |")
    rng = np.random.default_rng(0)
    for trials in (10, 100, 1_000, 10_000):
        complete = dict(enumerate(rng.normal(size=(trials, 5)).tolist()))
        started = time.perf_counter()
        for _ in range(20):
            Race(5, larger_is_better=True).verdict([-1.0, -2.0], complete)
        print(f"| {trials} | {(time.perf_counter() - started) / 20 * 1000:.2f} |")


if __name__ == "__main__":
    main()
