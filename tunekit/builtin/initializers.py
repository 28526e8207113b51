"""Initializers. `gain` is that of the activation that follows the weights."""

from __future__ import annotations

import math

import numpy as np

from tunekit import Array, Initializer, hookimpl

Rng = np.random.Generator


class HeNormal(Initializer):
    """Normal, standard deviation ``gain / sqrt(fan_in)`` (He et al., arXiv:1502.01852)."""

    name = "he_normal"

    def draw(self, rng: Rng, fan_in: int, fan_out: int, gain: float) -> Array:
        return _normal(rng, fan_in, fan_out, gain / math.sqrt(fan_in))


class HeUniform(Initializer):
    """Uniform, standard deviation ``gain / sqrt(fan_in)`` (He et al., arXiv:1502.01852)."""

    name = "he_uniform"

    def draw(self, rng: Rng, fan_in: int, fan_out: int, gain: float) -> Array:
        return _uniform(rng, fan_in, fan_out, gain / math.sqrt(fan_in))


class XavierNormal(Initializer):
    """Normal, std ``gain * sqrt(2 / (fan_in + fan_out))`` (Glorot and Bengio, 2010)."""

    name = "xavier_normal"

    def draw(self, rng: Rng, fan_in: int, fan_out: int, gain: float) -> Array:
        return _normal(rng, fan_in, fan_out, gain * math.sqrt(2 / (fan_in + fan_out)))


class XavierUniform(Initializer):
    """Uniform, std ``gain * sqrt(2 / (fan_in + fan_out))`` (Glorot and Bengio, 2010)."""

    name = "xavier_uniform"

    def draw(self, rng: Rng, fan_in: int, fan_out: int, gain: float) -> Array:
        return _uniform(rng, fan_in, fan_out, gain * math.sqrt(2 / (fan_in + fan_out)))


class LecunNormal(Initializer):
    """Normal, standard deviation ``1 / sqrt(fan_in)``, whatever the gain (LeCun et al., 1998)."""

    name = "lecun_normal"

    def draw(self, rng: Rng, fan_in: int, fan_out: int, gain: float) -> Array:
        return _normal(rng, fan_in, fan_out, 1 / math.sqrt(fan_in))


class LecunUniform(Initializer):
    """Uniform, standard deviation ``1 / sqrt(fan_in)``, whatever the gain (LeCun et al., 1998)."""

    name = "lecun_uniform"

    def draw(self, rng: Rng, fan_in: int, fan_out: int, gain: float) -> Array:
        return _uniform(rng, fan_in, fan_out, 1 / math.sqrt(fan_in))


class Orthogonal(Initializer):
    """Orthonormal rows or columns, whichever are fewer, times gain (Saxe et al., arXiv:1312.6120).

    The matrix is uniform over all such matrices (Mezzadri, arXiv:math-ph/0609050).
    """

    name = "orthogonal"

    def draw(self, rng: Rng, fan_in: int, fan_out: int, gain: float) -> Array:
        tall = (max(fan_in, fan_out), min(fan_in, fan_out))
        q, r = np.linalg.qr(rng.standard_normal(tall))
        # The factorisation is unique, and hence q uniform, once the diagonal of r is positive.
        q *= np.copysign(gain, np.diag(r))
        return q if fan_in >= fan_out else np.ascontiguousarray(q.T)


def _normal(rng: Rng, fan_in: int, fan_out: int, std: float) -> Array:
    return std * rng.standard_normal((fan_in, fan_out))


def _uniform(rng: Rng, fan_in: int, fan_out: int, std: float) -> Array:
    bound = math.sqrt(3) * std
    return rng.uniform(-bound, bound, (fan_in, fan_out))


@hookimpl
def tunekit_initializers() -> list[type[Initializer]]:
    """Bring the built-in initializers."""
    return [
        HeNormal,
        HeUniform,
        XavierNormal,
        XavierUniform,
        LecunNormal,
        LecunUniform,
        Orthogonal,
    ]
