"""Whether an optimizer goes downhill, and how far it gets at its defaults."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from tunekit.components import Array, Optimizer
from tunekit.plugins import told
from tunekit.records import Fold
from tunekit.space import show
from tunekit.testing.arguments import expect_finite
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.problems import trained_on
from tunekit.testing.walk import Course, Piece, Walk, pieces

SIZES = {
    "0 throughout": (0.0,) * 4,
    "about 1e-40": (1e-40,) * 4,
    "about 1e17": (1e17,) * 4,
    "of all sizes in turn": (1.0, 0.0, 1e17, 1e-40, 0.0, 1e-12, 1.0),
}
OVERFLOW = "a product of large numbers leaves float32, which ends at 3e38; divide before squaring"
CANCELLED = (
    "a difference that is 0 but for rounding gets below 0 under a root, as in v - m * m; limit it "
    "with np.maximum(..., 0)"
)
CONSTANT_STEPS = 1500  # until averages with a factor of 0.99 differ by rounding only
DIVIDED = "something is divided by 0, or by a square that is too small for float32; add an eps"

SLOPE_STEPS = 30
UNRELATED = 0.2  # of the optimizers that come with tunekit, none stays below 0.7
DRAWS = 8

BOWL_STEPS = 2000
BOWL_START = 0.05
BOWL_BAR = 0.9  # with a small rate a rule may be slow, and read the digits all the same
DIGITS_BAR = 0.6


@check("optimizer")
def extreme_inputs(rule: Optimizer) -> None:
    """Gradients of any size give finite directions."""
    for piece in pieces(rule):
        course = Course.random(piece.shape)
        w, normal = course.weights[0], course.weights[1]
        for title, sizes in SIZES.items():
            walk = Walk(rule, piece, w)
            for t, size in enumerate(sizes, start=1):
                found = walk.step(w, (normal * size).astype(np.float32))
                where = f"in step {t} on {piece}, with gradients {title}"
                likely = OVERFLOW if size > 1 else DIVIDED
                expect_finite("the direction", found, where, likely)
        walk = Walk(rule, piece, w)
        mixed = normal * np.resize(10.0 ** np.array([0, -40, 17, -np.inf]), piece.shape)
        for t in range(1, 5):
            found = walk.step(w, mixed.astype(np.float32))
            where = f"in step {t} on {piece}, with gradients of all sizes beside each other"
            expect_finite("the direction", found, where)
        where = f"on {piece}, with a gradient that stays the same for {CONSTANT_STEPS} steps"
        walk = Walk(rule, piece, w)
        for _ in range(CONSTANT_STEPS):
            expect_finite("the direction", walk.step(w, normal), where, CANCELLED)
        for rate in (rule.lr, 0.0, rule.lr):
            found = walk.step(w, normal, lr=rate)
            expect_finite(
                "the direction",
                found,
                f"on {piece}, in a step of learning rate {rate:g}" + " after one of 0" * (rate > 0),
                "something is divided by `step.lr`, which schedules bring down to 0",
            )


@check("optimizer")
def sign(rule: Optimizer) -> None:
    """The trainer walks downhill with it."""
    along = np.zeros(SLOPE_STEPS)
    for piece in pieces(rule):
        for draw in range(DRAWS):
            rng = np.random.default_rng(draw)
            w, slope = rng.standard_normal((2, *piece.shape)).astype(np.float32)
            walk = Walk(rule, piece, w * np.float32(0.01))
            for t in range(SLOPE_STEPS):
                noise = rng.standard_normal(piece.shape).astype(np.float32)
                found = walk.step(w * np.float32(0.01), slope + np.float32(0.1) * noise)
                expect_finite("the direction", found, f"in step {t + 1} on {piece}", DIVIDED)
                along[t] += _cosine(found, slope)
    along /= DRAWS * len(pieces(rule))
    first, all_ = along[:5].sum(), along.sum()
    if first > 0 and all_ > 0 and np.abs(along).max() >= UNRELATED:
        return
    expected = "directions that agree with a gradient that stays the same"
    if not along.any():
        raise CheckFailure(
            expected=expected,
            found=f"directions of 0 in {SLOPE_STEPS} steps",
            likely="the gradient is not used, or multiplied by something that is 0 at first",
        )
    if np.abs(along).max() < UNRELATED:
        raise CheckFailure(
            expected=expected,
            found=f"next to none that do: their cosine is {along.mean():.2f} on average",
            likely="`w` and `g` are mixed up (the method gets w, g, state, step, in this order)",
        )
    if first < 0:
        raise CheckFailure(
            expected=expected,
            found=f"the opposite: their cosine is {along[:5].mean():.2f} over the first 5 steps",
            likely="the sign: the trainer subtracts (`w -= step.lr * direction`), so return the "
            "step with the gradient's sign, not against it",
        )
    t = int((along < 0).argmax()) + 1
    raise CheckFailure(
        expected=expected,
        found=f"the opposite from step {t} on: their cosine is {along[t - 1 :].mean():.2f} there, "
        f"and was {along[0]:.2f} in step 1",
        likely="the sign of what is remembered: a momentum is added to the gradient, not taken "
        "off it",
    )


def _cosine(one: Array, other: Array) -> float:
    lengths = math.sqrt(float(np.vdot(one, one)) * float(np.vdot(other, other)))
    return float(np.vdot(one, other)) / lengths if lengths else 0.0


@check("optimizer")
def quadratic(rule: Optimizer) -> str:
    """It comes down a stretched bowl."""
    shapes = pieces(rule) if rule.scope == "tensor" else (Piece((40,)),)
    worst = max(_descent(rule, piece) for piece in shapes)
    told = f"{worst:.2g} of the way left"
    if worst < BOWL_BAR:
        return told
    if not math.isfinite(worst):
        told = "it diverges"
    elif worst >= 1:
        told = f"{worst:.3g} times as far away"
    raise CheckFailure(
        expected=f"less than {BOWL_BAR:g} of the distance to the bottom is left after "
        f"{BOWL_STEPS} steps",
        found=told,
        likely=_turned(rule)
        or f"the default rate (lr = {show(rule.lr)}) is too {'large' if worst >= 1 else 'small'} "
        "for this rule, or it goes to and fro",
    )


def _turned(rule: Optimizer) -> str | None:
    """The mistake, if it is that the rule does not go downhill."""
    try:
        sign(rule)
    except CheckFailure as failure:
        return failure.likely
    return None


def _descent(rule: Optimizer, piece: Piece) -> float:
    """The share of the distance that is left, at a rate that falls to 0."""
    curvature = np.linspace(0.2, 2.0, math.prod(piece.shape), dtype=np.float32)
    curvature = curvature.reshape(piece.shape)
    w = np.full(piece.shape, BOWL_START, np.float32)
    walk = Walk(rule, piece, w)
    for t in range(BOWL_STEPS):
        rate = rule.lr * (1 - t / BOWL_STEPS)
        w = w - (rate * walk.step(w, curvature * w, lr=rate)).astype(np.float32)
        if not np.isfinite(w).all():
            return math.inf
    return float(np.abs(walk.evaluated(w)).max()) / BOWL_START


@check("optimizer")
def real_problem(rule: Optimizer) -> str:
    """A network learns to read digits with it."""
    expected = f"an accuracy of {DIGITS_BAR:g} or more on digits it has not seen"
    try:
        run = trained_on(
            "classification", digits(), 10, optimizer=rule, hidden=(32,), batch_size=32
        )
    except Exception as error:
        raise CheckFailure(
            expected=expected,
            found=error.found if isinstance(error, CheckFailure) else told(error),
            likely="training ends in an exception; another check says more of it",
        ) from error
    scores = run.checkpoint.metrics["val_accuracy"]
    if run.score < DIGITS_BAR:
        raise CheckFailure(
            expected=expected,
            found=f"{run.score:.2f} after {run.checkpoint.epoch} epochs; untrained it is "
            f"{scores[0]:.2f}",
            likely=f"a default rate (lr = {show(rule.lr)}) that is too small or too large, or "
            "a wrong sign",
        )
    return f"accuracy {run.score:.2f}, untrained {scores[0]:.2f}"


@cache
def digits() -> Fold:
    """Images of 8 x 8 pixels of handwritten digits, which come with scikit-learn."""
    from sklearn.datasets import load_digits

    x, target = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, target = ((x[order] - 8) / 6).astype(np.float32), target[order]
    return Fold(x[:1300], target[:1300], None, x[1300:], target[1300:], None)
