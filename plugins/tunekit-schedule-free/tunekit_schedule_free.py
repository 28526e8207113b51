"""Schedule-Free learning (Defazio et al., 2024, arXiv:2405.15682): an average, no schedule.

Three sequences of parameters: `z` takes the steps of the base rule, `x` is a weighted mean of all
`z` so far, and the gradient is taken between the two, at ``y = (1 - beta) z + beta x``. `y` is what
tunekit trains, `x` is what it evaluates and keeps. `x` needs no memory: it follows from `y` and
`z`.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np

from tunekit import Array, Float, Optimizer, State, Step, hookimpl

BELOW_ONE = 1 - 1e-6
LARGEST_RATE = 1e30  # its powers, which weigh the mean, stay floats
SMALLEST_RATE = 1e-30  # one over it stays a float32


class _ScheduleFree(Optimizer):
    """What the two rules share: all but the base rule's own direction.

    With the base rule's direction `d` at `y`, a step is ``z' = z - lr d``, ``x' = (1 - c) x + c
    z'`` and ``y' = (1 - beta) z' + beta x'``. Without `x`, that is ``y' = y - c (y - z') - lr (1 -
    c) (1 - beta) d``. The share `c` of the newest `z` is its weight over the sum of all weights;
    the weight of step t is ``t^r lr_max^weight_lr_power``, with the largest rate so far.
    """

    beta: float = Float(0.9, low=0.8, high=0.98, min=0.01, max=BELOW_ONE)
    weight_decay: float = Float(0.0, min=0.0)
    r: float = Float(0.0, min=0.0, max=10.0)
    weight_lr_power: float = Float(2.0, min=0.0, max=3.0)

    @abstractmethod
    def base_direction(self, g: Array, state: State, step: Step) -> Array:
        """The base rule's direction, shape and dtype of `g`, without weight decay."""
        raise NotImplementedError

    def initial_state(self, w: Array) -> State:
        """`z` starts where the parameters do; the mean has no weight yet."""
        return {**super().initial_state(w), "z": w.copy(), "lr_max": 0.0, "weight_sum": 0.0}

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        """Move `z`, and say where `y` goes; a step at rate 0 moves neither."""
        share = self._share(state, step)
        base = self.base_direction(g, state, step)
        if self.weight_decay:
            base = base + self.weight_decay * w
        if step.lr < SMALLEST_RATE:
            return np.zeros_like(w)
        z = state["z"]
        move: Array = base * step.lr
        z -= move
        np.subtract(w, z, out=move)
        move *= share / step.lr
        move += base * ((1 - share) * (1 - self.beta))
        return move

    def _share(self, state: State, step: Step) -> float:
        """The share of the newest `z` in the mean: the same in every block, as it sees no array."""
        lr_max = state["lr_max"] = max(state["lr_max"], step.lr)
        weight = step.t**self.r * lr_max**self.weight_lr_power
        state["weight_sum"] += weight
        return float(weight / state["weight_sum"]) if weight else 0.0

    def evaluation_weights(self, w: Array, state: State) -> Array:
        """`x`, the mean: ``x = y + (1 / beta - 1) (y - z)``."""
        x: Array = w - state["z"]
        x *= 1 / self.beta - 1
        x += w
        return x


class ScheduleFreeSGD(_ScheduleFree):
    """SGD with an average instead of a schedule (Defazio et al., 2024, arXiv:2405.15682).

    The base direction is the gradient, and `weight_decay` adds its multiple of `y` to it.
    """

    name = "schedule_free_sgd"
    slots = ("z",)
    lr: float = Float(1.0, low=1e-2, high=3.0, log=True, max=LARGEST_RATE)

    def base_direction(self, g: Array, state: State, step: Step) -> Array:
        """The gradient itself."""
        return g


class ScheduleFreeAdamW(_ScheduleFree):
    """AdamW with an average instead of a schedule (Defazio et al., 2024, arXiv:2405.15682).

    The base direction is the gradient over its root mean square, ``g / (sqrt(v) + eps)`` with ``v
    = beta2 v + (1 - beta2) g^2`` divided by ``1 - beta2^t``. Averaging takes the place of Adam's
    first momentum. `weight_decay` is decoupled and acts at `y`.
    """

    name = "schedule_free_adamw"
    slots = ("z", "v")
    lr: float = Float(2.5e-3, low=1e-4, high=1e-1, log=True, max=LARGEST_RATE)
    weight_decay: float = Float(1e-2, low=1e-4, high=1.0, log=True, min=0.0)
    beta2: float = Float(0.999, low=0.9, high=0.9999, min=0.0, max=BELOW_ONE)
    eps: float = Float(1e-8, min=0.0)

    def base_direction(self, g: Array, state: State, step: Step) -> Array:
        """The gradient over its root mean square."""
        # The mean square is the discounted sum `v` over the square of root2: one pass less.
        root2 = math.sqrt((1 - self.beta2**step.t) / (1 - self.beta2))
        v = state["v"]
        base: Array = np.square(g)
        v *= self.beta2
        v += base
        np.sqrt(v, out=base)
        base += self.eps * root2
        np.divide(g, base, out=base)
        base *= root2
        return base


@hookimpl
def tunekit_optimizers() -> list[type[Optimizer]]:
    """Bring both rules."""
    return [ScheduleFreeSGD, ScheduleFreeAdamW]
