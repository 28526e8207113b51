"""The trials that no other one beats in all objectives."""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.records import FinishedTrial, Objective
from tunekit.search.pareto import front


def values_of(trial: FinishedTrial, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """A complete trial's value of each objective."""
    assert trial.value is not None
    return (trial.value, *(trial.measured[objective.name] for objective in objectives[1:]))


def front_of(
    trials: Sequence[FinishedTrial], objectives: Sequence[Objective]
) -> tuple[FinishedTrial, ...]:
    """The Pareto front, the best by the first objective first; empty with one objective.

    Trials that diverged or break a constraint are not on it.
    """
    if len(objectives) < 2:
        return ()
    sound = [t for t in trials if t.state == "complete" and not t.diverged and t.violation == 0]
    values = [values_of(trial, objectives) for trial in sound]
    members = [sound[i] for i in front(values, [o.larger_is_better for o in objectives])]
    return tuple(
        sorted(members, key=lambda t: t.value or 0.0, reverse=objectives[0].larger_is_better)
    )
