"""How weights are drawn."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from tunekit.components.base import Array, Component


class Initializer(Component):
    """Draws the weights that training starts from; biases and shifts start at 0, gains at 1."""

    kind: ClassVar[str] = "initializer"

    @abstractmethod
    def draw(self, rng: np.random.Generator, fan_in: int, fan_out: int, gain: float) -> Array:
        """A float64 matrix of shape ``(fan_in, fan_out)``; the trainer rounds it to its dtype.

        Args:
            rng: The only source of randomness that it may use.
            fan_in: Units of the layer below.
            fan_out: Units of this layer.
            gain: The activation's `gain`; 1 for the output layer.
        """
        raise NotImplementedError
