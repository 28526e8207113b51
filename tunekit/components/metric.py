"""What validation measures."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

from tunekit.components.base import Array, Component


class Metric(Component):
    """A score on validation data.

    Attributes:
        larger_is_better: The direction: what a study that names this metric maximizes or minimizes.
        needs: What `score` is given as predictions: ``"labels"`` (class indices, or with the task
            ``"multilabel"`` a matrix of 0 and 1), ``"probabilities"`` or ``"values"``.
    """

    kind: ClassVar[str] = "metric"
    larger_is_better: ClassVar[bool] = True
    needs: ClassVar[Literal["labels", "probabilities", "values"]] = "values"

    @abstractmethod
    def score(self, target: Array, prediction: Array, weight: Array | None) -> float:
        """The score of predictions.

        Args:
            target: Class indices ``(rows,)``, labels ``(rows, labels)`` of 0 and 1, or values
                ``(rows, outputs)`` in their own unit.
            prediction: Class indices ``(rows,)``, labels like the target, probabilities
                ``(rows, classes)`` or ``(rows, labels)``, or values ``(rows, outputs)`` in the
                target's unit.
            weight: Weight of each row, or None.
        """
        raise NotImplementedError
