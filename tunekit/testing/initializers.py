"""What every initializer has to keep."""

from __future__ import annotations

import math

import numpy as np

from tunekit.components import Array, Initializer
from tunekit.testing.arguments import expect_array, expect_finite, expect_repeatable
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.problems import trained

SHAPES = ((1, 1), (1, 7), (7, 1), (5, 3), (3, 5), (64, 10))
MOST_GROWTH = 100.0


def _drawn(initializer: Initializer, fan_in: int, fan_out: int, gain: float, seed: int) -> Array:
    return initializer.draw(np.random.default_rng(seed), fan_in, fan_out, gain)


@check("initializer")
def shape_and_dtype(initializer: Initializer) -> None:
    """It draws float64, shape `(fan_in, fan_out)`."""
    for shape in SHAPES:
        expect_array(
            f"what draw returned for fan_in = {shape[0]} and fan_out = {shape[1]}",
            _drawn(initializer, *shape, 1.0, 0),
            np.empty(shape),
            "rows and columns are turned round: a row for each input, a column for each unit",
        )


@check("initializer")
def finite(initializer: Initializer) -> None:
    """All weights are finite numbers."""
    for fan_in, fan_out in SHAPES:
        for gain in (0.1, 1.0, 3.0):
            weights = _drawn(initializer, fan_in, fan_out, gain, 0)
            where = f"for fan_in = {fan_in}, fan_out = {fan_out} and gain = {gain:g}"
            expect_finite("what draw returned", weights, where)


@check("initializer")
def deterministic(initializer: Initializer) -> None:
    """The generator alone decides what is drawn."""
    expect_repeatable(
        "draw",
        lambda: _drawn(initializer, 6, 4, 1.0, 1),
        lambda: _drawn(initializer, 6, 4, 2.0, 2),
    )


@check("initializer")
def scale(initializer: Initializer) -> str:
    """A wide layer does not make its inputs explode."""
    moments = {}
    for fan_in, fan_out in ((256, 8), (8, 256), (256, 256)):
        weights = _drawn(initializer, fan_in, fan_out, 1.0, 0)
        growth = moments[fan_in, fan_out] = fan_in * float(np.mean(weights**2))
        if MOST_GROWTH < growth < math.inf:
            raise CheckFailure(
                expected="weights with a variance of about gain^2 / fan_in",
                found=f"with fan_in = {fan_in} and fan_out = {fan_out}, a layer multiplies the "
                f"mean square of its inputs by {growth:.4g}",
                likely="the division by sqrt(fan_in) is missing, or it is by fan_in's root of "
                "another layer",
            )
    told = ", ".join(f"{m:.3g} for {i} x {o}" for (i, o), m in moments.items())
    doubled = np.mean(_drawn(initializer, 256, 256, 2.0, 0) ** 2) * 256
    follows = np.isclose(doubled, 4 * moments[256, 256], rtol=0.1)
    return f"fan_in * variance at gain 1: {told}; " + (
        "follows the gain" if follows else "does not follow the gain"
    )


@check("initializer")
def trains(initializer: Initializer) -> str:
    """A small network trains with it (a smoke test)."""
    run = trained("regression", initializer=initializer)
    return f"r2 {run.score:.2f} on a small problem, a constant prediction 0.00"
