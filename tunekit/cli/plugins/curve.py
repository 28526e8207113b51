"""What is drawn: an activation with its derivative, and a schedule over a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tunekit.components import Activation, Array, Component, Progress, Schedule
from tunekit.errors import ComponentError, TunekitError
from tunekit.plugins import Place, place, told

REACH, POINTS = 4.0, 401
"""An activation is drawn from -REACH to REACH."""
EPOCHS, STEPS_PER_EPOCH = 100, 10
"""The run that a schedule is drawn for."""
IMPROVING = 40
"""The epochs of it in which validation improves."""


@dataclass(frozen=True)
class Curve:
    """Lines over a common axis.

    Attributes:
        x: Where they are known, ascending.
        y: The function.
        derivative: The derivative of an activation.
        x_name: What `x` is.
        y_name: What `y` is.
        note: What else to know, or nothing.
    """

    x: Array
    y: Array
    derivative: Array | None
    x_name: str
    y_name: str
    note: str = ""


def is_drawn(cls: type[Component]) -> bool:
    """Whether there is a curve of this kind."""
    return issubclass(cls, (Activation, Schedule))


def curve(cls: type[Component]) -> Curve:
    """The curve of an activation or schedule at its defaults.

    Raises:
        ComponentError: The formula raises, or gives something that cannot be drawn.
    """
    try:
        with np.errstate(all="ignore"):
            component = cls()
            if isinstance(component, Activation):
                return _activation(component)
            assert isinstance(component, Schedule)
            return _schedule(component)
    except ComponentError:
        raise
    except (Exception, SystemExit) as error:
        at = place(error)
        raise ComponentError(
            f"{cls.kind} {cls.name} cannot be drawn: {told(error)}{_where(error, at)}"
        ) from error


def _where(error: BaseException, at: Place | None) -> str:
    return "" if at is None or isinstance(error, TunekitError) else f" ({at})"


def _activation(activation: Activation) -> Curve:
    z = np.linspace(-REACH, REACH, POINTS)

    def column() -> Array:
        return z[:, None].copy()  # the formula's own: nothing is lost if it writes into it

    a = _checked(activation, "forward", activation.forward(column()))
    slope = activation.backward(np.ones((POINTS, 1)), column(), a[:, None].copy())
    return Curve(z, a, _checked(activation, "backward", slope), "z", "f(z)")


def _checked(activation: Activation, method: str, found: object) -> Array:
    """What a formula gave, if it is a finite number for each that it was given."""
    asked = f"activation {activation.name} cannot be drawn: {method}"
    if not isinstance(found, np.ndarray) or found.shape != (POINTS, 1):
        what = f"an array of shape {found.shape}" if isinstance(found, np.ndarray) else repr(found)
        raise ComponentError(f"{asked} gives {what[:80]}, expected one of shape ({POINTS}, 1)")
    if found.dtype.kind not in "fiub":
        raise ComponentError(f"{asked} gives {found.dtype}, expected real numbers")
    values = found[:, 0].astype(float)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        at = -REACH + 2 * REACH * wrong[0] / (POINTS - 1)
        raise ComponentError(f"{asked} gives {values[wrong[0]]} at z = {at:g}")
    return values


def _schedule(schedule: Schedule) -> Curve:
    flat = [min(epoch + 1, IMPROVING) / IMPROVING for epoch in range(EPOCHS)]
    rising = [(epoch + 1) / EPOCHS for epoch in range(EPOCHS)]
    factors = _factors(schedule, flat)
    looks = not np.array_equal(factors, _factors(schedule, rising))
    note = f"Here validation improves in the first {IMPROVING}% of the run, and then no more."
    x = np.arange(len(factors)) / len(factors)
    return Curve(x, factors, None, "share of the run", "factor", note if looks else "")


def _factors(schedule: Schedule, scores: Sequence[float]) -> Array:
    """The factor of each step of a run, given the validation score after each epoch."""
    steps = EPOCHS * STEPS_PER_EPOCH
    every: Callable[[int], bool] = (
        (lambda step: step % STEPS_PER_EPOCH == 0)
        if schedule.every == "epoch"
        else (lambda step: True)
    )
    factors: list[float] = []
    for step in range(steps):
        if not every(step):
            factors.append(factors[-1])
            continue
        epoch = step // STEPS_PER_EPOCH
        progress = Progress(step, steps, epoch, EPOCHS, step / steps, tuple(scores[:epoch]))
        found = schedule.factor(progress)
        if not isinstance(found, (int, float, np.number)) or not np.isfinite(found):
            raise ComponentError(
                f"schedule {schedule.name} cannot be drawn: factor gives {found!r:.80} at step "
                f"{step} of {steps}, expected a finite number"
            )
        factors.append(float(found))
    return np.array(factors)
