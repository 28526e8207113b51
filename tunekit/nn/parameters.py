"""One flat vector holds all parameters of a network; layers hold views of it.

The vector has three groups, one behind the other: weights, biases, others (gains). What belongs
to all parameters at once (an optimizer's step, a gradient's norm, a copy of the best network) is
then one operation on one array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from tunekit.components import Array

Role = Literal["weights", "biases", "others"]


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where one weight matrix, bias vector or gain vector lies in the flat vector.

    Attributes:
        layer: Its layer, counted from 0.
        role: Its group.
        shape: ``(fan_in, fan_out)`` for weights, ``(fan_out,)`` otherwise.
        start: Index of its first element.
    """

    layer: int
    role: Role
    shape: tuple[int, ...]
    start: int

    @property
    def stop(self) -> int:
        """Index behind its last element."""
        return self.start + math.prod(self.shape)

    def view(self, vector: Array) -> Array:
        """This tensor as a view of a flat vector."""
        return vector[self.start : self.stop].reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Layout:
    """The order of a multilayer perceptron's parameters.

    Attributes:
        sizes: Units of each layer, the inputs first, the outputs last.
        normalized: Whether hidden layers are normalized and so have gains.
        tensors: All tensors in the order in which they lie.
    """

    sizes: tuple[int, ...]
    normalized: bool
    tensors: tuple[Tensor, ...]

    @classmethod
    def of(cls, sizes: tuple[int, ...], normalized: bool) -> Layout:
        """Lay out a network with these layer sizes."""
        layers = range(len(sizes) - 1)
        wanted: list[tuple[int, Role, tuple[int, ...]]] = [
            *((i, "weights", (sizes[i], sizes[i + 1])) for i in layers),
            *((i, "biases", (sizes[i + 1],)) for i in layers),
            *((i, "others", (sizes[i + 1],)) for i in layers[:-1] if normalized),
        ]
        tensors: list[Tensor] = []
        for layer, role, shape in wanted:
            tensors.append(Tensor(layer, role, shape, tensors[-1].stop if tensors else 0))
        return cls(sizes, normalized, tuple(tensors))

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.tensors[-1].stop

    @property
    def weights(self) -> int:
        """Number of weights: the parameters before this index are weights, no others are."""
        return self.group("weights")[-1].stop

    @property
    def running_size(self) -> int:
        """Number of values that follow the data instead of being trained: means and variances."""
        return 2 * sum(self.sizes[1:-1]) if self.normalized else 0

    def group(self, role: Role) -> list[Tensor]:
        """The tensors of one group, by layer."""
        return [tensor for tensor in self.tensors if tensor.role == role]
