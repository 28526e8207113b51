"""A rule that is called as the trainer calls it, without a network around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tunekit.components import Array, Optimizer, Step
from tunekit.nn.memory import Memory
from tunekit.testing.check import CheckFailure


@dataclass(frozen=True)
class Piece:
    """The parameters that one call of a rule sees.

    Attributes:
        shape: Of one matrix or vector.
        layer: With the tensor scope, its layer.
        is_output: With the tensor scope, whether that is the output layer.
        role: With the tensor scope, ``"weights"``, ``"biases"`` or ``"others"``; ``"all"``
            otherwise.
    """

    shape: tuple[int, ...]
    layer: int | None = None
    is_output: bool = False
    role: str = "all"

    def __str__(self) -> str:
        name = " x ".join(map(str, self.shape))
        if len(self.shape) == 1:
            kind = {"all": "parameters", "others": "gains"}.get(self.role, self.role)
            return f"a vector of {name} {kind}"
        return f"a {name} weight matrix{' of the output layer' if self.is_output else ''}"


FLAT = (Piece((24,)),)
TENSORS = (
    Piece((9, 4), 0, False, "weights"),
    Piece((4, 9), 1, False, "weights"),
    Piece((9, 5), 2, True, "weights"),
    Piece((4,), 0, False, "biases"),
    Piece((5,), 0, False, "others"),
)


def pieces(rule: Optimizer) -> tuple[Piece, ...]:
    """What the calls of a rule may see, by its scope."""
    return TENSORS if rule.scope == "tensor" else FLAT


class Walk:
    """Steps of a rule on one piece, from a fresh state.

    Args:
        rule: The rule.
        piece: What it sees.
        w: The parameters before the first step.
    """

    def __init__(self, rule: Optimizer, piece: Piece, w: Array) -> None:
        self.rule, self.piece, self.t = rule, piece, 0
        self.memory = Memory(Memory.owned(rule.initial_state(w.copy())))

    def answer(self, w: Array, g: Array, lr: float | None = None) -> Array:
        """What the rule itself answers to these very arrays; its state is left as it is."""
        self.t += 1
        rate, piece = self.rule.lr if lr is None else lr, self.piece
        step = Step(self.t, rate, piece.layer, piece.is_output, piece.role)
        found = self.rule.direction(w, g, self.memory.state, step)
        if found is None:
            raise CheckFailure(
                expected="an array of directions",
                found="nothing",
                likely="the method ends without a `return`",
            )
        return found

    def step(self, w: Array, g: Array, lr: float | None = None) -> Array:
        """The direction of one step, as an array of its own."""
        # Copies, because a rule that writes into its arguments is another check's matter.
        found = np.array(self.answer(w.copy(), g.copy(), lr))
        self.memory.keep()
        return found

    def evaluated(self, w: Array) -> Array:
        """The parameters to evaluate."""
        return np.array(self.rule.evaluation_weights(w.copy(), self.memory.state))


@dataclass(frozen=True)
class Course:
    """Parameters and gradients that a rule meets, whatever it answers.

    Attributes:
        weights: One array a step.
        gradients: One array a step.
    """

    weights: tuple[Array, ...]
    gradients: tuple[Array, ...]

    @classmethod
    def random(
        cls, shape: tuple[int, ...], steps: int = 8, dtype: str = "float32", seed: int = 7
    ) -> Course:
        """Normal numbers, the gradients in all sizes from 0.001 to 100."""
        rng = np.random.default_rng(seed)
        sizes = 10.0 ** np.resize([0, 2, -1, 1, -3], steps)
        weights = tuple(rng.standard_normal(shape).astype(dtype) for _ in range(steps))
        gradients = tuple((rng.standard_normal(shape) * size).astype(dtype) for size in sizes)
        return cls(weights, gradients)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        return zip(self.weights, self.gradients, strict=True)

    @classmethod
    def constant(cls, shape: tuple[int, ...], steps: int) -> Course:
        """The same parameters and the same gradient in every step."""
        [(w, g)] = cls.random(shape, 1)
        return cls((w,) * steps, (g,) * steps)

    @classmethod
    def still(cls, shape: tuple[int, ...], steps: int) -> Course:
        """The same parameters in every step, and gradients of 0."""
        [(w, g)] = cls.random(shape, 1)
        return cls((w,) * steps, (g * 0,) * steps)

    def at_one_place(self) -> Course:
        """The same gradients, all met at the first parameters."""
        return Course(self.weights[:1] * len(self.weights), self.gradients)

    def part(self, start: int, stop: int) -> Course:
        """The same steps on a range of flat parameters."""
        return Course(
            tuple(w[start:stop] for w in self.weights), tuple(g[start:stop] for g in self.gradients)
        )

    def directions(self, rule: Optimizer, piece: Piece) -> Array:
        """What a rule answers, shape ``(steps, *piece.shape)``."""
        walk = Walk(rule, piece, self.weights[0])
        return np.array([walk.step(w, g) for w, g in self])


def first_difference(one: Array, other: Array) -> int | None:
    """The first step, counted from 1, in which directions differ in a bit; None if in none."""
    for t, (a, b) in enumerate(zip(one, other, strict=True), start=1):
        if a.tobytes() != b.tobytes():
            return t
    return None
