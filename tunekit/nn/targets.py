"""Targets as a loss wants them, and a network's output as a metric wants it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunekit.components import Array, Loss, Metric
from tunekit.errors import InputError


@dataclass(frozen=True)
class Encoding:
    """How targets become the matrix that a loss compares the output with, and back.

    Attributes:
        form: The loss's `targets`.
        columns: Columns of the encoded targets, which are the network's outputs.
        mean: Mean of each value column over the training rows; 0 for classes.
        scale: Standard deviation likewise; 1 for classes and constant columns.
    """

    form: str
    columns: int
    mean: Array
    scale: Array

    @classmethod
    def of(cls, loss: Loss, target: Array, outputs: int) -> Encoding:
        """The encoding for a loss.

        Args:
            loss: Which wants its targets in a form.
            target: The training targets, as in `records.Fold`.
            outputs: Number of classes, or of value columns.

        Raises:
            InputError: A binary loss on more or fewer than two classes.
        """
        if loss.targets == "values":
            values = target.reshape(len(target), -1)
            mean, scale = values.mean(axis=0), values.std(axis=0)
            # A constant column's deviation may be a rounding error instead of 0.
            varies = scale > 1e-12 * np.abs(mean)
            return cls("values", outputs, mean, np.where(varies, scale, 1.0))
        if loss.targets == "binary" and outputs != 2:
            raise InputError(
                f"needs two classes, but the data have {outputs}; use cross_entropy",
                key=f"search.loss = {loss.name}",
            )
        columns = 1 if loss.targets == "binary" else outputs
        return cls(loss.targets, columns, np.zeros(1), np.ones(1))

    def encode(self, target: Array, dtype: str) -> Array:
        """Encoded targets, shape ``(rows, columns)``."""
        if self.form == "one-hot":
            encoded = np.zeros((len(target), self.columns), dtype)
            encoded[np.arange(len(target)), target] = 1
            return encoded
        values = target.reshape(len(target), -1)
        return ((values - self.mean) / self.scale).astype(dtype)

    def predict(self, loss: Loss, output: Array, needs: str) -> Array:
        """Labels, probabilities or values in the target's own unit, from a raw output."""
        prediction = loss.predict(output)
        if needs == "values":
            return prediction * self.scale + self.mean
        return prediction.argmax(axis=1) if needs == "labels" else prediction

    def measure(
        self,
        loss: Loss,
        metric: Metric,
        output: Array,
        target: Array,
        encoded: Array,
        weight: Array | None,
    ) -> tuple[float, float]:
        """Loss and metric of a raw output on rows whose targets are known."""
        value, _ = loss.value_and_gradient(output, encoded, weight)
        prediction = self.predict(loss, output, metric.needs)
        if metric.needs == "values":
            target = target.reshape(len(target), -1)
        return float(value), float(metric.score(target, prediction, weight))
