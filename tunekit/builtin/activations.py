"""Activations, applied element by element.

A gain is ``1 / sqrt(E[f(z)^2])`` for standard normal `z`, so that the second moment of a layer's
activations carries over to the next layer (He et al., arXiv:1502.01852), unless it says otherwise.
"""

from __future__ import annotations

import math

import numpy as np

from tunekit import Activation, Array, Float, hookimpl


class Identity(Activation):
    """Nothing: the network stays linear. ``f(z) = z``."""

    name = "identity"

    def forward(self, z: Array) -> Array:
        return z

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        return da


class Relu(Activation):
    """Rectified linear unit (Nair and Hinton, 2010). ``f(z) = max(z, 0)``, derivative 0 at 0."""

    name = "relu"
    gain = math.sqrt(2)

    def forward(self, z: Array) -> Array:
        return np.maximum(z, 0)

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        return da * (a > 0)


class LeakyRelu(Activation):
    """Rectified linear unit with a small slope below 0 (Maas et al., 2013).

    ``f(z) = max(z, slope z)``; the derivative at 0 is the slope.
    """

    name = "leaky_relu"
    slope: float = Float(0.01, low=0.01, high=0.3, log=True, min=0.0, max=1.0)

    @property
    def gain(self) -> float:  # type: ignore[override]
        """``sqrt(2 / (1 + slope^2))``."""
        return math.sqrt(2 / (1 + self.slope**2))

    def forward(self, z: Array) -> Array:
        return np.maximum(z, self.slope * z)

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        # np.where branches on signs that nobody can predict: 307 us against 33 us for 256 x 256.
        factor: Array = (z > 0).astype(da.dtype)
        factor *= 1 - self.slope
        factor += self.slope
        factor *= da
        return factor


class Tanh(Activation):
    """Hyperbolic tangent. The gain 5/3 (LeCun et al., 1998) keeps a deep stack from shrinking."""

    name = "tanh"
    gain = 5 / 3

    def forward(self, z: Array) -> Array:
        return np.tanh(z)

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        slope: Array = a * a
        np.subtract(1, slope, out=slope)
        slope *= da
        return slope


class Sigmoid(Activation):
    """Logistic function ``1 / (1 + exp(-z))``. Its mean is not 0, so the gain is left at 1."""

    name = "sigmoid"

    def forward(self, z: Array) -> Array:
        return _sigmoid(z)

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        slope: Array = 1 - a
        slope *= a
        slope *= da
        return slope


class Silu(Activation):
    """Sigmoid-weighted linear unit, or swish (Elfwing et al., arXiv:1702.03118). ``z s(z)``."""

    name = "silu"
    gain = 1.6765

    def forward(self, z: Array) -> Array:
        return z * _sigmoid(z)

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        s = _sigmoid(z)
        slope: Array = 1 - s
        slope *= a
        slope += s
        slope *= da
        return slope


class Gelu(Activation):
    """Gaussian error linear unit (Hendrycks and Gimpel, arXiv:1606.08415).

    ``f(z) = z p(z)``, where `p` is the paper's approximation of the normal distribution function,
    ``(1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2``. The derivative is that of the
    approximation, which differs from the exact function by less than 0.0005.
    """

    name = "gelu"
    gain = 1.5336

    def forward(self, z: Array) -> Array:
        return z * _normal_cdf(z, z * z)

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        square = z * z
        p = _normal_cdf(z, square)
        # p' = p (1 - p) u' with u = 2 sqrt(2 / pi) (z + 0.044715 z^3), and f' = p + z p'.
        slope: Array = square * (6 * GELU_SCALE * GELU_CUBIC)
        slope += 2 * GELU_SCALE
        slope *= a
        slope *= 1 - p
        slope += p
        slope *= da
        return slope


GELU_SCALE = math.sqrt(2 / math.pi)
GELU_CUBIC = 0.044715


def _sigmoid(z: Array) -> Array:
    """Through the tangent, which never overflows."""
    s: Array = np.tanh(0.5 * z)
    s *= 0.5
    s += 0.5
    return s


def _normal_cdf(z: Array, square: Array) -> Array:
    p: Array = square * (GELU_SCALE * GELU_CUBIC)
    p += GELU_SCALE
    p *= z
    np.tanh(p, out=p)
    p *= 0.5
    p += 0.5
    return p


@hookimpl
def tunekit_activations() -> list[type[Activation]]:
    """Bring the built-in activations."""
    return [Identity, Relu, LeakyRelu, Tanh, Sigmoid, Silu, Gelu]
