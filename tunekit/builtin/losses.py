"""Losses.

numpy reduces a short last axis slowly, so sums over the columns are products with a vector, and
maxima are taken of a transposed copy.
"""

from __future__ import annotations

import numpy as np

from tunekit import Array, Loss, hookimpl


class CrossEntropy(Loss):
    """Negative log-likelihood of the classes under a softmax of the outputs.

    ``log(sum exp(z)) - sum(y z)`` for a row; the gradient is ``softmax(z) - y``. Rows of the
    target add up to 1.
    """

    name = "cross_entropy"
    tasks = ("classification",)
    targets = "one-hot"

    def value_and_gradient(
        self, output: Array, target: Array, weight: Array | None
    ) -> tuple[float, Array]:
        ones = np.ones(output.shape[1], output.dtype)
        shifted = _below_zero(output)
        gradient: Array = np.exp(shifted)
        total = gradient @ ones
        gradient /= total[:, None]
        gradient -= target
        shifted *= target
        return _mean(np.log(total) - shifted @ ones, gradient, weight)

    def predict(self, output: Array) -> Array:
        probability: Array = np.exp(_below_zero(output))
        probability /= probability.sum(axis=1, keepdims=True)
        return probability


class BinaryCrossEntropy(Loss):
    """Negative log-likelihood of two classes under a sigmoid of one output.

    ``log(1 + exp(z)) - y z`` for a row; the gradient is ``sigmoid(z) - y``.
    """

    name = "binary_cross_entropy"
    tasks = ("classification",)
    targets = "binary"

    def value_and_gradient(
        self, output: Array, target: Array, weight: Array | None
    ) -> tuple[float, Array]:
        rows = np.logaddexp(0, output) - target * output
        return _mean(rows[:, 0], _sigmoid(output) - target, weight)

    def predict(self, output: Array) -> Array:
        # Both from their own formula: 1 - p would lose the digits of a small probability.
        return np.hstack([_sigmoid(-output), _sigmoid(output)])


class SquaredError(Loss):
    """Mean over the outputs of ``(z - y)^2``, without a factor 1/2."""

    name = "squared_error"
    tasks = ("regression",)

    def value_and_gradient(
        self, output: Array, target: Array, weight: Array | None
    ) -> tuple[float, Array]:
        share = 1 / output.shape[1]
        error = output - target
        rows = (error * error) @ np.full(output.shape[1], share, output.dtype)
        error *= 2 * share
        return _mean(rows, error, weight)

    def predict(self, output: Array) -> Array:
        return output


class AbsoluteError(Loss):
    """Mean over the outputs of ``|z - y|``, less moved by outliers; its gradient is 0 at 0."""

    name = "absolute_error"
    tasks = ("regression",)

    def value_and_gradient(
        self, output: Array, target: Array, weight: Array | None
    ) -> tuple[float, Array]:
        share = 1 / output.shape[1]
        error = output - target
        rows = np.abs(error) @ np.full(output.shape[1], share, output.dtype)
        return _mean(rows, np.sign(error) * share, weight)

    def predict(self, output: Array) -> Array:
        return output


def _mean(rows: Array, gradient: Array, weight: Array | None) -> tuple[float, Array]:
    """The mean of the rows' losses, and their gradients scaled (in place) to be its gradient.

    A batch that holds no weight at all teaches nothing: both are 0.
    """
    if weight is None:
        gradient *= 1 / len(rows)
        return float(rows.sum()) / len(rows), gradient
    share = (weight / (float(weight.sum()) or 1.0)).astype(rows.dtype)
    gradient *= share[:, None]
    return float(share @ rows), gradient


def _below_zero(output: Array) -> Array:
    """Each row minus its maximum, so that its exponentials neither overflow nor all vanish."""
    shifted: Array = output - np.maximum.reduce(output.T.copy())[:, None]
    return shifted


def _sigmoid(z: Array) -> Array:
    """Precise for small probabilities too, and without overflow."""
    small: Array = np.exp(-np.abs(z))
    numerator = np.where(z >= 0, 1, small)
    small += 1
    numerator /= small
    return numerator


@hookimpl
def tunekit_losses() -> list[type[Loss]]:
    """Bring the built-in losses."""
    return [CrossEntropy, BinaryCrossEntropy, SquaredError, AbsoluteError]
