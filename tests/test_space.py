from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit import Choice, Flag, Float, HyperparameterError, Int
from tunekit.space import (
    Choices,
    Declaration,
    Fixed,
    Hyperparameter,
    Interval,
    domain_from,
    interval,
    show,
)


def named(declaration: object, name: str = "x") -> Hyperparameter:
    assert isinstance(declaration, Declaration)
    return declaration.named(name)


RATE = named(Float(0.1, low=0.01, high=1.0, log=True, min=0.0, max=10.0), "rate")
DEPTH = named(Int(2, low=1, high=4, min=1), "depth")
EPS = named(Float(1e-8, min=0.0), "eps")
SWITCH = named(Flag(False), "switch")
SHAPE = named(Choice("sine", ["sine", "square"]), "shape")


class TestTheValueRule:
    @pytest.mark.parametrize(
        ("raw", "declared", "expected"),
        [
            (0.5, RATE, Fixed(0.5)),
            (5, RATE, Fixed(5.0)),
            (3, DEPTH, Fixed(3)),
            (3.0, DEPTH, Fixed(3)),
            (True, SWITCH, Fixed(True)),
            ("square", SHAPE, Fixed("square")),
            ([0.1, 0.2], RATE, Choices((0.1, 0.2))),
            ([1, 2, 1], DEPTH, Choices((1, 2))),
            ([0.1, 0.1], RATE, Fixed(0.1)),
            ([True], SWITCH, Fixed(True)),
            ((False, True), SWITCH, Choices((False, True))),
            (["square", "sine"], SHAPE, Choices(("square", "sine"))),
            ({"low": 0.1, "high": 0.2}, RATE, Interval(0.1, 0.2, log=True)),
            ({"low": 0.1, "high": 0.2, "log": False}, RATE, Interval(0.1, 0.2)),
            ({"high": 0.5}, RATE, Interval(0.01, 0.5, log=True)),
            ({}, RATE, Interval(0.01, 1.0, log=True)),
            ({"low": 0, "high": 1, "step": 0.25}, RATE, Interval(0.0, 1.0, step=0.25)),
            ({"low": 2, "high": 8, "step": 2}, DEPTH, Interval(2, 8, step=2, integer=True)),
            ({"low": 2, "high": 8, "log": True}, DEPTH, Interval(2, 8, log=True, integer=True)),
            ({"low": 1e-9, "high": 1e-7, "log": True}, EPS, Interval(1e-9, 1e-7, log=True)),
            ({"low": 0.3, "high": 0.3}, RATE, Fixed(0.3)),
        ],
    )
    def test_a_value_fixes_a_list_is_a_choice_a_table_is_a_range(
        self, raw: object, declared: Hyperparameter, expected: object
    ) -> None:
        found = domain_from(raw, declared)
        assert found == expected
        assert repr(found) == repr(expected)

    @pytest.mark.parametrize(
        ("raw", "declared", "key", "message"),
        [
            ("fast", RATE, "rate", "expected a number, got 'fast'"),
            (None, RATE, "rate", "expected a number, got None"),
            (11, RATE, "rate", "expected 10 or less, got 11"),
            (2.5, DEPTH, "depth", "expected a whole number, got 2.5"),
            (1, SWITCH, "switch", "expected true or false, got 1"),
            ("sqare", SHAPE, "shape", "Did you mean 'square'?"),
            ([], RATE, "rate", "expected at least one choice"),
            ([0.1, "b"], RATE, "rate", "expected a number, got 'b'"),
            ([[0.1]], RATE, "rate", "expected a number, got [0.1]"),
            ({"low": 0.1, "hihg": 1}, RATE, "rate.hihg", "Did you mean 'high'?"),
            ({"low": 2, "high": 1}, RATE, "rate", "low = 2 is greater than high = 1"),
            ({"low": "a"}, RATE, "rate.low", "expected a number, got 'a'"),
            ({"low": -1, "high": 1}, RATE, "rate.low", "expected 0 or more"),
            ({"low": 0, "high": 1}, RATE, "rate", "a log scale needs low > 0"),
            ({"log": "yes"}, RATE, "rate.log", "expected true or false, got 'yes'"),
            ({"step": "a"}, RATE, "rate.step", "expected a number, got 'a'"),
            ({"step": True}, RATE, "rate.step", "expected a number, got True"),
            ({"step": 0}, RATE, "rate.step", "expected a step above 0"),
            ({"step": 0.1, "log": True}, RATE, "rate", "a log scale has no step"),
            ({"low": 1.5, "high": 3}, DEPTH, "depth.low", "expected a whole number"),
            ({"step": 0.5}, DEPTH, "depth.step", "expected a whole step"),
            ({"low": 1e-9}, EPS, "eps", "the range has no 'high'"),
            ({"low": 0, "high": 1}, SWITCH, "switch", "fits numbers only"),
            ({"low": "a", "high": "b"}, SHAPE, "shape", "fits numbers only"),
            ({"low": 1, "high": float("inf")}, DEPTH, "depth.high", "whole number, got inf"),
            ({"high": float("nan")}, RATE, "rate.high", "finite number, got nan"),
        ],
    )
    def test_what_does_not_fit_is_an_error_with_its_key(
        self, raw: object, declared: Hyperparameter, key: str, message: str
    ) -> None:
        with pytest.raises(HyperparameterError) as caught:
            domain_from(raw, declared)
        assert caught.value.key == key
        assert message in caught.value.message


