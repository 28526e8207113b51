"""The moments of a training step at which a regularizer acts, called as the trainer calls them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunekit.components import Array, Progress, Regularizer
from tunekit.nn.memory import Memory
from tunekit.nn.update import acting

STEPS, EPOCHS = 20, 5


def acts_at(*moments: str) -> Callable[[Regularizer], bool]:
    """Whether a regularizer does something at one of these moments."""
    return lambda regularizer: any(acting(moment, [regularizer]) for moment in moments)


@dataclass(frozen=True)
class Moment:
    """A moment without a memory.

    Attributes:
        name: What its method is called.
        method: The method; it draws from a fresh generator of the same seed at every call.
        arguments: Arrays by name.
    """

    name: str
    method: Callable[..., Any]
    arguments: dict[str, Array]

    def __call__(self) -> Any:
        """What the method returns for copies of the arguments."""
        return self.method(*(array.copy() for array in self.arguments.values()))


def acted(
    regularizer: Regularizer, dtype: Any = np.float64, scale: float = 1.0, rows: int = 12
) -> list[Moment]:
    """The moments at which a regularizer acts, but those with a memory.

    Args:
        regularizer: The regularizer.
        dtype: Of all arrays.
        scale: What weights, activations and gradients of usual size are multiplied with.
        rows: Rows of a batch, and inputs of a layer.
    """
    r, x = regularizer, a_matrix(dtype, rows) * dtype(scale)
    y, flat = _targets(regularizer, rows, dtype), a_block(dtype) * dtype(scale)
    moments = (
        Moment(
            "on_batch", lambda x, y: r.on_batch(x, y, np.random.default_rng(0)), {"x": x, "y": y}
        ),
        Moment("on_targets", r.on_targets, {"y": y}),
        Moment("on_hidden", lambda a: r.on_hidden(a, np.random.default_rng(0)), {"a": x}),
        Moment("on_gradient", r.on_gradient, {"g": flat}),
        Moment("noise", lambda g: r.noise(g, progress(2), np.random.default_rng(0)), {"g": flat}),
        Moment("penalty", r.penalty, {"w": flat}),
        Moment("decay", r.decay, {"w": flat}),
        Moment("on_weights", r.on_weights, {"matrix": x}),
    )
    return [moment for moment in moments if acts_at(moment.name)(regularizer)]


def a_block(dtype: Any = np.float64) -> Array:
    """A flat block of weights."""
    return np.random.default_rng(3).normal(size=24).astype(dtype)


def a_matrix(dtype: Any = np.float64, rows: int = 12) -> Array:
    """Inputs, activations or weights, shape ``(rows, 5)``."""
    return np.random.default_rng(4).normal(scale=2.0, size=(rows, 5)).astype(dtype)


def _targets(regularizer: Regularizer, rows: int, dtype: Any) -> Array:
    """Encoded targets: a class a row if it is for classes, else values."""
    if "classification" in regularizer.tasks:
        return np.eye(4, dtype=dtype)[np.arange(rows) % 4]
    return np.random.default_rng(5).normal(size=(rows, 2)).astype(dtype)


def progress(step: int) -> Progress:
    """Where a run of 20 steps in 5 epochs stands."""
    return Progress(step, STEPS, step * EPOCHS // STEPS, EPOCHS, step / STEPS)


def remembered(regularizer: Regularizer, dtype: Any = np.float64) -> tuple[Memory, list[Array]]:
    """Its memory before the first step, and the parameters after each step."""
    weights = np.random.default_rng(6).normal(size=(STEPS, 24)).astype(dtype)
    return Memory(Memory.owned(regularizer.initial_state(weights[0].copy()))), list(weights)


def walked(regularizer: Regularizer, memory: Memory, weights: list[Array], begin: int = 0) -> Array:
    """Let it take notice of all steps from one on; returns the weights to evaluate in the end."""
    for step in range(begin, len(weights)):
        regularizer.on_step(weights[step].copy(), memory.state, progress(step + 1))
        memory.keep()
    return np.array(regularizer.evaluation_weights(weights[-1].copy(), memory.state))
