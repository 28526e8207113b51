from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Activation
from tunekit.nn.network import INFERENCE_ROWS, Architecture, Network
from tunekit.nn.normalization import BatchNorm
from tunekit.nn.parameters import Kind
from tunekit.plugins import load

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
SIZES = (4, 6, 6, 5, 3)  # one layer of the network can be residual
ROWS = 40
RNG = np.random.default_rng(0)  # of what draws noise: nothing here does
NORMALIZATIONS: list[Kind] = ["none", "layer", "rms"]
ALL: list[Kind] = [*NORMALIZATIONS, "batch"]


def network(normalization: Kind = "none", activation: str = "tanh", **changes: Any) -> Network:
    """A network of which no parameter is what it starts from."""
    formula = REGISTRY.find(Activation, activation)()
    architecture = Architecture(formula, normalization, **changes)
    layout = architecture.layout(SIZES)
    rng = np.random.default_rng(1)
    running = rng.uniform(0.5, 2, layout.running_size)
    return Network(architecture, layout, rng.normal(size=layout.size), running, rows=ROWS)


def inputs(rows: int = ROWS) -> Array:
    return np.random.default_rng(2).normal(1, 2, (rows, SIZES[0]))


@pytest.mark.parametrize("input_scaling", [False, True], ids=["as_is", "scaled"])
@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("activation", ["tanh", "prelu", "swish"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_inference_gives_what_training_computes(
    normalization: Kind, activation: str, residual: bool, input_scaling: bool
) -> None:
    changes: dict[str, Any] = {"is_residual": residual, "has_input_scaling": input_scaling}
    net, x = network(normalization, activation, **changes), inputs()
    inferred = net.infer(x)
    np.testing.assert_allclose(inferred, net.forward(x, RNG), rtol=1e-12)


@pytest.mark.parametrize(
    "changes", [{}, {"is_residual": True}, {"has_input_scaling": True}], ids=str
)
@pytest.mark.parametrize("activation", ["tanh", "prelu"])
def test_with_the_batchs_own_statistics_batch_normalization_infers_what_training_computes(
    activation: str, changes: dict[str, Any]
) -> None:
    net, x = network("batch", activation, **changes), inputs()
    before = net.infer(x)
    net.take_statistics(x)
    inferred = net.infer(x)
    np.testing.assert_allclose(inferred, net.forward(x, RNG), rtol=1e-10)
    assert not np.allclose(before, inferred)


@pytest.mark.parametrize("changes", [{"is_residual": True}, {"has_input_scaling": True}], ids=str)
@pytest.mark.parametrize("normalization", ALL)
def test_each_part_of_the_network_counts(normalization: Kind, changes: dict[str, Any]) -> None:
    x = inputs()
    plain, other = network(normalization), network(normalization, **changes)
    assert not np.allclose(plain.infer(x), other.infer(x))


def test_a_learned_activation_infers_with_what_it_has_learned() -> None:
    net, x = network(activation="prelu"), inputs()
    # The slopes are the last parameters: 17 of them, drawn anew and unlike the initial one.
    slopes = np.random.default_rng(1).normal(size=net.gradient.size)[-sum(SIZES[1:-1]) :]
    a, parts = x, np.split(slopes, np.cumsum(SIZES[1:-2]))
    for layer, slope in zip(net.layers[:-1], parts, strict=True):
        z = a @ layer.weights + layer.bias
        a = np.where(z > 0, z, slope * z)
    expected = a @ net.layers[-1].weights + net.layers[-1].bias
    np.testing.assert_allclose(net.infer(x), expected, rtol=1e-10)


@pytest.mark.parametrize("activation", ["tanh", "prelu"])
@pytest.mark.parametrize("normalization", ALL)
def test_inference_changes_neither_the_inputs_nor_the_network(
    normalization: Kind, activation: str
) -> None:
    net, x = network(normalization, activation, has_input_scaling=True), inputs()
    first = net.infer(x)
    assert np.array_equal(x, inputs())
    assert np.array_equal(net.infer(x), first)


@pytest.mark.parametrize("normalization", ALL)
def test_any_number_of_rows_can_be_inferred(normalization: Kind) -> None:
    net, x = network(normalization, has_input_scaling=True), inputs(2 * INFERENCE_ROWS + 7)
    whole = net.infer(x)
    assert whole.shape == (len(x), SIZES[-1])
    for rows in (slice(5), slice(INFERENCE_ROWS - 2, INFERENCE_ROWS + 2), slice(-7, None)):
        np.testing.assert_allclose(whole[rows], net.infer(x[rows]), rtol=1e-10)
    assert net.infer(x[:0]).shape == (0, SIZES[-1])


def test_of_many_rows_the_first_are_watched_layer_by_layer() -> None:
    net, x = network(is_residual=True), inputs(INFERENCE_ROWS + 5)
    watched: list[tuple[Array, Array]] = []
    net.infer(x, watched)
    assert [z.shape for z, _ in watched] == [(INFERENCE_ROWS, units) for units in SIZES[1:-1]]
    for z, a in watched:
        assert np.array_equal(a, np.tanh(z))


def batch_norm(units: int = 3) -> BatchNorm:
    ones, zeros = np.ones(units), np.zeros(units)
    running = np.array([[1.0, 2, 3], [4, 5, 6]])
    return BatchNorm((ones, ones.copy()), (zeros, zeros.copy()), running, ROWS)


@pytest.mark.parametrize("rows", [ROWS, 7, 2])
def test_a_training_batch_moves_the_running_values_a_tenth_of_the_way(rows: int) -> None:
    norm, z = batch_norm(), inputs()[:rows, :3]
    old = norm.running.copy()
    new = np.array([z.mean(axis=0), z.var(axis=0, ddof=1)])
    norm.forward(z.copy())
    np.testing.assert_allclose(norm.running, 0.9 * old + 0.1 * new, rtol=1e-12)


def test_inference_normalizes_by_the_running_values_and_leaves_them() -> None:
    norm, z = batch_norm(), inputs()[:, :3]
    mean, variance = norm.running.copy()
    norm.gain[:], norm.shift[:] = [1, 2, 3], [0.5, 0, -1]
    expected = (z - mean) / np.sqrt(variance + 1e-5) * norm.gain + norm.shift
    np.testing.assert_allclose(norm.infer(z.copy()), expected, rtol=1e-12)
    assert np.array_equal(norm.running, [mean, variance])
