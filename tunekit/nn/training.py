"""Training: start a run, advance it by some epochs, get a new run."""

from __future__ import annotations

import copy
import math

import numpy as np

from tunekit.components import Array, Progress, Regularizer
from tunekit.nn.checks import check_activation, checked_factor
from tunekit.nn.network import Network
from tunekit.nn.parameters import Layout
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Checkpoint, Run, layout_of
from tunekit.nn.targets import Encoding
from tunekit.nn.update import Update
from tunekit.records import Fold


def start(recipe: Recipe, fold: Fold, outputs: int, seed: np.random.SeedSequence) -> Run:
    """Initialize a network and measure it untrained.

    Args:
        recipe: What to train.
        fold: Training and validation rows.
        outputs: Number of classes, or of value columns.
        seed: Source of all of the run's randomness.

    Raises:
        InputError: The loss does not fit the targets.
        ComponentError: The activation returned something unusable.
    """
    # Children are made by key, not by `spawn`, which would count them in `seed` itself.
    initial, shuffle, noise = (
        np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, i)))
        for i in range(3)
    )
    check_activation(recipe.activation, recipe.dtype)
    layout = layout_of(recipe, fold, outputs)
    weights, running = _untrained(recipe, layout, copy.deepcopy(initial))
    slots = Update.initial_state(recipe.optimizer, layout, weights)
    checkpoint = Checkpoint(weights, running, slots, shuffle, noise, initial)
    return _Training(Run(recipe, fold, outputs, checkpoint)).measured()


def _untrained(
    recipe: Recipe, layout: Layout, generator: np.random.Generator
) -> tuple[Array, Array]:
    """The parameters that training starts from, and the means and variances, both flat."""
    weights = np.zeros(layout.size, recipe.dtype)
    for tensor in layout.group("weights"):
        is_output = tensor.layer == len(layout.sizes) - 2
        gain = 1.0 if is_output else recipe.activation.gain
        fan_in, fan_out = tensor.shape
        tensor.view(weights)[:] = recipe.initializer.draw(generator, fan_in, fan_out, gain)
    for tensor in layout.group("others"):
        tensor.view(weights)[:] = 1
    running = np.zeros(layout.running_size, recipe.dtype)
    position = 0
    for units in layout.sizes[1:-1] if layout.normalized else ():
        running[position + units : position + 2 * units] = 1  # variances follow means
        position += 2 * units
    return weights, running


def advance(run: Run, epochs: int) -> Run:
    """Train for some more epochs.

    The result depends on the sum of the epochs only: two calls end in the same bits as one.

    Args:
        run: Where to start from; it is not changed.
        epochs: How many epochs at most; a run ends by itself after its recipe's epochs, when
            early stopping says so, or when it diverges.

    Raises:
        ComponentError: A component returned something unusable.
    """
    training = _Training(run)
    # A diverging run overflows on its way; that is told in words, not in warnings.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        for _ in range(epochs):
            if training.checkpoint.status != "running":
                break
            training.epoch()
    return training.run


def trained(run: Run) -> Network:
    """The network that a run's score belongs to, to predict with."""
    return _Training(run).best_network()


def score_on(run: Run, x: Array, target: Array, weight: Array | None) -> float:
    """The metric of a run's network on other rows.

    Args:
        run: A run that has been trained.
        x: Inputs, shape ``(rows, features)``.
        target: Class indices ``(rows,)``, or values ``(rows, outputs)`` in their own unit.
        weight: Weight of each row, or None.
    """
    training, recipe = _Training(run), run.recipe
    encoded = training.encoding.encode(target, recipe.dtype)
    with np.errstate(all="ignore"):
        output = training.best_network().infer(x)
        _, score = training.encoding.measure(
            recipe.loss, recipe.metric, output, target, encoded, weight
        )
    return score


