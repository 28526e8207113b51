"""Derivatives by finite differences, and what a wrong one says about the mistake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tunekit.components import Array
from tunekit.testing.check import CheckFailure

H = 1e-5
MOST_KINKS = 0.5  # share of the places without a derivative, above which none is told


@dataclass(frozen=True)
class Differences:
    """The derivative of a function at some places, as its values tell it.

    Attributes:
        slope: The derivative.
        is_smooth: Where there is one. At a kink the differences to both sides disagree.
        tolerance: How far a right formula may be from `slope`.
    """

    slope: Array
    is_smooth: Array
    tolerance: Array

    @classmethod
    def of(cls, shifted: Callable[[float], Array]) -> Differences:
        """Differences of a function at several places, all of them shifted alike.

        Five values give an error of order ``H^4``, so that what is left is rounding.

        Args:
            shifted: The values in float64, with each place shifted by so much.
        """
        below2, below, here, above, above2 = (
            # Copies: a function that gives the same array each time is another check's matter.
            np.array(shifted(k * H))
            for k in (-2, -1, 0, 1, 2)
        )
        right = (4 * above - 3 * here - above2) / (2 * H)
        left = (3 * here - 4 * below + below2) / (2 * H)
        slope = (8 * (above - below) - (above2 - below2)) / (12 * H)
        size, usual = np.abs(slope), np.abs(slope).mean()
        bend = 1e-4 * size + 1e-5 * usual + 1e-7 * np.abs(here)
        tolerance = 1e-5 * size + 1e-6 * usual + 1e-8 * np.abs(here)
        return cls(slope, np.abs(right - left) <= bend, tolerance)

    @classmethod
    def of_sum(cls, value: Callable[[Array], float], x: Array) -> Differences:
        """Differences of one number with respect to each element of `x`."""

        def shifted(h: float) -> Array:
            values = []
            for place in np.ndindex(x.shape):
                moved = x.copy()
                moved[place] += h
                values.append(float(value(moved)))
            return np.array(values).reshape(x.shape)

        return cls.of(shifted)

    def compare(
        self,
        what: str,
        found: Array,
        where: Callable[[tuple[int, ...]], str],
        likely: str | None = None,
    ) -> None:
        """See that a formula gives these derivatives.

        Args:
            what: What the formula is called: ``"backward"``.
            found: What it gives.
            where: The place of an index, in words.
            likely: The mistake, if it is known; else the numbers may tell.

        Raises:
            CheckFailure: It does not, at the place told.
        """
        if np.mean(self.is_smooth) < MOST_KINKS:
            raise CheckFailure(
                expected="a function with a derivative almost everywhere",
                found=f"at {np.mean(~self.is_smooth):.0%} of the places the differences to the "
                "left and to the right disagree",
                likely="the values jump, or are rounded to float32 on the way",
            )
        error = np.where(self.is_smooth, np.abs(found - self.slope), 0)
        # What is not a number is wrong, too.
        is_wrong = self.is_smooth & ~(error <= self.tolerance)
        if not is_wrong.any():
            return
        place = _telling(is_wrong, error, self.slope)
        raise CheckFailure(
            expected=f"{self.slope[place]:.6g}, by finite differences, {where(place)}",
            found=f"{what} gives {found[place]:.6g}; it is wrong at "
            f"{np.count_nonzero(is_wrong)} of {np.count_nonzero(self.is_smooth)} places",
            likely=likely
            or _turned_or_scaled(found[self.is_smooth], self.slope[self.is_smooth])
            or "the formula is the derivative of something else",
        )


def _telling(is_wrong: Array, error: Array, slope: Array) -> tuple[int, ...]:
    """The wrong place to tell a person: a large derivative, and no small error."""
    error = np.nan_to_num(error, nan=np.inf)
    is_telling = is_wrong & (error >= 0.5 * np.median(error[is_wrong]))
    score = np.where(is_telling, np.abs(slope), -1)
    return tuple(int(i) for i in np.unravel_index(score.argmax(), score.shape))


def _turned_or_scaled(found: Array, expected: Array) -> str | None:
    """The mistake, if all derivatives are wrong by one factor."""
    factor = constant_ratio(found, expected)
    if factor is None or abs(factor - 1) < 2e-3:
        return None
    if factor == 0:
        return "it is 0 everywhere: the formula is missing"
    if abs(factor + 1) < 1e-3:
        return "the sign is turned round"
    if factor < 0:
        return f"the sign is turned round, and the size is wrong by a factor {-factor:.4g}"
    return f"everything is too {_size(factor)}: a factor is missing or one too many"


def _size(factor: float) -> str:
    return (
        f"large by a factor {factor:.4g}" if factor > 1 else f"small by a factor {1 / factor:.4g}"
    )


def constant_ratio(found: Array, expected: Array) -> float | None:
    """The one number that `expected` has to be multiplied with to give `found`, if there is one."""
    large = np.abs(expected) > 0.01 * np.abs(expected).max(initial=0)
    if not large.any() or not np.isfinite(found).all():
        return None
    ratio = found[large] / expected[large]
    middle = float(np.median(ratio))
    return middle if np.allclose(ratio, middle, rtol=1e-3, atol=1e-12) else None
