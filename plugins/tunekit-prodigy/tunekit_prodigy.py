"""The optimizer Prodigy, as a plugin of tunekit."""

from __future__ import annotations

import math

import numpy as np

from tunekit import Array, Flag, Float, Optimizer, State, Step, hookimpl

BELOW_ONE = 1 - 1e-6


class Prodigy(Optimizer):
    """Adam at a step size that it finds (Mishchenko and Defazio, 2023, arXiv:2306.06101).

    The scalar `d` estimates from below how far the start `w0` is from a solution, and only grows.
    With ``a = d lr``::

        m = beta1 m + (1 - beta1) d g
        v = beta2 v + (1 - beta2) (d g)^2
        n = beta3 n + (d / d0) a <g, w0 - w>
        s = beta3 s + (d / d0) a g
        d' = max(d, d_coef n / |s|_1)
        w -= a (m / (sqrt(v) + d' eps) + weight_decay w)

    One `d` serves the whole network, so a call sees all of its parameters. A negative `beta3`
    stands for ``sqrt(beta2)``. Once `d` has left `d0`, a step makes it at most `growth_rate` times
    as large. With `use_bias_correction`, Adam's ``sqrt(1 - beta2^t) / (1 - beta1^t)`` is a factor
    of `a`. With `safeguard_warmup`, `s` adds up ``(d / d0) d g`` instead, whatever the rate.
    """

    name = "prodigy"
    slots = ("m", "v", "s")
    scope = "vector"
    lr: float = Float(1.0, low=0.1, high=2.0, log=True)
    beta1: float = Float(0.9, low=0.8, high=0.99, min=0.0, max=BELOW_ONE)
    beta2: float = Float(0.999, low=0.9, high=0.9999, min=0.0, max=BELOW_ONE)
    beta3: float = Float(-1.0, min=-1.0, max=BELOW_ONE)
    weight_decay: float = Float(0.0, min=0.0)
    d0: float = Float(1e-6, min=1e-12)
    d_coef: float = Float(1.0, min=0.0)
    growth_rate: float = Float(1e30, min=1.0)
    use_bias_correction: bool = Flag(False)
    safeguard_warmup: bool = Flag(False, search=False)
    eps: float = Float(1e-8, min=0.0)

    def initial_state(self, w: Array) -> State:
        """The slots, the start `w0`, and the scalars of the estimate."""
        scalars = {"d": self.d0, "d_max": self.d0, "n": 0.0}
        return {**super().initial_state(w), "w0": w.copy(), **scalars}

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        """Adam's direction, times `d` from before the step."""
        if step.lr == 0:
            return np.zeros_like(w)  # such a step says nothing of the distance
        d = state["d"]
        correction = 1.0
        if self.use_bias_correction:
            correction = math.sqrt(1 - self.beta2**step.t) / (1 - self.beta1**step.t)
        # Discounted sums instead of averages: two passes less, and a constant in `factor`.
        m, v = state["m"], state["v"]
        scaled = g * d
        m *= self.beta1
        m += scaled
        self._estimate(w, g, scaled, state, d * step.lr * correction)
        np.square(scaled, out=scaled)
        v *= self.beta2
        v += scaled
        root = math.sqrt(1 - self.beta2)
        factor = d * correction * (1 - self.beta1) / root
        update: Array = np.sqrt(v, out=scaled)
        update += state["d"] * self.eps / root
        # Both are 0 where there never was a gradient, and `eps` may be 0.
        np.divide(m, update, out=update, where=update > 0)
        update *= factor
        if self.weight_decay:
            update += (d * correction * self.weight_decay) * w
        return update

    def _estimate(self, w: Array, g: Array, scaled: Array, state: State, a: float) -> None:
        """Bring `n`, `s` and `d` up to date.

        Args:
            w: Parameters.
            g: Gradient.
            scaled: ``d g``.
            state: The state, with `d` from before the step.
            a: The effective learning rate.
        """
        beta3 = math.sqrt(self.beta2) if self.beta3 < 0 else self.beta3
        d, s = state["d"], state["s"]
        moved: Array = state["w0"] - w
        numerator = beta3 * state["n"] + d / self.d0 * a * float(np.vdot(g, moved))
        np.multiply(scaled, (d if self.safeguard_warmup else a) / self.d0, out=moved)
        s *= beta3
        s += moved
        length = float(np.abs(s, out=moved).sum())
        if length == 0:
            return  # no gradient so far
        state["n"] = numerator
        estimate = self.d_coef * numerator / length
        if not math.isfinite(estimate):
            return
        if d == self.d0:
            d = max(d, estimate)
        state["d_max"] = max(state["d_max"], estimate)
        state["d"] = min(state["d_max"], d * self.growth_rate)


@hookimpl
def tunekit_optimizers() -> list[type[Optimizer]]:
    """Bring the optimizer of this file."""
    return [Prodigy]
