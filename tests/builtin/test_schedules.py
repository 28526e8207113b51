from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit import Progress, Schedule
from tunekit.plugins import load
from tunekit.space import Interval

REGISTRY = load(entry_points=False)
SCHEDULES = [REGISTRY.find(Schedule, name) for name in REGISTRY.names("schedule")]
every_schedule = pytest.mark.parametrize("cls", SCHEDULES, ids=lambda cls: cls.name)


def schedule(name: str, **values: Any) -> Schedule:
    return REGISTRY.find(Schedule, name)(**values)


def at(step: int, steps: int, epochs: int = 10) -> Progress:
    return Progress(
        step=step,
        steps=steps,
        epoch=step * epochs // steps,
        epochs=epochs,
        fraction=step / steps,
    )


def factors(plan: Schedule, steps: int) -> list[float]:
    return [plan.factor(at(step, steps)) for step in range(steps)]


@every_schedule
@given(data=st.data())
def test_with_any_searched_values_and_at_any_time_the_factor_is_in_0_to_1(
    cls: type[Schedule], data: st.DataObject
) -> None:
    values = {
        name: declared.search.at(data.draw(st.floats(0, 1), label=name))
        for name, declared in cls.hyperparameters().items()
        if isinstance(declared.search, Interval)
    }
    steps = data.draw(st.integers(1, 10_000), label="steps")
    step = data.draw(st.integers(0, steps - 1), label="step")
    factor = cls(**values).factor(at(step, steps))
    assert isinstance(factor, float)
    assert 0 <= factor <= 1


@every_schedule
def test_it_is_the_same_curve_for_a_run_of_any_length(cls: type[Schedule]) -> None:
    short, long = factors(cls(), 1_000), factors(cls(), 100_000)
    for percent in range(0, 100, 7):
        assert short[percent * 10] == pytest.approx(long[percent * 1_000], abs=0.02)


@every_schedule
def test_it_takes_some_step(cls: type[Schedule]) -> None:
    for steps in (1, 2, 3, 100):
        assert max(factors(cls(), steps)) > 0


def test_constant_is_one() -> None:
    assert set(factors(schedule("constant"), 50)) == {1.0}


def test_step_drops_at_equal_distances() -> None:
    found = factors(schedule("step", drops=2, decay=0.1), 9)
    assert found == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01])


def test_step_drops_on_time_where_fractions_would_round() -> None:
    # 49 * (1 / 49) < 1 in floating point.
    found = factors(schedule("step", drops=48, decay=0.5), 49)
    assert found == [0.5**k for k in range(49)]


def test_step_without_drops_is_constant() -> None:
    assert set(factors(schedule("step", drops=0), 10)) == {1.0}


def test_exponential_shrinks_by_one_ratio_from_1_to_final() -> None:
    found = factors(schedule("exponential", final=0.01), 100)
    assert found[0] == 1
    ratios = [b / a for a, b in pairwise(found)]
    assert ratios == pytest.approx([0.01 ** (1 / 100)] * 99)
    assert schedule("exponential", final=0.01).factor(at(100, 100)) == pytest.approx(0.01)


def test_cosine_starts_at_1_is_halfway_in_the_middle_and_ends_at_its_floor() -> None:
    plan = schedule("cosine", floor=0.2)
    assert plan.factor(at(0, 100)) == 1
    assert plan.factor(at(50, 100)) == pytest.approx(0.6)
    assert plan.factor(at(100, 100)) == pytest.approx(0.2)


def test_warmup_cosine_rises_in_a_line_and_falls_like_cosine() -> None:
    plan = schedule("warmup_cosine", warmup=0.1, floor=0.2)
    found = factors(plan, 100)
    assert found[:10] == pytest.approx([(s + 1) / 11 for s in range(10)])
    assert found[10] == 1
    assert plan.factor(at(55, 100)) == pytest.approx(0.6)
    assert plan.factor(at(100, 100)) == pytest.approx(0.2)


def test_warmup_cosine_without_warmup_is_cosine() -> None:
    found = factors(schedule("warmup_cosine", warmup=0.0), 60)
    assert found == pytest.approx(factors(schedule("cosine"), 60))


def test_one_cycle_goes_from_its_start_to_the_peak_to_almost_nothing() -> None:
    plan = schedule("one_cycle", warmup=0.3, start_divisor=25.0, final_divisor=1e4)
    assert plan.factor(at(0, 1000)) == pytest.approx(1 / 25)
    assert plan.factor(at(150, 1000)) == pytest.approx((1 + 1 / 25) / 2)
    assert plan.factor(at(300, 1000)) == pytest.approx(1)
    assert plan.factor(at(1000, 1000)) == pytest.approx(1 / 25e4)
    found = factors(plan, 1000)
    assert found[:301] == sorted(found[:301])
    assert found[300:] == sorted(found[300:], reverse=True)


@pytest.mark.parametrize("name", ["step", "exponential", "cosine"])
def test_it_never_rises(name: str) -> None:
    found = factors(schedule(name), 137)
    assert found == sorted(found, reverse=True)
