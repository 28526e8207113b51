"""Small generated data sets, to try things on."""

from __future__ import annotations

import numpy as np

from tunekit import Dataset, Float, Int, Table, hookimpl


class Spirals(Dataset):
    """Intertwined spirals, one a class (after Lang and Witbrock, 1988).

    Class k's arm starts at the origin and reaches radius 1 after `turns` turns, rotated by
    ``k / classes`` of a full turn; `noise` is the standard deviation of what is added to x and y.
    """

    name = "spirals"
    tasks = ("classification",)
    rows: int = Int(1000, min=20)
    classes: int = Int(2, min=2, max=10)
    turns: float = Float(1.5, min=0.0)
    noise: float = Float(0.03, min=0.0)
    seed: int = Int(0, min=0)

    def load(self) -> Table:
        rng = np.random.default_rng(self.seed)
        label = np.arange(self.rows) % self.classes
        # The root spreads the rows evenly over the disc instead of crowding its centre.
        radius = np.sqrt(rng.random(self.rows))
        angle = 2 * np.pi * (self.turns * radius + label / self.classes)
        points = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        points += self.noise * rng.standard_normal(points.shape)
        return Table.from_matrix(
            points, label, names=("x", "y"), name=self.name, task="classification"
        )


class Friedman(Dataset):
    """Ten uniform inputs of which five matter, non-linearly (Friedman, 1991, "MARS", section 4.3).

    ``10 sin(pi x0 x1) + 20 (x2 - 0.5)^2 + 10 x3 + 5 x4``, plus normal noise of standard deviation
    `noise`.
    """

    name = "friedman"
    tasks = ("regression",)
    rows: int = Int(1000, min=20)
    noise: float = Float(1.0, min=0.0)
    seed: int = Int(0, min=0)

    def load(self) -> Table:
        rng = np.random.default_rng(self.seed)
        x = rng.random((self.rows, 10))
        y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
        y += 10 * x[:, 3] + 5 * x[:, 4] + self.noise * rng.standard_normal(self.rows)
        return Table.from_matrix(x, y, name=self.name, task="regression")


@hookimpl
def tunekit_datasets() -> list[type[Dataset]]:
    """Bring the built-in data sets."""
    return [Spirals, Friedman]
