"""What training descends on."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

from tunekit.components.base import Array, Component


class Loss(Component):
    """The error that training descends on, averaged over the rows of a batch.

    Attributes:
        targets: How the trainer encodes the targets, always a float matrix with one row a sample:
            ``"one-hot"`` (a column a class), ``"binary"`` (one column of 0 and 1; two classes
            only), ``"labels"`` (a column of 0 and 1 for each label; several may be 1),
            ``"values"`` (a column an output, scaled to mean 0 and variance 1) or ``"counts"``
            (likewise, but as they are; none may be negative).
    """

    kind: ClassVar[str] = "loss"
    targets: ClassVar[Literal["one-hot", "binary", "labels", "values", "counts"]] = "values"

    @abstractmethod
    def value_and_gradient(
        self, output: Array, target: Array, weight: Array | None
    ) -> tuple[float, Array]:
        """The mean loss and its gradient with respect to `output`.

        Args:
            output: The network's raw output (logits), shape ``(rows, outputs)``.
            target: Encoded targets of the same shape; they may be soft.
            weight: Weight of each row, shape ``(rows,)``, or None for equal weights. The mean is
                weighted: ``sum(weight * loss) / sum(weight)``.
        """
        raise NotImplementedError

    @abstractmethod
    def predict(self, output: Array) -> Array:
        """What a person wants to know, from the raw output.

        Returns:
            Class probabilities ``(rows, classes)`` for classification, also with one output;
            each label's probability ``(rows, labels)`` for several labels; values
            ``(rows, outputs)`` on the encoded scale for regression.
        """
        raise NotImplementedError
