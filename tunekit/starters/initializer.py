"""The start of an initializer."""

import math

import numpy as np

from tunekit import Array, Float, Initializer, hookimpl


class Starter(Initializer):
    """Connect each unit with some of the inputs only, drawn at random.

    A weight is 0 with probability ``1 - share``; the others are normal with standard
    deviation ``gain / sqrt(share * fan_in)``.
    """

    name = "starter"  # what a study calls it

    # A hyperparameter: its default, the range that a search looks at, and its limits.
    share: float = Float(0.5, low=0.1, high=1.0, min=0.01, max=1.0)

    def draw(
        self,
        rng: np.random.Generator,
        fan_in: int,
        fan_out: int,
        gain: float,
    ) -> Array:
        """Draw a matrix (fan_in, fan_out): a row for each input, a column a unit.

        `gain` belongs to the activation that follows; biases start at 0, undrawn.
        """
        # All randomness comes from `rng`. With np.random.normal, no trial could be
        # repeated.
        weights = rng.standard_normal((fan_in, fan_out))
        weights *= rng.random((fan_in, fan_out)) < self.share

        # A unit adds up `fan_in` products. Only a variance of gain^2 / fan_in for each
        # weight keeps the signal as strong as it was; a fixed one makes it explode in
        # wide layers. Some weights are missing here: the others have to make up for
        # them.
        return weights * (gain / math.sqrt(self.share * fan_in))


@hookimpl
def tunekit_initializers() -> list[type[Initializer]]:
    """Tell tunekit what this file brings; a class that is not listed stays unseen."""
    return [Starter]
