"""Searched ranges whose edge holds what is best: where a wider range may hold better."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tunekit.records import FinishedTrial
from tunekit.search.basis import Basis
from tunekit.space import Interval, Scalar, show
from tunekit.study.space import Space

AT_EDGE, NEAR_EDGE, BESIDE_EDGE = 0.1, 0.15, 0.2
"""Shares of a range on its own scale: where the best value, most leading ones and the trials that
have to be better than the others lie."""
LEADING = 0.15
"""The share of a parameter's trials that leads, and the fewest of them."""
FEWEST = 6
ROOM = 0.05
"""The share of a range by which it can be widened, at least, for that to be worth saying."""
CHANCE = 0.005
"""How improbable it has to be that the trials beside the edge are better than the others.

That trials crowd an edge says nothing: TPE gathers them at edges, also where nothing matters (in
12 to 44 % of simulated searches there was such an edge among 12 ranges). That they are better than
others of the same time does: 0 to 2 % false alarms. An optimum beyond the edge is told in 70 to
100 % if it stands out from the noise, in 12 to 25 % if it hardly does.
"""
SAME_TIME = 10
"""Trials before and after one that a trial is compared with: a search gets better with time in
all parameters together."""


def edges(
    space: Space, trials: Sequence[FinishedTrial], best: FinishedTrial, basis: Basis
) -> list[str]:
    """For each range at whose edge trials are better than elsewhere: that they are, what to change.

    Args:
        space: The study's space.
        trials: Complete trials in the order of the record.
        best: The winner, which has to be at the edge itself.
        basis: What the scores rest on.
    """
    sign = -1.0 if basis.larger_is_better else 1.0
    costs = np.array([sign * (trial.value or 0.0) for trial in trials])
    excess = costs - _usual(costs)
    found = []
    for parameter in space.searched:
        domain, name = parameter.domain, parameter.name
        if not isinstance(domain, Interval) or name not in best.params:
            continue
        has = np.array([name in trial.params for trial in trials], bool)
        places = np.array([_place(domain, t.params[name]) for t in trials if name in t.params])
        value = best.params[name]
        for is_upper in (False, True):
            if not _can_widen(domain, basis.limits.get(name), is_upper):
                continue
            distances = 1 - places if is_upper else places
            place = _place(domain, value)
            if (1 - place if is_upper else place) <= AT_EDGE and _is_better_there(
                distances, costs[has], excess[has]
            ):
                found.append(_words(name, domain, value, is_upper))
    return found


def _usual(costs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The median around each trial, over as many trials before it as after it."""
    reach = [min(SAME_TIME, i, len(costs) - 1 - i) for i in range(len(costs))]
    return np.array([np.median(costs[i - r : i + r + 1]) for i, r in enumerate(reach)])


def _place(domain: Interval, value: Scalar) -> float:
    """Where in its range a value is, on the range's own scale: 0 is `low`, 1 is `high`."""
    low, high, number = domain.low, float(domain.nearest(domain.high)), float(value)
    if domain.log:
        low, high, number = math.log(low), math.log(high), math.log(number)
    return (number - low) / (high - low)


def _can_widen(domain: Interval, limits: tuple[float, float] | None, is_upper: bool) -> bool:
    """Whether there is room beyond the edge that is worth a search."""
    if not is_upper and domain.integer and domain.low <= 1:
        return False  # no layer, one unit: where such ranges begin by nature
    low, high = limits or (-math.inf, math.inf)
    if not is_upper and domain.log:
        return low < domain.low / 1.1  # on a log scale there is always room above 0
    room = high - domain.high if is_upper else domain.low - low
    return room > ROOM * (domain.high - domain.low)


def _is_better_there(
    distances: npt.NDArray[np.float64],
    costs: npt.NDArray[np.float64],
    excess: npt.NDArray[np.float64],
) -> bool:
    """Whether most leading trials are near the edge, and those beside it better than the others.

    Args:
        distances: From the edge, as shares of the range.
        costs: What the search makes small.
        excess: The same, above what was usual at that time.
    """
    from scipy.stats import mannwhitneyu

    leading = np.argsort(costs, kind="stable")[: max(FEWEST, math.ceil(LEADING * len(costs)))]
    beside = distances <= BESIDE_EDGE
    if len(leading) < FEWEST or min(beside.sum(), (~beside).sum()) < 3:
        return False
    if np.mean(distances[leading] <= NEAR_EDGE) < 0.5:
        return False
    test = mannwhitneyu(excess[beside], excess[~beside], alternative="less")
    return float(test.pvalue) < CHANCE


def _words(name: str, domain: Interval, value: Scalar, is_upper: bool) -> str:
    which, change = ("upper", "raise `high`") if is_upper else ("lower", "reduce `low`")
    return (
        f"{name} = {show(value)} is at the {which} edge of its range ({show(domain.low)} to "
        f"{show(domain.high)}), where trials were better than elsewhere: {change}"
    )
