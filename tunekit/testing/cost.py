"""What a step of an optimizer costs."""

from __future__ import annotations

import time

from tunekit.builtin.optimizers.adam import Adam
from tunekit.components import Array, Optimizer
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.walk import Course, Piece, Walk

SIZE = 64  # of a usual weight matrix
STEPS = 20
ROUNDS = 60
PATIENCE = 0.3  # seconds
BAR = 100.0


@check("optimizer")
def cost(rule: Optimizer) -> str:
    """A step takes no absurd time."""
    own, adam = _seconds(rule, Adam())
    times = own / adam
    if times > BAR:
        raise CheckFailure(
            expected=f"a step that takes less than {BAR:g} times as long as adam's",
            found=f"{times:,.0f} times, {own * 1e3:.3g} ms for {SIZE**2:,} parameters",
            likely="a Python loop over the parameters; let numpy work on whole arrays",
        )
    return f"{times:.2g} x adam"


def _seconds(*rules: Optimizer) -> list[float]:
    """How long a step of each rule takes, the shortest of many measurements in turns."""
    from threadpoolctl import threadpool_limits

    walks, begin = [_cost_walk(rule) for rule in rules], time.perf_counter()
    with threadpool_limits(1):  # as in a worker
        shortest = [_mean_seconds(*walk, steps=1) for walk in walks]
        for _ in range(ROUNDS):
            if time.perf_counter() - begin > PATIENCE:
                break
            for i, walk in enumerate(walks):
                steps = STEPS if shortest[i] * STEPS < PATIENCE else 1
                shortest[i] = min(shortest[i], _mean_seconds(*walk, steps=steps))
    return shortest


def _cost_walk(rule: Optimizer) -> tuple[Walk, Array, Array]:
    piece = Piece((SIZE**2,))
    if rule.scope == "tensor":
        piece = Piece((SIZE, SIZE), 0, False, "weights")
    [(w, g)] = Course.random(piece.shape, 1)
    return Walk(rule, piece, w), w, g


def _mean_seconds(walk: Walk, w: Array, g: Array, steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        walk.answer(w, g)
        walk.memory.keep()
    return (time.perf_counter() - start) / steps
