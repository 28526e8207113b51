"""What a component returns is checked once, and the component is named when it is wrong."""

from __future__ import annotations

import numpy as np

from tunekit.components import Activation, Array, Schedule
from tunekit.errors import ComponentError


def check_array(what: str, found: object, expected: Array) -> None:
    """See that a component returned an array like `expected`.

    Args:
        what: What it is, beginning with the component: ``"optimizer 'lion': its direction"``.
        found: What was returned.
        expected: An array of the right shape and dtype.

    Raises:
        ComponentError: It is something else.
    """
    # A slot without dimensions comes back from a formula as a numpy number.
    if not isinstance(found, (np.ndarray, np.generic)):
        raise ComponentError(
            f"{what} is {type(found).__name__}; expected an array of shape {expected.shape}"
        )
    if found.shape != expected.shape:
        raise ComponentError(f"{what} has shape {found.shape}; expected {expected.shape}")
    if found.dtype != expected.dtype:
        raise ComponentError(
            f"{what} has dtype {found.dtype}; expected {expected.dtype}. A numpy float64 "
            "number in a formula turns everything into float64; use Python floats"
        )


def check_activation(activation: Activation, dtype: str) -> None:
    """See that an activation returns arrays like the one that it was given.

    Raises:
        ComponentError: It does not.
    """
    z = np.linspace(-1, 1, 6, dtype=dtype).reshape(2, 3)
    name = f"activation {activation.name!r}"
    a = activation.forward(z.copy())
    check_array(f"{name}: what forward returned", a, z)
    dz = activation.backward(np.ones_like(z), z.copy(), a)
    check_array(f"{name}: what backward returned", dz, z)


def checked_factor(schedule: Schedule, factor: object) -> float:
    """A schedule's factor as a Python float.

    Raises:
        ComponentError: It is no number.
    """
    if isinstance(factor, (int, float, np.number)):
        return float(factor)
    raise ComponentError(
        f"schedule {schedule.name!r}: factor returned {factor!r}; expected a number"
    )
