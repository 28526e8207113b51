"""The course of the learning rate."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from tunekit.components.base import Component


@dataclasses.dataclass(slots=True)
class Progress:
    """Where a training run stands.

    Attributes:
        step: Steps taken so far.
        steps: Steps of the whole run, as planned (early stopping may end it before).
        epoch: Epochs finished so far.
        epochs: Epochs of the whole run.
        fraction: ``step / steps``, in [0, 1); 1 after the last step.
        validation: The validation score after each finished epoch; higher is better.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    fraction: float
    validation: Sequence[float] = ()


class Schedule(Component):
    """A factor for the learning rate over the course of training.

    Attributes:
        every: When it is asked: ``"step"`` before each step, ``"epoch"`` once before each epoch.
    """

    kind: ClassVar[str] = "schedule"
    every: ClassVar[Literal["step", "epoch"]] = "step"

    @abstractmethod
    def factor(self, progress: Progress) -> float:
        """What the learning rate is multiplied with, usually in [0, 1]; finite, 0 or more.

        Warm-up, if the study has one (`[train] warmup`), multiplies it further.
        """
        raise NotImplementedError
