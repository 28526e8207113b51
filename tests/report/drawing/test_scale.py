"""Where values lie on an axis, and which are written beside it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.report.drawing.scale import Categories, Linear, Log, around, numeric


def words(scale: Linear | Log | Categories, most: int = 5) -> list[str]:
    return [tick.words for tick in scale.ticks(most)]


def test_linear_ticks_are_round() -> None:
    assert words(Linear(0.872, 0.981)) == ["0.88", "0.90", "0.92", "0.94", "0.96", "0.98"]
    assert words(Linear(-1.0, 1.0)) == ["\N{MINUS SIGN}1.0", "\N{MINUS SIGN}0.5", "0", "0.5", "1.0"]
    assert words(Linear(0, 4000)) == ["0", "1,000", "2,000", "3,000", "4,000"]


def test_whole_numbers_have_no_decimals() -> None:
    assert words(Linear(1, 3, whole=True)) == ["1", "2", "3"]


def test_log_ticks_are_powers_or_what_lies_between() -> None:
    assert words(Log(1e-4, 0.1)) == ["0.0001", "0.001", "0.01", "0.1"]
    assert words(Log(16, 256)) == ["20", "50", "100", "200"]
    assert words(Log(1e3, 1e5)) == ["1,000", "3,000", "10,000", "30,000", "100,000"]
    assert len(words(Log(1e-12, 1e12))) <= 5


def test_categories_lie_in_the_middle_of_their_parts() -> None:
    scale = Categories(("adam", "sgd"))
    assert (scale.at("adam"), scale.at("sgd")) == (0.25, 0.75)
    assert scale.at("lion") < 0
    assert words(scale) == ["adam", "sgd"]


@given(st.floats(-1e9, 1e9), st.floats(0, 1e6), st.booleans())
def test_all_ticks_lie_on_the_axis_and_are_few(low: float, size: float, whole: bool) -> None:
    scale = numeric(low, low + size, whole=whole)
    places = [tick.at for tick in scale.ticks(5)]
    assert len(places) <= 7
    assert all(-1e-6 <= place <= 1 + 1e-6 for place in places)


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e9, 1e-9])
def test_one_value_lies_in_the_middle(value: float) -> None:
    assert around([value]).at(value) == pytest.approx(0.5)


def test_a_log_scale_of_one_value_or_of_zero_does_not_break() -> None:
    assert numeric(0.01, 0.01, log=True).at(0.01) == pytest.approx(0.5)
    assert isinstance(numeric(0.0, 1.0, log=True), Linear)
    assert math.isfinite(around([]).at(0.5))
