"""Optimizers with a mistake made on purpose, and the checks that catch it."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Flag, Float, Optimizer, State, Step
from tunekit.testing import checks_for, examine

Array = NDArray[Any]


class Sound(Optimizer):
    """A running mean of the gradients; what each mistake is made in."""

    name = "sound"
    slots: ClassVar[tuple[str, ...]] = ("m",)
    lr: float = Float(0.3, low=0.01, high=3.0, log=True)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        m: Array = 0.9 * state["m"] + 0.1 * g
        state["m"] = m
        return m


@dataclass(frozen=True)
class Mistake:
    """What is wrong, and what is said of it.

    Attributes:
        words: The mistake, for the table.
        rule: Who makes it.
        check: The check that is about it.
        found: Part of what is found.
        likely: Part of what is said of the cause.
        others: The other checks that fail, too.
    """

    words: str
    rule: type[Optimizer]
    check: str
    found: str
    likely: str
    others: tuple[str, ...] = ()


MISTAKES: list[Mistake] = []


def mistake(
    words: str, check: str, found: str, likely: str, *others: str
) -> Callable[[type[Optimizer]], type[Optimizer]]:
    def noted(rule: type[Optimizer]) -> type[Optimizer]:
        MISTAKES.append(Mistake(words, rule, check, found, likely, others))
        return rule

    return noted


@mistake(
    *("w and g in the wrong order", "sign", "next to none that do", "mixed up"),
    *("real_problem",),
)
class Swapped(Sound):
    """Takes the parameters for the gradient."""

    name = "swapped"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return super().direction(g, w, state, step)


@mistake(
    *("wrong sign", "sign", "the opposite: their cosine is -", "the trainer subtracts"),
    *("quadratic", "real_problem"),
)
class WrongSign(Sound):
    """Goes uphill."""

    name = "wrong_sign"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return -super().direction(w, g, state, step)


@mistake(
    "the gradient changed in place", "inputs_not_modified", "g[0] was", "g = g *", "real_problem"
)
class ChangesGradient(Sound):
    """Clips the gradient where it lies."""

    name = "changes_gradient"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        np.clip(g, -0.5, 0.5, out=g)
        return super().direction(w, g, state, step)


@mistake(
    *("the parameters moved in place", "inputs_not_modified", "w[0] was"),
    *("the trainer does", "real_problem"),
)
class MovesParameters(Sound):
    """Takes its step itself."""

    name = "moves_parameters"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        m = super().direction(w, g, state, step)
        w -= step.lr * m
        return m


@mistake(
    *("float64 from np.sqrt of a number", "shape_and_dtype", "dtype float64"),
    *("math.sqrt", "real_problem"),
)
class LeaksDouble(Sound):
    """Multiplies with a numpy number."""

    name = "leaks_double"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        scaled: Array = super().direction(w, g, state, step) * np.sqrt(1 - 0.9**step.t)
        return scaled


@mistake(
    *("a slot that becomes float64", "shape_and_dtype", "dtype float64", "math.sqrt"),
    *("real_problem",),
)
class LeaksIntoSlot(Sound):
    """Keeps float64 and answers in float32."""

    name = "leaks_into_slot"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["m"] = np.float64(0.9) * state["m"] + np.float64(0.1) * g
        rounded: Array = state["m"].astype(g.dtype)
        return rounded


@mistake("a global step counter", "deterministic", "a second run", "the global COUNT")
class CountsGlobally(Sound):
    """Takes a longer step now and then, by a counter of the module."""

    name = "counts_globally"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        globals()["COUNT"] += 1
        return super().direction(w, g, state, step) * (2.0 if COUNT % 7 == 0 else 1.0)


COUNT = 0


@mistake("a memory in self", "deterministic", "a second run", "self.last", "blocks")
class RemembersInSelf(Sound):
    """Keeps the gradient before in an attribute."""

    name = "remembers_in_self"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        last = vars(self).get("last", g)
        object.__setattr__(self, "last", g.copy())
        mean: Array = (g + last) / 2 if last.shape == g.shape else g
        return super().direction(w, mean, state, step)


@mistake(
    "numpy's global random numbers", "deterministic", "a second run", "global random generator"
)
class DrawsGlobally(Sound):
    """Adds noise."""

    name = "draws_globally"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        noise = np.random.standard_normal(g.shape).astype(g.dtype)  # noqa: NPY002
        return super().direction(w, g + np.float32(0.01) * noise, state, step)


@mistake(
    *("elementwise, but clips the norm of the block", "blocks", "of the largest direction apart"),
    'scope = "vector"',
)
class ClipsNorm(Sound):
    """Says it is elementwise, which is the default."""

    name = "clips_norm"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        norm = float(np.sqrt(np.vdot(g, g)))
        return super().direction(w, g * min(1.0, 1.0 / (norm + 1e-8)), state, step)


@mistake(
    *("elementwise, but a mean of the state from step 2 on", "blocks"),
    *("apart in step 2", 'scope = "vector"'),
)
class CentresLater(Sound):
    """Takes the mean off its momentum, which is 0 at first."""

    name = "centres_later"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        before = float(state["m"].mean())
        return super().direction(w, g, state, step) - 0.5 * before


@mistake("a slot that is never written", "slots", "the same after 1000 steps", "state['v'] = ...")
class ForgetsSlot(Sound):
    """Computes v and does not store it."""

    name = "forgets_slot"
    slots = ("m", "v")

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        v: Array = 0.99 * state["v"] + 0.01 * g * g
        return super().direction(w, g, state, step) / (np.sqrt(v) + 1.0)


@mistake(
    *(
        "an array in the state without a slot",
        "slots",
        "state['last'] as well",
        "slots = ('last',)",
    ),
    *("inputs_not_kept", "real_problem"),
)
class AddsToState(Sound):
    """Keeps the gradient before where nothing is declared."""

    name = "adds_to_state"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        mean = (g + state.get("last", g)) / 2
        state["last"] = g
        return super().direction(w, mean, state, step)


@mistake(
    *(
        "the trainer's array of gradients kept in a list",
        "inputs_not_kept",
        "other numbers in step 2",
    ),
    *("keep a copy", "slots"),
)
class KeepsGradient(Sound):
    """Means over the last three gradients."""

    name = "keeps_gradient"

    def initial_state(self, w: Array) -> State:
        return {**super().initial_state(w), "recent": []}

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["recent"] = [*state["recent"][-2:], g]
        mean: Array = np.mean(state["recent"], axis=0)
        return super().direction(w, mean, state, step)


@mistake(
    *("the learning rate multiplied twice", "learning_rate", "10 times as long", "leave it out"),
    *("real_problem",),
)
class CountsRateTwice(Sound):
    """Multiplies with the rate, as the trainer does again."""

    name = "counts_rate_twice"
    lr: float = Float(0.03, low=0.01, high=3.0, log=True)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return step.lr * super().direction(w, g, state, step)


@mistake("the learning rate twice in a part", "learning_rate", "7.75 times as long", "leave it out")
class CountsRateTwiceInPart(Sound):
    """Looks ahead by the rate."""

    name = "counts_rate_twice_in_part"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return super().direction(w, g, state, step) * (0.1 + step.lr)


class Decaying(Sound):
    """Lets the weights decay."""

    name = "decaying"
    weight_decay: float = Float(1e-3, low=1e-5, high=0.1, log=True)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return super().direction(w, g, state, step) + self.weight_decay * w


@mistake("a decay of the wrong sign", "decay", "with `w` is -1.00", "the sign of the weight decay")
class Grows(Decaying):
    """Takes the decay off the direction."""

    name = "grows"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return super().direction(w, g, state, step) - 2 * self.weight_decay * w


@mistake(
    *("the same, off by default", "decay", "with `w` is -1.00", "the sign of the weight decay"),
)
class GrowsIfTold(Grows):
    """Takes the decay off the direction, if there is one."""

    name = "grows_if_told"
    weight_decay: float = Float(0.0, low=0.0, high=0.1)


@mistake("a decay times self.lr", "decay", "10 times as much at 10 times", "the rate counts twice")
class DecaysByRate(Sound):
    """Multiplies the decay with the rate, as PyTorch does outside of the direction."""

    name = "decays_by_rate"
    weight_decay: float = Float(1e-3, low=1e-5, high=0.1, log=True)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return super().direction(w, g, state, step) + self.lr * self.weight_decay * w


@mistake("a decay times step.lr", "decay", "10 times as much at 10 times", "the rate counts twice")
class DecaysByScheduledRate(DecaysByRate):
    """Multiplies the decay with the scheduled rate."""

    name = "decays_by_scheduled_rate"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return Sound.direction(self, w, g, state, step) + step.lr * self.weight_decay * w


@mistake(
    *("a hyperparameter that nothing uses", "hyperparameters_used", "the same to the bit"),
    "does not use `self.weight_decay`",
)
class ForgetsDecay(Sound):
    """Declares a decay."""

    name = "forgets_decay"
    weight_decay: float = Float(1e-3, low=1e-5, high=0.1, log=True)


def centred(g: Array, state: State, beta: float) -> Array:
    state["m"] = beta * state["m"] + (1 - beta) * g
    state["v"] = beta * state["v"] + (1 - beta) * g * g
    variance: Array = state["v"] - state["m"] ** 2
    return variance


@mistake(
    *("a root of a variance below 0, late", "extreme_inputs", "nan", "np.maximum(..., 0)"),
)
class Cancels(Sound):
    """Divides by a standard deviation (Graves 2013), which is 0 in the long run."""

    name = "cancels"
    slots = ("m", "v")
    lr: float = Float(1e-3, low=1e-4, high=1e-1, log=True)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        scaled: Array = g / (np.sqrt(centred(g, state, 0.99)) + 1e-8)
        return scaled


@mistake(
    *("a root of a variance below 0, if told so", "search_ranges", "nan", "np.maximum(..., 0)"),
)
class CancelsIfTold(Sound):
    """Divides by a standard deviation or by the root of the mean square."""

    name = "cancels_if_told"
    slots = ("m", "v")
    lr: float = Float(1e-3, low=1e-4, high=1e-1, log=True)
    centred: bool = Flag(False)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        variance = centred(g, state, 0.3)
        scaled: Array = g / (np.sqrt(variance if self.centred else state["v"]) + 1e-8)
        return scaled


@mistake(
    *("one number for all parameters", "shape_and_dtype", "shape ()", "lost its axes"),
    *("blocks", "real_problem", "sign"),
)
class LosesShape(Sound):
    """Answers with a mean."""

    name = "loses_shape"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        mean: Array = np.asarray(super().direction(w, g, state, step).mean())
        return mean


@mistake("no eps: 0/0 at a gradient of 0", "extreme_inputs", "nan", "add an eps")
class DividesByNothing(Sound):
    """Divides by the root of the mean square alone."""

    name = "divides_by_nothing"
    slots = ("m", "v")
    lr: float = Float(1e-3, low=1e-4, high=1e-1, log=True)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["v"] = 0.99 * state["v"] + 0.01 * g * g
        scaled: Array = super().direction(w, g, state, step) / np.sqrt(state["v"])
        return scaled


@mistake("a division by the scheduled rate", "extreme_inputs", "nan", "step.lr")
class DividesByRate(Sound):
    """Wants steps of the same length at any rate."""

    name = "divides_by_rate"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        inverse = np.float32(1) / np.float32(step.lr)
        return super().direction(w, g, state, step) * inverse * np.float32(step.lr)


@mistake("beta = 1 in the search range", "search_ranges", "nan", "move the end of the range")
class RangesTooFar(Sound):
    """Corrects for the start, which is not possible at beta = 1."""

    name = "ranges_too_far"
    beta: float = Float(0.9, low=0.5, high=1.0)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["m"] = self.beta * state["m"] + (1 - self.beta) * g
        corrected: Array = state["m"] / np.float32(1 - self.beta**step.t)
        return corrected


@mistake("a default outside its search range", "defaults", "0.3", "widen the range")
class StartsOutside(Sound):
    """Its rate is searched where the default is not."""

    name = "starts_outside"
    lr: float = Float(0.3, low=1e-4, high=1e-1, log=True)


@mistake(
    *("a state that cannot be saved", "state_pickles", "cannot pickle", "arrays and numbers"),
    *("real_problem", "slots"),
)
class KeepsCounter(Sound):
    """Counts with an iterator."""

    name = "keeps_counter"

    def initial_state(self, w: Array) -> State:
        return {**super().initial_state(w), "count": (i for i in itertools.count())}


@mistake(
    *("something made in self in the first step", "state_pickles", "others in step 7"),
    "outside `state`",
)
class PreparesInSelf(Sound):
    """Draws a scale for each parameter when it begins."""

    name = "prepares_in_self"
    scope: ClassVar[Any] = "vector"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        if step.t == 1:
            scale = np.random.default_rng(0).uniform(0.5, 1, w.shape).astype(w.dtype)
            object.__setattr__(self, "scale", scale)
        drawn: Array = super().direction(w, g, state, step) * vars(self).get("scale", 1.0)
        return drawn


@mistake("a rate at which it diverges", "quadratic", "it diverges", "lr = 30", "real_problem")
class Diverges(Sound):
    """A hundred times too fast."""

    name = "diverges"
    lr: float = Float(30.0, low=0.01, high=100.0, log=True)


@mistake(
    *("a momentum of the wrong sign, uphill after some steps", "sign", "from step 8 on"),
    *("of what is remembered", "quadratic", "real_problem"),
)
class TurnsBack(Sound):
    """Takes its momentum off the gradient."""

    name = "turns_back"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        ahead: Array = g - 0.2 * state["m"]
        state["m"] = 0.9 * state["m"] + g
        return ahead


@mistake("other numbers in every process", "worker", "other weights", "another has not")
class KnowsItsProcess(Sound):
    """Depends on the number of the process."""

    name = "knows_its_process"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return super().direction(w, g, state, step) * (1 + 1e-6 * os.getpid())


def holding(file: object) -> type[Optimizer]:
    class HoldsFile(Sound):
        """Refers to what only this process has."""

        name = "holds_file"

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            assert file is not None
            return super().direction(w, g, state, step)

    return HoldsFile


mistake("a class that cannot travel", "worker", "cannot pickle", "only this process has")(
    holding(threading.Lock())
)


@mistake("a step of a thousand times adam's", "cost", "times", "Python loop")
class Sleeps(Sound):
    """Absurdly slow for all but tiny networks."""

    name = "sleeps"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        if w.size > 4000:
            time.sleep(0.03)
        return super().direction(w, g, state, step)


@mistake(
    "weights that decay too fast", "real_problem", "after 20 epochs; untrained", "default rate"
)
class Forgets(Sound):
    """Draws all weights to 0, where the bowl happens to have its bottom."""

    name = "forgets"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return super().direction(w, g, state, step) + w


class Averaging(Sound):
    """Evaluates at a running mean of its parameters."""

    name = "averaging"
    slots = ("m", "mean")

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["mean"] = w.copy() if step.t == 1 else 0.9 * state["mean"] + 0.1 * w
        return super().direction(w, g, state, step)

    def evaluation_weights(self, w: Array, state: State) -> Array:
        mean: Array = state["mean"]
        return mean


@mistake(
    *("evaluating that writes into the state", "evaluation_weights", "others, on", "as it is"),
)
class EvaluatesInPlace(Averaging):
    """Brings its mean up to date whenever it is asked for it."""

    name = "evaluates_in_place"

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return super().direction(w, g + 0.1 * state["mean"], state, step)

    def evaluation_weights(self, w: Array, state: State) -> Array:
        state["mean"] *= 0.5
        return super().evaluation_weights(w, state)


@mistake("no word on what it does", "summary", "none", "name the paper")
class Silent(Sound):
    name = "silent"


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: case.words)
def test_it_is_caught_by_name_with_what_was_found_and_the_likely_cause(case: Mistake) -> None:
    failures = {f.check.name: f.failure for f in examine(case.rule) if f.failure is not None}
    assert set(failures) == {case.check, *case.others}
    failure = failures[case.check]
    assert case.found in failure.found
    assert case.likely in failure.likely


@pytest.mark.parametrize("rule", [Sound, Averaging, Decaying])
def test_without_a_mistake_nothing_is_caught(rule: type[Optimizer]) -> None:
    assert [finding.check.name for finding in examine(rule) if not finding.is_good] == []


def test_a_rule_that_goes_uphill_is_told_so_before_its_rate_is_blamed() -> None:
    likely = {f.check.name: f.failure.likely for f in examine(WrongSign) if f.failure}
    assert likely["quadratic"] == likely["sign"]


def test_every_check_of_optimizers_catches_a_mistake() -> None:
    assert {case.check for case in MISTAKES} == {check.name for check in checks_for(Averaging)}
