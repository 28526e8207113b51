"""Racing: who is dropped, who is not, and how often, in simulated searches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit.search.racing import ALPHA, Race, stand_in

Array = NDArray[Any]
Noise = Literal["normal", "heavy tails", "uneven", "coarse"]
Drops = Callable[[Sequence[float], dict[int, list[float]]], bool]
"""Whether a trial with these scores is dropped, given the complete trials' scores by number."""

GOOD = {
    0: [0.90, 0.84, 0.91, 0.88, 0.86],
    1: [0.91, 0.86, 0.92, 0.88, 0.87],
    2: [0.89, 0.85, 0.91, 0.89, 0.84],
    3: [0.88, 0.83, 0.90, 0.86, 0.85],
    4: [0.87, 0.84, 0.88, 0.86, 0.85],
    5: [0.88, 0.82, 0.89, 0.85, 0.83],
}
RACE = Race(folds=5, larger_is_better=True)


def test_nothing_is_dropped_before_two_trials_are_complete() -> None:
    assert RACE.verdict([0.1], {}) is None
    alone = RACE.verdict([0.1], {1: GOOD[1]})
    assert alone is not None
    assert not alone.is_behind


def test_one_fold_is_enough_for_a_bad_trial() -> None:
    verdict = RACE.verdict([0.80], GOOD)
    assert verdict is not None
    assert verdict.is_behind
    assert verdict.incumbent == 1
    assert verdict.by == pytest.approx(0.11)
    assert verdict.p < verdict.threshold == ALPHA / 4
    assert verdict.words == f"behind trial 1 by 0.11 after 1 of 5 folds (p = {verdict.p:.2g})"


@pytest.mark.parametrize("scores", [[0.90], [0.91, 0.86, 0.92, 0.88], [0.99, 0.99]])
def test_a_trial_near_the_incumbent_or_ahead_of_it_goes_on(scores: list[float]) -> None:
    verdict = RACE.verdict(scores, GOOD)
    assert verdict is not None
    assert not verdict.is_behind
    assert verdict.words.startswith(f"not clearly behind trial 1 after {len(scores)} of 5 folds")


def test_the_direction_is_the_metrics() -> None:
    losses = {number: [-s for s in scores] for number, scores in GOOD.items()}
    behind = Race(5, larger_is_better=False).verdict([-0.80], losses)
    up = RACE.verdict([0.80], GOOD)
    assert behind is not None
    assert up is not None
    assert behind.is_behind
    assert (behind.incumbent, behind.by, behind.p) == (up.incumbent, up.by, up.p)
    assert behind.stand_in == -up.stand_in


def test_easy_folds_and_the_unit_do_not_matter() -> None:
    def moved(scores: Sequence[float]) -> list[float]:
        easy = (50.0, -20.0, 0.0, 7.0, 300.0)
        return [1000 * s + e for s, e in zip(scores, easy, strict=False)]

    plain = RACE.verdict([0.88, 0.83], GOOD)
    other = RACE.verdict(moved([0.88, 0.83]), {n: moved(scores) for n, scores in GOOD.items()})
    assert plain is not None
    assert other is not None
    assert other.p == pytest.approx(plain.p)


def test_wild_trials_at_the_bottom_blur_nothing() -> None:
    rng = np.random.default_rng(0)
    wild = {10 + n: row.tolist() for n, row in enumerate(rng.uniform(0, 0.6, (6, 5)))}
    verdict = RACE.verdict([0.80], GOOD | wild)
    assert verdict is not None
    assert verdict.is_behind


def test_trials_that_diverged_on_an_early_fold_are_left_out() -> None:
    assert RACE.verdict([0.80], GOOD | {9: [0.99]}) == RACE.verdict([0.80], GOOD)


def test_coarse_scores_that_all_agree_are_no_proof_of_precision() -> None:
    flawless = {number: [1.0] * 5 for number in range(6)}
    one_mistake, again_and_again = [29 / 30], [29 / 30] * 4
    assert not RACE.verdict(one_mistake, flawless).is_behind  # type: ignore[union-attr]
    assert RACE.verdict(again_and_again, flawless).is_behind  # type: ignore[union-attr]
    assert not RACE.verdict([1.0, 1.0], flawless).is_behind  # type: ignore[union-attr]


def test_a_stand_in_is_not_flattered_by_easy_folds() -> None:
    incumbent = [0.9, 0.5, 0.4]
    assert stand_in([0.8], incumbent) == pytest.approx(0.5)
    assert stand_in([0.8, 0.5], incumbent) == pytest.approx(0.55)


