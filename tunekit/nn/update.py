"""The update: penalties and the optimizer's rule, block by block, over the flat vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tunekit.components import Array, Optimizer, Regularizer, State, Step
from tunekit.errors import ComponentError
from tunekit.nn.checks import check_array
from tunekit.nn.parameters import Layout

# Elements of a block: its parameters, gradient, slots and temporaries stay in the cache, which
# was 1.3 to 1.5 times faster than whole-vector Adam at 0.7 and 1.9 million parameters.
BLOCK = 16384


@dataclass(slots=True)
class Block:
    """What one call of the rule sees.

    Attributes:
        start: First index in the flat vector.
        w: Parameters, a view.
        g: Gradient, a view.
        w_shown: Parameters as the rule sees them: it may not write.
        g_shown: Gradient likewise.
        weights: How many leading elements are weights, which penalties act on.
        state: What the rule may change.
        kept: The arrays behind `state`, which the trainer owns.
        step: What the rule may know.
    """

    start: int
    w: Array
    g: Array
    w_shown: Array
    g_shown: Array
    weights: int
    state: State
    kept: dict[str, Array]
    step: Step


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _pieces(
    optimizer: Optimizer, layout: Layout
) -> Iterator[tuple[int, int, tuple[int, ...], Step]]:
    """Start, stop, shape and step of each block, by the rule's scope."""
    if optimizer.scope == "tensor":
        last = len(layout.sizes) - 2
        for tensor in layout.tensors:
            step = Step(0, 0.0, tensor.layer, tensor.layer == last, tensor.role)
            yield tensor.start, tensor.stop, tensor.shape, step
        return
    size = layout.size if optimizer.scope == "vector" else BLOCK
    for start in range(0, layout.size, size):
        stop = min(start + size, layout.size)
        yield start, stop, (stop - start,), Step(0, 0.0)


class Update:
    """Takes the optimizer's steps on a network's parameters.

    Args:
        optimizer: The rule.
        layout: The order of the parameters.
        parameters: The flat vector, updated in place.
        gradient: The flat gradient of the data loss; penalties are added to it in place.
        slots: The rule's state, one dict a block, as `initial_state` made them.
        penalties: Regularizers with a penalty.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        layout: Layout,
        parameters: Array,
        gradient: Array,
        slots: list[State],
        penalties: Sequence[Regularizer],
    ) -> None:
        self.optimizer, self.penalties = optimizer, penalties
        self.parameters = parameters
        self.blocks = []
        for (start, stop, shape, step), state in zip(
            _pieces(optimizer, layout), slots, strict=True
        ):
            kept = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
            w, g = parameters[start:stop].reshape(shape), gradient[start:stop].reshape(shape)
            weights = min(max(layout.weights - start, 0), stop - start)
            self.blocks.append(
                Block(start, w, g, _read_only(w), _read_only(g), weights, state, kept, step)
            )
        largest = max(block.w.size for block in self.blocks)
        self._scratch = np.empty(largest, parameters.dtype)
        self._is_checked = False

    @staticmethod
    def initial_state(optimizer: Optimizer, layout: Layout, parameters: Array) -> list[State]:
        """The rule's state before the first step, one dict a block."""
        states = [
            optimizer.initial_state(parameters[start:stop].reshape(shape))
            for start, stop, shape, _ in _pieces(optimizer, layout)
        ]
        # Copied, since a rule may name one array twice, or name `w` itself.
        return [
            {
                name: value.copy() if isinstance(value, np.ndarray) else value
                for name, value in state.items()
            }
            for state in states
        ]

    def step(self, t: int, rate: float) -> None:
        """One step: ``w -= rate * direction``.

        Args:
            t: The step's number, counted from 1.
            rate: The learning rate after its schedule.

        Raises:
            ComponentError: The rule returned something that cannot be a direction.
        """
        for block in self.blocks:
            for regularizer in self.penalties if block.weights else ():
                _, gradient = regularizer.penalty(block.w.reshape(-1)[: block.weights])
                block.g.reshape(-1)[: block.weights] += gradient
            block.step.t, block.step.lr = t, rate
            direction = self.optimizer.direction(
                block.w_shown, block.g_shown, block.state, block.step
            )
            if not self._is_checked:
                self._check(direction, block)
            # The rule may have returned one of its own arrays: it is never written into.
            move = self._scratch[: block.w.size].reshape(block.w.shape)
            np.multiply(direction, rate, out=move)
            block.w -= move
            self._keep(block)
        self._is_checked = True

    def _keep(self, block: Block) -> None:
        """Take what the rule bound to a slot's name into the array that the trainer owns."""
        rebound = {
            name: value
            for name in block.kept
            if (value := block.state[name]) is not block.kept[name]
        }
        if len(rebound) > 1:
            # One may be another's array (`state["old"] = state["m"]`): read before writing.
            owned = {id(kept) for kept in block.kept.values()}
            for name, value in rebound.items():
                if id(value) in owned or getattr(value, "base", None) is not None:
                    rebound[name] = value.copy()
        for name, value in rebound.items():
            np.copyto(block.kept[name], value)
            block.state[name] = block.kept[name]

    def _check(self, direction: object, block: Block) -> None:
        rule = f"optimizer {self.optimizer.name!r}"
        check_array(f"{rule}: its direction", direction, block.w)
        for slot, kept in block.kept.items():
            check_array(f"{rule}: state[{slot!r}]", block.state.get(slot), kept)
        for name, value in block.state.items():
            # The trainer could not tell such an array from its own: it might be `g` itself.
            if name not in block.kept and isinstance(value, np.ndarray):
                raise ComponentError(
                    f"{rule}: state[{name!r}] is an array, but was none "
                    "before the first step; name it in `slots` or make it in `initial_state`"
                )

    def evaluation_weights(self) -> Array | None:
        """The parameters to evaluate, or None where they are the trained ones."""
        if type(self.optimizer).evaluation_weights is Optimizer.evaluation_weights:
            return None
        rule = f"optimizer {self.optimizer.name!r}"
        weights = np.empty_like(self.parameters)
        for block in self.blocks:
            evaluated = self.optimizer.evaluation_weights(block.w_shown, block.state)
            check_array(f"{rule}: its evaluation weights", evaluated, block.w)
            weights[block.start : block.start + block.w.size] = np.reshape(evaluated, -1)
        return weights
