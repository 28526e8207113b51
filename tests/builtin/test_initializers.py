from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunekit import Initializer
from tunekit.plugins import load

REGISTRY = load(entry_points=False)
INITIALIZERS = [REGISTRY.find(Initializer, name) for name in REGISTRY.names("initializer")]
every_initializer = pytest.mark.parametrize("cls", INITIALIZERS, ids=lambda cls: cls.name)

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden" / "initializers.json").read_text(encoding="utf-8")
)
"""Scales and moments of PyTorch's initializers, by tests/golden/make_initializers.py."""

FAN_IN, FAN_OUT, GAIN = 300, 200, 1.7
STANDARD_DEVIATIONS = {
    "he_normal": GAIN / math.sqrt(FAN_IN),
    "he_uniform": GAIN / math.sqrt(FAN_IN),
    "xavier_normal": GAIN * math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "xavier_uniform": GAIN * math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "lecun_normal": 1 / math.sqrt(FAN_IN),
    "lecun_uniform": 1 / math.sqrt(FAN_IN),
    "truncated_normal": GAIN / math.sqrt(FAN_IN),
}
TRUNCATED_STD = 0.87962566103423978
"""Of a standard normal that is cut at 2; the constant in JAX and Keras."""
SHAPES_OF_DISTRIBUTIONS = {
    # Kurtosis, and the largest size in standard deviations.
    "normal": (3.0, math.inf),
    "uniform": (1.8, math.sqrt(3)),
    "truncated": (GOLDEN["truncated"]["kurtosis"], 2 / TRUNCATED_STD),
}


def initializer(name: str) -> Initializer:
    return REGISTRY.find(Initializer, name)()


def distribution(name: str) -> str:
    return "truncated" if name == "truncated_normal" else name.partition("_")[2]


def scale_of(name: str, fan_in: int, fan_out: int, gain: float) -> float:
    """The standard deviation, exactly: what the standard draw from the same seed is multiplied by.

    The element compared is a small one, which no truncation draws again.
    """
    w = initializer(name).draw(np.random.default_rng(7), fan_in, fan_out, gain)
    rng, root3 = np.random.default_rng(7), math.sqrt(3)
    if distribution(name) == "uniform":
        standard = rng.uniform(-root3, root3, w.shape)
    else:
        standard = rng.standard_normal(w.shape)
    place = np.abs(np.abs(standard) - 1).argmin()
    ratio = float(w.flat[place] / standard.flat[place])
    return ratio * TRUNCATED_STD if distribution(name) == "truncated" else ratio


@cache
def deviations() -> dict[str, float]:
    """The largest relative deviation of each initializer from PyTorch's standard deviation.

    LeCun's and the truncated normal have PyTorch's Kaiming scale, at their own gain. Of the
    orthogonal one, the deviation of the scaled Gram matrix from the identity; of zeros, 0 exactly.
    """
    largest = dict.fromkeys((cls.name for cls in INITIALIZERS), 0.0)

    def note(name: str, deviation: float) -> None:
        largest[name] = max(largest[name], deviation)

    for case in GOLDEN["scales"]:
        shape = case["fan_in"], case["fan_out"]
        names = [case["initializer"]]
        if names == ["he_normal"]:
            names += ["truncated_normal"] + ["lecun_normal"] * (case["gain"] == 1)
            w = initializer("orthogonal").draw(np.random.default_rng(0), *shape, case["gain"])
            gram = (w.T @ w if shape[0] >= shape[1] else w @ w.T) / case["gain"] ** 2
            note("orthogonal", float(np.abs(gram - np.eye(len(gram))).max()))
            note(
                "zeros",
                float(
                    np.abs(initializer("zeros").draw(np.random.default_rng(0), *shape, 1.0)).max()
                ),
            )
        elif names == ["he_uniform"] and case["gain"] == 1:
            names.append("lecun_uniform")
        for name in names:
            note(name, abs(scale_of(name, *shape, case["gain"]) / case["std"] - 1))
    return largest


@every_initializer
def test_its_scale_is_torchs(cls: type[Initializer]) -> None:
    assert deviations()[cls.name] < 1e-12


@pytest.mark.parametrize("name", STANDARD_DEVIATIONS)
def test_its_moments_are_the_textbooks(name: str) -> None:
    std = STANDARD_DEVIATIONS[name]
    kurtosis, bound = SHAPES_OF_DISTRIBUTIONS[distribution(name)]
    found = initializer(name).draw(np.random.default_rng(0), FAN_IN, FAN_OUT, GAIN)
    # 60,000 draws: five standard errors of a normal.
    assert found.mean() == pytest.approx(0, abs=5 * std / math.sqrt(found.size))
    assert found.std() == pytest.approx(std, rel=5 / math.sqrt(2 * found.size))
    assert np.mean(found**4) / found.std() ** 4 == pytest.approx(kurtosis, abs=0.1)
    assert np.abs(found).max() <= bound * std * (1 + 1e-12)
    assert np.abs(found).max() > min(0.999 * bound, 4) * std


def test_the_truncated_normal_has_torchs_moments_before_it_is_widened() -> None:
    golden = GOLDEN["truncated"]
    found = initializer("truncated_normal").draw(np.random.default_rng(1), 1000, 400, 1.0)
    found *= math.sqrt(1000) * TRUNCATED_STD
    assert found.std() == pytest.approx(golden["std"], rel=5e-3)
    assert np.mean(found**4) / found.std() ** 4 == pytest.approx(golden["kurtosis"], rel=1e-2)
    assert np.abs(found).max() == pytest.approx(golden["bound"], rel=1e-3)


def test_zeros_are_zeros() -> None:
    assert not initializer("zeros").draw(np.random.default_rng(0), 3, 2, 1.0).any()


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
