"""The non-linearities of hidden layers."""

from __future__ import annotations

import typing
from abc import abstractmethod
from typing import ClassVar

import numpy as np

from tunekit.components.base import Array, Component
from tunekit.space import Declaration


class Activation(Component):
    """A non-linearity of the hidden layers, applied element by element.

    Attributes:
        gain: What a scaled initializer multiplies the standard deviation with, so that signals keep
            their size from layer to layer: ``1 / sqrt(mean of f(z)**2)`` for normally distributed
            ``z``. It may be a property that depends on hyperparameters.
    """

    kind: ClassVar[str] = "activation"
    gain: ClassVar[float] = 1.0

    @abstractmethod
    def forward(self, z: Array) -> Array:
        """Activations ``(rows, units)`` from pre-activations of the same shape and dtype."""
        raise NotImplementedError

    @abstractmethod
    def backward(self, da: Array, z: Array, a: Array) -> Array:
        """Gradient with respect to `z`, by the chain rule: `da` times the derivative.

        Args:
            da: Gradient with respect to the activations, shape ``(rows, units)``.
            z: Pre-activations, as `forward` got them.
            a: Activations, as `forward` returned them.

        Returns:
            Array of the same shape and dtype.
        """
        raise NotImplementedError


class LearnedActivation(Activation):
    """An activation with one trained parameter for each unit, such as a slope.

    The parameters start at the hyperparameter `initial`, belong to the group ``"others"`` of the
    flat vector, are trained by the optimizer like all others, and are not penalized. A subclass
    defines `evaluate` and `gradients`, and leaves `forward` and `backward` alone.

    Attributes:
        initial: What the parameters are before the first step. A subclass may declare its own
            default and range.
    """

    initial: float = typing.cast("float", Declaration(float, 1.0, None))

    @abstractmethod
    def evaluate(self, z: Array, p: Array) -> Array:
        """Activations ``(rows, units)`` from pre-activations and the parameters ``(units,)``."""
        raise NotImplementedError

    @abstractmethod
    def gradients(self, da: Array, z: Array, p: Array) -> tuple[Array, Array]:
        """Gradients with respect to `z` ``(rows, units)`` and to `p` ``(units,)``.

        Args:
            da: Gradient with respect to the activations.
            z: Pre-activations.
            p: The parameters.
        """
        raise NotImplementedError

    def forward(self, z: Array) -> Array:
        """Activations at the initial parameters."""
        return self.evaluate(z, np.full(z.shape[1], self.initial, z.dtype))

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        """Gradient with respect to `z` at the initial parameters."""
        return self.gradients(da, z, np.full(z.shape[1], self.initial, z.dtype))[0]
