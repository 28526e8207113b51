"""What the trainer hands to a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tunekit.components import Array, Loss
from tunekit.testing.arguments import expect_pair

ROWS = 6


@dataclass(frozen=True)
class Batch:
    """What the trainer hands to a loss.

    Attributes:
        output: The network's raw output.
        target: Encoded targets of the same shape.
        weight: Weight of each row.
    """

    output: Array
    target: Array
    weight: Array

    @classmethod
    def of(
        cls, loss: Loss, *, soft: bool = False, dtype: Any = np.float64, seed: int = 11
    ) -> Batch:
        """A batch in the form that a loss wants.

        Args:
            loss: The loss.
            soft: Whether the targets are as after label smoothing, where they are classes.
            dtype: Of all arrays.
            seed: Of the random numbers.
        """
        rng = np.random.default_rng(seed)
        columns = {"one-hot": 4, "binary": 1}.get(loss.targets, 3)
        output = rng.normal(scale=2.0, size=(ROWS, columns))
        target: Array
        if loss.targets == "one-hot":
            target = np.eye(columns)[np.arange(ROWS) % columns]
        elif loss.targets in ("binary", "labels"):
            target = (rng.permuted(np.arange(ROWS * columns)) % 2).reshape(ROWS, columns) * 1.0
        elif loss.targets == "counts":
            target = rng.integers(0, 6, (ROWS, columns)).astype(float)
        else:
            target = rng.normal(size=(ROWS, columns))
        if soft and loss.targets in ("one-hot", "binary", "labels"):
            target = 0.8 * target + 0.2 / max(columns, 2)
        weight = rng.uniform(0.1, 3.0, ROWS)
        return cls(output.astype(dtype), target.astype(dtype), weight.astype(dtype))

    def value(self, loss: Loss, weight: Array | None = None) -> float:
        """The mean loss."""
        return float(self.found(loss, weight)[0])

    def gradient(self, loss: Loss, weight: Array | None = None) -> Array:
        """Its gradient."""
        return np.array(self.found(loss, weight)[1])

    def found(self, loss: Loss, weight: Array | None) -> tuple[Any, Any]:
        """What a loss returns for copies of all this."""
        weight = None if weight is None else weight.copy()
        found = loss.value_and_gradient(self.output.copy(), self.target.copy(), weight)
        return expect_pair("value_and_gradient", found)

    def at(self, output: Array) -> Batch:
        """The same rows with other outputs."""
        return Batch(output, self.target, self.weight)

    def rows(self, rows: Any) -> Batch:
        """Some of the rows, or more."""
        return Batch(self.output[rows], self.target[rows], self.weight[rows])
