"""The kind that gives the direction of a training step."""

from __future__ import annotations

import dataclasses
import typing
from abc import abstractmethod
from typing import ClassVar, Literal

import numpy as np

from tunekit.components.base import Array, Component, State
from tunekit.space import Declaration


@dataclasses.dataclass(slots=True)
class Step:
    """What an optimizer may know of the step it is taking.

    Attributes:
        t: The step's number, counted from 1.
        lr: The learning rate after its schedule.
        layer: With the tensor scope, the layer that the tensor belongs to, counted from 0.
        is_output: With the tensor scope, whether that is the output layer.
        role: With the tensor scope, ``"weights"``, ``"biases"`` or ``"others"`` (gains, shifts,
            slopes, input scales); ``"all"`` otherwise.
    """

    t: int
    lr: float
    layer: int | None = None
    is_output: bool = False
    role: str = "all"


class Optimizer(Component):
    """Gives the direction of a step; the trainer goes there: ``w -= step.lr * direction``.

    Attributes:
        slots: Names of state arrays of `w`'s shape, zero before the first step.
        scope: What one call sees. ``"elementwise"``: some block of the parameters, flat; the rule
            must treat each element on its own. ``"tensor"``: one weight matrix of shape
            ``(fan_in, fan_out)`` or one vector at a time. ``"vector"``: all parameters at once,
            flat.
        lr: The learning rate. Every rule has one; most declare their own default and range.
    """

    kind: ClassVar[str] = "optimizer"
    slots: ClassVar[tuple[str, ...]] = ()
    scope: ClassVar[Literal["elementwise", "tensor", "vector"]] = "elementwise"

    lr: float = typing.cast(
        "float", Declaration(float, 1e-3, None, min=0.0)
    )  # every rule has one; most declare their own range

    def initial_state(self, w: Array) -> State:
        """The state before the first step: a zero array of `w`'s shape for every slot.

        Override it for scalars or other shapes. Values must be arrays or plain numbers. It is
        called once for every block (or matrix, or the whole vector, by the scope) of a run.
        """
        return {slot: np.zeros_like(w) for slot in self.slots}

    @abstractmethod
    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        """Where to go from `w`, before the learning rate: uphill, as the gradient points.

        It is called once in every training step for each block. What is multiplied with the
        learning rate and subtracted is what it returns.

        Args:
            w: Parameters of shape ``(size,)``, or ``(fan_in, fan_out)`` for a weight matrix in the
                tensor scope; float32 unless the study says otherwise. Do not write into them.
            g: Gradient of the loss at `w`, same shape and dtype; do not write into it.
            state: This block's state; assign ``state["m"] = ...`` or write into the arrays.
            step: Number and learning rate of the step.

        Returns:
            Array of `w`'s shape and dtype.
        """
        raise NotImplementedError

    def evaluation_weights(self, w: Array, state: State) -> Array:
        """The parameters to evaluate and keep, for rules that train at another point.

        It is called when the network is measured, after each epoch, and must change nothing. At
        most one component of a run may define it.
        """
        return w
