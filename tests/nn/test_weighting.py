from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit.components import KINDS
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Run
from tunekit.nn.targets import Encoding, row_weights
from tunekit.nn.training import advance, start, trained
from tunekit.plugins import load
from tunekit.records import Fold

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
DEFAULTS: dict[str, str | int | float] = {
    "activation": "tanh",
    "initializer": "he_normal",
    "loss": "cross_entropy",
    "optimizer": "adam",
    "schedule": "constant",
    "network.hidden": "8",
    "network.normalization": "none",
    "epochs": 10,
    "batch_size": 16,
    "patience": 0,
    "warmup": 0.0,
    "dtype": "float32",
}
CLASSES = 3


def component(kind: str, name: str, **values: Any) -> Any:
    return REGISTRY.find(KINDS[kind], name)(**values)


def begin(fold: Fold, **changes: Any) -> Run:
    recipe = dataclasses.replace(Recipe.of(DEFAULTS, REGISTRY, "balanced_accuracy"), **changes)
    return start(recipe, fold, CLASSES, np.random.SeedSequence(0))


def fold(counts: tuple[int, ...] = (90, 20, 5), weight: Array | None = None) -> Fold:
    """Classes of unequal size that lie close together; all three sizes are new in validation."""
    rng = np.random.default_rng(1)
    target = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    target_validation = np.repeat(np.arange(CLASSES), 50)
    centres = rng.normal(size=(CLASSES, 4))
    x, x_validation = (
        (centres[y] + rng.normal(size=(len(y), 4))).astype(np.float32)
        for y in (target, target_validation)
    )
    return Fold(x, target, weight, x_validation, target_validation, None)


def random_weights(rows: int) -> Array:
    return np.random.default_rng(2).uniform(0.1, 4, rows).astype(np.float32)


def balanced(fold: Fold) -> Array:
    weights = row_weights("balanced", fold, CLASSES)
    assert weights is not None
    return weights


# The weights themselves.


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_balanced_gives_every_class_the_same_total_and_keeps_the_average(weighted: bool) -> None:
    own = random_weights(115) if weighted else np.ones(115, np.float32)
    some = fold(weight=own if weighted else None)
    weights = balanced(some)
    totals = np.bincount(some.target, weights)
    np.testing.assert_allclose(totals, own.sum() / CLASSES, rtol=1e-5)
    assert weights.mean() == pytest.approx(own.mean(), rel=1e-5)
    assert (weights.dtype, weights.shape) == (some.x.dtype, (115,))


def test_balanced_keeps_the_rows_own_weights_as_factors_within_a_class() -> None:
    own = random_weights(115)
    some = fold(weight=own)
    factors = balanced(some) / own
    for label in range(CLASSES):
        of_class = factors[some.target == label]
        np.testing.assert_allclose(of_class, of_class[0], rtol=1e-5)


@pytest.mark.parametrize("counts", [(90, 0, 5), (90, 20)], ids=["in_between", "the_last"])
def test_a_class_without_rows_leaves_the_average_weight_alone(counts: tuple[int, ...]) -> None:
    some = fold(counts)
    weights = balanced(some)
    assert weights.mean() == pytest.approx(1, rel=1e-5)
    totals = np.bincount(some.target, weights)
    np.testing.assert_allclose(totals[totals > 0], len(some.x) / 2, rtol=1e-5)


def test_a_class_of_weightless_rows_is_one_without_rows() -> None:
    some = fold()
    own = np.where(some.target == 1, 0, 1).astype(np.float32)
    weights = balanced(dataclasses.replace(some, weight=own))
    assert (weights[some.target == 1] == 0).all()
    totals = np.bincount(some.target, weights)
    np.testing.assert_allclose(totals, [own.sum() / 2, 0, own.sum() / 2], rtol=1e-5)


def test_balanced_does_not_depend_on_the_unit_of_the_rows_own_weights() -> None:
    own = random_weights(115)
    unit = np.float32(2.0**-20)
    weights = balanced(fold(weight=own))
    assert np.array_equal(balanced(fold(weight=unit * own)), unit * weights)


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_none_leaves_the_rows_own_weights(weighted: bool) -> None:
    own = random_weights(115) if weighted else None
    assert row_weights("none", fold(weight=own), CLASSES) is own


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_targets_without_classes_are_not_balanced(weighted: bool) -> None:
    own = random_weights(115) if weighted else None
    some = dataclasses.replace(fold(weight=own), target=np.ones((115, 2)))
    assert row_weights("balanced", some, 2) is own


# In training.


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_balanced_trains_like_the_same_weights_written_by_hand(weighted: bool) -> None:
    own = random_weights(115) if weighted else np.ones(115, np.float32)
    some = fold(weight=own if weighted else None)
    totals = np.bincount(some.target, own)
    share = own.astype(float).sum() / (CLASSES * totals)
    explicit = dataclasses.replace(some, weight=(own * share[some.target]).astype(np.float32))
    one = advance(begin(some, class_weights="balanced"), 3).checkpoint
    other = advance(begin(explicit), 3).checkpoint
    assert one.weights.tobytes() == other.weights.tobytes()
    assert repr(one.metrics) == repr(other.metrics)
    unbalanced = advance(begin(some), 3).checkpoint
    assert not np.allclose(one.weights, unbalanced.weights)


def test_balanced_training_finds_the_rare_classes() -> None:
    some, optimizer = fold((400, 10, 10)), component("optimizer", "adam", lr=0.01)
    plain = advance(begin(some, optimizer=optimizer), 10).score
    assert (
        advance(begin(some, optimizer=optimizer, class_weights="balanced"), 10).score > plain + 0.1
    )


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_the_loss_of_an_epoch_is_the_mean_over_rows_by_their_weights(
    weighted: bool, class_weights: str
) -> None:
    # 115 rows in batches of 16: the last one has 3. A rate of 0 leaves one network to compare.
    some = fold(weight=random_weights(115) if weighted else None)
    still = component("optimizer", "sgd", lr=0.0)
    run = advance(begin(some, optimizer=still, class_weights=class_weights), 1)
    loss = run.recipe.loss
    target = Encoding.of(loss, some.target, CLASSES).encode(some.target, "float32")
    weight = row_weights(class_weights, some, CLASSES)
    expected, _ = loss.value_and_gradient(trained(run).infer(some.x), target, weight)
    assert run.checkpoint.metrics["train_loss"][1] == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_an_epoch_is_that_of_the_row_with_all_the_weight() -> None:
    # All the weight lies on one row: the other batches count nothing.
    weight = np.full(115, 1e-6, np.float32)
    weight[7] = 1e6
    some = fold(weight=weight)
    run = advance(begin(some, optimizer=component("optimizer", "sgd", lr=0.0)), 1)
    output = trained(run).infer(some.x[7:8])
    target = np.eye(CLASSES, dtype=np.float32)[some.target[7:8]]
    expected, _ = run.recipe.loss.value_and_gradient(output, target, None)
    assert run.checkpoint.metrics["train_loss"][1] == pytest.approx(expected, rel=1e-5)
