"""The Pareto front of several objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def front(values: Sequence[Sequence[float]], larger_is_better: Sequence[bool]) -> list[int]:
    """The indices of the points that no other point dominates, in ascending order.

    A point dominates another one if it is at least as good in all objectives and better in one.
    Of equal points the first one counts; a point with a NaN never does.

    Args:
        values: One row a point, one column an objective.
        larger_is_better: The direction of each objective.
    """
    if not values:
        return []
    points = np.asarray(values, np.float64) * np.where(larger_is_better, -1.0, 1.0)
    known = np.flatnonzero(~np.isnan(points).any(axis=1))
    # From the best in the first objective on: whatever dominates a point comes before it, and so
    # does something on the front that dominates it too.
    order = known[np.lexsort(points[known].T[::-1])]
    rest = points[order, 1:]
    # One row an objective: reductions over a short last axis are several times slower.
    kept, members = np.empty(rest.T.shape), list[int]()
    for index, point in zip(order.tolist(), rest, strict=True):
        count = len(members)
        if not (kept[:, :count] <= point[:, None]).all(axis=0).any():
            kept[:, count] = point
            members.append(index)
    return sorted(members)