class TestDeclarations:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: Float(0.5, low=0.1), "give both low and high, or neither"),
            (lambda: Float(0.5, low=0.0, high=1.0, log=True), "log scale needs low > 0"),
            (lambda: Float(0.5, low=1.0, high=0.0), "expected low <= high"),
            (lambda: Float(0.5, low=0.0, high=2.0, max=1.0), "expected 1 or less, got 2"),
            (lambda: Int(1, low=0, high=9, min=1), "expected 1 or more, got 0"),
            (lambda: Choice("c", ["a", "b"]), "the default 'c' is not among the choices"),
        ],
    )
    def test_an_impossible_range_is_the_authors_mistake(self, make: Any, message: str) -> None:
        with pytest.raises(HyperparameterError, match=message):
            make()

    def test_flags_and_choices_need_not_be_searched(self) -> None:
        assert named(Flag(True, search=False)).search is None
        unsearched = named(Choice("a", ["a", "b"], search=False))
        assert unsearched.search is None
        assert unsearched.choices == ("a", "b")


class TestInterval:
    @pytest.mark.parametrize(
        ("domain", "value", "expected"),
        [
            (Interval(0.1, 1.0), 5.0, 1.0),
            (Interval(0.1, 1.0), -5.0, 0.1),
            (Interval(0.1, 1.0), 0.3, 0.3),
            (Interval(0.0, 1.0, step=0.25), 0.3, 0.25),
            (Interval(0.0, 1.0, step=0.4), 1.0, 0.8),
            (Interval(1, 9, step=4, integer=True), 8, 9),
            (Interval(1, 8, step=4, integer=True), 8, 5),
            (Interval(1, 9, integer=True), 3.4, 3),
        ],
    )
    def test_nearest_is_inside_and_on_the_grid(
        self, domain: Interval, value: float, expected: float
    ) -> None:
        found = domain.nearest(value)
        assert found == pytest.approx(expected)
        assert type(found) is (int if domain.integer else float)

    def test_the_nearest_choice_is_the_value_itself_or_the_first(self) -> None:
        assert Choices(("a", "b")).nearest("b") == "b"
        assert Choices(("a", "b")).nearest("c") == "a"
        assert Fixed(3).nearest(7) == 3

    def test_at_follows_the_intervals_scale(self) -> None:
        assert Interval(0.0, 10.0).at(0.5) == 5.0
        assert Interval(0.01, 100.0, log=True).at(0.5) == pytest.approx(1.0)
        assert Interval(1, 100, log=True, integer=True).at(0.5) == 10

    def test_a_grid_is_even_and_has_no_value_twice(self) -> None:
        assert Interval(0.0, 1.0).grid(5) == (0.0, 0.25, 0.5, 0.75, 1.0)
        assert Interval(0.01, 1.0, log=True).grid(3) == pytest.approx((0.01, 0.1, 1.0))
        assert Interval(1, 3, integer=True).grid(9) == (1, 2, 3)
        assert Interval(0.5, 0.5).grid(4) == (0.5,)
        assert Interval(0.0, 1.0).grid(1) == (0.0,)

    @given(data=st.data())
    def test_any_value_comes_to_lie_inside_and_stays_there(self, data: st.DataObject) -> None:
        whole = data.draw(st.booleans(), label="integer")
        log = data.draw(st.booleans(), label="log")
        smallest = (1 if whole else 1e-6) if log else -1000
        numbers: Any = st.integers if whole else st.floats
        low = data.draw(numbers(smallest, 1000), label="low")
        high = data.draw(numbers(low, 2000), label="high")
        step = None if log else data.draw(st.none() | numbers(1, 50), label="step")
        domain = interval(low, high, log=log, step=step, integer=whole)
        candidates = [
            domain.nearest(data.draw(st.floats(-1e4, 1e4), label="value")),
            domain.at(data.draw(st.floats(0, 1), label="fraction")),
            *domain.grid(data.draw(st.integers(1, 9), label="points")),
        ]
        slack = 1e-9 * (1 + abs(high))
        for found in candidates:
            assert isinstance(found, (int, float))
            assert low - slack <= found <= high + slack
            assert domain.nearest(found) == pytest.approx(found)
            if step is not None:
                steps = (found - low) / step
                assert steps == pytest.approx(round(steps), abs=1e-6)


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        (Fixed(True), "true"),
        (Fixed(0.1), "0.1"),
        (Choices(("a", 2, False)), "one of a, 2, false"),
        (Interval(1e-5, 1.0, log=True), "1e-05 to 1, log scale"),
        (Interval(1, 9, step=2, integer=True), "1 to 9 in steps of 2"),
    ],
)
def test_a_domain_reads_as_a_person_would_say_it(domain: object, text: str) -> None:
    assert str(domain) == text


def test_values_are_shown_as_a_study_file_would_write_them() -> None:
    assert [show(v) for v in (True, 3, 0.25, 1e-8, "sine")] == [
        "true",
        "3",
        "0.25",
        "1e-08",
        "sine",
    ]
