"""The start of an activation."""

import numpy as np

from tunekit import Activation, Array, Float, hookimpl


class Starter(Activation):
    """A rectifier with a round bend, squareplus (Barron, 2021, arXiv:2112.11687).

    ``f(z) = (z + sqrt(z^2 + bend^2)) / 2``; its derivative is
    ``(1 + z / sqrt(z^2 + bend^2)) / 2``.
    """

    name = "starter"  # what a study calls it

    # 1 / sqrt(mean of f(z)^2) for normally distributed z. Initial weights are
    # multiplied with it, so that signals neither fade nor grow from layer to layer.
    # While you do not know it, 1.0 will do.
    gain = 1.15

    # A hyperparameter: its default, the range that a search looks at, and the smallest
    # value that makes sense at all.
    bend: float = Float(1.0, low=0.1, high=3.0, log=True, min=1e-3)

    def forward(self, z: Array) -> Array:
        """Turn pre-activations (rows, units) into activations, element by element."""
        # A new array: `z` belongs to the trainer, and `backward` gets it once more.
        # np.hypot is the root of the sum of squares; z**2 would overflow, and training
        # does bring large z.
        return 0.5 * (z + np.hypot(z, self.bend))

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        """Turn the gradient with respect to `a` into that with respect to `z`."""
        # The chain rule: `da` times the derivative, not the derivative alone. `a` is
        # what `forward` returned for `z`; some derivatives are short in terms of it
        # (tanh: 1 - a * a).
        return da * (0.5 + 0.5 * z / np.hypot(z, self.bend))


@hookimpl
def tunekit_activations() -> list[type[Activation]]:
    """Tell tunekit what this file brings; a class that is not listed stays unseen."""
    return [Starter]