@dataclass(frozen=True)
class World:
    """Simulated scores: trial + fold + noise, of which a good trial has 1 standard deviation.

    Attributes:
        folds: Folds of a trial.
        noise: ``"heavy tails"``: Student's t with 5 degrees of freedom. ``"uneven"``: each trial
            has its own standard deviation. ``"coarse"``: scores are whole numbers.
    """

    folds: int
    noise: Noise = "normal"

    def truths(self, rng: np.random.Generator, trials: int) -> Array:
        """True means: most trials are near 0, the best possible, and a quarter is far below."""
        near = -rng.exponential(2, trials)
        return np.where(rng.random(trials) < 0.25, near - 8, near)

    def luck(self, rng: np.random.Generator, truths: Array) -> Array:
        """Fold and noise, shape ``(trials, folds)``; bad trials have more noise."""
        shape = (len(truths), self.folds)
        noise = rng.standard_normal(shape)
        if self.noise == "heavy tails":
            noise = rng.standard_t(5, shape) * (3 / 5) ** 0.5
        if self.noise == "uneven":
            noise *= (4 / rng.chisquare(6, (len(truths), 1))) ** 0.5
        noise *= np.where(truths < -8, 3, 1)[:, None]
        return rng.normal(0, 2, self.folds) + noise

    def scores(self, truths: Array, luck: Array) -> list[list[float]]:
        """The scores of each trial."""
        scores = truths[:, None] + luck
        table: list[list[float]] = (np.round(scores) if self.noise == "coarse" else scores).tolist()
        return table


def drop_rate(
    world: World,
    drops: Drops,
    *,
    complete: int,
    better: float = 0,
    chosen: bool = False,
    times: int = 300,
) -> float:
    """How often a trial is dropped that is `better` than the incumbent.

    Args:
        world: Where scores come from.
        drops: The test.
        complete: Number of complete trials.
        better: The true difference of means, in standard deviations of a good trial's fold.
        chosen: Whether the incumbent is whoever scored best, and so probably a lucky one. If not,
            it is the best in truth; trials that scored higher are left out.
        times: Simulations.
    """
    dropped = 0
    for time in range(times):
        rng = np.random.default_rng((world.folds, complete, time))
        truths = np.append(world.truths(rng, complete), 0)
        luck = world.luck(rng, truths)
        means = (truths + luck.mean(axis=1))[:-1]
        best = (means if chosen else truths[:-1]).argmax()
        truths[-1] = truths[best] + better
        *others, trial = world.scores(truths, luck)
        table = {n: row for n, row in enumerate(others) if means[n] <= means[best]}
        dropped += any(drops(trial[:k], table) for k in range(1, world.folds))
    return dropped / times


@dataclass(frozen=True)
class Outcome:
    """A simulated study.

    Attributes:
        saved: Share of the trainings of folds that were saved.
        winner: The true mean of the trial that won, in standard deviations of a fold.
    """

    saved: float
    winner: float


def simulate_study(world: World, drops: Drops, *, seed: int, trials: int = 40) -> Outcome:
    """Run trials in turn, and drop what is behind; the best complete one wins."""
    rng = np.random.default_rng((world.folds, seed))
    truths = world.truths(rng, trials)
    complete: dict[int, list[float]] = {}
    trained = 0
    for number, scores in enumerate(world.scores(truths, world.luck(rng, truths))):
        looks = range(1, world.folds)
        dropped = next((k for k in looks if drops(scores[:k], complete)), None)
        trained += dropped or world.folds
        if dropped is None:
            complete[number] = scores
    winner = max(complete, key=lambda number: sum(complete[number]))
    return Outcome(1 - trained / (trials * world.folds), float(truths[winner]))


def race(folds: int, alpha: float = ALPHA) -> Drops:
    """The test under test."""
    judge = Race(folds, larger_is_better=True, alpha=alpha)

    def drops(scores: Sequence[float], complete: dict[int, list[float]]) -> bool:
        verdict = judge.verdict(scores, complete)
        return verdict is not None and verdict.is_behind

    return drops


def never(scores: Sequence[float], complete: dict[int, list[float]]) -> bool:
    """No race."""
    return False


@pytest.mark.parametrize("complete", [3, 20])
@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_an_equal_trial_is_dropped_no_more_often_than_alpha(folds: int, complete: int) -> None:
    rate = drop_rate(World(folds), race(folds), complete=complete, times=500)
    assert rate <= ALPHA + 0.02  # the simulation's own error


@pytest.mark.parametrize("noise", ["heavy tails", "uneven", "coarse"])
def test_noise_that_is_not_normal_does_little_harm(noise: Noise) -> None:
    assert drop_rate(World(5, noise), race(5), complete=20) <= 1.2 * ALPHA


@pytest.mark.parametrize("folds", [3, 5, 10])
def test_a_better_trial_survives_an_incumbent_that_was_lucky(folds: int) -> None:
    rate = drop_rate(World(folds), race(folds), complete=20, better=1, chosen=True)
    assert rate <= ALPHA / 2


def test_a_trial_far_behind_seldom_runs_a_second_fold() -> None:
    first = race(5)

    def after_one_fold(scores: Sequence[float], complete: dict[int, list[float]]) -> bool:
        return len(scores) == 1 and first(scores, complete)

    assert drop_rate(World(5), after_one_fold, complete=20, better=-5) >= 0.8


@pytest.mark.parametrize(("folds", "saved"), [(3, 0.33), (5, 0.4), (10, 0.45)])
def test_a_race_saves_training_and_finds_the_same_winner(folds: int, saved: float) -> None:
    world = World(folds)
    raced = [simulate_study(world, race(folds), seed=seed) for seed in range(40)]
    whole = [simulate_study(world, never, seed=seed) for seed in range(40)]
    assert np.mean([study.saved for study in raced]) >= saved
    same = np.mean([a.winner == b.winner for a, b in zip(raced, whole, strict=True)])
    assert same >= 0.9
