"""What a person is told before believing a result: only what is there, and with its figures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from tunekit.records import Curve, Finalist, FinishedTrial, StudyResult, TestScore
from tunekit.search.basis import Basis
from tunekit.search.remarks import remarks
from tunekit.space import Choices, Interval, Scalar
from tunekit.study.constraints import parse_all
from tunekit.study.space import Condition, Parameter, Space

Make = Callable[..., Any]

RATE = Interval(1e-4, 1e-2, log=True)
SPACE = Space(
    (
        Parameter("optimizer", Choices(("adam", "sgd")), "adam"),
        Parameter("optimizer.adam.lr", RATE, 1e-3, Condition("optimizer", "adam")),
        Parameter("network.width", Interval(1, 256, integer=True), 64),
        *(Parameter(f"regularizer.r{i}.strength", Interval(0.0, 1.0), 0.5) for i in range(6)),
    )
)
BASIS = Basis(
    metric="accuracy",
    larger_is_better=True,
    needs="labels",
    validation_rows=360,
    test_rows=360,
    longest=40,
    limits={"network.width": (1, math.inf)},
)


def trial(number: int = 0, value: float | None = 0.9, **more: Any) -> FinishedTrial:
    configuration: dict[str, Scalar] = {"optimizer": "adam", "epochs": 40}
    configuration |= {"optimizer.adam.lr": 1e-3, **more.pop("configuration", {})}
    params = {p.name: configuration[p.name] for p in SPACE.searched if p.name in configuration}
    known: dict[str, Any] = {"state": "complete", "params": params} | more
    return FinishedTrial(number, number, value=value, configuration=configuration, **known)


def result(*trials: FinishedTrial, **more: Any) -> StudyResult:
    return StudyResult("finished", trials[0] if trials else None, tuple(trials), **more)


def told(found: StudyResult, basis: Basis = BASIS, space: Space = SPACE) -> Mapping[str, str]:
    return {remark.kind: remark.words for remark in remarks(space, found, basis)}


def finalist(number: int, searched: float, *scores: float) -> Finalist:
    return Finalist(number, searched, scores, float(np.mean(scores)))


def on_test(*scores: float) -> TestScore:
    return TestScore("accuracy", float(np.mean(scores)), float(np.std(scores, ddof=1)), scores)


SOUND = tuple(
    trial(i, 0.9 - i / 1000, configuration={"optimizer": ("adam", "adam", "sgd")[i % 3]})
    for i in range(30)
)


def test_a_sound_search_has_no_remarks() -> None:
    finalists = (finalist(0, 0.9, 0.9, 0.898), finalist(1, 0.89, 0.88, 0.882))
    assert told(result(*SOUND, finalists=finalists, test=on_test(0.89, 0.9))) == {}


def test_a_search_without_a_trial_has_no_remarks() -> None:
    assert told(result()) == {}


def test_a_test_score_far_below_validation_is_told() -> None:
    finalists = (finalist(0, 0.99, 0.98, 0.982),)
    words = told(result(*SOUND, finalists=finalists, test=on_test(0.92, 0.922)))["gap"]
    assert "0.99 in the search and 0.981 on fresh seeds, but has 0.921 on the 360 test" in words
    assert "0.06" in words


def test_a_better_test_score_is_no_gap() -> None:
    finalists = (finalist(0, 0.9, 0.9, 0.902),)
    assert "gap" not in told(result(*SOUND, finalists=finalists, test=on_test(0.98, 0.98)))


def test_few_test_rows_explain_what_many_do_not() -> None:
    found = result(*SOUND, finalists=(finalist(0, 0.95, 0.95, 0.952),), test=on_test(0.9, 0.902))
    few = dataclasses.replace(BASIS, test_rows=50)
    many = dataclasses.replace(BASIS, test_rows=5000, validation_rows=5000)
    assert "gap" not in told(found, few)
    assert "gap" in told(found, many)


def test_folds_that_differ_much_explain_a_gap_of_errors() -> None:
    error = dataclasses.replace(BASIS, metric="rmse", larger_is_better=False, needs="values")
    alike, different = (10.0, 10.1, 9.9), (5.0, 10.0, 15.0)
    for scores, expected in ((alike, True), (different, False)):
        best = trial(0, 10.0, scores=scores)
        found = result(
            best, *SOUND[1:], finalists=(finalist(0, 10, 10, 10.1),), test=on_test(13.0, 13.1)
        )
        assert ("gap" in told(found, error)) == expected


def honest_study(rng: np.random.Generator, shift: float) -> StudyResult:
    """Sixty networks on rows of differing difficulty; test rows are harder by `shift`."""
    validation, test = rng.normal(size=360), rng.normal(size=360) - shift

    def score(skill: float, rows: np.ndarray, own: np.ndarray) -> float:
        return float(np.mean(skill + rows + own + 0.3 * rng.normal(size=360) > 0))

    skills = 1.5 + 0.3 * rng.normal(size=60)
    own = 0.3 * rng.normal(size=(60, 360))
    searched = [score(skills[i], validation, own[i]) for i in range(60)]
    top = np.argsort(searched)[::-1][:3]
    finalists = sorted(
        (
            finalist(int(i), searched[i], *(score(skills[i], validation, own[i]) for _ in "123"))
            for i in top
        ),
        key=lambda f: -f.mean,
    )
    other, skill = 0.3 * rng.normal(size=360), skills[finalists[0].number]
    outcome = on_test(*(score(skill, test, other) for _ in "123"))
    trials = [trial(i, value) for i, value in enumerate(searched)]
    return StudyResult(
        "finished", trials[finalists[0].number], tuple(trials), tuple(finalists), outcome
    )


def test_honest_studies_are_told_of_a_gap_in_a_few_of_a_hundred() -> None:
    rng = np.random.default_rng(0)
    assert sum("gap" in told(honest_study(rng, 0.0)) for _ in range(150)) <= 6


def test_harder_test_rows_are_told_as_a_gap() -> None:
    rng = np.random.default_rng(0)
    assert sum("gap" in told(honest_study(rng, 0.6)) for _ in range(30)) >= 27


def test_luck_is_told_where_the_best_value_shrinks_on_fresh_seeds() -> None:
    finalists = (finalist(0, 0.981, 0.973, 0.972, 0.971),)
    words = told(result(*SOUND, finalists=finalists))["optimism"]
    assert "0.981 of trial 0, became 0.972" in words
    assert "30 complete trials" in words


def test_failures_are_told_with_the_most_frequent_reason() -> None:
    reasons = ("out of memory", "ZeroDivisionError", "out of memory")
    failed = [trial(40 + i, None, state="failed", reason=r) for i, r in enumerate(reasons)]
    words = told(result(*SOUND[:20], *failed))["failed"]
    assert words == "3 of 23 (13%) trials failed, 2 of them because: out of memory."
    assert "failed" not in told(result(*SOUND, failed[0]))


def test_divergence_is_told_with_optimizer_and_rates() -> None:
    diverged = [
        trial(40 + i, 0.1, diverged=True, configuration={"optimizer.adam.lr": rate})
        for i, rate in enumerate((0.009, 0.0052, 0.008, 0.007, 0.006, 0.0071, 0.0091, 0.0099))
    ]
    words = told(result(*SOUND[:20], *diverged))["diverged"]
    assert words.startswith("8 of 28 (29%) trials diverged, all with adam at learning rates of 0.")
    assert "0.0052 and more" in words
    assert "`high` of optimizer.adam.lr" in words
    assert "diverged" not in told(result(*SOUND, *diverged[:4]))


def test_few_trials_for_many_parameters_are_told() -> None:
    assert "4 trials are few for 2 searched" in told(result(*SOUND[:4]))["few"]
    assert "few" not in told(result(*SOUND[:6]))


def test_few_complete_trials_among_many_pruned_are_told() -> None:
    pruned = [trial(40 + i, 0.5, state="pruned") for i in range(30)]
    assert "Only 2 trials of 32 ran to the end" in told(result(*SOUND[:2], *pruned))["few"]


SMALL = parse_all(["parameters < 100", "f1 >= 0.5"], ["parameters", "f1"])
BOUND = dataclasses.replace(BASIS, constraints=SMALL)


def refused(number: int) -> FinishedTrial:
    return trial(number, None, state="pruned", violation=9.0, measured={"parameters": 1000.0})


def test_what_was_too_large_to_be_trained_was_not_pruned_too_early() -> None:
    words = told(result(*SOUND[:2], *(refused(40 + i) for i in range(30))), BOUND)
    assert words["few"].startswith("2 trained trials are few")
    assert words["constrained"].startswith(
        "30 of 32 (94%) trials break a constraint, all parameters < 100. "
    )


def test_a_few_trials_that_break_constraints_are_not_told() -> None:
    assert told(result(*SOUND, refused(40), refused(41)), BOUND) == {}


def test_a_winner_that_breaks_constraints_is_told_first() -> None:
    apart = trial(7, violation=1.0, measured={"parameters": 1200.0, "f1": 0.75})
    (first, *_) = remarks(SPACE, result(apart), BOUND)
    assert first.kind == "infeasible"
    assert "No trial keeps all constraints. Trial 7," in first.words
    assert "breaks parameters < 100 (it has 1,200). " in first.words


def test_with_several_objectives_a_tie_is_one_in_the_first() -> None:
    several = dataclasses.replace(BASIS, objectives=2)
    tie = (finalist(0, 0.9, 0.9, 0.91), finalist(1, 0.9, 0.895, 0.905))
    assert "told apart by accuracy" in told(result(*SOUND, finalists=tie), several)["tie"]


def test_a_space_that_was_tried_whole_is_not_few() -> None:
    small = Space((Parameter("optimizer", Choices(("adam", "sgd")), "adam"),))
    assert told(result(trial(), trial(1)), space=small) == {}


def test_a_tie_names_the_smaller_network() -> None:
    trials = (trial(12, 0.9, parameters=5000), trial(31, 0.9, parameters=1234), *SOUND)
    tie = (finalist(12, 0.9, 0.9, 0.91), finalist(31, 0.9, 0.895, 0.905))
    words = told(result(*trials, finalists=tie))["tie"]
    assert "Trials 12 and 31 cannot be told apart" in words
    assert "trial 31, has 1,234 parameters" in words
    apart = (finalist(12, 0.9, 0.9, 0.91), finalist(31, 0.89, 0.88, 0.89))
    assert "tie" not in told(result(*trials, finalists=apart))


def test_one_component_with_nearly_all_trials_is_told() -> None:
    sgd = [trial(40 + i, configuration={"optimizer": "sgd"}) for i in range(9)]
    adam = [trial(i) for i in range(27)]
    words = told(result(*adam, *sgd[:3]))["one_component"]
    assert "optimizer = adam got 27 of 30 trials (sgd 3)" in words
    assert "one_component" not in told(result(*adam, *sgd))


@pytest.mark.parametrize(
    ("planned", "scale", "expected"), [(40, 40.0, True), (40, 4.0, False), (20, 40.0, False)]
)
def test_a_training_that_still_gets_better_at_its_end_is_told(
    planned: int, scale: float, expected: bool
) -> None:
    """Not one that levels off, nor one of the shorter trials of a study."""
    epochs = np.arange(planned + 1)
    noise = 0.002 * np.random.default_rng(0).normal(size=len(epochs))
    values = tuple((0.9 - 0.8 * np.exp(-epochs / scale) + noise).tolist())
    curve = Curve(0, tuple(epochs.tolist()), {"val_accuracy": values})
    best = trial(0, 0.9, curves=(curve,), configuration={"epochs": planned})
    found = told(result(best, *SOUND[1:]))
    assert ("short" in found) == expected


def search(
    seed: int, objective: Callable[[Mapping[str, Scalar]], float], *, drift: float = 0.0
) -> StudyResult:
    """A search of 40 trials; the objective's noise is 0.01.

    With a drift it comes ever closer to the upper edges, as TPE does also where nothing matters,
    and gets better for other reasons meanwhile.
    """
    rng = np.random.default_rng(seed)
    trials = []
    for number in range(40):
        crowding = 1 + 100 * drift * number
        configuration: dict[str, Scalar] = {
            p.name: p.domain.at(float(rng.random() ** (1 / crowding)))
            for p in SPACE.searched
            if isinstance(p.domain, Interval)
        }
        value = objective(configuration) + drift * number + 0.01 * rng.normal()
        trials.append(trial(number, value, configuration=configuration))
    best = max(trials, key=lambda t: t.value or 0.0)
    return StudyResult("finished", best, tuple(trials))


def outside(configuration: Mapping[str, Scalar]) -> float:
    """Best at a learning rate of 0.03, beyond the range."""
    return 0.9 - 0.1 * (math.log10(float(configuration["optimizer.adam.lr"])) + 1.5) ** 2


@pytest.mark.parametrize("drift", [0.0, 0.002])
def test_a_flat_objective_has_no_edges(drift: float) -> None:
    found = [told(search(seed, lambda _: 0.9, drift=drift)) for seed in range(40)]
    assert sum("edge" in kinds for kinds in found) <= 2


def test_an_optimum_beyond_the_range_is_told_with_the_way_to_widen() -> None:
    found = [told(search(seed, outside)).get("edge", "") for seed in range(20)]
    edges = [words for words in found if words]
    assert len(edges) >= 12
    assert all("upper edge of its range (0.0001 to 0.01)" in words for words in edges)
    assert all("raise `high`" in words for words in edges)


def test_an_edge_that_cannot_be_widened_is_not_told() -> None:
    def narrow(configuration: Mapping[str, Scalar]) -> float:
        return 0.9 - float(configuration["network.width"]) / 256

    limited = dataclasses.replace(BASIS, limits={"optimizer.adam.lr": (0.0, 0.01)})
    for seed in range(5):
        assert "edge" not in told(search(seed, narrow))  # one unit is the natural edge
        assert "edge" not in told(search(seed, outside), limited)


def test_at_most_six_are_told_the_gap_first() -> None:
    bad = [trial(40 + i, None, state="failed", reason="x") for i in range(30)]
    diverged = [trial(80 + i, 0.1, diverged=True) for i in range(40)]
    finalists = (finalist(0, 0.99, 0.9801, 0.98), finalist(1, 0.98, 0.98, 0.9801))
    epochs = tuple(range(41))
    curve = Curve(0, epochs, {"val_accuracy": tuple(0.02 * e for e in epochs)})
    best = trial(0, 0.99, curves=(curve,))
    trials = (best, *SOUND[1:2], *bad, *diverged)
    found = result(*trials, finalists=finalists, test=on_test(0.8, 0.8))
    kinds = [remark.kind for remark in remarks(SPACE, found, BASIS)]
    assert len(kinds) == 6
    assert kinds[0] == "gap"


def test_a_study_says_what_its_scores_rest_on(make: Make) -> None:
    more = "[space.optimizer.sgd]\nmomentum = { low = 0.0, high = 0.9 }\n"
    basis = Basis.of(make(more))
    assert (basis.validation_rows, basis.test_rows, basis.longest) == (36, 30, 4)
    expected = {
        "network.width": (1, math.inf),
        "optimizer.adam.lr": (0, math.inf),
        "optimizer.sgd.momentum": (0, 1),
    }
    assert {name: basis.limits[name] for name in expected} == expected
