"""What a sampler sees of many trials."""

from __future__ import annotations

import itertools
from typing import Literal

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from tunekit.search.memory import BEST, Memory

Direction = Literal["minimize", "maximize"]
STATES = (TrialState.COMPLETE, TrialState.PRUNED)


def filled(memory: Memory, count: int, direction: Direction = "minimize") -> optuna.Study:
    study = optuna.create_study(storage=memory, direction=direction)
    for number in range(count):
        study.add_trial(create_trial(value=float(number * 37 % count)))
    return study


def shown(study: optuna.Study) -> list[int]:
    return [trial.number for trial in study.get_trials(deepcopy=False, states=STATES)]


def test_a_few_trials_are_all_shown() -> None:
    memory = Memory()
    study = filled(memory, 50)
    with memory.window(study._study_id, 50):
        assert shown(study) == list(range(50))


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_of_many_trials_the_best_and_some_of_all_ages_are_shown(direction: Direction) -> None:
    memory = Memory()
    study = filled(memory, 1000, direction)
    with memory.window(study._study_id, 100):
        numbers = shown(study)
    assert len(set(numbers)) == 100
    assert numbers == sorted(numbers)
    values = {trial.number: trial.value for trial in study.trials}
    best = sorted(values, key=lambda n: values[n] or 0.0, reverse=direction == "maximize")[:BEST]
    assert set(best) <= set(numbers)
    assert max(b - a for a, b in itertools.pairwise(numbers)) < 20
    assert shown(study) == list(range(1000))


def test_what_runs_is_shown_too() -> None:
    memory = Memory()
    study = filled(memory, 200)
    running = study.ask()
    with memory.window(study._study_id, 100):
        assert running.number in {trial.number for trial in study.get_trials(deepcopy=False)}


def test_pruned_trials_rank_by_how_far_they_came_and_broken_constraints_last() -> None:
    memory = Memory()
    study = optuna.create_study(storage=memory)
    for number in range(40):
        broken = create_trial(value=-1.0, system_attrs={"constraints": [1.0]})
        study.add_trial(broken)
        early = {1: 0.0} if number % 2 else {9: float(number)}
        study.add_trial(create_trial(state=TrialState.PRUNED, intermediate_values=early))
    with memory.window(study._study_id, BEST):
        numbers = shown(study)
    # The twenty that reached epoch 9, then five of those that were pruned after epoch 1.
    assert numbers == sorted([*range(1, 80, 4), *range(3, 23, 4)])


def test_with_several_objectives_all_trials_are_shown() -> None:
    memory = Memory()
    study = optuna.create_study(storage=memory, directions=["minimize", "maximize"])
    for number in range(150):
        study.add_trial(create_trial(values=[number, number]))
    with memory.window(study._study_id, 100):
        assert len(shown(study)) == 150
