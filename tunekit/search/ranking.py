"""Which trials lead: by one objective, or among those that no other one beats in several."""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.records import FinishedTrial, Objective
from tunekit.search.final import leaders
from tunekit.search.front import front_of


def leading(
    trials: Sequence[FinishedTrial], objectives: Sequence[Objective], count: int
) -> list[FinishedTrial]:
    """The best few trials, best first.

    With several objectives these are on the front: what is off it is worse in one and better in
    none.
    """
    front = front_of(trials, objectives)
    return leaders(front or trials, count, larger_is_better=objectives[0].larger_is_better)
