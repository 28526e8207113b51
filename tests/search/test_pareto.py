from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from tunekit.search.pareto import front

# Few different values, so that ties and equal points are common.
NUMBER = st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 1.0, 2.0, math.nan])


@st.composite
def clouds(draw: st.DrawFn) -> tuple[list[list[float]], list[bool]]:
    width = draw(st.integers(1, 4))
    point = st.lists(NUMBER, min_size=width, max_size=width)
    directions = st.lists(st.booleans(), min_size=width, max_size=width)
    return draw(st.lists(point, max_size=12)), draw(directions)


def dominates(one: list[float], other: list[float], larger: list[bool]) -> bool:
    pairs = [(a, b) if up else (-a, -b) for a, b, up in zip(one, other, larger, strict=True)]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


@given(clouds())
def test_the_front_holds_what_no_other_point_dominates(
    cloud: tuple[list[list[float]], list[bool]],
) -> None:
    points, larger = cloud
    expected = [
        i
        for i, point in enumerate(points)
        if not any(math.isnan(value) for value in point)
        and point not in points[:i]
        and not any(dominates(other, point, larger) for other in points)
    ]
    assert front(points, larger) == expected


def test_large_fronts_are_whole() -> None:
    rng = random.Random(0)
    angles = sorted(rng.uniform(0, math.pi / 2) for _ in range(3000))
    rim = [[math.cos(angle), math.sin(angle), 1.0] for angle in angles]
    inner = [[0.9 * value for value in point] for point in rim]
    assert front(inner + rim, [True, True, True]) == list(range(3000, 6000))


def test_of_several_directions_each_counts() -> None:
    accuracy_and_parameters = [[0.9, 100], [0.8, 50], [0.8, 60], [0.95, 1000], [0.5, 50]]
    assert front(accuracy_and_parameters, [True, False]) == [0, 1, 3]


def test_without_points_there_is_no_front() -> None:
    assert front([], [True, False]) == []
