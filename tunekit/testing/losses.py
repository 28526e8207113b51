"""What every loss has to keep."""

from __future__ import annotations

import math
from functools import partial
from itertools import product

import numpy as np

from tunekit.components import Array, Loss, Task
from tunekit.testing.arguments import (
    UNREPEATABLE,
    described,
    expect_array,
    expect_finite,
    expect_pair,
    expect_repeatable,
    expect_untouched,
    repeats,
)
from tunekit.testing.batches import ROWS, Batch
from tunekit.testing.calculus import Differences, constant_ratio
from tunekit.testing.check import CheckFailure, check
from tunekit.testing.problems import expect_learned, trained

TASKS: dict[str, Task] = {
    "one-hot": "classification",
    "binary": "classification",
    "labels": "multilabel",
    "values": "regression",
    "counts": "regression",
}
"""What each form of the targets is for."""
FARTHEST = 1e4
REACHES = (1, 5)
"""What the outputs, up to 4, are multiplied with to see gradients near 0 and far away. Beyond 20,
formulas may limit an exponent and leave the gradient as it is."""
DESCENTS = 400  # steps from a random output towards the target


@check("loss")
def tasks(loss: Loss) -> None:
    """Its tasks fit the form of its targets."""
    task = TASKS[loss.targets]
    if set(loss.tasks) != {task}:
        raise CheckFailure(
            expected=f'tasks = ("{task}",), for targets = "{loss.targets}"',
            found=f"tasks = {loss.tasks}",
            likely="without the line `tasks = ...` a loss is taken to suit every task, and a "
            "study would offer it where its targets make no sense",
        )


@check("loss")
def shape_and_dtype(loss: Loss) -> None:
    """A number, and a gradient like the output."""
    for dtype in (np.float64, np.float32):
        whole = Batch.of(loss, dtype=dtype)
        for batch in (whole, whole.rows(slice(0, 1))):
            for weight in (None, batch.weight.copy()):
                value, gradient = expect_pair(
                    "value_and_gradient",
                    loss.value_and_gradient(batch.output.copy(), batch.target.copy(), weight),
                )
                if not isinstance(value, (int, float, np.number)):
                    raise CheckFailure(
                        expected="the value is one number, the mean over the rows",
                        found=described(value),
                        likely="the mean over the rows is missing: one loss a row is returned",
                    )
                expect_array("the gradient", gradient, batch.output)


@check("loss")
def inputs_not_modified(loss: Loss) -> None:
    """It does not write into its arguments."""
    batch = Batch.of(loss)
    expect_untouched(
        "value_and_gradient",
        loss.value_and_gradient,
        output=batch.output,
        target=batch.target,
        weight=batch.weight,
    )
    expect_untouched(
        "value_and_gradient",
        lambda output, target: loss.value_and_gradient(output, target, None),
        output=batch.output,
        target=batch.target,
    )
    expect_untouched("predict", loss.predict, output=batch.output)


@check("loss")
def deterministic(loss: Loss) -> None:
    """The same batch gives the same, always."""
    batch, other = Batch.of(loss), Batch.of(loss, seed=12)
    expect_repeatable(
        "value_and_gradient", lambda: batch.found(loss, None), lambda: other.found(loss, None)
    )
    expect_repeatable(
        "predict",
        lambda: loss.predict(batch.output.copy()),
        lambda: loss.predict(other.output.copy()),
    )


@check("loss")
def gradient(loss: Loss) -> str | None:
    """Its gradient is that of its value.

    For hard and soft targets, with and without weights, for outputs near and far away.
    """
    for soft, reach in product((False, True), REACHES):
        near = Batch.of(loss, soft=soft)
        batch = near.at(near.output * reach)
        if not repeats(partial(batch.gradient, loss)):
            return UNREPEATABLE
        for weight in (None, batch.weight):
            _compare(loss, batch, weight)
    return None


