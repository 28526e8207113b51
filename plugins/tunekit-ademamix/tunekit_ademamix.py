"""AdEMAMix (Pagliardini et al., 2024, arXiv:2409.03137): Adam with a second, much longer memory."""

from __future__ import annotations

import math

import numpy as np

from tunekit import Array, Float, Int, Optimizer, State, Step, hookimpl

BELOW_ONE = 1 - 1e-6


class AdEMAMix(Optimizer):
    """Adam with a slow mean of old gradients added (Pagliardini et al., 2024, arXiv:2409.03137).

    ``fast = beta1 fast + (1 - beta1) g``, ``slow = beta3 slow + (1 - beta3) g`` and ``v = beta2 v +
    (1 - beta2) g^2``. `fast` and `v` are divided by ``1 - beta^t`` for having started at 0, `slow`
    is not. The direction is ``(fast + alpha slow) / (sqrt(v) + eps) + weight_decay w``. Over the
    first `warmup_steps`, alpha rises linearly from 0, and beta3 from beta1 so that its half-life
    rises linearly.
    """

    name = "ademamix"
    slots = ("fast", "slow", "v")
    lr: float = Float(1e-3, low=1e-4, high=1e-1, log=True)
    weight_decay: float = Float(1e-2, low=1e-4, high=1.0, log=True, min=0.0)
    alpha: float = Float(5.0, low=1.0, high=10.0, min=0.0)
    beta1: float = Float(0.9, low=0.8, high=0.95, min=0.0, max=BELOW_ONE)
    beta2: float = Float(0.999, low=0.9, high=0.9999, min=0.0, max=BELOW_ONE)
    beta3: float = Float(0.98, low=0.95, high=0.999, min=0.0, max=BELOW_ONE)
    warmup_steps: int = Int(500, low=100, high=2000, log=True, min=0)
    eps: float = Float(1e-8, min=0.0)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        """``(fast + alpha slow) / (sqrt(v) + eps) + weight_decay w``."""
        fast, slow, v = state["fast"], state["slow"], state["v"]
        alpha, beta3 = self.alpha_and_beta3(step.t)
        # Discounted sums: a mean is `fast` over weight1, a mean square is `v` over the square of
        # root2. It saves three passes over the block.
        weight1 = (1 - self.beta1**step.t) / (1 - self.beta1)
        root2 = math.sqrt((1 - self.beta2**step.t) / (1 - self.beta2))
        fast *= self.beta1
        fast += g
        slow *= beta3
        update: Array = g * (1 - beta3)
        slow += update
        size: Array = np.square(g)
        v *= self.beta2
        v += size
        np.sqrt(v, out=size)
        size += self.eps * root2
        np.multiply(slow, alpha * weight1, out=update)
        update += fast
        update /= size
        update *= root2 / weight1
        if self.weight_decay:
            update += self.weight_decay * w
        return update

    def alpha_and_beta3(self, t: int) -> tuple[float, float]:
        """Alpha and beta3 of step `t`."""
        if t >= self.warmup_steps:
            return self.alpha, self.beta3
        done = t / self.warmup_steps
        life = (1 - done) * half_life(self.beta1) + done * half_life(self.beta3)
        return done * self.alpha, 0.5 ** (1 / life) if life else 0.0


def half_life(beta: float) -> float:
    """After how many steps a mean of that `beta` has forgotten half of a gradient."""
    return math.log(0.5) / math.log(beta) if beta else 0.0


@hookimpl
def tunekit_optimizers() -> list[type[Optimizer]]:
    """Bring the rule."""
    return [AdEMAMix]
