"""What every regularizer has to keep, at the moments at which it acts."""

from __future__ import annotations

import difflib
import inspect
import pickle
from functools import partial
from typing import Any

import numpy as np

from tunekit.builtin.regularizers.weights import L2
from tunekit.components import Array, Regularizer
from tunekit.errors import ComponentError
from tunekit.nn.memory import Memory
from tunekit.nn.update import remembering
from tunekit.testing.arguments import (
    UNREPEATABLE,
    arrays,
    described,
    expect_array,
    expect_finite,
    expect_pair,
    expect_repeatable,
    expect_untouched,
    repeats,
)
from tunekit.testing.calculus import Differences
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.moments import (
    MOMENTS,
    a_block,
    a_matrix,
    acted,
    acts_at,
    progress,
    remembered,
    walked,
)
from tunekit.testing.problems import expect_learned, trained

FARTHEST = 1e4
PART = 7  # elements of a block that do not divide all others
BATCHES = 8  # drawn batches that are looked at

changes_targets = acts_at("on_batch", "on_targets")
has_memory = acts_at("on_step", "evaluation_weights")


@check("regularizer")
def moments(regularizer: Regularizer) -> str:
    """It acts at one or more of the named moments, and all that it defines is called."""
    known = [name for name in dir(Regularizer) if not name.startswith("_")]
    own = [
        name
        for cls in type(regularizer).__mro__
        if issubclass(cls, Regularizer) and cls is not Regularizer
        for name, value in vars(cls).items()
        if inspect.isfunction(value) and not name.startswith("_") and name not in known
    ]
    its_own = [moment for moment in MOMENTS if acts_at(moment)(regularizer)]
    for name in own:
        # Among other moments, a helper may have a name that is a little like one.
        near = difflib.get_close_matches(name, MOMENTS, n=1, cutoff=0.75 if its_own else 0.6)
        if near and near[0] not in its_own:
            raise CheckFailure(
                expected="methods that the trainer calls: " + ", ".join(MOMENTS),
                found=f"`{name}`, which nobody calls",
                likely=f"it is meant to be `{near[0]}`; begin the names of helpers with `_`",
            )
    if not its_own:
        raise CheckFailure(
            expected="one or more of " + ", ".join(MOMENTS),
            found="none" + (f"; it defines {', '.join(own)}" if own else ""),
            likely="the moment has another name, or the method is outside of the class",
        )
    if regularizer.slots and not remembering([regularizer]):
        raise CheckFailure(
            expected="`on_step` or `evaluation_weights`, which are given the slots",
            found=f"slots = {regularizer.slots}, and neither of the two",
            likely="the slots are not needed, or `on_step` is misspelt",
        )
    return "acts at " + ", ".join(its_own)


@check("regularizer")
def shape_and_dtype(regularizer: Regularizer) -> None:
    """What a moment replaces keeps its shape, and float32 and float64 stay what they are."""
    for dtype in (np.float64, np.float32):
        for rows in (12, 1):
            for moment in acted(regularizer, dtype, rows=rows):
                _check_form(moment.name, moment(), moment.arguments)
        memory, weights = remembered(regularizer, dtype)
        before = regularizer.evaluation_weights(weights[0].copy(), memory.state)
        expect_array("what evaluation_weights returned before the first step", before, weights[0])
        expect_array(
            "what evaluation_weights returned", walked(regularizer, memory, weights), weights[0]
        )


def _check_form(moment: str, found: Any, given: dict[str, Array]) -> None:
    if moment == "on_batch":
        for part, (name, array) in zip(expect_pair(moment, found), given.items(), strict=True):
            expect_array(f"the {name} that on_batch returned", part, array)
    elif moment == "on_hidden":
        a, factor = expect_pair(moment, found)
        expect_array("the activations that on_hidden returned", a, given["a"])
        if factor is not None:
            expect_array("the factor that on_hidden returned", factor, given["a"])
    elif moment == "penalty":
        value, gradient = expect_pair(moment, found)
        if not isinstance(value, (int, float, np.number)):
            raise CheckFailure(
                expected="the value of the penalty is one number",
                found=described(value),
                likely="the sum over the elements is missing",
            )
        expect_array("the gradient that penalty returned", gradient, given["w"])
    else:
        expect_array(f"what {moment} returned", found, next(iter(given.values())))


@check("regularizer")
def inputs_not_modified(regularizer: Regularizer) -> None:
    """No moment writes into its arguments; `on_step` writes into the state only."""
    for moment in acted(regularizer, scale=5.0):
        expect_untouched(moment.name, moment.method, **moment.arguments)
    memory, weights = remembered(regularizer)
    expect_untouched("initial_state", regularizer.initial_state, w=weights[0])
    expect_untouched(
        "on_step", lambda w: regularizer.on_step(w, memory.state, progress(1)), w=weights[0]
    )
    expect_untouched(
        "evaluation_weights",
        lambda w: regularizer.evaluation_weights(w, memory.state),
        w=weights[0],
    )


