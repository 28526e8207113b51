from __future__ import annotations

import math

import pytest

from tunekit.study.duration import seconds


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("10m", 600),
        ("90s", 90),
        ("1h30m", 5400),
        ("1h 30m 5s", 5405),
        ("2d", 172800),
        ("0.5H", 1800),
        ("90", 90),
        (90, 90),
        (1.5, 1.5),
    ],
)
def test_durations_are_read_as_people_write_them(duration: object, expected: float) -> None:
    assert seconds(duration) == expected


@pytest.mark.parametrize(
    "duration", ["", "m", "10 minutes", "10q", "1h-5m", "five", [1], True, None]
)
def test_anything_else_is_refused_with_examples(duration: object) -> None:
    with pytest.raises(ValueError, match=r'^expected a duration such as "10m".*, got '):
        seconds(duration)


@pytest.mark.parametrize("duration", ["0s", 0, -5, "-5", math.inf, math.nan, "inf", 10**400])
def test_a_duration_is_above_0_and_ends(duration: object) -> None:
    with pytest.raises(ValueError, match=r"^expected a duration above 0, got "):
        seconds(duration)
