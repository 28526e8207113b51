"""The start of a loss."""

import math

import numpy as np

from tunekit import Array, Float, Loss, hookimpl


class Starter(Loss):
    """Squared error near the target, absolute error far from it, without a seam.

    Mean of ``scale^2 log(cosh(e / scale))``, where `e` is the output minus the target;
    its derivative is ``scale tanh(e / scale)``.
    """

    name = "starter"  # what a study calls it

    # What it is for, and how the trainer encodes the target: "values" are scaled to
    # mean 0 and variance 1. Losses of classes have tasks = ("classification",) and
    # targets = "one-hot".
    tasks = ("regression",)
    targets = "values"

    # A hyperparameter: its default, the range that a search looks at, and the smallest
    # value that makes sense. It is in units of the scaled target.
    scale: float = Float(1.0, low=0.1, high=3.0, log=True, min=1e-3)

    def value_and_gradient(
        self, output: Array, target: Array, weight: Array | None
    ) -> tuple[float, Array]:
        """Give the mean loss of a batch and its gradient with respect to `output`.

        `output` and `target` have the shape (rows, outputs), `weight` one number a row.
        """
        rows, outputs = output.shape
        error = (output - target) / self.scale
        size = np.abs(error)
        # log(cosh(e)) in another form, since cosh itself overflows from e = 89 on.
        losses = self.scale**2 * (size + np.log1p(np.exp(-2 * size)) - math.log(2))
        slopes = self.scale * np.tanh(error)

        # The share of each row in the mean. A sum would make the gradient, and with it
        # the best learning rate, depend on the batch size. A batch may be without any
        # weight.
        if weight is None:
            weight = np.ones(rows, output.dtype)
        share = (weight / (float(weight.sum()) or 1.0) / outputs).astype(output.dtype)

        # The gradient is that of the mean: it has the same shares as the value. Turned
        # round (target - output), it would make training climb.
        return float(share @ losses.sum(axis=1)), slopes * share[:, None]

    def predict(self, output: Array) -> Array:
        """Turn the raw output into what a person wants to know."""
        # Values are what they are (the trainer scales them back). With classes, these
        # are the probabilities: a loss that holds a softmax has to apply it here, too.
        return output


@hookimpl
def tunekit_losses() -> list[type[Loss]]:
    """Tell tunekit what this file brings; a class that is not listed stays unseen."""
    return [Starter]
