from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit import Progress, Schedule
from tunekit.plugins import load
from tunekit.space import Interval

REGISTRY = load(entry_points=False)
SCHEDULES = [REGISTRY.find(Schedule, name) for name in REGISTRY.names("schedule")]
GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden" / "schedules.json").read_text(encoding="utf-8")
)
every_schedule = pytest.mark.parametrize("cls", SCHEDULES, ids=lambda cls: cls.name)


def schedule(name: str, **values: Any) -> Schedule:
    return REGISTRY.find(Schedule, name)(**values)


def at(step: int, steps: int, epochs: int = 10, validation: Sequence[float] = ()) -> Progress:
    return Progress(
        step=step,
        steps=steps,
        epoch=step * epochs // steps,
        epochs=epochs,
        fraction=step / steps,
        validation=validation,
    )


def factors(plan: Schedule, steps: int) -> list[float]:
    return [plan.factor(at(step, steps)) for step in range(steps)]


def deviations() -> dict[str, float]:
    """The largest relative deviation of each schedule that torch has too, over a whole run."""
    largest: dict[str, float] = {}
    steps, scores = GOLDEN["steps"], GOLDEN["scores"]
    for case in GOLDEN["cases"]:
        plan = schedule(case["name"], **case["values"])
        for step, expected in enumerate(case["factors"]):
            # An epoch a step, so that a schedule by epoch is asked before each step too.
            found = plan.factor(at(step, steps, epochs=steps, validation=scores[:step]))
            deviation = abs(found - expected) / expected
            largest[plan.name] = max(largest.get(plan.name, 0.0), deviation)
    return largest


@pytest.mark.parametrize("name", sorted({case["name"] for case in GOLDEN["cases"]}))
def test_a_whole_run_is_that_of_torch(name: str) -> None:
    assert deviations()[name] < 1e-12


def inverse_sqrt(s: int, n: int) -> float:
    """Section 5.3 of arXiv:1706.03762 with its model width of 512, over its own peak."""

    def rate(t: float, warmup: float) -> float:
        return float(512**-0.5 * min(t**-0.5, t * warmup**-1.5))

    return rate(s + 1, 0.04 * n) / rate(0.04 * n, 0.04 * n)


def warmup_cosine(s: int, n: int) -> float:
    """A rise over a tenth of the run, then formula 5 of arXiv:1608.03983 without restarts."""
    rising = 0.1 * n
    if s < rising:
        return (s + 1) / (rising + 1)
    return 0.02 + 0.5 * (1 - 0.02) * (1 + math.cos(math.pi * (s - rising) / (n - rising)))


def trapezoid(s: int, n: int) -> float:
    """A rise over a twentieth of the run, then the cooldown (1-sqrt) of arXiv:2405.18392."""
    rising, cooling = 0.05 * n, 0.2 * n
    if s < rising:
        return (s + 1) / (rising + 1)
    return 1.0 if s <= n - cooling else 1 - math.sqrt((s - (n - cooling)) / cooling)


FORMULAS: dict[str, tuple[dict[str, Any], Callable[[int, int], float]]] = {
    "inverse_sqrt": ({"warmup": 0.04}, inverse_sqrt),
    "trapezoid": ({"warmup": 0.05, "decay": 0.2, "shape": "sqrt"}, trapezoid),
    "warmup_cosine": ({"warmup": 0.1, "floor": 0.02}, warmup_cosine),
}


def paper_deviations() -> dict[str, float]:
    """The largest relative deviation of each schedule that torch has not, over 1,000 steps."""
    return {
        name: max(
            abs(found / formula(step, 1_000) - 1)
            for step, found in enumerate(factors(schedule(name, **values), 1_000))
        )
        for name, (values, formula) in FORMULAS.items()
    }


@pytest.mark.parametrize("name", FORMULAS)
def test_a_whole_run_is_that_of_the_formula_in_its_paper(name: str) -> None:
    assert paper_deviations()[name] < 1e-12


def test_every_schedule_is_compared_with_torch_or_a_paper() -> None:
    assert sorted([*deviations(), *FORMULAS]) == sorted(cls.name for cls in SCHEDULES)


@every_schedule
@settings(max_examples=50)
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
    scores = st.lists(st.floats(), max_size=20) if cls.every == "epoch" else st.just([])
    validation = data.draw(scores, label="validation")
    factor = cls(**values).factor(at(step, steps, validation=validation))
    assert isinstance(factor, float)
    assert 0 <= factor <= 1


@every_schedule
def test_it_is_the_same_curve_for_a_run_of_any_length(cls: type[Schedule]) -> None:
    plan = cls()
    for percent in range(0, 100, 7):
        short, long = (
            plan.factor(at(percent * 10, 1_000)),
            plan.factor(at(percent * 1_000, 100_000)),
        )
        assert short == pytest.approx(long, abs=0.02)


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


def test_multi_step_drops_at_its_milestones_in_any_order() -> None:
    found = factors(schedule("multi_step", first=0.55, second=0.29, decay=0.1), 100)
    # 0.29 * 100 < 29 and 0.55 * 100 > 55 in floating point.
    assert found == pytest.approx([1] * 29 + [0.1] * 26 + [0.01] * 45)


def test_linear_falls_in_a_line_from_1_to_its_floor() -> None:
    plan = schedule("linear", floor=0.2)
    assert [plan.factor(at(step, 4)) for step in range(5)] == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])