def _compare(loss: Loss, batch: Batch, weight: Array | None) -> None:
    found = batch.gradient(loss, weight)
    differences = Differences.of_sum(
        lambda output: batch.at(output).value(loss, weight), batch.output
    )
    kind = "without weights" if weight is None else "with weights"
    differences.compare(
        "the gradient",
        found,
        lambda i: (
            f"for an output of {batch.output[i]:.4g} and a target of {batch.target[i]:.4g}, {kind}"
        ),
        _summed(found, differences),
    )


def _summed(found: Array, differences: Differences) -> str | None:
    """The mistake, if value and gradient are not both means."""
    factor = constant_ratio(found[differences.is_smooth], differences.slope[differences.is_smooth])
    return {
        float(ROWS): "the value is a mean over the rows, the gradient is not: divide it by the "
        "number of rows, too",
        1 / ROWS: "the gradient is divided by the number of rows, the value is not",
        float(found.size): "the gradient is not divided by rows * outputs, as the value is",
    }.get(round(factor, 6) if factor else 0.0)


@check("loss")
def mean_over_rows(loss: Loss) -> str | None:
    """It is a mean over the rows, not a sum."""
    batch = Batch.of(loss)
    if not repeats(partial(batch.gradient, loss)):
        return UNREPEATABLE
    twice = batch.rows(np.tile(np.arange(ROWS), 2))
    value, doubled = batch.value(loss), twice.value(loss)
    if not math.isclose(value, doubled, rel_tol=1e-9, abs_tol=1e-12):
        raise CheckFailure(
            expected=f"{value:.6g} with every row twice, as with every row once",
            found=f"{doubled:.6g}",
            likely="a sum over the rows instead of the mean; the best learning rate would "
            "depend on the batch size",
        )
    slopes, halved = batch.gradient(loss), twice.gradient(loss)[:ROWS]
    if not np.allclose(halved, slopes / 2, rtol=1e-9, atol=1e-12):
        ratio = constant_ratio(halved, slopes)
        raise CheckFailure(
            expected="half the gradient for each row, where every row comes twice",
            found="another one" if ratio is None else f"{ratio:.4g} times the gradient",
            likely="the gradient is not divided by the number of rows, as the value is",
        )
    return None


@check("loss")
def weights(loss: Loss) -> str | None:
    """With weights it is the weighted mean."""
    batch = Batch.of(loss)
    if not repeats(partial(batch.gradient, loss)):
        return UNREPEATABLE
    alone = [batch.rows(slice(i, i + 1)).value(loss) for i in range(ROWS)]
    plain = batch.value(loss)
    expected, found = (
        float(np.average(alone, weights=batch.weight)),
        batch.value(loss, batch.weight),
    )
    if not math.isclose(expected, found, rel_tol=1e-6, abs_tol=1e-9):
        likely = "the weighted mean is sum(weight * loss) / sum(weight)"
        if math.isclose(found, plain, rel_tol=1e-6):
            likely = "the weights are not used"
        elif math.isclose(found * ROWS, expected * batch.weight.sum(), rel_tol=1e-6):
            likely = "the sum is divided by the number of rows instead of by the sum of weights"
        elif math.isclose(found, expected * batch.weight.sum(), rel_tol=1e-6):
            likely = "the sum is not divided by the sum of the weights"
        raise CheckFailure(
            expected=f"{expected:.6g}, the weighted mean of the losses of single rows",
            found=f"{found:.6g} (without weights {plain:.6g})",
            likely=likely,
        )
    equal = batch.value(loss, np.full(ROWS, 2.5))
    if not math.isclose(equal, plain, rel_tol=1e-6, abs_tol=1e-9):
        raise CheckFailure(
            expected=f"{plain:.6g} with equal weights, as without",
            found=f"{equal:.6g}",
            likely="what is done without weights is no mean",
        )
    return None


