"""What every optimizer promises to the trainer, whatever its formula."""

from __future__ import annotations

import sys
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from tunekit.components import Array, Optimizer
from tunekit.testing.arguments import (
    UNREPEATABLE,
    expect_array,
    expect_finite,
    expect_same,
    repeats,
    shared_generators,
)
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.walk import Course, Piece, Walk, first_difference, pieces

CUTS = ((0, 30, 60), (0, 1, 2, 9, 40, 60), (0, 59, 60))
ROUNDING = 1e-6  # the formulas are computed in float64
LOST_SHAPE = (
    "a sum, mean or norm that lost its axes, a slice, or a matrix product in the wrong order; "
    "every parameter needs a direction of its own"
)
OWN_GRADIENT = (
    "`g *= ...` or `out=g` changes the trainer's gradient; write `g = g * ...`, which makes a new "
    "array"
)
OWN_PARAMETERS = (
    "`w -= ...` or `out=w` moves the trainer's parameters; only return the direction, the trainer "
    "does `w -= step.lr * direction`"
)


@check("optimizer")
def shape_and_dtype(rule: Optimizer) -> None:
    """Shapes and dtypes stay as they are."""
    for piece in pieces(rule):
        for dtype in ("float32", "float64"):
            course = Course.random(piece.shape, dtype=dtype)
            walk = Walk(rule, piece, course.weights[0])
            for t, (w, g) in enumerate(course, start=1):
                when = f"in step {t} on {piece}"
                found = walk.answer(w.copy(), g.copy())
                expect_array(f"the direction {when}", found, w, LOST_SHAPE)
                for name, array in walk.memory.kept.items():
                    if name in walk.memory.state:
                        now = walk.memory.state[name]
                        expect_array(f"state[{name!r}] {when}", now, array, LOST_SHAPE)
                walk.memory.keep()


@check("optimizer")
def inputs_not_modified(rule: Optimizer) -> None:
    """It writes neither into `w` nor into `g`."""
    for piece in pieces(rule):
        course = Course.random(piece.shape)
        walk = Walk(rule, piece, course.weights[0])
        for t, (w, g) in enumerate(course, start=1):
            shown_w, shown_g = w.copy(), g.copy()
            walk.answer(shown_w, shown_g)
            when = f"in step {t} on {piece}"
            expect_same(f"`g` is left as it is {when}", "g", shown_g, g, OWN_GRADIENT)
            expect_same(f"`w` is left as it is {when}", "w", shown_w, w, OWN_PARAMETERS)
            walk.memory.keep()
        w = course.weights[0].copy()
        rule.initial_state(w)
        expected = "`w` is left as it is in `initial_state`"
        expect_same(expected, "w", w, course.weights[0], OWN_PARAMETERS)


@check("optimizer")
def inputs_not_kept(rule: Optimizer) -> str | None:
    """It holds on to no array of the trainer's."""
    for piece in pieces(rule):
        course = Course.random(piece.shape)
        fresh, reused = course.directions(rule, piece), _in_one_buffer(rule, piece, course)
        t = first_difference(fresh, reused)
        if t is None:
            continue
        if not repeats(partial(course.directions, rule, piece), before=fresh):
            return UNREPEATABLE
        raise CheckFailure(
            expected="the same directions when `w` and `g` come in the same two arrays every time, "
            "as they do in training",
            found=f"other numbers in step {t} on {piece}",
            likely="`g` or `w` itself is kept, in a list, a tuple or an attribute; keep a copy, "
            'best in a slot: `state["last"] = g.copy()`',
        )
    return None


def _in_one_buffer(rule: Optimizer, piece: Piece, course: Course) -> Array:
    """The directions of a course whose parameters and gradients come in the same two arrays."""
    w, g = course.weights[0].copy(), course.gradients[0].copy()
    walk = Walk(rule, piece, w)
    found = []
    for weights, gradients in course:
        w[...], g[...] = weights, gradients
        found.append(np.array(walk.answer(w, g)))
        walk.memory.keep()
        w[...], g[...] = np.nan, np.nan
    return np.array(found)


