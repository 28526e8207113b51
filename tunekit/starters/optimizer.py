"""The start of an optimizer."""

from tunekit import Array, Float, Optimizer, State, Step, hookimpl


class Starter(Optimizer):
    """Walk along a running mean of the gradients.

    ``m = beta m + (1 - beta) g``, starting at 0; the direction is `m`.
    """

    name = "starter"  # what a study calls it

    # Its memory: an array of w's shape for each slot, zero before the first step.
    slots = ("m",)

    # It sees the weights in flat blocks, so each element has to be treated on its own.
    # A rule that looks at several at once (a norm, a product) says scope = "tensor",
    # one matrix at a time, or scope = "vector", all weights at once.

    # The hyperparameters: a default, and the range that a search looks at. Training at
    # the default has to work; a search tries it first.
    lr: float = Float(0.3, low=0.01, high=3.0, log=True)
    beta: float = Float(0.9, low=0.5, high=0.99, min=0.0, max=1.0)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        """Say where to go from the weights `w`, whose gradient is `g`."""
        # `w` and `g` belong to the trainer: compute new arrays from them, never write
        # into them. All of them are float32, and so is the result, since
        # hyperparameters are plain Python numbers. A numpy number such as np.sqrt(2.0)
        # would turn the result into float64; math.sqrt(2.0) does not.
        m: Array = self.beta * state["m"] + (1 - self.beta) * g

        # What the next step has to know goes into the state. `self` remembers nothing:
        # one object serves the whole network, block by block, and every block has a
        # state of its own.
        state["m"] = m

        # The trainer does w -= step.lr * m. So this points uphill, as the gradient
        # does, and the learning rate is not multiplied here, or it would count twice.
        return m


@hookimpl
def tunekit_optimizers() -> list[type[Optimizer]]:
    """Tell tunekit what this file brings; a class that is not listed stays unseen."""
    return [Starter]
