"""What regularizers of hidden activations have to keep."""

from __future__ import annotations

from functools import partial

import numpy as np

from tunekit.components import Array, Regularizer
from tunekit.testing.arguments import UNREPEATABLE, repeats
from tunekit.testing.calculus import Differences
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.moments import a_matrix, acts_at

DRAWS = 400
MOST_SHIFT = 0.25  # of the activations' scale


@check("regularizer", applies=acts_at("on_hidden"))
def hidden_scale(regularizer: Regularizer) -> str:
    """On average, activations keep their scale."""
    a = np.random.default_rng(7).standard_normal((16, 5))
    drawn = [
        np.array(regularizer.on_hidden(a.copy(), np.random.default_rng(seed))[0])
        for seed in range(DRAWS)
    ]
    square = float(np.mean(a * a))
    slope = float(np.mean(np.mean(drawn, axis=0) * a)) / square
    growth = float(np.mean(np.square(drawn))) / square
    # Alpha dropout keeps the mean square instead.
    if not any(abs(scale - 1) <= MOST_SHIFT for scale in (slope, growth)):
        raise CheckFailure(
            expected="activations that are on average what they are without it, since the network "
            "is evaluated without it",
            found=f"{slope:.3g} times as much",
            likely="what is kept of a dropout is multiplied with 1 / (1 - rate): not with "
            "1 / rate, and not left as it is",
        )
    return f"{slope:.2f} times as large, the mean square {growth:.2f}"


@check("regularizer", applies=acts_at("on_hidden"))
def hidden_factor(regularizer: Regularizer) -> str | None:
    """The factor of `on_hidden` is its derivative."""
    a = a_matrix(rows=16)
    for seed in range(3):
        disturbed = partial(_disturbed, regularizer, a, seed)
        if not repeats(partial(disturbed, 0.0)):
            return UNREPEATABLE
        found, factor = regularizer.on_hidden(a.copy(), np.random.default_rng(seed))
        found = np.array(found)
        differences = Differences.of(disturbed)
        likely = "the gradient is not multiplied with what the activations are multiplied with"
        if factor is None:
            likely = "None stands for a derivative of 1; return the factor, too"
        elif np.array_equal(np.asarray(factor) != 0, np.asarray(found) != 0):
            likely = "the mask is returned without the scale, 1 / (1 - rate), or the scale once "
            likely += "too often"
        differences.compare(
            "the factor",
            np.ones_like(a) if factor is None else np.asarray(factor),
            partial(_became, a, found),
            likely,
        )
    return None


def _disturbed(regularizer: Regularizer, a: Array, seed: int, h: float) -> Array:
    return np.array(regularizer.on_hidden(a + h, np.random.default_rng(seed))[0])


def _became(a: Array, found: Array, i: tuple[int, ...]) -> str:
    return f"where a = {a[i]:.4g} became {found[i]:.4g}"
