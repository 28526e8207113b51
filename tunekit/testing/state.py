"""What an optimizer remembers, and what it wants to be evaluated."""

from __future__ import annotations

import pickle
from contextlib import suppress
from functools import partial

import numpy as np

from tunekit.components import Optimizer, State, averages_weights
from tunekit.nn.memory import Memory
from tunekit.plugins import told
from tunekit.testing.arguments import UNREPEATABLE, expect_array, expect_finite, repeats
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.variants import variants, with_values
from tunekit.testing.walk import Course, Walk, first_difference, pieces

FEW_STEPS = 12
MANY_STEPS = 1000  # for rules that come to some slots only now and then
VARIANT_STEPS = 200
SAVED = 6


@check("optimizer")
def slots(rule: Optimizer) -> str | None:
    """Slots are used, and the state keeps its form."""
    idle = _idle(rule, MANY_STEPS)
    if not idle:
        return None
    unused, name = set(idle), min(idle)
    for variant in variants(rule):
        with suppress(Exception):  # what a variant does not stand is another check's matter
            unused &= _idle(variant, VARIANT_STEPS)
        if not unused:
            return f"state[{name!r}] is used with other hyperparameters than these only"
    name = min(unused)
    raise CheckFailure(
        expected=f"state[{name!r}] takes other values than those it starts with",
        found=f"it is the same after {MANY_STEPS} steps, and with every hyperparameter at the "
        "ends of its range",
        likely=f"the new value is not stored: `m = ...` makes a variable, `state[{name!r}] = "
        "...` remembers it. If the rule does not need it, leave it out of `slots`; if a "
        "hyperparameter switches it on, its range has to reach so far",
    )


def _idle(rule: Optimizer, steps: int) -> set[str]:
    """The slots that are the same after all steps, on every piece.

    Raises:
        CheckFailure: The state has lost its form.
    """
    idle: set[str] = set()
    used: set[str] = set()
    for piece in pieces(rule):
        course = Course.random(piece.shape, steps)
        walk = Walk(rule, piece, course.weights[0])
        initial = dict(walk.memory.state)
        _check_values(initial, f"before the first step on {piece}")
        start = {name: array.copy() for name, array in walk.memory.kept.items()}
        waiting = start.keys() & set(rule.slots)
        for t, (w, g) in enumerate(course, start=1):
            walk.answer(w.copy(), g.copy())
            when = f"after step {t} on {piece}"
            _check_form(initial, walk.memory.state, when)
            _check_values(walk.memory.state, when)
            walk.memory.keep()
            waiting = {n for n in waiting if (walk.memory.kept[n] == start[n]).all()}
            if not waiting and t >= FEW_STEPS:
                break
        idle |= waiting
        used |= start.keys() - waiting
    return idle - used  # with the tensor scope a slot may be for matrices only


def _check_form(initial: State, state: State, when: str) -> None:
    added, lost = state.keys() - initial.keys(), initial.keys() - state.keys()
    if added:
        name = sorted(added)[0]
        raise CheckFailure(
            expected=f"a state of {_names(initial)}, as before the first step",
            found=f"state[{name!r}] as well, {when}",
            likely=f"a slot that is not declared: `slots = ({name!r},)` makes an array of zeros, "
            "`initial_state` anything else",
        )
    if lost:
        raise CheckFailure(
            expected=f"a state of {_names(initial)}, as before the first step",
            found=f"no state[{sorted(lost)[0]!r}] {when}",
            likely="it is taken out with `pop` or `del`; give it another value instead",
        )
    for name, value in state.items():
        if isinstance(initial[name], np.ndarray) and not isinstance(
            value, (np.ndarray, np.generic)
        ):
            raise CheckFailure(
                expected=f"state[{name!r}] stays an array",
                found=f"{type(value).__name__} {when}",
                likely="a slot is an array of the parameters' shape; a number that is remembered "
                "starts as a number, in `initial_state`",
            )


def _check_values(state: State, when: str) -> None:
    for name, value in state.items():
        if not isinstance(value, (np.ndarray, np.generic, int, float)):
            raise CheckFailure(
                expected="arrays and plain numbers in the state, which the trainer saves",
                found=f"state[{name!r}] is a {type(value).__name__} {when}",
                likely="several numbers make an array, and several arrays several slots",
            )


def _names(state: State) -> str:
    return ", ".join(map(repr, state)) if state else "nothing"


@check("optimizer")
def state_pickles(rule: Optimizer) -> str | None:
    """Saved half-way and loaded, it goes on the same."""
    for piece in pieces(rule):
        course = Course.random(piece.shape, 12)
        straight = course.directions(rule, piece)
        walk = Walk(rule, piece, course.weights[0])
        resumed = []
        for t, (w, g) in enumerate(course, start=1):
            resumed.append(walk.step(w, g))
            if t == SAVED:
                walk.memory = Memory(pickle.loads(_saved(walk.memory.state)))
                walk.rule = with_values(rule)  # another process has another object
        t_found = first_difference(straight, np.array(resumed))
        if t_found is None:
            continue
        if not repeats(partial(course.directions, rule, piece), before=straight):
            return UNREPEATABLE
        raise CheckFailure(
            expected="the directions of a run that was not interrupted",
            found=f"others in step {t_found} on {piece}, loaded after step {SAVED}",
            likely="something is remembered outside `state`, or two names of the state share one "
            "array, which are two after loading",
        )
    return None


def _saved(state: State) -> bytes:
    try:
        return pickle.dumps(state)
    except Exception as error:
        raise CheckFailure(
            expected="a state that can be saved, and sent to another process",
            found=told(error),
            likely="something else than arrays and numbers is in the state",
        ) from error


@check("optimizer", applies=lambda rule: averages_weights(type(rule)))
def evaluation_weights(rule: Optimizer) -> str | None:
    """Asking what to evaluate changes nothing."""
    for piece in pieces(rule):
        course = Course.random(piece.shape)
        walk = Walk(rule, piece, course.weights[0])
        asked = []
        for t, (w, g) in enumerate(course, start=1):
            asked.append(walk.step(w, g))
            when = f"after step {t} on {piece}"
            shown = w.copy()
            found = rule.evaluation_weights(shown, walk.memory.state)
            expect_array(f"the parameters to evaluate {when}", found, w)
            expect_finite("the parameters to evaluate", found, when)
            if shown.tobytes() != w.tobytes():
                raise CheckFailure(
                    expected="`evaluation_weights` leaves `w` as it is",
                    found=f"other parameters {when}",
                    likely="`w *= ...` or `out=w`; compute a new array",
                )
        unasked = course.directions(rule, piece)
        if first_difference(np.array(asked), unasked) is not None:
            if not repeats(partial(course.directions, rule, piece), before=unasked):
                return UNREPEATABLE
            raise CheckFailure(
                expected="the same directions whether or not it is asked for the parameters to "
                "evaluate",
                found=f"others, on {piece}",
                likely="`evaluation_weights` writes into the state; it may be called at any time, "
                "so it has to leave the state as it is",
            )
    return None
