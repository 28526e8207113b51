"""Batch normalization (Ioffe and Szegedy, 2015, arXiv:1502.03167)."""

from __future__ import annotations

import numpy as np

from tunekit.components import Array

EPSILON = 1e-5
MOMENTUM = 0.1  # share of the newest batch in the running mean and variance


class BatchNorm:
    """Scales each unit to mean 0 and variance 1 over the batch, then by a trained gain.

    The shift that follows is the layer's bias.

    Args:
        gain: Trained gains, shape ``(units,)``.
        gain_gradient: Where `backward` writes their gradient.
        running: Mean and variance for inference, shape ``(2, units)``, updated while training.
    """

    def __init__(self, gain: Array, gain_gradient: Array, running: Array) -> None:
        self.gain = gain
        self.gain_gradient = gain_gradient
        self.running = running

    def infer(self, z: Array) -> Array:
        """Normalize by the running mean and variance."""
        mean, variance = self.running
        normalized: Array = (z - mean) * (self.gain / np.sqrt(variance + EPSILON))
        return normalized

    def forward(self, z: Array, ones: Array) -> Array:
        """Normalize a training batch and update the running values.

        Args:
            z: Shape ``(rows, units)``; overwritten.
            ones: A vector of ones, shape ``(rows,)``: products with it sum over the batch
                several times faster than ``sum(axis=0)``.
        """
        rows = len(z)
        mean = (ones @ z) / rows
        z -= mean
        variance = (ones @ (z * z)) / rows
        self._scale = 1 / np.sqrt(variance + EPSILON)
        self._normalized = np.multiply(z, self._scale, out=z)
        unbiased = variance * (rows / max(rows - 1, 1))
        for running, batch in zip(self.running, (mean, unbiased), strict=True):
            running += MOMENTUM * (batch - running)
        result: Array = self._normalized * self.gain
        return result

    def backward(self, dy: Array, ones: Array) -> Array:
        """Gradient with respect to the input of `forward`; writes the gains' gradient."""
        rows = len(dy)
        np.matmul(ones, dy * self._normalized, out=self.gain_gradient)
        from_mean = (ones @ dy) / rows
        from_variance = self.gain_gradient / rows
        dz: Array = dy - from_mean
        dz -= self._normalized * from_variance
        dz *= self.gain * self._scale
        return dz
