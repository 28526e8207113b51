"""Whether the hyperparameters of an optimizer do what their names say."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from tunekit.components import Array, Optimizer
from tunekit.space import Hyperparameter, Scalar, show
from tunekit.testing.arguments import expect_finite
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.variants import changed, ends, turned_on, variants, with_values
from tunekit.testing.walk import Course, Walk, pieces

FEW_STEPS = 12
MANY_STEPS = 200  # for what acts only now and then
MOST_STEPS = 1000
CONSTANT_STEPS = 100
STILL_STEPS = 5
MOST_GROWTH = 4.0  # of a direction at 10 times the rate, with which it should not grow at all
AWAY = -0.5  # cosine; what is drawn at random stays near 0


@check("optimizer")
def search_ranges(rule: Optimizer) -> None:
    """The ends of its ranges give finite directions."""
    for hyperparameter in type(rule).hyperparameters().values():
        for value in ends(hyperparameter):
            name = hyperparameter.name
            where = f"with {name} = {show(value)}, an end of its search range"
            other = with_values(rule, **{name: value})
            for piece in pieces(rule):
                for course, why in (
                    (
                        Course.random(piece.shape),
                        "the formula does not stand this value (1 - beta is 0 at beta = 1); move "
                        "the end of the range",
                    ),
                    (
                        Course.constant(piece.shape, CONSTANT_STEPS),
                        "a difference that is 0 but for rounding gets below 0 under a root, as in "
                        "v - m * m; limit it with np.maximum(..., 0)",
                    ),
                ):
                    expect_finite("every direction", course.directions(other, piece), where, why)


@check("optimizer")
def hyperparameters_used(rule: Optimizer) -> str | None:
    """Each searched hyperparameter does something."""
    told = []
    for hyperparameter in type(rule).hyperparameters().values():
        name, values = hyperparameter.name, ends(hyperparameter)
        # The rate is the trainer's.
        if name == "lr" or len(set(values)) < 2 or _acts(rule, name, values, FEW_STEPS):
            continue
        if any(_acts(rule, name, values, steps) for steps in (MANY_STEPS, MOST_STEPS)):
            continue
        if not any(_may_act(other, name, values) for other in variants(rule)):
            raise CheckFailure(
                expected=f"other directions with {name} = {show(values[0])} than with "
                f"{name} = {show(values[-1])}, the ends of its search range",
                found=f"the same to the bit in {MOST_STEPS} steps, whatever the others are",
                likely=f"the formula does not use `self.{name}`, or overwrites what it was used "
                "for; a search would waste its trials on it (if it acts later on, name this check "
                "in `expected_failures`)",
            )
        told.append(name)
    return f"{', '.join(told)}: only with other values of the others" if told else None


def _acts(rule: Optimizer, name: str, values: tuple[Scalar, ...], steps: int) -> bool:
    """Whether a rule answers something else with one of these values than with another."""
    for piece in pieces(rule):
        # In float64, where also a tiny eps shows.
        course = Course.random(piece.shape, steps, "float64")
        answers = set()
        for value in values:
            walk = Walk(with_values(rule, **{name: value}), piece, course.weights[0])
            answer = b"".join(walk.step(w, g).tobytes() for w, g in course)
            answers.add(answer + walk.evaluated(course.weights[-1]).tobytes())
        if len(answers) > 1:
            return True
    return False


def _may_act(rule: Optimizer, name: str, values: tuple[Scalar, ...]) -> bool:
    """The same of a variant, which may be one that its author never meant."""
    with suppress(Exception):
        return _acts(rule, name, values, MANY_STEPS)
    return False


@check("optimizer")
def learning_rate(rule: Optimizer) -> None:
    """The learning rate counts once."""
    faster = _faster(rule)
    if faster is None:
        return
    for piece in pieces(rule):
        # At one place: how far a rule has come may say something about its rate.
        course = Course.random(piece.shape, 3).at_one_place()
        slow, fast = (course.directions(r, piece) for r in (rule, faster))
        growth = _growth(rule, faster, slow, fast)
        if growth > MOST_GROWTH:
            raise CheckFailure(
                expected="directions that do not grow with the learning rate: the trainer "
                "multiplies them with it",
                found=f"directions {growth:.3g} times as long at 10 times the rate, on {piece}; a "
                f"step would be {10 * growth:.3g} times as long",
                likely="`self.lr` or `step.lr` is multiplied into the direction; leave it out",
            )


def _faster(rule: Optimizer) -> Optimizer | None:
    """The rule at 10 times the rate, or at a tenth of it, as its limits have it."""
    if not rule.lr:
        return None
    return changed(rule, lr=rule.lr * 10) or changed(rule, lr=rule.lr / 10)


def _growth(rule: Optimizer, faster: Optimizer, slow: Array, fast: Array) -> float:
    """How much longer directions are at 10 times the rate; 1 where there are none."""
    lengths = float(np.abs(slow).max()), float(np.abs(fast).max())
    if not all(lengths):
        return 1.0
    return lengths[1] / lengths[0] if faster.lr > rule.lr else lengths[0] / lengths[1]


@check("optimizer")
def decay(rule: Optimizer) -> str | None:
    """Weight decay shrinks, and the rate counts once."""
    rules = [rule, *_decaying(rule)]
    still = [_drift(r) for r in rules]
    for r, (w, drift) in zip(rules, still, strict=True):
        if not drift.any() or not np.isfinite(drift).all():
            continue
        lengths = np.linalg.norm(w) * np.linalg.norm(drift, axis=1)
        cosine = float(np.mean((drift @ w) / np.where(lengths > 0, lengths, 1)))
        values = _unlike(rule, r)
        if cosine < AWAY:
            raise CheckFailure(
                expected=f"where the gradient is 0, directions that agree with `w`{values}, as "
                "the trainer subtracts them",
                found=f"the opposite: their cosine with `w` is {cosine:.2f}",
                likely="the sign of the weight decay: it is added to the direction, "
                "`+ self.weight_decay * w`",
            )
        faster = _faster(r)
        growth = _growth(r, faster, drift, _drift(faster)[1]) if faster else 1.0
        if growth > MOST_GROWTH:
            raise CheckFailure(
                expected=f"where the gradient is 0, a weight decay{values} that does not grow with "
                "the learning rate: the trainer multiplies the direction with it",
                found=f"{growth:.3g} times as much at 10 times the rate",
                likely="`self.lr` or `step.lr` is multiplied into the weight decay, so that the "
                "rate counts twice; leave it out",
            )
    return None if any(drift.any() for _, drift in still) else "there is none"


def _decaying(rule: Optimizer) -> list[Optimizer]:
    """The rule with its decay turned on, where it is off."""
    off = {
        name: turned_on(h)
        for name, h in type(rule).hyperparameters().items()
        if _is_off(h, getattr(rule, name)) and (h.search is not None or "decay" in name)
    }
    on = changed(rule, **off) if off else None
    return [] if on is None else [on]


def _is_off(h: Hyperparameter, value: Scalar) -> bool:
    return h.type is float and value == 0 and h.name != "lr"


def _drift(rule: Optimizer) -> tuple[Array, Array]:
    """The parameters of all pieces, and where a rule goes with gradients of 0, row by step."""
    weights, drifts = [], []
    for piece in pieces(rule):
        course = Course.still(piece.shape, STILL_STEPS)
        weights.append(course.weights[0].ravel())
        drifts.append(course.directions(rule, piece).reshape(STILL_STEPS, -1))
    return np.concatenate(weights).astype(float), np.concatenate(drifts, axis=1).astype(float)


def _unlike(rule: Optimizer, other: Optimizer) -> str:
    """The values in which two of a class differ, in words."""
    own = rule.values()
    values = [f"{name} = {show(v)}" for name, v in other.values().items() if v != own[name]]
    return f" with {', '.join(values)}" if values else ""
