"""Two curves from recent papers: an activation and a learning-rate schedule."""

from __future__ import annotations

import numpy as np

from tunekit import Activation, Array, Float, Progress, Schedule, hookimpl

LEFT_END = -7.0  # exp(-exp(7)) is 0 in float64 too, and so is all that lies to the left of it


class Golu(Activation):
    """Gompertz linear unit (Das et al., 2025, arXiv:2502.03654). ``f(z) = z G(z)``.

    The gate ``G(z) = exp(-exp(-z))`` is the Gompertz function, the distribution function of the
    standard Gumbel distribution. It is no mirror image of itself: it closes faster on the left
    than it opens on the right. ``f' = G(z) + f(z) exp(-z)``, which is ``1 / e`` at 0. The gain is
    ``1 / sqrt(E[f(z)^2])`` for standard normal `z`, by quadrature.
    """

    name = "golu"
    gain = 1.76878

    def forward(self, z: Array) -> Array:
        """``z G(z)``."""
        gate = _inverse_exponential(z)
        np.negative(gate, out=gate)
        np.exp(gate, out=gate)
        gate *= np.maximum(z, LEFT_END)
        return gate

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        """``da (G(z) + a exp(-z))``, where the slope needs no quotient and no product with `z`."""
        e = _inverse_exponential(z)
        slope: Array = e * a
        np.negative(e, out=e)
        np.exp(e, out=e)
        slope += e
        slope *= da
        return slope


def _inverse_exponential(z: Array) -> Array:
    """``exp(-z)``, which does not overflow."""
    e: Array = np.maximum(z, LEFT_END)
    np.negative(e, out=e)
    return np.exp(e, out=e)


class Rex(Schedule):
    """Hold the rate up for long and let it fall in the end (Chen et al., 2021, arXiv:2107.04197).

    The reflected exponential ``(1 - f) / (1 - (1 - beta) f)``, where `f` is the share of the run
    that is done. It begins at 1 with the slope ``-beta`` and comes to 0 with ``-1 / beta``. The
    paper has a `beta` of 1/2, its authors' code one of 1/10; 1 gives a straight line.
    """

    name = "rex"
    beta: float = Float(0.5, low=0.1, high=1.0, log=True, min=1e-3, max=1e3)

    def factor(self, progress: Progress) -> float:
        """What is left of the run, divided by that and `beta` times what is done."""
        left = 1 - progress.fraction
        return left / (left + self.beta * progress.fraction)


@hookimpl
def tunekit_activations() -> list[type[Activation]]:
    """Bring the activation."""
    return [Golu]


@hookimpl
def tunekit_schedules() -> list[type[Schedule]]:
    """Bring the schedule."""
    return [Rex]
