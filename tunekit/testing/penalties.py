"""What penalties and the decay of weights have to keep."""

from __future__ import annotations

import numpy as np

from tunekit.components import Array, Regularizer
from tunekit.testing.calculus import Differences
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.moments import a_block, acts_at

PART = 7  # elements of a block that do not divide all others
FAR = (10.0, 1000.0)
"""What normal weights are multiplied with to be far from 0."""


@check("regularizer", applies=acts_at("penalty"))
def penalty_gradient(regularizer: Regularizer) -> None:
    """The penalty's gradient is that of its value."""
    w = a_block()
    _, found = regularizer.penalty(w.copy())
    Differences.of_sum(lambda w: regularizer.penalty(w)[0], w).compare(
        "penalty",
        np.asarray(found),
        lambda i: f"at w = {w[i]:.4g}",
    )


@check("regularizer", applies=acts_at("penalty"))
def penalty_sum(regularizer: Regularizer) -> None:
    """The penalty is a sum over the elements."""
    w = a_block()
    value, gradient = regularizer.penalty(w.copy())
    parts = [regularizer.penalty(part) for part in _blocks(w)]
    total = float(sum(part for part, _ in parts))
    likely = "a norm (a root of a sum) or a mean; the trainer calls the penalty block by block"
    if not np.isclose(float(value), total, rtol=1e-6, atol=0):
        raise CheckFailure(
            expected=f"{total:.6g}, the sum over blocks of {PART} elements",
            found=f"{float(value):.6g} for all {len(w)} elements at once",
            likely=likely,
        )
    _check_blocks("penalty", np.asarray(gradient), [g for _, g in parts], w, likely)


@check("regularizer", applies=acts_at("decay"))
def decay_elementwise(regularizer: Regularizer) -> None:
    """The decay of a weight depends on it alone."""
    w = a_block()
    parts = [regularizer.decay(part) for part in _blocks(w)]
    likely = "a norm or a mean over the block; the trainer calls the decay block by block"
    _check_blocks("decay", np.asarray(regularizer.decay(w.copy())), parts, w, likely)


def _blocks(w: Array) -> list[Array]:
    return [w[start : start + PART].copy() for start in range(0, len(w), PART)]


def _check_blocks(what: str, whole: Array, parts: list[Array], w: Array, likely: str) -> None:
    expected = np.concatenate([np.reshape(part, -1) for part in parts])
    wrong = ~np.isclose(whole, expected, rtol=1e-6, atol=1e-12 * np.abs(expected).max())
    if wrong.any():
        i = int(wrong.argmax())
        raise CheckFailure(
            expected=f"{expected[i]:.6g} for w = {w[i]:.4g}, in a block of {PART} elements",
            found=f"{what} gives {whole[i]:.6g} in a block of {len(w)}",
            likely=likely,
        )


@check("regularizer", applies=acts_at("penalty", "decay"))
def pulls_to_0(regularizer: Regularizer) -> None:
    """Large weights are not driven further from 0."""
    # Not near 0: a penalty may well prefer other values to it, as -1 and 1.
    w = a_block()
    for scale in FAR:
        far = scale * w
        slopes = {"penalty": regularizer.penalty(far)[1], "decay": regularizer.decay(far)}
        for moment, slope in slopes.items():
            along = float(np.vdot(slope, w))
            if along < 0:
                raise CheckFailure(
                    expected=f"a {'gradient' if moment == 'penalty' else 'decay'} that agrees "
                    f"with weights of about {scale:,g}, as it is subtracted from them",
                    found=f"{moment} gives the opposite: their inner product is {along:.3g}",
                    likely="the sign is turned round: the trainer takes `lr` times the "
                    "penalty's gradient, or the decay, off the weights",
                )
