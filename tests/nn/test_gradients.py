from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Loss, Optimizer, Regularizer, Step
from tunekit.components import KINDS, State
from tunekit.nn.network import Architecture, Network
from tunekit.nn.normalization import BatchNorm, RowNorm
from tunekit.nn.parameters import Kind, Part
from tunekit.nn.update import Update
from tunekit.plugins import load

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
ROWS, FEATURES, UNITS, CLASSES = 7, 5, 4, 3

# Small enough that no pre-activation, weight or error of the seeded data lies within reach of a
# kink (relu, absolute values), large enough that rounding stays below a millionth.
NORMALIZATIONS: tuple[Kind, ...] = ("none", "batch", "layer", "rms")

EPS = 1e-6
TOLERANCE = 1e-6


def component(kind: str, name: str) -> Any:
    return REGISTRY.find(KINDS[kind], name)()


def acting(moment: str) -> list[str]:
    """The regularizers that do something at a moment of the training step."""
    return [
        name
        for name in REGISTRY.names("regularizer")
        if getattr(REGISTRY.find(KINDS["regularizer"], name), moment)
        is not getattr(Regularizer, moment)
    ]


@dataclass(frozen=True)
class Case:
    """A network whose derivative is checked."""

    activation: str = "tanh"
    loss: str = "cross_entropy"
    regularizers: tuple[str, ...] = ()
    depth: int = 2
    normalization: Kind = "none"
    residual: bool = False
    input_scaling: bool = False
    weighted: bool = False
    soft: bool = False

    def __str__(self) -> str:
        words = [self.activation, self.loss, *self.regularizers, f"depth {self.depth}"]
        words += [f"{self.normalization} normalization"]
        words += ["residual"] * self.residual + ["scaled inputs"] * self.input_scaling
        words += ["weighted"] * self.weighted + ["soft targets"] * self.soft
        return ", ".join(words)


def cases() -> list[Case]:
    """Every registered component once with everything else kept simple; new ones included."""
    found = []
    for normalization in NORMALIZATIONS:
        found += [
            Case(activation=name, normalization=normalization)
            for name in REGISTRY.names("activation")
        ]
        found += [Case(depth=depth, normalization=normalization) for depth in range(5)]
        found += [
            Case(regularizers=(name,), normalization=normalization)
            for name in sorted({*acting("penalty"), *acting("on_hidden")})
        ]
    for name in REGISTRY.names("loss"):
        is_soft = component("loss", name).targets in ("one-hot", "binary", "labels")
        found += [
            Case(loss=name, weighted=weighted, soft=soft)
            for weighted in (False, True)
            for soft in ((False, True) if is_soft else (False,))
        ]
    everything = tuple(sorted({*acting("penalty"), *acting("on_hidden")}))
    found += [
        Case(
            activation=activation,
            regularizers=everything,
            depth=3,
            normalization=normalization,
            residual=residual,
            input_scaling=True,
            weighted=True,
        )
        for activation in ("tanh", "prelu")
        for normalization in NORMALIZATIONS
        for residual in (False, True)
    ]
    found += [Case(depth=depth, input_scaling=True) for depth in range(3)]
    found += [Case(depth=depth, residual=True) for depth in range(4)]
    return list(dict.fromkeys(found))


class Recorder(Optimizer):
    """Keeps the gradient that it is given, and stays where it is."""

    name = "recorder"
    slots = ("g",)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        state["g"] = g
        return np.zeros_like(g)


class Objective:
    """What training descends on: the loss of one batch, plus the penalties on the weights."""

    def __init__(self, case: Case, dtype: str = "float64") -> None:
        self.case = case
        self.loss: Loss = component("loss", case.loss)
        architecture = Architecture(
            component("activation", case.activation),
            case.normalization,
            case.residual,
            case.input_scaling,
        )
        regularizers = [component("regularizer", name) for name in case.regularizers]
        self.penalties = [r for r in regularizers if r.name in acting("penalty")]
        noises = [r for r in regularizers if r.name in acting("on_hidden")]
        rng = np.random.default_rng(2)
        outputs = 1 if self.loss.targets == "binary" else CLASSES
        sizes = (FEATURES, *[UNITS] * case.depth, outputs)
        self.layout = architecture.layout(sizes)
        # Biases and gains too are anything, so that no term of theirs hides behind a 0 or a 1.
        self.parameters = rng.normal(scale=0.7, size=self.layout.size).astype(dtype)
        running = np.ones(self.layout.running_size, dtype)
        self.network = Network(architecture, self.layout, self.parameters, running, noises, ROWS)
        self.x = rng.normal(size=(ROWS, FEATURES)).astype(dtype)
        self.target = targets(self.loss.targets, outputs, case.soft, rng).astype(dtype)
        self.weight = rng.uniform(0, 3, ROWS) if case.weighted else None

    def output(self, seed: int = 5) -> Array:
        return self.network.forward(self.x, np.random.default_rng(seed))

    def value(self) -> float:
        value, _ = self.loss.value_and_gradient(self.output(), self.target, self.weight)
        weights = self.parameters[: self.layout.weights]
        for regularizer in self.penalties:
            value += regularizer.penalty(weights)[0]
        return value

    @property
    def groups(self) -> list[slice]:
        """Where the weights, the biases, the gains... lie in the flat vector."""
        parts: tuple[Part, ...] = ("weights", "bias", "gain", "shift", "slope", "scale")
        groups = [
            [tensor for tensor in self.layout.tensors if tensor.part == part] for part in parts
        ]
        return [slice(group[0].start, group[-1].stop) for group in groups if group]

    def gradient(self) -> Array:
        """By backpropagation, as the optimizer is given it."""
        _, d_output = self.loss.value_and_gradient(self.output(), self.target, self.weight)
        self.network.backward(d_output)
        rule = Recorder()
        slots = Update.initial_state(rule, self.layout, self.parameters)
        Update(
            rule, self.layout, self.parameters, self.network.gradient, slots, self.penalties
        ).step(1, 0.1)
        return np.concatenate([state["g"] for state in slots])

    def differences(self) -> Array:
        """By central finite differences."""
        slopes = np.empty_like(self.parameters)
        for i, value in enumerate(self.parameters.copy()):
            self.parameters[i] = value + EPS
            above = self.value()
            self.parameters[i] = value - EPS
            slopes[i] = (above - self.value()) / (2 * EPS)
            self.parameters[i] = value
        return slopes


