from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.errors import StudyError
from tunekit.study.constraints import LEAST, MOST, Constraint, parse_all

QUANTITIES = ("parameters", "latency", "accuracy", "f1")


def parse(text: str) -> Constraint:
    return Constraint.parse(text, QUANTITIES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parameters < 50_000", Constraint("parameters", "<", 50000)),
        ("latency<=2.5", Constraint("latency", "<=", 2.5)),
        ("  accuracy  >  .8 ", Constraint("accuracy", ">", 0.8)),
        ("f1 >= -1e-3", Constraint("f1", ">=", -0.001)),
        ("0.8 <= f1", Constraint("f1", ">=", 0.8)),
        ("5e4 > parameters", Constraint("parameters", "<", 50000)),
    ],
)
def test_constraints_are_read_as_people_write_them(text: str, expected: Constraint) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("paramters < 5", r"'paramters' \(at character 1 of .*\)\. Did you mean 'parameters'\?"),
        ("5 >  size", r"'size' \(at character 6 of .*\)\. Known: accuracy, f1, latency, param"),
        ("parameters = 5", r"expected <, <=, > or >=, got '=' at character 12"),
        ("parameters ≤ 5", r"expected <, <=, > or >=, got '≤' at character 12"),
        ("0.1 < f1 < 0.9", r"got '<' at character 10 .*two constraints"),
        ("parameters", r'such as "parameters < 50_000", got \'parameters\''),
        ("", r'such as "parameters < 50_000", got \'\''),
        (" < 5", r"got no quantity in ' < 5'"),
        ("latency < 2 ms", r"expected a finite number .*, got '2 ms' at character 11"),
        ("latency <", r"expected a finite number .*, got '' at character 10"),
        ("latency < inf", r"expected a finite number .*, got 'inf'"),
        ("nan < latency", r"expected a finite number .*, got 'nan' at character 1"),
    ],
)
def test_anything_else_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        parse(text)


@given(
    st.sampled_from(QUANTITIES),
    st.sampled_from(("<", "<=", ">", ">=")),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_its_words_are_read_as_the_same_constraint(
    quantity: str, relation: str, bound: float
) -> None:
    constraint = parse(f"{quantity} {relation} {bound!r}")
    assert parse(constraint.words) == constraint


def test_its_words_are_for_people() -> None:
    assert parse("parameters<5e4").words == "parameters < 50000"
    assert parse("0.80 <= f1").words == "f1 >= 0.8"


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("parameters < 50_000", 49_999, 0),
        ("parameters < 50_000", 75_000, 0.5),
        ("parameters < 50_000", 50_000, LEAST),
        ("parameters <= 50_000", 50_000, 0),
        ("f1 >= 0.8", 0.9, 0),
        ("f1 >= 0.8", 0.6, 0.25),
        ("f1 > 0.8", 0.8, LEAST),
        ("f1 > -2", -3, 0.5),
        ("f1 > 0", -3, 3),
        ("f1 > 1e-300", -3, MOST),
        ("latency < 1", math.nan, MOST),
        ("latency < 1", math.inf, MOST),
        ("latency < 1", -math.inf, MOST),
    ],
)
def test_a_violation_is_the_share_of_the_bound_that_is_missing(
    text: str, value: float, expected: float
) -> None:
    assert parse(text).violation(value) == pytest.approx(expected, rel=1e-12, abs=0)


@given(
    st.sampled_from(("<", "<=", ">", ">=")),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_violation_is_0_exactly_where_the_relation_holds(
    relation: str, bound: float, value: float
) -> None:
    holds = {"<": value < bound, "<=": value <= bound, ">": value > bound, ">=": value >= bound}
    violation = parse(f"f1 {relation} {bound!r}").violation(value)
    assert violation == 0 if holds[relation] else LEAST <= violation <= MOST


def test_a_study_may_have_several_constraints() -> None:
    texts = ["parameters < 50_000", "f1 >= 0.5", "f1 <= 0.5", "latency < 2"]
    constraints = parse_all(texts, iter(QUANTITIES))
    assert [constraint.quantity for constraint in constraints] == [
        "parameters",
        "f1",
        "f1",
        "latency",
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["f1 > 0.5", "f1 > 0.5"], "bounds 'f1' from below, as 'f1 > 0.5' does already"),
        (["f1 < 0.5", "0.4 >= f1"], "bounds 'f1' from above, as 'f1 < 0.5' does already"),
        (["f1 > 0.5", "f1 < 0.4"], "no value keeps both 'f1 > 0.5' and 'f1 < 0.4'"),
        (["f1 <= 0.5", "f1 > 0.5"], "no value keeps both 'f1 <= 0.5' and 'f1 > 0.5'"),
        (["f1 > 0.5", "f2 < 5"], "no quantity is called 'f2'"),
    ],
)
def test_what_repeats_or_excludes_another_one_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        parse_all(texts, QUANTITIES)
    assert caught.value.key == "study.constraints[1]"