class _Training:
    """The buffers and views of a run while it advances."""

    def __init__(self, run: Run) -> None:
        self.checkpoint = copy.deepcopy(run.checkpoint)
        self.run = Run(run.recipe, run.fold, run.outputs, self.checkpoint)
        self.recipe, self.fold = run.recipe, run.fold
        self.rows = len(self.fold.x)
        self.batch_size = min(self.recipe.batch_size, self.rows)
        self.layout = layout_of(run.recipe, run.fold, run.outputs)
        self.network = Network(
            self.layout,
            self.checkpoint.weights,
            self.checkpoint.running,
            self.recipe.activation,
            self._acting("on_hidden"),
            self.batch_size,
        )
        self.update = Update(
            self.recipe.optimizer,
            self.layout,
            self.checkpoint.weights,
            self.network.gradient,
            self.checkpoint.slots,
            self._acting("penalty"),
        )
        self.encoding = Encoding.of(self.recipe.loss, self.fold.target, run.outputs)
        self.y = self.encoding.encode(self.fold.target, self.recipe.dtype)
        self.y_validation = self.encoding.encode(self.fold.target_validation, self.recipe.dtype)
        self._x_batch = np.empty((self.batch_size, self.fold.x.shape[1]), self.recipe.dtype)
        self._y_batch = np.empty((self.batch_size, self.y.shape[1]), self.recipe.dtype)
        self.on_batch = self._acting("on_batch")
        self.on_targets = self._acting("on_targets")
        self.on_gradient = self._acting("on_gradient")
        self.on_weights = self._acting("on_weights")
        self.matrices = [
            tensor.view(self.checkpoint.weights) for tensor in self.layout.group("weights")
        ]

    def _acting(self, moment: str) -> list[Regularizer]:
        """The regularizers that do something at a moment of the step."""
        default = getattr(Regularizer, moment)
        return [r for r in self.recipe.regularizers if getattr(type(r), moment) is not default]

    def epoch(self) -> None:
        """One pass over the training rows in random mini-batches, then a measurement."""
        checkpoint = self.checkpoint
        order = checkpoint.shuffle.permutation(self.rows)
        total = total_rows = 0.0
        steps = len(starts := self._batch_starts())
        planned = steps * self.recipe.epochs
        for start in starts:
            rows = order[start : start + self.batch_size]
            if start == 0 or self.recipe.schedule.every == "step":
                factor = self._factor(planned)
            rate = self.recipe.optimizer.lr * factor * self._warmth(planned)
            loss = self.step(rows, rate)
            total += loss * len(rows)
            total_rows += len(rows)
            if not math.isfinite(loss):
                break
        checkpoint.epoch += 1
        diverged = not (math.isfinite(total) and bool(np.isfinite(checkpoint.weights).all()))
        self._measure(total / total_rows, rate, diverged)

    def _batch_starts(self) -> range:
        starts = range(0, self.rows, self.batch_size)
        # The variance of a single row is 0: such a rest teaches a normalized network nothing.
        single = self.rows % self.batch_size == 1 and len(starts) > 1
        return starts[:-1] if single and self.layout.normalized else starts

    def step(self, rows: Array, rate: float) -> float:
        """One training step on a mini-batch: forward, loss, backward, update."""
        x, y, weight = self._batch(rows)
        output = self.network.forward(x, self.checkpoint.noise)
        loss, d_output = self.recipe.loss.value_and_gradient(output, y, weight)
        self.network.backward(d_output)
        self._regularize_gradient()
        self.checkpoint.step += 1
        self.update.step(self.checkpoint.step, rate)
        for regularizer in self.on_weights:
            for matrix in self.matrices:
                matrix[...] = regularizer.on_weights(matrix)
        return float(loss)

    def _batch(self, rows: Array) -> tuple[Array, Array, Array | None]:
        # mode="clip" lets numpy gather straight into the buffer instead of through a copy.
        x = np.take(self.fold.x, rows, axis=0, out=self._x_batch[: len(rows)], mode="clip")
        y = np.take(self.y, rows, axis=0, out=self._y_batch[: len(rows)], mode="clip")
        weight = None if self.fold.weight is None else self.fold.weight[rows]
        for regularizer in self.on_batch:
            x, y = regularizer.on_batch(x, y, self.checkpoint.noise)
        for regularizer in self.on_targets:
            y = regularizer.on_targets(y)
        return x, y, weight

    def _regularize_gradient(self) -> None:
        for regularizer in self.on_gradient:
            replaced = regularizer.on_gradient(self.network.gradient)
            if replaced is not self.network.gradient:
                self.network.gradient[:] = replaced

    def _warmth(self, steps: int) -> float:
        """The warm-up's factor for the next step's learning rate."""
        warmup = self.recipe.warmup * steps
        return min(1.0, (self.checkpoint.step + 1) / warmup) if warmup else 1.0

    def _factor(self, steps: int) -> float:
        """The schedule's factor for the learning rate, in a run of so many steps."""
        checkpoint, recipe = self.checkpoint, self.recipe
        scores = checkpoint.metrics[f"val_{recipe.metric.name}"][1:]
        sign = 1 if recipe.metric.larger_is_better else -1
        progress = Progress(
            checkpoint.step,
            steps,
            checkpoint.epoch,
            recipe.epochs,
            checkpoint.step / steps,
            [sign * score for score in scores] if recipe.schedule.every == "epoch" else (),
        )
        return checked_factor(recipe.schedule, recipe.schedule.factor(progress))

    def measured(self) -> Run:
        """The run with its untrained network measured."""
        with np.errstate(all="ignore"):
            self._measure(math.nan, math.nan, diverged=False)
        return self.run

    def _measure(self, train_loss: float, rate: float, diverged: bool) -> None:
        checkpoint, name = self.checkpoint, self.recipe.metric.name
        val_loss = val_score = math.nan
        if not diverged:
            val_loss, val_score = self._validate()
            # The last step of an epoch may have overflowed without leaving a trace so far.
            diverged = checkpoint.epoch > 0 and not math.isfinite(val_loss + val_score)
        row = {
            "train_loss": train_loss,
            "val_loss": val_loss,
            f"val_{name}": val_score,
            "lr": rate,
        }
        for key, value in row.items():
            checkpoint.metrics.setdefault(key, []).append(value)
        if diverged:
            checkpoint.status = "diverged"
        elif checkpoint.epoch:
            self._keep_best(checkpoint.metrics[f"val_{name}"])

    def _validate(self) -> tuple[float, float]:
        """Loss and metric on the validation rows, at the weights that the rule evaluates."""
        fold = self.fold
        training_weights = self._swap_in(self._evaluation_weights())
        output = self.network.infer(fold.x_validation)
        self._swap_in(training_weights)
        return self.encoding.measure(
            self.recipe.loss,
            self.recipe.metric,
            output,
            fold.target_validation,
            self.y_validation,
            fold.weight_validation,
        )

    def _evaluation_weights(self) -> Array | None:
        """Weights to evaluate, if others than the trained ones; before the first step, none."""
        return self.update.evaluation_weights() if self.checkpoint.step else None

    def _swap_in(self, weights: Array | None) -> Array | None:
        """Put other weights into the network and return those that were there."""
        if weights is None:
            return None
        previous = self.checkpoint.weights.copy()
        self.checkpoint.weights[:] = weights
        return previous

    def _keep_best(self, scores: list[float]) -> None:
        checkpoint, recipe = self.checkpoint, self.recipe
        if not recipe.patience:
            checkpoint.best_epoch = checkpoint.epoch
        elif checkpoint.best_epoch == 0 or self._is_better(
            scores[-1], scores[checkpoint.best_epoch]
        ):
            checkpoint.best_epoch = checkpoint.epoch
            evaluated = self._evaluation_weights()
            checkpoint.best_weights = checkpoint.weights.copy() if evaluated is None else evaluated
            checkpoint.best_running = checkpoint.running.copy()
        elif checkpoint.epoch - checkpoint.best_epoch >= recipe.patience:
            checkpoint.status = "stopped"
        if checkpoint.epoch >= recipe.epochs and checkpoint.status == "running":
            checkpoint.status = "finished"

    def _is_better(self, score: float, than: float) -> bool:
        return score > than if self.recipe.metric.larger_is_better else score < than

    def best_network(self) -> Network:
        """The network that the run's score belongs to."""
        checkpoint = self.checkpoint
        if checkpoint.status == "diverged":
            untrained = _untrained(self.recipe, self.layout, checkpoint.initial)
            checkpoint.weights[:], checkpoint.running[:] = untrained
        elif checkpoint.best_weights is not None and checkpoint.best_running is not None:
            checkpoint.weights[:] = checkpoint.best_weights
            checkpoint.running[:] = checkpoint.best_running
        else:
            self._swap_in(self._evaluation_weights())
        return self.network
