"""Regularizers."""

from __future__ import annotations

import math

import numpy as np

from tunekit import Array, Float, Regularizer, hookimpl


class L1(Regularizer):
    """Penalize ``strength * sum |w|``, which drives weights to 0 (Tibshirani, 1996)."""

    name = "l1"
    strength: float = Float(1e-4, low=1e-6, high=1e-2, log=True, min=0.0)

    def penalty(self, w: Array) -> tuple[float, Array]:
        sign: Array = np.sign(w)
        return self.strength * float(np.vdot(sign, w)), self.strength * sign


class L2(Regularizer):
    """Penalize ``strength / 2 * sum w^2``, whose gradient is ``strength * w``."""

    name = "l2"
    strength: float = Float(1e-4, low=1e-6, high=1e-1, log=True, min=0.0)

    def penalty(self, w: Array) -> tuple[float, Array]:
        return 0.5 * self.strength * float(np.vdot(w, w)), self.strength * w


class Dropout(Regularizer):
    """Switch hidden units off at random in training (Srivastava et al., 2014).

    The others are scaled up by ``1 / (1 - rate)``, so that nothing changes in evaluation.
    """

    name = "dropout"
    rate: float = Float(0.2, low=0.05, high=0.5, min=0.0, max=0.99)

    def on_hidden(self, a: Array, rng: np.random.Generator) -> tuple[Array, Array | None]:
        kept = rng.random(a.shape, dtype=np.float32) >= self.rate
        factor = kept.astype(a.dtype)
        factor *= 1 / (1 - self.rate)
        return a * factor, factor


class GradientClipping(Regularizer):
    """Shorten a gradient that is longer than `limit` (Pascanu et al., arXiv:1211.5063).

    The length is the Euclidean norm of the whole gradient of the data loss.
    """

    name = "gradient_clipping"
    limit: float = Float(1.0, low=0.1, high=10.0, log=True, min=1e-12)

    def on_gradient(self, g: Array) -> Array:
        with np.errstate(over="ignore"):
            length = math.sqrt(np.vdot(g, g))
        if length <= self.limit:
            return g
        if math.isinf(length):
            # The squares overflowed, the gradient itself need not have: this is the explosion
            # that clipping is for.
            g = g / float(np.abs(g).max())
            length = math.sqrt(np.vdot(g, g))
        return g * (self.limit / length)


class MaxNorm(Regularizer):
    """Keep each unit's incoming weights within a ball (Srivastava et al., 2014, section 5.1).

    A column whose Euclidean norm exceeds `limit` is scaled back to it.
    """

    name = "max_norm"
    limit: float = Float(3.0, low=0.5, high=5.0, log=True, min=1e-12)

    def on_weights(self, matrix: Array) -> Array:
        norms: Array = np.sqrt(np.einsum("ij,ij->j", matrix, matrix))
        if norms.max() <= self.limit:
            return matrix
        return matrix * (self.limit / np.maximum(norms, self.limit))


class LabelSmoothing(Regularizer):
    """Move a share of each target to all classes alike (Szegedy et al., arXiv:1512.00567).

    With `K` classes, ``y (1 - smoothing) + smoothing / K``. A single column of 0 and 1 stands for
    two classes.
    """

    name = "label_smoothing"
    tasks = ("classification",)
    smoothing: float = Float(0.1, low=0.01, high=0.3, min=0.0, max=1.0)

    def on_targets(self, y: Array) -> Array:
        classes = max(y.shape[1], 2)
        smooth: Array = y * (1 - self.smoothing)
        smooth += self.smoothing / classes
        return smooth


@hookimpl
def tunekit_regularizers() -> list[type[Regularizer]]:
    """Bring the built-in regularizers."""
    return [L1, L2, Dropout, GradientClipping, MaxNorm, LabelSmoothing]