@check("loss")
def right_answer(loss: Loss) -> None:
    """Downhill, predictions become the targets."""
    batch = Batch.of(loss)
    output = _downhill(loss, batch)
    before = _columns(loss, batch.output) - batch.target
    after = _columns(loss, output) - batch.target
    far, near = float(np.abs(before).mean()), float(np.abs(after).mean())
    if loss.targets in ("one-hot", "binary", "labels"):
        is_right = np.abs(after).max() < 0.5 or bool(
            loss.targets == "one-hot"
            and (_columns(loss, output).argmax(axis=1) == batch.target.argmax(axis=1)).all()
        )
    else:
        is_right = near < 0.3 * far
    if not is_right:
        raise CheckFailure(
            expected=f"predictions that reach the targets after {DESCENTS} steps downhill from "
            "random outputs",
            found=f"they are {near:.3g} away on average ({far:.3g} before the first step)",
            likely="the error is turned round (target - output), so that it is smallest at a "
            "wrong answer; or `predict` belongs to another loss",
        )


def _downhill(loss: Loss, batch: Batch) -> Array:
    """Where every output comes to that goes downhill in steps of its own length.

    At a kink, as that of a quantile, one length for all would make them go to and fro.
    """
    output, sizes = batch.output, np.ones_like(batch.output)
    last = np.zeros_like(output)
    for _ in range(DESCENTS):
        sign = np.nan_to_num(np.sign(batch.at(output).gradient(loss)))
        sizes = np.clip(sizes * np.choose((1 + sign * last).astype(int), (0.5, 1, 1.2)), 0, 8)
        output, last = output - sizes * sign, sign
    return output


def _columns(loss: Loss, output: Array) -> Array:
    """Predictions in the targets' own columns: of two classes with one output, the second."""
    prediction = np.asarray(loss.predict(output.copy()))
    return prediction[:, 1:] if loss.targets == "binary" else prediction


@check("loss")
def predictions(loss: Loss) -> None:
    """Predictions have the right form and range."""
    for dtype in (np.float64, np.float32):
        batch = Batch.of(loss, dtype=dtype)
        columns = 2 if loss.targets == "binary" else batch.output.shape[1]
        found = loss.predict(batch.output.copy())
        expect_array(
            "what predict returned",
            found,
            np.empty((ROWS, columns), dtype),
            "with one output for two classes, both probabilities are returned, that of class 0 "
            "first"
            if loss.targets == "binary"
            else "a label or the likeliest class is returned instead of all probabilities",
        )
        if TASKS[loss.targets] == "regression":
            continue
        if found.min() < 0 or found.max() > 1 + 1e-6:
            raise CheckFailure(
                expected="probabilities, from 0 to 1",
                found=f"{found.min():.4g} to {found.max():.4g}",
                likely="`predict` returns the raw output; apply the softmax or sigmoid that is "
                "part of the loss",
            )
        total = found.sum(axis=1)
        if loss.targets != "labels" and not np.allclose(total, 1, atol=1e-5):
            i = int(np.abs(total - 1).argmax())
            raise CheckFailure(
                expected="probabilities of a row that add up to 1",
                found=f"{total[i]:.6g} in row {i}",
                likely="a sigmoid for each class where a softmax is meant, or a sum over the rows "
                "(axis=0) in the softmax",
            )


@check("loss")
def extreme_inputs(loss: Loss) -> None:
    """Everything is finite for outputs up to 10,000."""
    for dtype in (np.float32, np.float64):
        batch = Batch.of(loss, soft=True, dtype=dtype)
        for size in (50.0, 100.0, FARTHEST):
            output = np.sign(batch.output) * dtype(size)
            where = f"for outputs of {size:g} and {-size:g} in {np.dtype(dtype)}"
            for weight in (None, batch.weight):
                value, slopes = batch.at(output).found(loss, weight)
                expect_finite("the value", value, where)
                expect_finite("the gradient", slopes, where)
            expect_finite("what predict returned", loss.predict(output.copy()), where)


@check("loss")
def learns(loss: Loss) -> str:
    """A small network learns with it (a smoke test)."""
    told = []
    for task in loss.tasks:
        run = trained(task, targets=loss.targets, loss=loss, epochs=30)
        told.append(
            expect_learned(run, task, "the gradient does not lead to the targets; see `gradient`")
        )
    return "; ".join(told)
