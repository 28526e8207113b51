"""Components that are right and unlike the usual ones: no check rejects them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import (
    Component,
    Flag,
    Float,
    Int,
    Loss,
    Metric,
    Optimizer,
    Progress,
    Regularizer,
    Schedule,
    State,
    Step,
)
from tunekit.testing import CheckFailure
from tunekit.testing.descent import quadratic
from tunekit.testing.regularizers import moments
from tunekit.testing.state import slots

Array = NDArray[Any]
Rng = np.random.Generator
Weight = Array | None
Caught = Callable[[Component], dict[str, CheckFailure]]


# Optimizers.


class AmsGrad(Optimizer):
    """Adam with the largest second moment, if told so: a slot that is idle by default."""

    name = "mine"
    slots: ClassVar[tuple[str, ...]] = ("m", "v", "largest")
    amsgrad: bool = Flag(False)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["m"] = 0.9 * state["m"] + 0.1 * g
        v = state["v"] = 0.999 * state["v"] + 0.001 * g * g
        if self.amsgrad:
            v = state["largest"] = np.maximum(state["largest"], v)
        m = state["m"] / (1 - 0.9**step.t)
        ahead: Array = m / (np.sqrt(v / (1 - 0.999**step.t)) + 1e-8)
        return ahead


class Momentum(Optimizer):
    """No momentum by default, and then nothing to look ahead with."""

    name = "mine"
    slots: ClassVar[tuple[str, ...]] = ("m",)
    lr: float = Float(0.1, low=1e-3, high=1.0, log=True)
    momentum: float = Float(0.0, low=0.0, high=0.99)
    nesterov: bool = Flag(False)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        if not self.momentum:
            return g
        m: Array = self.momentum * state["m"] + g
        state["m"] = m
        return g + self.momentum * m if self.nesterov else m


class Seldom(Optimizer):
    """A preconditioner that is made anew every few hundred steps."""

    name = "mine"
    slots: ClassVar[tuple[str, ...]] = ("v", "scale")
    lr: float = Float(1e-2, low=1e-3, high=1.0, log=True)
    every: int = Int(300, low=250, high=500)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["v"] = state["v"] + g * g
        if step.t % self.every == 0:
            state["scale"] = 1 / np.sqrt(state["v"] / step.t + 1e-8)
        return g * state["scale"] if step.t >= self.every else g


class Slow(Optimizer):
    """Plain gradient descent with a small rate."""

    name = "mine"
    lr: float = Float(5e-3, low=1e-4, high=1e-1, log=True)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return g


class Langevin(Slow):
    """Noise that moves the parameters where the gradient is 0, in any direction."""

    scope: ClassVar[Any] = "vector"
    temperature: float = 1e-6

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        noise = np.random.default_rng(step.t).standard_normal(w.shape).astype(w.dtype)
        return g + math.sqrt(2 * self.temperature / max(step.lr, 1e-12)) * noise


class IndependentDecay(Slow):
    """A decay that does not follow the rate (Loshchilov and Hutter 2019)."""

    weight_decay: float = Float(1e-5, low=1e-6, high=1e-4, log=True)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return g + w * (self.weight_decay / max(step.lr, 1e-12))


class OneArrayTwice(Optimizer):
    """Begins with one array of zeros under two names, and writes into both."""

    name = "mine"

    def initial_state(self, w: Array) -> State:
        zeros = np.zeros_like(w)
        return {"m": zeros, "v": zeros}

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["m"] += 0.1 * (g - state["m"])
        state["v"] += 0.1 * (g * g - state["v"])
        ahead: Array = state["m"] / (np.sqrt(state["v"]) + 1e-8)
        return ahead


class Averaged(Slow):
    """A hyperparameter that says only where to evaluate."""

    slots: ClassVar[tuple[str, ...]] = ("mean",)
    keep: float = Float(0.9, low=0.5, high=0.99)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        keep = min(self.keep, step.t / (step.t + 1))
        state["mean"] = keep * state["mean"] + (1 - keep) * w
        return g

    def evaluation_weights(self, w: Array, state: State) -> Array:
        mean: Array = state["mean"].copy()
        return mean


class TinyEps(Slow):
    """An eps that is lost in float32."""

    eps: float = Float(1e-17, low=1e-18, high=1e-16, log=True)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        ahead: Array = g / (np.abs(g) ** 0.5 + self.eps)
        return ahead


class Gains(Slow):
    """A rate of its own for gains and shifts."""

    scope: ClassVar[Any] = "tensor"
    gains: float = Float(0.5, low=0.1, high=2.0)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return g * self.gains if step.role == "others" else g


class Sums(Slow):
    """A step every so often, with the gradients since the last one, if told so."""

    slots: ClassVar[tuple[str, ...]] = ("sum",)
    every: int = Int(1, low=1, high=10)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        if self.every == 1:
            return g
        total: Array = state["sum"] + g
        is_due = step.t % self.every == 0
        state["sum"] = total * (not is_due)
        return total * is_due


class TwoSwitches(Slow):
    """A factor that acts only with both of its switches on."""

    is_bounded: bool = Flag(False)
    is_soft: bool = Flag(False)
    width: float = Float(1.0, low=0.5, high=2.0)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        bounded: Array = np.clip(g, -1, 1) if self.is_bounded else g
        if self.is_bounded and self.is_soft:
            bounded = np.tanh(g / self.width)
        return bounded if self.is_bounded else g * (1 - 0.5 * self.is_soft)


# Metrics and losses.


class Among(Metric):
    """The right class is among the likeliest ones."""

    name = "mine"
    tasks = ("classification",)
    needs = "probabilities"
    first: int = 3

    def score(self, target: Array, prediction: Array, weight: Weight) -> float:
        likeliest = np.argsort(-prediction, axis=1)[:, : self.first]
        return float(np.average((likeliest == target[:, None]).any(axis=1), weights=weight))


class MedianError(Metric):
    """The lower weighted median of the errors."""

    name = "mine"
    tasks = ("regression",)
    larger_is_better = False

    def score(self, target: Array, prediction: Array, weight: Weight) -> float:
        errors = np.abs(target - prediction).mean(axis=1)
        order = np.argsort(errors)
        sums = np.cumsum(np.ones(len(errors)) if weight is None else weight[order])
        return float(errors[order][np.searchsorted(sums, sums[-1] / 2)])


def shares(rows: int, weight: Weight, dtype: Any) -> Array:
    return np.full(rows, 1 / rows, dtype) if weight is None else weight / weight.sum()


class Quantile(Loss):
    """The loss whose minimum is a quantile far from the median: flat on one side."""

    name = "mine"
    tasks = ("regression",)
    quantile: float = 0.99

    def value_and_gradient(
        self, output: Array, target: Array, weight: Weight
    ) -> tuple[float, Array]:
        q, error, share = self.quantile, target - output, shares(len(output), weight, output.dtype)
        values = np.maximum(q * error, (q - 1) * error).mean(axis=1)
        slopes = np.where(error > 0, -q, 1 - q).astype(output.dtype)
        return float(share @ values), slopes * share[:, None] / output.shape[1]

    def predict(self, output: Array) -> Array:
        return output


class Gamma(Loss):
    """The deviance of gamma distributions, with a limit that keeps exp from overflowing."""

    name = "mine"
    tasks = ("regression",)
    targets = "counts"

    def value_and_gradient(
        self, output: Array, target: Array, weight: Weight
    ) -> tuple[float, Array]:
        o, share = np.clip(output, -30, 30), shares(len(output), weight, output.dtype)
        ratio = target * np.exp(-o)
        slopes = (1 - ratio) * share[:, None] / output.shape[1]
        return float(share @ (o + ratio).mean(axis=1)), slopes

    def predict(self, output: Array) -> Array:
        mean: Array = np.exp(np.clip(output, -30, 30))
        return mean


# Schedules and regularizers.


class FromZero(Schedule):
    """A warm-up whose first step has a rate of 0."""

    name = "mine"

    def factor(self, progress: Progress) -> float:
        return min(1.0, progress.step / max(1.0, 0.1 * progress.steps))


class Helped(Regularizer):
    """A penalty with public helpers that are called almost like moments."""

    name = "mine"

    def weights(self, w: Array) -> Array:
        return w * 1e-3

    def gradient(self, w: Array) -> Array:
        return 2 * self.weights(w)

    def penalty(self, w: Array) -> tuple[float, Array]:
        return float(w @ self.weights(w)), self.gradient(w)


class Binary(Regularizer):
    """A penalty that prefers -1 and 1 to 0 (a double well)."""

    name = "mine"

    def penalty(self, w: Array) -> tuple[float, Array]:
        return 1e-4 * float(np.sum((w * w - 1) ** 2)), 4e-4 * w * (w * w - 1)


class AlphaDropout(Regularizer):
    """A dropout that keeps mean and variance, but not the scale (Klambauer et al. 2017)."""

    name = "mine"
    rate: float = Float(0.4, low=0.0, high=0.5)

    def on_hidden(self, a: Array, rng: Rng) -> tuple[Array, Array | None]:
        dropped, keep = -1.7580993, 1 - self.rate
        factor = 1 / math.sqrt(keep + dropped**2 * keep * self.rate)
        kept: Array = (rng.random(a.shape) < keep).astype(a.dtype)
        new = factor * (a * kept + dropped * (1 - kept)) - factor * self.rate * dropped
        return new, factor * kept


UNUSUAL = (
    *(AmsGrad, Momentum, Seldom, Slow, Langevin, IndependentDecay, OneArrayTwice, Averaged),
    *(TinyEps, Gains, Sums, TwoSwitches),
    *(Among, Among(first=5), MedianError, Quantile, Quantile(quantile=0.01), Gamma),
    *(FromZero, Helped, Binary, AlphaDropout),
)


@pytest.mark.parametrize("component", UNUSUAL, ids=lambda c: getattr(c, "__name__", str(c)))
def test_it_passes(component: Any, caught: Caught) -> None:
    assert caught(component() if isinstance(component, type) else component) == {}


def test_steps_of_one_length_come_down_a_bowl_as_the_rate_falls() -> None:
    class Signs(Slow):
        lr: float = Float(0.1, low=1e-4, high=1.0, log=True)

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            signs: Array = np.sign(g)
            return signs

    assert float((quadratic(Signs) or "").split()[0]) < 0.01


def test_what_is_unusual_is_told() -> None:
    assert slots(AmsGrad) == "state['largest'] is used with other hyperparameters than these only"
    assert moments(Helped) == "acts at penalty; nobody calls weights, gradient but itself"
    assert quadratic(Slow) == "0.37 of the way left"