@check("regularizer")
def deterministic(regularizer: Regularizer) -> None:
    """The arguments and the given generator alone decide what comes."""
    others = acted(regularizer, scale=-2.0)
    for moment, other in zip(acted(regularizer), others, strict=True):
        expect_repeatable(moment.name, moment, other)

    def whole_run() -> Array:
        memory, weights = remembered(regularizer)
        return walked(regularizer, memory, weights)

    expect_repeatable("on_step", whole_run, whole_run)


@check("regularizer")
def extreme_inputs(regularizer: Regularizer) -> None:
    """Zeros and numbers up to 10,000 give finite results at every moment."""
    for dtype in (np.float64, np.float32):
        for scale in (0.0, FARTHEST):
            where = f"for {'zeros' if not scale else 'numbers around 10,000'} in {np.dtype(dtype)}"
            for moment in acted(regularizer, dtype, scale):
                for found in arrays(moment()):
                    expect_finite(f"what {moment.name} returned", found, where)


@check("regularizer", applies=acts_at("penalty"))
def penalty_gradient(regularizer: Regularizer) -> None:
    """The gradient of the penalty is that of its value."""
    w = a_block()
    _, found = regularizer.penalty(w.copy())
    Differences.of_sum(lambda w: regularizer.penalty(w)[0], w).compare(
        "penalty",
        np.asarray(found),
        lambda i: f"at w = {w[i]:.4g}",
    )


@check("regularizer", applies=acts_at("penalty"))
def penalty_sum(regularizer: Regularizer) -> None:
    """The penalty is a sum over the elements: that of all is the sum of those of its blocks."""
    w = a_block()
    value, gradient = regularizer.penalty(w.copy())
    parts = [regularizer.penalty(part) for part in _blocks(w)]
    total = float(sum(part for part, _ in parts))
    likely = "a norm (a root of a sum) or a mean; the trainer calls the penalty block by block"
    if not np.isclose(float(value), total, rtol=1e-6, atol=0):
        raise CheckFailure(
            expected=f"{total:.6g}, the sum over blocks of {PART} elements",
            found=f"{float(value):.6g} for all {len(w)} elements at once",
            likely=likely,
        )
    _check_blocks("penalty", np.asarray(gradient), [g for _, g in parts], w, likely)


@check("regularizer", applies=acts_at("decay"))
def decay_elementwise(regularizer: Regularizer) -> None:
    """The decay of a weight depends on that weight only."""
    w = a_block()
    parts = [regularizer.decay(part) for part in _blocks(w)]
    likely = "a norm or a mean over the block; the trainer calls the decay block by block"
    _check_blocks("decay", np.asarray(regularizer.decay(w.copy())), parts, w, likely)


def _blocks(w: Array) -> list[Array]:
    return [w[start : start + PART].copy() for start in range(0, len(w), PART)]


def _check_blocks(what: str, whole: Array, parts: list[Array], w: Array, likely: str) -> None:
    expected = np.concatenate([np.reshape(part, -1) for part in parts])
    wrong = ~np.isclose(whole, expected, rtol=1e-6, atol=1e-12 * np.abs(expected).max())
    if wrong.any():
        i = int(wrong.argmax())
        raise CheckFailure(
            expected=f"{expected[i]:.6g} for w = {w[i]:.4g}, in a block of {PART} elements",
            found=f"{what} gives {whole[i]:.6g} in a block of {len(w)}",
            likely=likely,
        )


@check("regularizer", applies=acts_at("on_hidden"))
def hidden_factor(regularizer: Regularizer) -> str | None:
    """The factor of `on_hidden` is the derivative of what it did to the activations."""
    a = a_matrix(rows=16)
    for seed in range(3):
        disturbed = partial(_disturbed, regularizer, a, seed)
        if not repeats(partial(disturbed, 0.0)):
            return UNREPEATABLE
        found, factor = regularizer.on_hidden(a.copy(), np.random.default_rng(seed))
        found = np.array(found)
        differences = Differences.of(disturbed)
        likely = "the gradient is not multiplied with what the activations are multiplied with"
        if factor is None:
            likely = "None stands for a derivative of 1; return the factor, too"
        elif np.array_equal(np.asarray(factor) != 0, np.asarray(found) != 0):
            likely = "the mask is returned without the scale, 1 / (1 - rate), or the scale once "
            likely += "too often"
        differences.compare(
            "the factor",
            np.ones_like(a) if factor is None else np.asarray(factor),
            partial(_became, a, found),
            likely,
        )
    return None