def test_polynomial_is_a_power_of_what_is_left() -> None:
    assert factors(schedule("polynomial", power=2.0), 4) == pytest.approx(
        [1, 9 / 16, 1 / 4, 1 / 16]
    )
    assert factors(schedule("polynomial", power=1.0), 60) == factors(schedule("linear"), 60)


def test_cosine_restarts_at_1_after_ever_longer_cycles() -> None:
    found = factors(schedule("cosine_restarts", cycles=3, growth=2), 700)
    assert [step for step, factor in enumerate(found) if factor == 1] == [0, 100, 300]
    for start, end in ((0, 100), (100, 300), (300, 700)):
        assert found[start:end] == pytest.approx(factors(schedule("cosine"), end - start))


def test_one_cosine_without_a_restart_is_cosine() -> None:
    found = factors(schedule("cosine_restarts", cycles=1, growth=3, floor=0.1), 61)
    assert found == factors(schedule("cosine", floor=0.1), 61)


def test_cosine_restarts_also_where_cycles_do_not_fit_into_steps() -> None:
    found = factors(schedule("cosine_restarts", cycles=3, growth=2), 100)
    rises = [step for step, (a, b) in enumerate(pairwise(found), start=1) if b > a]
    assert rises == [15, 43]  # the first steps after 1/7 and 3/7 of the run


def test_cyclic_is_made_of_triangles_that_shrink() -> None:
    found = factors(schedule("cyclic", cycles=2, decay=0.5, floor=0.2), 20)
    rise = [0, 0.2, 0.4, 0.6, 0.8]
    triangle = [*rise, 1, *rise[:0:-1]]
    expected = [0.2 + 0.8 * height * peak for peak in (1, 0.5) for height in triangle]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("shape", ["linear", "sqrt"])
def test_trapezoid_rises_stays_and_decays(shape: str) -> None:
    plan = schedule("trapezoid", warmup=0.1, decay=0.2, shape=shape)
    found = factors(plan, 100)
    assert found[:10] == pytest.approx([(s + 1) / 11 for s in range(10)])
    assert set(found[10:80]) == {1.0}
    for step in range(80, 100):
        done = (step - 80) / 20
        expected = 1 - (math.sqrt(done) if shape == "sqrt" else done)
        assert found[step] == pytest.approx(expected, rel=1e-12)
    assert plan.factor(at(100, 100)) == pytest.approx(0, abs=1e-12)


def test_an_overfull_trapezoid_is_a_triangle() -> None:
    found = factors(schedule("trapezoid", warmup=0.9, decay=1.0), 100)
    assert found == pytest.approx([min((s + 1) / 91, 1 - s / 100) for s in range(100)])


def plateaued(scores: Sequence[float], **values: Any) -> float:
    """The factor after these epochs of 20, with a patience of 2 epochs and a decay of 1/2."""
    plan = schedule("plateau", patience=0.1, decay=0.5, **values)
    return plan.factor(at(len(scores), 20, epochs=20, validation=scores))


def test_plateau_drops_after_more_than_its_patience_without_a_new_best() -> None:
    assert plateaued([]) == 1
    assert plateaued([0.5, 0.6, 0.7, 0.8]) == 1
    assert plateaued([0.8, 0.7, 0.7]) == 1
    assert plateaued([0.8, 0.7, 0.7, 0.7]) == 0.5
    assert plateaued([0.8, 0.7, 0.7, 0.9, 0.7, 0.7]) == 1
    assert plateaued([0.8] + [0.7] * 5) == 0.5
    assert plateaued([0.8] + [0.7] * 6) == 0.25


@pytest.mark.parametrize("sign", [1, -1])
def test_plateau_takes_improvements_below_its_threshold_for_none(sign: int) -> None:
    # With the sign of a loss too: of -100, a hundredth is 1.
    assert plateaued([sign * 100 + k * 0.9 for k in (0, 1, 1, 1)], threshold=0.01) == 0.5
    assert plateaued([sign * 100 + k * 1.1 for k in (0, 1, 1, 1)], threshold=0.01) == 1


def test_plateau_waits_through_scores_that_are_no_numbers() -> None:
    assert plateaued([math.nan] * 3) == 0.5
    assert plateaued([-math.inf, 0.5, 0.6]) == 1


def test_plateau_waits_for_the_same_share_of_any_run() -> None:
    plan = schedule("plateau", patience=0.25, decay=0.5)
    for epochs in (4, 40, 400):
        patience = epochs // 4
        for flat, expected in ((patience, 1), (patience + 1, 0.5)):
            scores = [0.5] + [0.4] * flat
            found = plan.factor(at(len(scores), epochs, epochs=epochs, validation=scores))
            assert found == expected


def test_what_needs_no_steps_is_asked_once_an_epoch() -> None:
    assert {cls.name for cls in SCHEDULES if cls.every == "epoch"} == {"constant", "plateau"}


@pytest.mark.parametrize(
    "name", ["step", "multi_step", "exponential", "linear", "polynomial", "cosine"]
)
def test_it_never_rises(name: str) -> None:
    found = factors(schedule(name), 137)
    assert found == sorted(found, reverse=True)


@every_schedule
def test_it_jumps_only_where_it_drops_or_restarts(cls: type[Schedule]) -> None:
    found = factors(cls(), 10_000)
    jumps = sum(abs(b - a) > 0.005 for a, b in pairwise(found))
    assert jumps == {"step": 2, "multi_step": 2, "cosine_restarts": 2}.get(cls.name, 0)
