"""What holds for any method of a component: its result's form, and what it leaves alone."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from tunekit.components import Array
from tunekit.testing.check import CheckFailure

FLOAT64_LEAK = (
    "a numpy float64 number or array in the formula (np.sqrt(2.0), rng.normal(...), np.zeros(n)) "
    "turns everything into float64; use Python floats (math.sqrt), and the dtype of the argument"
)


def expect_array(what: str, found: Any, like: Array, likely: str = "") -> None:
    """See that a result has the shape and the dtype of an array.

    Args:
        what: What it is: ``"what forward returned"``.
        found: The result.
        like: The array.
        likely: The mistake behind a wrong shape.

    Raises:
        CheckFailure: It has not.
    """
    expected = f"{what}: an array of shape {like.shape} and dtype {like.dtype}"
    if not isinstance(found, (np.ndarray, np.generic)):
        raise CheckFailure(
            expected=expected,
            found=described(found),
            likely="a `return` is missing" if found is None else "something else is returned",
        )
    if like.shape != like.shape[::-1] == found.shape:
        likely = likely or "it is transposed"
    if found.shape != like.shape:
        raise CheckFailure(
            expected=expected,
            found=f"shape {found.shape}",
            likely=likely or "a sum over an axis, or a broadcast, that should not be there",
        )
    if found.dtype != like.dtype:
        leak = FLOAT64_LEAK if found.dtype == np.float64 else "an `astype`, or whole numbers"
        raise CheckFailure(expected=expected, found=f"dtype {found.dtype}", likely=leak)


def described(found: object) -> str:
    """What something is, in a few words."""
    if isinstance(found, np.ndarray):
        return f"an array of shape {found.shape}"
    if isinstance(found, (tuple, list)):
        return f"{len(found)} values"
    return "nothing" if found is None else f"{type(found).__name__}: {found!r:.100}"


def expect_pair(what: str, found: Any) -> tuple[Any, Any]:
    """The two values that a method returns.

    Raises:
        CheckFailure: It returns something else.
    """
    if not (isinstance(found, tuple) and len(found) == 2):
        raise CheckFailure(
            expected=f"{what} returns two values",
            found=described(found),
            likely="one of the two is forgotten in the `return`",
        )
    return found


def expect_finite(what: str, found: Any, where: str, likely: str = "") -> None:
    """See that a result has neither infinite elements nor any that are not a number.

    Args:
        what: What it is.
        found: The result.
        where: For which arguments.
        likely: The mistake behind it, where it can be told.

    Raises:
        CheckFailure: It has.
    """
    bad = ~np.isfinite(np.atleast_1d(found))
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise CheckFailure(
            expected=f"{what} stays finite {where}",
            found=f"{np.atleast_1d(found)[place]}, in {np.count_nonzero(bad)} of {bad.size} places",
            likely=likely
            or "np.exp or a power overflows, or something is divided by 0; limit the argument "
            "(np.minimum), or use another form of the formula",
        )


def expect_untouched(what: str, method: Callable[..., Any], **arguments: Array) -> None:
    """Call a method and see that it does not write into its arguments.

    Args:
        what: What the method is called.
        method: It gets the arguments in this order.
        **arguments: Arrays by name.

    Raises:
        CheckFailure: It does.
    """
    given = {name: array.copy() for name, array in arguments.items()}
    method(*given.values())
    for name, before in arguments.items():
        expect_same(
            f"{what} leaves `{name}` as it is",
            *(name, given[name], before),
            f"an in-place operation (`{name} *= ...`, `{name}[...] = ...`, `out={name}`) on an "
            "array that is the trainer's own; compute a new one",
        )


def expect_same(expected: str, name: str, found: Array, before: Array, likely: str) -> None:
    """See that nobody has written into an array.

    Args:
        expected: What is said of it.
        name: What it is called.
        found: The array.
        before: A copy from before.
        likely: The mistake, if it was written into.

    Raises:
        CheckFailure: Somebody has.
    """
    changed = ~((found == before) | (np.isnan(before) & np.isnan(found)))
    if changed.any():
        place = tuple(int(i) for i in np.argwhere(changed)[0])
        raise CheckFailure(
            expected=expected,
            found=f"{name}[{', '.join(map(str, place))}] was {before[place]:.6g} and is "
            f"{found[place]:.6g} afterwards",
            likely=likely,
        )


def expect_repeatable(what: str, first: Callable[[], Any], other: Callable[[], Any]) -> None:
    """See that a call gives the same before and after another one.

    Args:
        what: What is called.
        first: The call. What is random in it comes from a generator of the same seed.
        other: A call with other arguments.

    Raises:
        CheckFailure: It does not, or it draws from the generators that all programs share.
    """
    shared = shared_generators()
    held = arrays(first())
    before = [array.copy() for array in held]
    other()
    if not _equal(held, before):
        raise CheckFailure(
            expected=f"what {what} returned stays as it is",
            found="the next call has changed it",
            likely="the result is an array that is kept and written into again; one component "
            "serves all layers, so return a new array",
        )
    if shared_generators() != shared:
        raise CheckFailure(
            expected=f"{what} draws from the generator that it is given",
            found="the generator that the whole program shares has moved on",
            likely="np.random.something(...) or random.something(...) instead of "
            "rng.something(...); no trial could be repeated",
        )
    again = arrays(first())
    if not _equal(again, before):
        raise CheckFailure(
            expected=f"{what} gives the same for the same arguments",
            found=_difference(before, again),
            likely="something is remembered between calls (in `self`, the class or the module), "
            "or drawn from a generator of its own; all that may change comes as an argument",
        )


UNREPEATABLE = "not judged: two equal calls already differ"


def repeats(
    call: Callable[[], Any], other: Callable[[], Any] = lambda: None, *, before: Any = None
) -> bool:
    """Whether a call gives the same before and after another one.

    Where it does not, comparing it with anything says nothing.

    Args:
        call: The call.
        other: The other one.
        before: What the call gave already, if it did.
    """
    first = [array.copy() for array in arrays(call() if before is None else before)]
    other()
    return _equal(first, arrays(call()))


def arrays(found: Any) -> list[Array]:
    """The arrays and numbers in a result, however it nests them."""
    if isinstance(found, dict):
        return arrays(tuple(found[key] for key in sorted(found)))
    if isinstance(found, (tuple, list)):
        return [array for part in found for array in arrays(part)]
    return [] if found is None else [np.asarray(found)]


def _equal(first: list[Array], again: list[Array]) -> bool:
    return len(first) == len(again) and all(
        a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
        for a, b in zip(first, again, strict=True)
    )


def _difference(first: list[Array], again: list[Array]) -> str:
    for a, b in zip(first, again, strict=False):
        if a.shape != b.shape:
            return f"an array of shape {a.shape}, then one of shape {b.shape}"
        if (a != b).any():
            place = tuple(int(i) for i in np.argwhere(a != b)[0])
            return f"{a[place]:.9g}, then {b[place]:.9g}"
    return f"{len(first)} results, then {len(again)}"


def shared_generators() -> tuple[Any, ...]:
    """The state of the random generators that all of the program shares, to be compared."""
    # The one place where the shared generator is looked at, to see that nobody else does.
    return pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002