def _disturbed(regularizer: Regularizer, a: Array, seed: int, h: float) -> Array:
    return np.array(regularizer.on_hidden(a + h, np.random.default_rng(seed))[0])


def _became(a: Array, found: Array, i: tuple[int, ...]) -> str:
    return f"where a = {a[i]:.4g} became {found[i]:.4g}"


@check("regularizer", applies=acts_at("on_batch"))
def batch_rows(regularizer: Regularizer) -> None:
    """Inputs and targets of a batch still belong together, row by row."""
    rows = 40
    # A row's inputs tell which row it is, and so do its targets.
    number = np.linspace(-3, 3, rows)
    is_class = "classification" in regularizer.tasks
    x = np.repeat(number[:, None], 30, axis=1)
    y = np.eye(rows) if is_class else number[:, None]
    for seed in range(BATCHES):
        new_x, new_y = regularizer.on_batch(x.copy(), y.copy(), np.random.default_rng(seed))
        told = new_y @ number if is_class else new_y[:, 0]
        means = new_x.mean(axis=1)
        together = float(np.corrcoef(means, told)[0, 1])
        if not together > 0.5:
            raise CheckFailure(
                expected="targets that go with the inputs of their row",
                found=f"a correlation of {together:.2f} between the two, where it was 1",
                likely="the inputs are shuffled or mixed, and the targets are not, or in another "
                "order; draw the order once for both",
            )


@check("regularizer", applies=lambda r: "classification" in r.tasks and changes_targets(r))
def class_targets(regularizer: Regularizer) -> None:
    """The targets of classes stay shares: from 0 to 1, and 1 in all for a row."""
    hard = np.eye(4)[np.arange(12) % 4]
    for y in (hard, hard[:, :1]):
        _, soft = regularizer.on_batch(a_matrix(), y.copy(), np.random.default_rng(0))
        soft = regularizer.on_targets(np.array(soft))
        columns = f"targets of {y.shape[1]} column{'s' if y.shape[1] > 1 else ''}"
        if soft.min() < -1e-9 or soft.max() > 1 + 1e-9:
            raise CheckFailure(
                expected=f"{columns} from 0 to 1",
                found=f"{soft.min():.4g} to {soft.max():.4g}",
                likely="something is added that is not taken away elsewhere",
            )
        total = soft.sum(axis=1)
        far = int(np.abs(total - 1).argmax())
        if y is hard and not np.allclose(total, 1, atol=1e-6):
            raise CheckFailure(
                expected="targets of a row that add up to 1",
                found=f"{total[far]:.6g} in row {far}",
                likely="the share that the right class loses is not what all classes get",
            )


@check("regularizer", applies=has_memory)
def slots(regularizer: Regularizer) -> None:
    """The state keeps the arrays of before the first step, with their shapes and dtypes."""
    for dtype in (np.float64, np.float32):
        memory, weights = remembered(regularizer, dtype)
        for step in (1, 2):
            regularizer.on_step(weights[step].copy(), memory.state, progress(step))
            try:
                memory.check(f"after step {step} in {np.dtype(dtype)}")
            except ComponentError as error:
                raise CheckFailure(
                    expected="a state with the arrays of before the first step",
                    found=error.message,
                    likely="a name that is neither among the `slots` nor made in "
                    "`initial_state`, or a float64 number in the formula",
                ) from error
            memory.keep()


@check("regularizer", applies=has_memory)
def state_pickles(regularizer: Regularizer) -> None:
    """A run whose state is stored in the middle goes on the same."""
    memory, weights = remembered(regularizer)
    half = len(weights) // 2
    walked(regularizer, memory, weights[:half])
    try:
        stored = Memory(Memory.owned(pickle.loads(pickle.dumps(memory.state))))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise CheckFailure(
            expected="a state of arrays and plain numbers",
            found=f"something that cannot be stored: {error}",
            likely="a function or a generator is kept in the state",
        ) from error
    straight = walked(regularizer, memory, weights, half)
    resumed = walked(regularizer, stored, weights, half)
    if not np.array_equal(straight, resumed):
        raise CheckFailure(
            expected="the same weights to evaluate, were the run stored in the middle or not",
            found=f"they differ by up to {np.abs(straight - resumed).max():.3g}",
            likely="something is remembered in `self`, the class or the module instead of in the "
            "state",
        )


@check("regularizer")
def learns(regularizer: Regularizer) -> str:
    """A network learns a small problem with it, also beside another one."""
    task, told = regularizer.tasks[0], []
    likely = "its values are so strong that nothing else is learned, if no other check fails"
    for others in ((), (L2(),)):
        run = trained(task, regularizers=(regularizer, *others))
        told.append(expect_learned(run, task, likely))
    return told[0]