def targets(form: str, outputs: int, soft: bool, rng: np.random.Generator) -> Array:
    if form == "values":
        return rng.normal(size=(ROWS, outputs))
    if form == "counts":
        return rng.poisson(3.0, (ROWS, outputs))
    if form == "labels":
        return rng.random((ROWS, outputs)) if soft else rng.integers(0, 2, (ROWS, outputs))
    if form == "binary":
        return rng.random((ROWS, 1)) if soft else rng.integers(0, 2, (ROWS, 1))
    if soft:
        return rng.dirichlet(np.ones(outputs), ROWS)
    return np.eye(outputs)[rng.integers(0, outputs, ROWS)]


def distance(a: Array, b: Array) -> float:
    """The relative error of vectors, ``|a - b| / max(|a|, |b|)``; 0 where both are 0."""
    size = max(np.linalg.norm(a), np.linalg.norm(b))
    return float(np.linalg.norm(a - b) / size) if size else 0.0


def error_of(case: Case) -> float:
    """The largest relative error among the weights, the biases, the gains and so on."""
    objective = Objective(case)
    analytic, numeric = objective.gradient(), objective.differences()
    return max(distance(analytic[group], numeric[group]) for group in objective.groups)


def error_table() -> list[tuple[str, float]]:
    """Each case in words, with its relative error: what the test below asserts, to be shown."""
    return [(str(case), error_of(case)) for case in cases()]


@pytest.mark.parametrize("case", cases(), ids=str)
def test_the_gradient_is_what_finite_differences_say(case: Case) -> None:
    assert error_of(case) < TOLERANCE


def test_the_cases_hold_every_registered_activation_loss_penalty_and_noise() -> None:
    found = cases()
    assert {case.activation for case in found} == set(REGISTRY.names("activation"))
    assert {case.loss for case in found} == set(REGISTRY.names("loss"))
    used = {name for case in found for name in case.regularizers}
    assert {"l1", "l2", "dropout"} <= used


def test_a_wrong_factor_is_found() -> None:
    class WrongTanh(type(component("activation", "tanh"))):  # type: ignore[misc]
        name = "wrong_tanh"

        def backward(self, da: Array, z: Array, a: Array) -> Array:
            return super().backward(da, z, a) * (1 + 1e-5)  # type: ignore[no-any-return]

    objective = Objective(Case())
    for layer in objective.network.layers[:-1]:
        layer.activation = WrongTanh()
    assert distance(objective.gradient(), objective.differences()) > TOLERANCE


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_gradient_of_a_batch_replaces_that_of_the_batch_before(normalization: Kind) -> None:
    objective = Objective(Case(normalization=normalization))
    first = objective.gradient()
    assert np.array_equal(objective.gradient(), first)


@pytest.mark.parametrize("name", acting("on_hidden"))
def test_the_same_generator_state_gives_the_same_noise(name: str) -> None:
    objective = Objective(Case(regularizers=(name,)))
    first = objective.output(seed=5).copy()
    assert np.array_equal(objective.output(seed=5), first)
    assert not np.array_equal(objective.output(seed=6), first)


@pytest.mark.parametrize("name", acting("on_hidden"))
def test_noise_acts_in_training_only(name: str) -> None:
    noisy, calm = Objective(Case(regularizers=(name,))), Objective(Case())
    assert np.array_equal(noisy.network.infer(noisy.x), calm.network.infer(calm.x))


def test_several_noises_act_one_after_the_other() -> None:
    # Depth 1, so that every factor's own share of the gradient counts.
    objective = Objective(Case(regularizers=("dropout", "dropout"), depth=1))
    assert distance(objective.gradient(), objective.differences()) < TOLERANCE


