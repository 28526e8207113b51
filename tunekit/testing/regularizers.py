"""What every regularizer has to keep, at the moments at which it acts."""

from __future__ import annotations

import difflib
import inspect
import pickle
from typing import Any

import numpy as np

from tunekit.components import Array, Regularizer
from tunekit.components.regularizer import MOMENTS
from tunekit.errors import ComponentError
from tunekit.nn.memory import Memory
from tunekit.nn.update import remembering
from tunekit.testing.arguments import (
    arrays,
    described,
    expect_array,
    expect_finite,
    expect_pair,
    expect_repeatable,
    expect_untouched,
)
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.moments import (
    a_matrix,
    acted,
    acts_at,
    progress,
    remembered,
    walked,
)
from tunekit.testing.problems import expect_learned, trained

FARTHEST = 1e4
BATCHES = 8  # drawn batches that are looked at

changes_targets = acts_at("on_batch", "on_targets")
has_memory = acts_at("on_step", "evaluation_weights")


@check("regularizer")
def moments(regularizer: Regularizer) -> str:
    """It acts at one or more of the moments."""
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
        near = difflib.get_close_matches(name, MOMENTS, n=1, cutoff=0.6)
        # Beside a moment, a helper may have a name that is like another one's.
        if near and near[0] not in its_own and (name.startswith("on_") or not its_own):
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
    helpers = f"; nobody calls {', '.join(own)} but itself" if own else ""
    return "acts at " + ", ".join(its_own) + helpers


@check("regularizer")
def shape_and_dtype(regularizer: Regularizer) -> None:
    """Shapes and dtypes stay as they are."""
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
    """It does not write into its arguments."""
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
    """Same arguments and generator, same results."""
    others = acted(regularizer, scale=-2.0)
    for moment, other in zip(acted(regularizer), others, strict=True):
        expect_repeatable(moment.name, moment, other)

    def whole_run() -> Array:
        memory, weights = remembered(regularizer)
        return walked(regularizer, memory, weights)

    expect_repeatable("on_step", whole_run, whole_run)


@check("regularizer")
def extreme_inputs(regularizer: Regularizer) -> None:
    """Everything is finite for numbers up to 10,000."""
    for dtype in (np.float64, np.float32):
        for scale in (0.0, FARTHEST):
            where = f"for {'zeros' if not scale else 'numbers around 10,000'} in {np.dtype(dtype)}"
            for moment in acted(regularizer, dtype, scale):
                for found in arrays(moment()):
                    expect_finite(f"what {moment.name} returned", found, where)


@check("regularizer", applies=acts_at("on_batch"))
def batch_rows(regularizer: Regularizer) -> None:
    """Inputs and targets still belong together."""
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
    """Targets of classes stay shares, 1 in all."""
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
    """The state keeps its form."""
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
    """Saved half-way and loaded, it goes on the same."""
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
    """A small network learns with it (a smoke test)."""
    task = regularizer.tasks[0]
    likely = "its values are so strong that nothing else is learned, if no other check fails"
    return expect_learned(trained(task, regularizers=(regularizer,)), task, likely)
