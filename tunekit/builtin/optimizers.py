"""Optimizers, all element by element.

They write into their slots and reuse one temporary array: on blocks that stay in cache, what a
rule costs is the number of numpy calls. Hyperparameters are Python floats, so float32 stays.
"""

from __future__ import annotations

import math

import numpy as np

from tunekit import Array, Flag, Float, Optimizer, State, Step, hookimpl

BELOW_ONE = 1 - 1e-6


class Sgd(Optimizer):
    """Gradient descent with momentum (Polyak, 1964) or Nesterov's (Sutskever et al., 2013).

    With momentum `b`, ``m = b m + g``; the direction is `m`, or ``g + b m`` with `nesterov`.
    """

    name = "sgd"
    slots = ("m",)
    lr: float = Float(0.05, low=1e-3, high=1.0, log=True)
    momentum: float = Float(0.9, low=0.0, high=0.99, min=0.0, max=1.0)
    nesterov: bool = Flag(False)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        m: Array = state["m"]
        m *= self.momentum
        m += g
        if not self.nesterov:
            return m
        ahead = m * self.momentum
        ahead += g
        return ahead


class RmsProp(Optimizer):
    """Divide by a running root mean square of the gradient (Tieleman and Hinton, 2012).

    ``v = decay v + (1 - decay) g^2``; ``m = momentum m + g / (sqrt(v) + eps)`` is the direction.
    """

    name = "rmsprop"
    slots = ("v", "m")
    lr: float = Float(1e-3, low=1e-4, high=1e-1, log=True)
    decay: float = Float(0.99, low=0.9, high=0.999, min=0.0, max=BELOW_ONE)
    momentum: float = Float(0.0, low=0.0, high=0.95, min=0.0, max=1.0)
    eps: float = Float(1e-8, min=0.0)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        v, m = state["v"], state["m"]
        scaled: Array = g * g
        scaled *= 1 - self.decay
        v *= self.decay
        v += scaled
        np.sqrt(v, out=scaled)
        scaled += self.eps
        np.divide(g, scaled, out=scaled)
        m *= self.momentum
        m += scaled
        return m  # type: ignore[no-any-return]


class Adam(Optimizer):
    """Running mean of the gradient over its root mean square (Kingma and Ba, arXiv:1412.6980).

    Both averages are corrected for starting at 0; `eps` is added to the corrected root.
    """

    name = "adam"
    slots = ("m", "v")
    lr: float = Float(1e-3, low=1e-4, high=1e-1, log=True)
    beta1: float = Float(0.9, low=0.8, high=0.99, min=0.0, max=BELOW_ONE)
    beta2: float = Float(0.999, low=0.9, high=0.9999, min=0.0, max=BELOW_ONE)
    eps: float = Float(1e-8, min=0.0)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return _adam(g, state, step.t, self.beta1, self.beta2, self.eps)


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101).

    The direction is Adam's plus ``weight_decay * w``, so the decay follows the learning rate.
    """

    name = "adamw"
    slots = ("m", "v")
    lr: float = Float(1e-3, low=1e-4, high=1e-1, log=True)
    weight_decay: float = Float(1e-2, low=1e-4, high=1.0, log=True, min=0.0)
    beta1: float = Float(0.9, low=0.8, high=0.99, min=0.0, max=BELOW_ONE)
    beta2: float = Float(0.999, low=0.9, high=0.9999, min=0.0, max=BELOW_ONE)
    eps: float = Float(1e-8, min=0.0)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        update = _adam(g, state, step.t, self.beta1, self.beta2, self.eps)
        update += self.weight_decay * w
        return update


class Lion(Optimizer):
    """Follow the sign of an interpolated momentum (Chen et al., 2023, arXiv:2302.06675).

    The direction is ``sign(beta1 m + (1 - beta1) g) + weight_decay w``, and then
    ``m = beta2 m + (1 - beta2) g``.
    """

    name = "lion"
    slots = ("m",)
    lr: float = Float(1e-4, low=1e-5, high=1e-2, log=True)
    beta1: float = Float(0.9, low=0.8, high=0.99, min=0.0, max=1.0)
    beta2: float = Float(0.99, low=0.9, high=0.999, min=0.0, max=1.0)
    weight_decay: float = Float(0.0, min=0.0)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        m = state["m"]
        gap = m - g
        mixed = gap * self.beta1
        mixed += g
        # Into a new array: in place, numpy's sign is not vectorised (162 us against 17 us for
        # 32k elements).
        update: Array = np.sign(mixed)
        gap *= self.beta2
        np.add(g, gap, out=m)
        if self.weight_decay:
            update += self.weight_decay * w
        return update


def _adam(g: Array, state: State, t: int, beta1: float, beta2: float, eps: float) -> Array:
    """Adam's direction in nine passes; the textbook's order of operations takes twelve.

    `m` and `v` hold discounted sums instead of averages. Divided by the sum of the discounts,
    ``1 + beta + ... + beta^(t-1)``, they are the bias-corrected averages.
    """
    m, v = state["m"], state["v"]
    weight1 = (1 - beta1**t) / (1 - beta1)
    root2 = math.sqrt((1 - beta2**t) / (1 - beta2))
    m *= beta1
    m += g
    update: Array = g * g
    v *= beta2
    v += update
    np.sqrt(v, out=update)
    update += eps * root2
    np.divide(m, update, out=update)
    update *= root2 / weight1
    return update


@hookimpl
def tunekit_optimizers() -> list[type[Optimizer]]:
    """Bring the built-in optimizers."""
    return [Sgd, RmsProp, Adam, AdamW, Lion]