def test_dropout_drops_the_gradient_of_the_units_that_it_drops() -> None:
    objective = Objective(Case(activation="identity", regularizers=("dropout",), depth=1))
    dropout = component("regularizer", "dropout")
    _, factor = dropout.on_hidden(np.ones((ROWS, UNITS)), np.random.default_rng(5))
    assert 0 < np.count_nonzero(factor) < factor.size
    hidden, output = objective.network.layers
    d_output = np.ones((ROWS, CLASSES))
    objective.output(seed=5)
    objective.network.backward(d_output)
    expected = (d_output @ output.weights.T) * factor
    assert hidden.bias_gradient is not None
    np.testing.assert_allclose(hidden.bias_gradient, expected.sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("activation", REGISTRY.names("activation"))
def test_float32_is_as_good_as_its_digits(activation: str, normalization: Kind) -> None:
    case = Case(activation=activation, normalization=normalization)
    single, double = Objective(case, "float32"), Objective(case)
    gradient = single.gradient()
    assert gradient.dtype == np.float32
    assert distance(gradient, double.gradient()) < 2e-5


def test_a_normalized_batch_has_mean_0_and_variance_1_before_gain_and_bias() -> None:
    objective = Objective(Case(activation="identity", depth=1, normalization="batch"))
    hidden = objective.network.layers[0]
    assert isinstance(hidden.norm, BatchNorm)
    a = hidden.forward(objective.x, np.random.default_rng(0))
    np.testing.assert_allclose(a.mean(axis=0), hidden.norm.shift, atol=1e-12)
    np.testing.assert_allclose(a.std(axis=0), np.abs(hidden.norm.gain), rtol=1e-4)


@pytest.mark.parametrize("normalization", ["layer", "rms"])
def test_a_normalized_row_has_size_1_before_gain_and_bias(normalization: Kind) -> None:
    case = Case(activation="identity", depth=1, normalization=normalization)
    hidden = Objective(case).network.layers[0]
    assert isinstance(hidden.norm, RowNorm)
    a = hidden.forward(Objective(case).x, np.random.default_rng(0))
    shift = 0 if hidden.norm.shift is None else hidden.norm.shift
    rows = (a - shift) / hidden.norm.gain
    np.testing.assert_allclose((rows**2).mean(axis=1), 1, rtol=1e-3)
    if normalization == "layer":
        np.testing.assert_allclose(rows.mean(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize("normalization", ["layer", "rms"])
def test_a_row_and_twice_the_row_stay_apart_where_rows_are_normalized(normalization: Kind) -> None:
    objective = Objective(Case(depth=1, normalization=normalization))
    once, twice = (objective.network.infer(factor * objective.x) for factor in (1, 2))
    assert np.abs(once - twice).max() > 1e-2


def test_a_residual_layer_adds_its_input() -> None:
    plain, residual = Objective(Case(depth=2)), Objective(Case(depth=2, residual=True))
    first, second = plain.network.layers[:2]
    a = first.infer(plain.x)
    output = (a + second.infer(a)).dot(plain.network.layers[2].weights)
    output += plain.network.layers[2].bias
    np.testing.assert_allclose(residual.output(), output, rtol=1e-12)
    np.testing.assert_allclose(residual.network.infer(residual.x), output, rtol=1e-12)


def test_statistics_that_were_taken_are_those_of_the_rows() -> None:
    objective = Objective(Case(depth=2, normalization="batch"))
    objective.network.take_statistics(objective.x)
    np.testing.assert_allclose(objective.network.infer(objective.x), objective.output(), rtol=1e-9)


def test_inference_normalizes_by_what_the_running_values_converge_to() -> None:
    objective = Objective(Case(depth=1, normalization="batch"))
    for _ in range(300):
        trained_on = objective.output().copy()
    # The running variance is the unbiased one, the batch's own is not.
    np.testing.assert_allclose(objective.network.infer(objective.x), trained_on, atol=0.2)
    hidden = objective.network.layers[0]
    assert isinstance(hidden.norm, BatchNorm)
    z = objective.x @ hidden.weights
    expected = np.stack([z.mean(axis=0), z.var(axis=0, ddof=1)])
    np.testing.assert_allclose(hidden.norm.running, expected, rtol=1e-9)


@pytest.mark.parametrize("rows", [0, 1, ROWS, 2048, 2049, 5000])
def test_inference_takes_any_number_of_rows(rows: int) -> None:
    objective = Objective(Case())
    x = np.resize(objective.x, (rows, FEATURES))
    output = objective.network.infer(x)
    assert output.shape == (rows, CLASSES)
    np.testing.assert_allclose(output, np.resize(objective.output(), output.shape), rtol=1e-12)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_inference_changes_nothing(normalization: Kind) -> None:
    objective = Objective(Case(activation="identity", normalization=normalization))
    x, parameters = objective.x.copy(), objective.parameters.copy()
    first = objective.network.infer(objective.x).copy()
    assert np.array_equal(objective.network.infer(objective.x), first)
    assert np.array_equal(objective.x, x)
    assert np.array_equal(objective.parameters, parameters)