@check("optimizer")
def deterministic(rule: Optimizer) -> None:
    """Same inputs give the same directions, always."""
    for piece in pieces(rule):
        course, other = Course.random(piece.shape), Course.random(piece.shape, seed=8)
        before, draws = _surroundings(rule), shared_generators()
        first = course.directions(rule, piece)
        for title, again in (
            ("a second run from a fresh state", course.directions(rule, piece)),
            ("a run in turns with another one", _in_turns(rule, piece, course, other)),
        ):
            t = first_difference(first, again)
            if t is not None:
                raise CheckFailure(
                    expected="every run from a fresh state gives the same directions",
                    found=f"{title} differs in step {t} on {piece}",
                    likely=_hidden(_changed(before, _surroundings(rule)), draws),
                )
        if shared_generators() != draws:
            raise CheckFailure(
                expected="the global random generators are left alone",
                found="they are not in the state in which they were",
                likely=_hidden([], draws),
            )


def _in_turns(rule: Optimizer, piece: Piece, course: Course, other: Course) -> Array:
    """The directions of a course while another block of parameters is served in between."""
    walk, beside = (Walk(rule, piece, c.weights[0]) for c in (course, other))
    found = []
    for (w, g), (other_w, other_g) in zip(course, other, strict=True):
        found.append(walk.step(w, g))
        beside.step(other_w, other_g)
    return np.array(found)


def _surroundings(rule: Optimizer) -> dict[str, Any]:
    """What a rule might remember something in besides its state, by how one would write it."""
    cls = type(rule)
    module = sys.modules.get(cls.__module__)
    places = {"self.": rule, f"{cls.__name__}.": cls, "the global ": module}
    return {
        prefix + name: value
        for prefix, place in places.items()
        if place is not None
        for name, value in vars(place).items()
    }


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name, value in after.items() if before.get(name) is not value]


def _hidden(changed: list[str], draws: tuple[Any, ...]) -> str:
    """Where a memory is likely to be that is not in the state."""
    if changed:
        return (
            f"it remembers something in {', '.join(changed)}; one object serves all blocks and "
            "all trials, so keep it in `state`"
        )
    if shared_generators() != draws:
        return (
            "it draws from a global random generator; make one from what is known, such as "
            "np.random.default_rng(step.t)"
        )
    return (
        "something is remembered outside `state` (a global list or dictionary, a closure, the "
        "clock), or a random generator without a seed is drawn from"
    )


@check("optimizer", applies=lambda rule: rule.scope == "elementwise")
def blocks(rule: Optimizer) -> str | None:
    """Blocks of any size give the same directions."""
    piece = Piece((60,))
    course = Course.random(piece.shape, dtype="float64")
    whole = course.directions(rule, piece)
    expect_finite("every direction", whole, f"on {piece}")
    for cuts in CUTS:
        parts = [
            course.part(start, stop).directions(rule, Piece((stop - start,)))
            for start, stop in pairwise(cuts)
        ]
        gap = np.abs(np.concatenate(parts, axis=1) - whole).max(axis=1)
        apart = ~(gap <= ROUNDING * np.abs(whole).max(axis=1))
        if not apart.any():
            continue
        if not repeats(partial(course.directions, rule, piece), before=whole):
            return UNREPEATABLE
        t = int(apart.argmax())
        share = gap[t] / np.abs(whole[t]).max()
        raise CheckFailure(
            expected="the same directions from one block as from several, as the scope "
            "`elementwise` promises; the trainer cuts large networks into blocks",
            found=f"up to {share:.2g} of the largest direction apart in step {t + 1}, with "
            f"blocks of {', '.join(str(b - a) for a, b in pairwise(cuts))} parameters",
            likely="the formula looks at the block as a whole (a norm, mean, maximum or position); "
            'write `scope = "vector"` to see all parameters at once, or `scope = "tensor"` to see '
            "one matrix at a time",
        )
    return None
