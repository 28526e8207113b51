from __future__ import annotations

import math

import numpy as np
import pytest

from tunekit import Initializer
from tunekit.plugins import load

REGISTRY = load(entry_points=False)
INITIALIZERS = [REGISTRY.find(Initializer, name) for name in REGISTRY.names("initializer")]
every_initializer = pytest.mark.parametrize("cls", INITIALIZERS, ids=lambda cls: cls.name)

FAN_IN, FAN_OUT, GAIN = 300, 200, 1.7
STANDARD_DEVIATIONS = {
    "he": GAIN / math.sqrt(FAN_IN),
    "xavier": GAIN * math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "lecun": 1 / math.sqrt(FAN_IN),
}


def initializer(name: str) -> Initializer:
    return REGISTRY.find(Initializer, name)()


@every_initializer
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 3), (3, 5)])
def test_it_draws_a_finite_float64_matrix(cls: type[Initializer], shape: tuple[int, int]) -> None:
    found = cls().draw(np.random.default_rng(0), *shape, 1.0)
    assert found.shape == shape
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    assert found.flags.c_contiguous


@every_initializer
def test_the_generator_alone_decides_what_is_drawn(cls: type[Initializer]) -> None:
    first, again, other = (cls().draw(np.random.default_rng(s), 6, 4, 1.0) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("family", STANDARD_DEVIATIONS)
@pytest.mark.parametrize("shape", ["normal", "uniform"])
def test_mean_and_standard_deviation_are_the_textbooks(family: str, shape: str) -> None:
    found = initializer(f"{family}_{shape}").draw(np.random.default_rng(0), FAN_IN, FAN_OUT, GAIN)
    std = STANDARD_DEVIATIONS[family]
    # 60,000 draws: five standard errors.
    assert found.mean() == pytest.approx(0, abs=5 * std / math.sqrt(found.size))
    assert found.std() == pytest.approx(std, rel=5 / math.sqrt(2 * found.size))
    if shape == "uniform":
        assert np.abs(found).max() <= math.sqrt(3) * std
    else:
        beyond = np.mean(np.abs(found) > 2 * std)
        assert beyond == pytest.approx(0.0455, abs=0.005)


def test_he_with_the_gain_of_relu_is_he() -> None:
    found = initializer("he_normal").draw(np.random.default_rng(0), 400, 400, math.sqrt(2))
    assert found.std() == pytest.approx(math.sqrt(2 / 400), rel=0.01)


@pytest.mark.parametrize("shape", [(8, 8), (12, 5), (5, 12)])
def test_orthogonal_has_orthonormal_rows_or_columns_times_gain(shape: tuple[int, int]) -> None:
    w = initializer("orthogonal").draw(np.random.default_rng(0), *shape, 2.0)
    gram = w.T @ w if shape[0] >= shape[1] else w @ w.T
    np.testing.assert_allclose(gram, 4.0 * np.eye(min(shape)), atol=1e-12)


def test_orthogonal_prefers_no_direction() -> None:
    # Without the correction of signs every first entry of this factorisation is negative.
    first = [
        initializer("orthogonal").draw(np.random.default_rng(s), 3, 3, 1.0)[0, 0]
        for s in range(200)
    ]
    assert 60 < sum(entry > 0 for entry in first) < 140
