"""The kind that acts at named moments of a training step."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tunekit.components.base import Array, Component, State
from tunekit.components.optimizer import Optimizer
from tunekit.components.schedule import Progress

MOMENTS = (
    *("on_batch", "on_targets", "on_hidden", "on_gradient", "noise", "penalty", "decay"),
    *("on_weights", "on_step", "evaluation_weights"),
)
"""The methods that the trainer calls in a training step, in this order."""


class Regularizer(Component):
    """Something that acts at one or more of the named moments of a training step.

    Each moment does nothing unless overridden, and only overridden moments are called. In a step
    they come in this order: `on_batch`, `on_targets`, `on_hidden` (each hidden layer), the
    backward pass, `on_gradient`, `noise`, `penalty`, the optimizer's rule with `decay`,
    `on_weights`, `on_step`.

    Attributes:
        slots: Names of state arrays as long as the whole parameter vector, zero at the start. The
            state is that of `on_step` and `evaluation_weights`.
    """

    kind: ClassVar[str] = "regularizer"
    slots: ClassVar[tuple[str, ...]] = ()

    def initial_state(self, w: Array) -> State:
        """The state before the first step: a zero array of `w`'s shape for every slot.

        `w` is the whole flat parameter vector. Override it for scalars or other contents. Values
        must be arrays or plain numbers.
        """
        return {slot: np.zeros_like(w) for slot in self.slots}

    def on_batch(self, x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Replace a batch: inputs ``(rows, features)`` and encoded targets ``(rows, outputs)``."""
        return x, y

    def on_targets(self, y: Array) -> Array:
        """Replace the encoded targets of a training batch, shape ``(rows, outputs)``."""
        return y

    def on_hidden(self, a: Array, rng: np.random.Generator) -> tuple[Array, Array | None]:
        """Replace a hidden layer's activations ``(rows, units)`` in training.

        Returns:
            The new activations, and the factor that multiplies the backward gradient (or None).
        """
        return a, None

    def on_gradient(self, g: Array) -> Array:
        """Replace the whole flat gradient of the data loss, before any penalty is added."""
        return g

    def noise(self, g: Array, progress: Progress, rng: np.random.Generator) -> Array:
        """What to add to the whole flat gradient at random; an array of `g`'s shape and dtype.

        It comes after `on_gradient` of all regularizers; `progress` says how far the run is.
        """
        return np.zeros_like(g)

    def penalty(self, w: Array) -> tuple[float, Array]:
        """Value and gradient of a sum over the elements of the weights `w`, a flat block.

        Biases and gains are not penalized. It is called block by block.
        """
        return 0.0, np.zeros_like(w)

    def decay(self, w: Array) -> Array:
        """What is added to the optimizer's direction for the weights `w`, a flat block.

        It follows the learning rate, but passes by the optimizer's state and scaling. Biases and
        gains do not decay.
        """
        return np.zeros_like(w)

    def on_weights(self, matrix: Array) -> Array:
        """Replace a weight matrix ``(fan_in, fan_out)`` after a step; a column is one unit."""
        return matrix

    def on_step(self, w: Array, state: State, progress: Progress) -> None:
        """Take notice of the whole flat parameter vector after a step, in `state`."""

    def evaluation_weights(self, w: Array, state: State) -> Array:
        """The parameters to evaluate and keep, for averages over the steps.

        It is called when the network is measured, after each epoch, and must change nothing. At
        most one component of a run may evaluate elsewhere than it trains.
        """
        return w


def averages_weights(component: type[Component]) -> bool:
    """Whether an optimizer or regularizer evaluates at other weights than it trains."""
    own = getattr(component, "evaluation_weights", None)
    return own not in (
        None,
        Optimizer.evaluation_weights,
        Regularizer.evaluation_weights,
    )
