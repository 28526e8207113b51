"""What mattered in a search: found where something does, not where nothing does."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from tunekit.records import FinishedTrial, State
from tunekit.search.importances import importances
from tunekit.space import Choices, Interval, Scalar
from tunekit.study.space import Condition, Parameter, Space

RATE = Interval(1e-4, 1e-1, log=True)
SPACE = Space(
    (
        Parameter("optimizer", Choices(("adam", "sgd")), "adam"),
        Parameter("optimizer.adam.lr", RATE, 1e-3, Condition("optimizer", "adam")),
        Parameter("optimizer.sgd.lr", RATE, 1e-2, Condition("optimizer", "sgd")),
        Parameter("network.width", Interval(16, 256, log=True, integer=True), 64),
    )
)
Objective = Callable[[dict[str, Scalar]], float]


def by_rate(configuration: dict[str, Scalar]) -> float:
    """Only the learning rate of adam matters; sgd is always poor."""
    if configuration["optimizer"] == "sgd":
        return 0.5
    return 0.9 - 0.2 * (math.log10(float(configuration["optimizer.adam.lr"])) + 3) ** 2


def flat(configuration: dict[str, Scalar]) -> float:
    return 0.9


def trials_of(
    objective: Objective, count: int, *, seed: int = 0, state: State = "complete"
) -> list[FinishedTrial]:
    rng = np.random.default_rng(seed)

    def choose(parameter: Parameter) -> Scalar:
        domain = parameter.domain
        if isinstance(domain, Choices):
            return domain.values[int(rng.integers(len(domain.values)))]
        assert isinstance(domain, Interval)
        return domain.at(float(rng.random()))

    trials = []
    for number in range(count):
        configuration = SPACE.resolve(choose)
        value = objective(configuration) + 0.01 * rng.normal()
        trials.append(FinishedTrial(number, number, state, value, configuration, configuration))
    return trials


def test_what_matters_is_found_also_under_a_condition() -> None:
    found = importances(SPACE, trials_of(by_rate, 60), larger_is_better=True)
    assert found is not None
    assert next(iter(found.shares)) == "optimizer.adam.lr"
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.shares["network.width"] == 0
    assert "this space" in found.words


def test_nothing_stands_out_where_nothing_matters() -> None:
    found = [
        importances(SPACE, trials_of(flat, 40, seed=seed), larger_is_better=True)
        for seed in range(5)
    ]
    silent = [f for f in found if f is not None and not any(f.shares.values())]
    assert len(silent) >= 4
    assert "cannot tell" in silent[0].words


def test_pruned_trials_count_as_worse_than_complete_ones() -> None:
    """Pruning must not hide that what was pruned was poor."""
    trials = [
        trial
        if by_rate(dict(trial.configuration)) > 0.85
        else FinishedTrial(
            trial.number, trial.ask, "pruned", None, trial.params, trial.configuration
        )
        for trial in trials_of(by_rate, 60)
    ]
    found = importances(SPACE, trials, larger_is_better=True)
    assert found is not None
    assert next(iter(found.shares)) == "optimizer.adam.lr"


def test_the_same_trials_give_the_same_answer() -> None:
    trials = trials_of(by_rate, 30)
    first = importances(SPACE, trials, larger_is_better=True)
    assert first == importances(SPACE, trials, larger_is_better=True)


def test_the_direction_decides_what_is_good() -> None:
    trials = trials_of(lambda configuration: -by_rate(configuration), 60)
    found = importances(SPACE, trials, larger_is_better=False)
    assert found is not None
    assert next(iter(found.shares)) == "optimizer.adam.lr"


@pytest.mark.parametrize(
    "trials",
    [trials_of(by_rate, 24), trials_of(by_rate, 60, state="failed"), []],
    ids=["few", "failed", "none"],
)
def test_too_few_trials_say_nothing(trials: list[FinishedTrial]) -> None:
    assert importances(SPACE, trials, larger_is_better=True) is None
