"""Racing over folds: is a trial that has run some of its folds already behind the best one?

Every trial is trained on the same rows with the same seeds, so scores are compared fold by fold.
A test that knows only the few differences at hand has next to no power: Wilcoxon's signed-rank
test can reach p = 1/4 after two folds and 1/16 after four. But the record holds many complete
trials, and all of them say how much a score varies around what its trial and its fold explain.
That variance is pooled, so that even one fold may tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ALPHA = 0.1
"""How often a trial that equals the incumbent may be dropped.

In simulated studies of 40 trials (``tests/benchmarks/racing.py``) this saves 39, 45 and 52% of the
training with 3, 5 and 10 folds, and the winner's true mean is worse by about 0.01 standard
deviations of a fold or less; 0.4 saves some 10% more, and up to a tenth of the studies get another
winner.
"""

MOST_POOLED = 50
"""Complete trials whose variance is pooled, at most: enough, and the nearest to the incumbent."""


@dataclass(frozen=True)
class Verdict:
    """Where a trial stands after some of its folds.

    Attributes:
        is_behind: Whether to drop it.
        incumbent: The number of the complete trial with the best mean.
        by: How far it is behind on average, in the metric's unit; negative if it is ahead.
        p: One-sided p-value of being so far behind while being as good.
        threshold: Below it a trial is dropped.
        stand_in: What a dropped trial reports for its mean over all folds; see `stand_in`.
        words: The verdict in words for a person.
    """

    is_behind: bool
    incumbent: int
    by: float
    p: float
    threshold: float
    stand_in: float
    words: str


@dataclass(frozen=True)
class Race:
    """Compares a trial with the best complete one after each fold but the last.

    It is a t-test of the mean paired difference. Its variance comes from the better half of the
    complete trials (bad ones vary more, and nobody close to the incumbent is like them): it is
    the residual of the additive model score = trial + fold + noise. The test is repeated after
    each fold, so each look gets an equal share of `alpha` (Bonferroni).

    The incumbent is the best of many noisy means, thus luckier than it is good: after 40 trials,
    one that equals it in truth is dropped about twice as often as `alpha` says. That loses nothing;
    one that is better by a standard deviation of a fold is dropped half as often or less.

    Attributes:
        folds: How many folds, repeats included, a complete trial has.
        larger_is_better: The metric's direction.
        alpha: How often a trial that equals the incumbent may be dropped, over all looks.
    """

    folds: int
    larger_is_better: bool
    alpha: float = ALPHA

    def verdict(
        self, scores: Sequence[float], complete: Mapping[int, Sequence[float]]
    ) -> Verdict | None:
        """Compare a trial with the incumbent.

        Args:
            scores: The trial's scores on its first folds, in order; at least one, not all.
            complete: Scores of the complete trials by number. Those that have not as many scores
                as there are folds (they diverged early) are left out.

        Returns:
            The verdict, or None while no trial is complete.
        """
        rows = {number: row for number, row in complete.items() if len(row) == self.folds}
        if not rows:
            return None
        sign = 1.0 if self.larger_is_better else -1.0
        table = sign * np.array(list(rows.values()), dtype=float)
        best = np.argsort(-table.mean(axis=1), kind="stable")[: self._pooled(len(table))]
        pool, own = table[best], sign * np.asarray(scores, dtype=float)
        looked = len(own)
        by = float(np.mean(pool[0, :looked] - own))
        p = _p_value(by, looked, pool, own)
        incumbent = list(rows)[best[0]]
        threshold = self.alpha / (self.folds - 1)
        is_behind = p < threshold
        place = f"after {looked} of {self.folds} folds (p = {p:.2g})"
        return Verdict(
            is_behind=is_behind,
            incumbent=incumbent,
            by=by,
            p=p,
            threshold=threshold,
            stand_in=stand_in(scores, rows[incumbent]),
            words=f"behind trial {incumbent} by {by:.3g} {place}"
            if is_behind
            else f"not clearly behind trial {incumbent} {place}",
        )

    @staticmethod
    def _pooled(complete: int) -> int:
        return min(max(2, (complete + 1) // 2), MOST_POOLED)


def stand_in(scores: Sequence[float], incumbent: Sequence[float]) -> float:
    """What a dropped trial reports: the incumbent's mean plus its mean paired difference.

    Its own running mean would flatter a trial that was dropped after easy folds.

    Args:
        scores: The dropped trial's scores on its first folds.
        incumbent: The incumbent's scores on all folds.
    """
    return float(np.mean(incumbent) + np.mean(scores) - np.mean(incumbent[: len(scores)]))


def _p_value(by: float, looked: int, pool: Array, own: Array) -> float:
    """One-sided p-value of a trial's mean distance `by` to the first of `pool`.

    Args:
        by: The mean of `looked` paired differences, positive if the trial is behind.
        looked: Folds that the trial has run.
        pool: Scores of complete trials, shape ``(trials, folds)``, the incumbent's first.
        own: Scores of the trial, shape ``(looked,)``.
    """
    from scipy import special  # slow to import, and a search without folds needs none of it

    freedom = (pool.shape[0] - 1) * (pool.shape[1] - 1)
    step = _step(pool, own)
    if freedom == 0 or step is None:
        return 1.0
    trials, folds = pool.mean(axis=1, keepdims=True), pool.mean(axis=0)
    residual = pool - trials - folds + pool.mean()
    # Few trials with coarse scores may agree by chance and then seem to have no noise at all.
    variance = max(float(np.sum(residual**2)) / freedom, step**2 / 4)
    return float(special.stdtr(freedom, -by / (2 * variance / looked) ** 0.5))


def _step(pool: Array, own: Array) -> float | None:
    """The smallest difference between two scores on one fold, or None if all are equal.

    An accuracy moves in steps of one row; a loss has no steps, and this is next to zero.
    """
    looked = len(own)
    gaps = np.concatenate(
        [
            np.diff(np.sort(np.vstack([pool[:, :looked], own]), axis=0), axis=0).ravel(),
            np.diff(np.sort(pool[:, looked:], axis=0), axis=0).ravel(),
        ]
    )
    # Equal up to rounding is equal.
    gaps = gaps[gaps > 1e-9 * np.abs(pool).max()]
    return float(gaps.min()) if gaps.size else None
