"""The start of a regularizer."""

import numpy as np

from tunekit import Array, Float, Regularizer, hookimpl


class Starter(Regularizer):
    """Penalize the size of the weights, with a round bend at 0.

    ``strength * sum(sqrt(w^2 + bend^2) - bend)``: like `l1` for large weights, and like
    `l2` for small ones. The gradient is ``strength * w / sqrt(w^2 + bend^2)``.
    """

    name = "starter"  # what a study calls it

    # The hyperparameters: a default, and the range that a search looks at. One without
    # a range is a setting: a study can change it, and no search touches it.
    strength: float = Float(1e-4, low=1e-6, high=1e-2, log=True, min=0.0)
    bend: float = Float(0.01, min=1e-6)

    # A penalty is one of the moments of a training step at which a regularizer may act.
    # Overriding another one instead is all it takes: on_batch, on_targets, on_hidden
    # (dropout), on_gradient (clipping), noise, decay, on_weights (max-norm), on_step.

    def penalty(self, w: Array) -> tuple[float, Array]:
        """Give the penalty of the weights `w`, and its gradient, an array like `w`."""
        # np.hypot is the root of the sum of squares; w**2 would overflow.
        size = np.hypot(w, self.bend)

        # A sum, not a mean: `w` is a block of all weights, and the blocks' penalties
        # are added. A mean would depend on where the blocks are cut. Biases never come
        # here.
        value = self.strength * float(np.sum(size - self.bend))

        # The gradient of this very value; the trainer adds it to that of the loss. It
        # grows with `w`, so that going downhill shrinks the weights. Do not write into
        # `w` itself.
        return value, self.strength * (w / size)


@hookimpl
def tunekit_regularizers() -> list[type[Regularizer]]:
    """Tell tunekit what this file brings; a class that is not listed stays unseen."""
    return [Starter]
