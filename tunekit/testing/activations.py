"""What every activation has to keep."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tunekit.components import Activation, Array, LearnedActivation
from tunekit.testing.arguments import (
    UNREPEATABLE,
    expect_array,
    expect_finite,
    expect_pair,
    expect_repeatable,
    expect_untouched,
    repeats,
)
from tunekit.testing.calculus import Differences
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.problems import expect_learned, trained

SHAPES = ((1, 1), (1, 5), (7, 1), (6, 4))
FARTHEST = 1e4
REACHES = (1, 6)
"""What the inputs, up to 16, are multiplied with to see derivatives near 0 and far away."""
MOST_GAIN = 3.0


def is_learned(f: Activation) -> bool:
    """Whether it has trained parameters."""
    return isinstance(f, LearnedActivation)


def _inputs(shape: tuple[int, int] = (20, 20), dtype: Any = np.float64) -> tuple[Array, Array]:
    """Pre-activations from near 0 to far away, and gradients of the activations."""
    rng = np.random.default_rng(1)
    z = rng.uniform(-4, 4, shape)
    z[: shape[0] // 4] *= 4
    return z.astype(dtype), rng.normal(size=shape).astype(dtype)


def _parameters(f: LearnedActivation, units: int, dtype: Any = np.float64) -> Array:
    """Parameters near the initial one, as training makes them."""
    spread = np.random.default_rng(2).uniform(-0.2, 0.2, units)
    return (f.initial + spread * max(abs(f.initial), 0.1)).astype(dtype)


def _place(z: Array, da: Array) -> Any:
    return lambda i: f"at z = {z[i]:.4g} with da = {da[i]:.4g}"


@check("activation")
def shape_and_dtype(f: Activation) -> None:
    """Shapes and dtypes stay as they are."""
    for shape in SHAPES:
        for dtype in (np.float64, np.float32):
            z, da = _inputs(shape, dtype)
            a = f.forward(z.copy())
            expect_array("what forward returned", a, z)
            expect_array("what backward returned", f.backward(da.copy(), z.copy(), a), z)
            if isinstance(f, LearnedActivation):
                p = _parameters(f, shape[1], dtype)
                expect_array("what evaluate returned", f.evaluate(z.copy(), p.copy()), z)
                found = f.gradients(da.copy(), z.copy(), p.copy())
                dz, dp = expect_pair("gradients", found)
                expect_array("the gradient of z", dz, z)
                expect_array(
                    "the gradient of p",
                    dp,
                    p,
                    "the gradient of each unit's parameter is the sum over the rows: "
                    "np.einsum('ij,ij->j', da, slope)",
                )


@check("activation")
def inputs_not_modified(f: Activation) -> None:
    """It does not write into its arguments."""
    z, da = _inputs((6, 4))
    a = f.forward(z.copy())
    if isinstance(f, LearnedActivation):
        p = _parameters(f, 4)
        expect_untouched("evaluate", f.evaluate, z=z, p=p)
        expect_untouched("gradients", f.gradients, da=da, z=z, p=p)
    else:
        expect_untouched("forward", f.forward, z=z)
        expect_untouched("backward", f.backward, da=da, z=z, a=a)


@check("activation")
def deterministic(f: Activation) -> None:
    """The same arguments give the same, always."""
    z, da = _inputs((6, 4))
    z2 = -0.5 * z
    a, a2 = f.forward(z.copy()).copy(), f.forward(z2.copy()).copy()
    expect_repeatable("forward", lambda: f.forward(z.copy()), lambda: f.forward(z2.copy()))
    expect_repeatable(
        "backward",
        lambda: f.backward(da.copy(), z.copy(), a.copy()),
        # The trainer goes forward with other rows, and in other layers, in between.
        lambda: (f.forward(z2.copy()), f.backward(da.copy(), z2.copy(), a2.copy())),
    )
    if isinstance(f, LearnedActivation):
        p = _parameters(f, 4)
        expect_repeatable(
            "gradients",
            lambda: f.gradients(da.copy(), z.copy(), p.copy()),
            lambda: (f.evaluate(z2.copy(), p.copy()), f.gradients(da.copy(), z2.copy(), p.copy())),
        )


@check("activation")
def elementwise(f: Activation) -> str | None:
    """Each element depends on its own z only."""
    z, _ = _inputs((5, 4))
    if not repeats(lambda: f.forward(z.copy())):
        return UNREPEATABLE
    whole = f.forward(z.copy())
    for i, j in np.ndindex(z.shape):
        alone = f.forward(z[i : i + 1, j : j + 1].copy()).item()
        if not math.isclose(whole[i, j], alone, rel_tol=1e-9, abs_tol=1e-12):
            raise CheckFailure(
                expected=f"{alone:.9g} at z = {z[i, j]:.4g}, as in a layer of one unit and one row",
                found=f"{whole[i, j]:.9g} among other units and rows",
                likely="a sum, mean or maximum over the units or the rows; an activation is "
                "applied element by element",
            )
    return None


@check("activation")
def derivative(f: Activation) -> str | None:
    """Its derivative is right, times `da`."""
    nearby, da = _inputs()
    if not repeats(lambda: f.forward(nearby.copy())):
        return UNREPEATABLE
    for z in (nearby * reach for reach in REACHES):
        slope = Differences.of(partial(_shifted, f.forward, z))
        found = f.backward(da.copy(), z.copy(), f.forward(z.copy()).copy())
        _compare("backward", found, slope, z, da)
        if isinstance(f, LearnedActivation):
            p = _parameters(f, z.shape[1])
            slope = Differences.of(partial(_shifted, partial(_evaluated, f, p), z))
            found = f.gradients(da.copy(), z.copy(), p.copy())[0]
            _compare("the gradient of z", found, slope, z, da)
    return None


def _shifted(function: Callable[[Array], Array], z: Array, h: float) -> Array:
    return function(z + h)


def _evaluated(f: LearnedActivation, p: Array, z: Array) -> Array:
    return f.evaluate(z, p.copy())


def _compare(what: str, found: Array, differences: Differences, z: Array, da: Array) -> None:
    likely, slope, size = None, differences.slope, np.abs(da)
    expected = Differences(slope * da, differences.is_smooth, differences.tolerance * size)
    smooth, close = expected.is_smooth, np.abs(found - expected.slope) <= expected.tolerance
    below, above = smooth & (z < 0), smooth & (z > 0)
    if np.allclose(found[smooth], slope[smooth], rtol=1e-4, atol=1e-6):
        likely = "the derivative alone is returned; the chain rule wants `da` times it"
    elif not slope[smooth].any():
        likely = (
            "the values are flat between their jumps. A gradient that is another on purpose "
            "(straight-through) is a known failure: name it in `expected_failures`"
        )
    elif close[above].all():
        likely = "it is right above 0 and wrong below: look at what happens to negative z"
    elif close[below].all():
        likely = "it is right below 0 and wrong above: look at what happens to positive z"
    expected.compare(what, found, _place(z, da), likely)


@check("activation", applies=is_learned)
def parameter_gradient(f: LearnedActivation) -> None:
    """The gradient of `p` is right, summed over rows."""
    z, da = _inputs((12, 5))
    p = _parameters(f, 5)
    _, dp = f.gradients(da.copy(), z.copy(), p.copy())
    # A unit's parameter moves that unit alone, so that all can be moved at once.
    parts = Differences.of(lambda h: f.evaluate(z.copy(), p + h))
    expected = Differences(
        (parts.slope * da).sum(axis=0),
        np.ones(5, bool),
        (parts.tolerance * np.abs(da)).sum(axis=0),
    )
    likely = None
    if np.allclose(dp, parts.slope.sum(axis=0), rtol=1e-4):
        likely = "the chain rule wants the derivative times `da`, summed over the rows"
    elif np.allclose(np.asarray(dp) * len(z), expected.slope, rtol=1e-4):
        likely = "the mean over the rows instead of their sum"
    expected.compare(
        "the gradient of p",
        np.broadcast_to(dp, (5,)) if np.ndim(dp) <= 1 else np.asarray(dp)[0],
        lambda i: f"for unit {i[0]}, p = {p[i]:.4g}",
        likely,
    )


@check("activation", applies=is_learned)
def initial_parameter(f: LearnedActivation) -> None:
    """`forward` is that of parameters at `initial`."""
    z, _ = _inputs((6, 4))
    found, expected = f.forward(z.copy()), f.evaluate(z.copy(), np.full(4, f.initial))
    if not np.allclose(found, expected, rtol=1e-9, atol=1e-12):
        raise CheckFailure(
            expected=f"forward(z) is evaluate(z, p) with every p = {f.initial:g}",
            found=f"they differ by up to {np.abs(found - expected).max():.3g}",
            likely="`forward` is written anew; a learned activation has `evaluate` and "
            "`gradients` only",
        )


@check("activation")
def extreme_inputs(f: Activation) -> None:
    """Everything is finite for z of up to 10,000."""
    for dtype in (np.float32, np.float64):
        z = np.array([[-FARTHEST, -100, -1e-30, -0.0, 0, 1e-30, 100, FARTHEST]], dtype)
        da, where = np.ones_like(z), f"for |z| up to {FARTHEST:g} in {np.dtype(dtype)}"
        a = f.forward(z.copy())
        expect_finite("what forward returned", a, where)
        expect_finite("what backward returned", f.backward(da, z.copy(), a.copy()), where)
        if isinstance(f, LearnedActivation):
            for value in (0.0, f.initial, -f.initial):
                p, with_p = np.full(z.shape[1], value, dtype), f"{where} and p = {value:g}"
                expect_finite("what evaluate returned", f.evaluate(z.copy(), p.copy()), with_p)
                dz, dp = f.gradients(da.copy(), z.copy(), p.copy())
                expect_finite("the gradient of z", dz, with_p)
                expect_finite("the gradient of p", dp, with_p)


@check("activation")
def precision(f: Activation) -> str | None:
    """Float32 gives what float64 gives, but rounded."""
    z, _ = _inputs(dtype=np.float32)
    # Next to a kink the rounding of z alone may change the side.
    z = z[:, 10:] * np.float32(0.9)
    if not repeats(lambda: f.forward(z.copy())):
        return UNREPEATABLE
    exact, da = z.astype(np.float64), np.ones_like(z)
    a, a_exact = f.forward(z.copy()), f.forward(exact.copy())
    dz = f.backward(da.copy(), z.copy(), a.copy())
    dz_exact = f.backward(da.astype(np.float64), exact.copy(), a_exact.copy())
    for what, found, right in (("forward", a, a_exact), ("backward", dz, dz_exact)):
        error = np.abs(found - right) / (1 + np.abs(right))
        if not error.max() <= 1e-3:
            i = np.unravel_index(error.argmax(), error.shape)
            raise CheckFailure(
                expected=f"{what} gives {right[i]:.6g} at z = {z[i]:.4g}, as in float64",
                found=f"{found[i]:.6g} in float32",
                likely="the difference of two large numbers, or a constant that is too small "
                "for float32",
            )
    return None


@check("activation")
def gain(f: Activation) -> str:
    """Its gain keeps signals from fading or exploding."""
    z = np.linspace(-8, 8, 3201)[:, None]
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    moment = float(np.sum(f.forward(z) ** 2 * density) * (z[1, 0] - z[0, 0]))
    declared = f.gain
    if not (isinstance(declared, (int, float, np.number)) and 0 < declared < math.inf):
        raise CheckFailure(
            expected="`gain` is a number above 0",
            found=f"{declared!r}",
            likely="a method where a value or a property is meant"
            if callable(declared)
            else "it is the factor of a standard deviation",
        )
    if moment == 0:
        raise CheckFailure(
            expected="activations that are not all 0",
            found="0 for all z between -8 and 8",
            likely="nothing gets through; look at the formula of `forward`",
        )
    keeps = 1 / math.sqrt(moment)
    if not 1 / MOST_GAIN < declared / keeps < MOST_GAIN:
        raise CheckFailure(
            expected=f"`gain` not far from {keeps:.4g}, which keeps the mean square of normal z",
            found=f"{declared:g}: each layer multiplies a signal by {declared / keeps:.3g}",
            likely="`gain` is left at 1, though the values are much smaller or larger than z"
            if declared == 1
            else "`gain` is 1 / sqrt(mean of f(z)**2) for normal z",
        )
    return f"{declared:.4g}; {keeps:.4g} keeps the mean square of normal pre-activations"


@check("activation")
def learns(f: Activation) -> str:
    """A small network learns with it (a smoke test).

    The problem is nearly linear: without any activation r2 is 0.9.
    """
    run = trained("regression", activation=f)
    likely = "no gradient gets through it, or a wrong one; see `derivative`"
    return expect_learned(run, "regression", likely, bar=0.6)
