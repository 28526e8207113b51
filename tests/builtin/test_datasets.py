from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Dataset
from tunekit.plugins import load

REGISTRY = load(entry_points=False)
DATASETS = [REGISTRY.find(Dataset, name) for name in REGISTRY.names("dataset")]
every_dataset = pytest.mark.parametrize("cls", DATASETS, ids=lambda cls: cls.name)


def dataset(name: str, **values: Any) -> Dataset:
    return REGISTRY.find(Dataset, name)(**values)


def matrix(data: Dataset) -> NDArray[Any]:
    return np.column_stack(list(data.load().columns.values()))


@every_dataset
def test_another_seed_gives_other_rows(cls: type[Dataset]) -> None:
    assert not np.array_equal(matrix(dataset(cls.name, seed=5)), matrix(dataset(cls.name, seed=6)))


@every_dataset
def test_its_settings_are_not_searched(cls: type[Dataset]) -> None:
    assert all(declared.search is None for declared in cls.hyperparameters().values())


def test_spirals_have_one_arm_a_class_and_even_classes() -> None:
    table = dataset("spirals", rows=900, classes=3).load()
    assert np.bincount(table.target).tolist() == [300, 300, 300]
    assert list(table.columns) == ["x", "y"]


def test_without_noise_a_spirals_angle_follows_from_its_radius() -> None:
    table = dataset("spirals", rows=200, classes=2, turns=1.0, noise=0.0).load()
    x, y = table.columns["x"], table.columns["y"]
    turned = np.arctan2(y, x) / (2 * np.pi) - np.hypot(x, y) - table.target / 2
    np.testing.assert_allclose(turned, np.round(turned), atol=1e-9)


def test_without_noise_friedman_is_its_formula() -> None:
    data = dataset("friedman", rows=50, noise=0.0)
    x = matrix(data)
    expected = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    expected += 10 * x[:, 3] + 5 * x[:, 4]
    assert x.shape == (50, 10)
    np.testing.assert_allclose(data.load().target, expected)
