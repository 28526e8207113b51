"""What a model says about rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tunekit.components import Array


@dataclass(frozen=True)
class Predictions:
    """What a model says about rows, in the target's own terms.

    Attributes:
        values: By the target's name, an array of shape ``(rows,)`` each: classes as they were in
            the data (numbers, booleans or texts), 0 and 1 for each of several labels, or values
            in their own unit.
        probabilities: By the name of the class or label, likewise; empty for regression.
    """

    values: Mapping[str, Array]
    probabilities: Mapping[str, Array] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, Array]:
        """All of it as columns of a table: the values, then ``probability of CLASS``."""
        chances = {f"probability of {name}": chance for name, chance in self.probabilities.items()}
        return {**self.values, **chances}

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))
