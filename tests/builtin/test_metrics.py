from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from numpy.typing import NDArray

from tunekit import DataError, Metric
from tunekit.plugins import load

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
METRICS = [REGISTRY.find(Metric, name) for name in REGISTRY.names("metric")]
every_metric = pytest.mark.parametrize("cls", METRICS, ids=lambda cls: cls.name)


def score(name: str, target: Any, prediction: Any, weight: Any = None) -> float:
    metric = REGISTRY.find(Metric, name)()
    weight = None if weight is None else np.asarray(weight, dtype=float)
    return metric.score(np.asarray(target), np.asarray(prediction), weight)


def case(cls: type[Metric], seed: int, classes: int = 3) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(30, 200))
    weight = rng.uniform(0.1, 2.0, rows)
    if cls.name == "poisson_deviance":
        rate = rng.gamma(2.0, size=(rows, 1))
        return rng.poisson(rate).astype(np.float64), rate, weight
    if cls.tasks == ("multilabel",):
        labels = rng.integers(0, 2, (rows, classes))
        labels[0] = 1
        return labels, labels ^ (rng.random((rows, classes)) < 0.2), weight
    if cls.needs == "values":
        target = rng.normal(size=(rows, 2)) * [1.0, 30.0]
        return target, target + rng.normal(size=(rows, 2)), weight
    labels = rng.integers(0, classes, rows)
    labels[:classes] = np.arange(classes)
    # Rounded, so that there are ties to break.
    likelihood = np.round(rng.random((rows, classes)) + 0.5 * np.eye(classes)[labels], 1) + 0.1
    probability = likelihood / likelihood.sum(axis=1, keepdims=True)
    prediction = probability if cls.needs == "probabilities" else probability.argmax(axis=1)
    return labels, prediction, weight


def log_loss(y: Array, p: Array, **options: Any) -> Any:
    return sklearn.metrics.log_loss(y, p, labels=np.arange(p.shape[1]), **options)


def f1(y: Array, p: Array, **options: Any) -> Any:
    return sklearn.metrics.f1_score(y, p, average="macro", zero_division=0, **options)


def hamming_accuracy(y: Array, p: Array, **options: Any) -> Any:
    return 1 - sklearn.metrics.hamming_loss(y, p, **options)


def micro_f1(y: Array, p: Array, **options: Any) -> Any:
    return sklearn.metrics.f1_score(y, p, average="micro", zero_division=0, **options)


def roc_auc(y: Array, p: Array, **options: Any) -> Any:
    if p.shape[1] == 2:
        return sklearn.metrics.roc_auc_score(y, p[:, 1], **options)
    return sklearn.metrics.roc_auc_score(y, p, multi_class="ovr", **options)


REFERENCES: dict[str, Callable[..., Any]] = {
    "accuracy": sklearn.metrics.accuracy_score,
    "balanced_accuracy": sklearn.metrics.balanced_accuracy_score,
    "f1": f1,
    "log_loss": log_loss,
    "roc_auc": roc_auc,
    "hamming_accuracy": hamming_accuracy,
    "subset_accuracy": sklearn.metrics.accuracy_score,
    "micro_f1": micro_f1,
    "macro_f1": f1,
    "rmse": sklearn.metrics.root_mean_squared_error,
    "mae": sklearn.metrics.mean_absolute_error,
    "r2": sklearn.metrics.r2_score,
    "poisson_deviance": sklearn.metrics.mean_poisson_deviance,
}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_it_agrees_with_scikit_learn(name: str, weighted: bool, classes: int) -> None:
    cls = REGISTRY.find(Metric, name)
    for seed in range(5):
        target, prediction, weight = case(cls, seed, classes)
        weights = weight if weighted else None
        expected = REFERENCES[name](target, prediction, sample_weight=weights)
        assert score(name, target, prediction, weights) == pytest.approx(expected, rel=1e-10)


@every_metric
def test_perfect_predictions_score_1_or_have_no_error(cls: type[Metric]) -> None:
    target, _, _ = case(cls, seed=0)
    perfect = np.eye(3)[target] if cls.needs == "probabilities" else target
    best = 1.0 if cls.larger_is_better else 0.0
    assert score(cls.name, target, perfect) == pytest.approx(best, abs=1e-15)


@every_metric
def test_float32_predictions_score_the_same(cls: type[Metric]) -> None:
    target, prediction, weight = case(cls, seed=3)
    single = prediction if cls.needs == "labels" else prediction.astype(np.float32)
    found = score(cls.name, target, single, weight)
    assert found == pytest.approx(score(cls.name, target, prediction, weight), rel=1e-4)


@every_metric
def test_it_is_for_one_task(cls: type[Metric]) -> None:
    assert len(cls.tasks) == 1
    assert (cls.tasks == ("regression",)) == (cls.needs == "values")


def test_one_certain_mistake_does_not_make_the_log_loss_infinite() -> None:
    assert score("log_loss", [0], [[0.0, 1.0]]) == pytest.approx(-math.log(2**-52))


def test_classes_that_no_row_has_are_left_out_of_balanced_accuracy() -> None:
    assert score("balanced_accuracy", [0, 0, 2, 2], [0, 0, 2, 1]) == 0.75


def test_a_class_that_is_only_predicted_lowers_f1() -> None:
    assert score("f1", [0, 0, 1, 1], [0, 0, 1, 2]) == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_ranking_is_what_roc_auc_measures() -> None:
    p = np.array([0.1, 0.4, 0.35, 0.8])
    assert score("roc_auc", [0, 0, 1, 1], np.column_stack([1 - p, p])) == 0.75
    assert score("roc_auc", [0, 1, 0, 1], np.full((4, 2), 0.5)) == 0.5


def test_one_class_alone_cannot_be_ranked_so_roc_auc_is_that_of_guessing() -> None:
    assert score("roc_auc", [1, 1], [[0.2, 0.8], [0.6, 0.4]]) == 0.5


def test_a_class_that_no_row_has_is_left_out_of_roc_auc() -> None:
    p = np.array([[0.8, 0.2, 0.0], [0.3, 0.7, 0.0], [0.6, 0.4, 0.0], [0.5, 0.5, 0.0]])
    assert score("roc_auc", [0, 1, 0, 1], p) == 1.0


def test_r2_of_an_output_that_does_not_vary() -> None:
    assert score("r2", [[2.0], [2.0]], [[2.0], [2.0]]) == 1.0
    assert score("r2", [[2.0], [2.0]], [[2.0], [3.0]]) == 0.0


@pytest.mark.parametrize("name", ["micro_f1", "macro_f1"])
def test_f1_of_labels_that_are_neither_there_nor_predicted_is_0(name: str) -> None:
    nothing = np.zeros((3, 2), dtype=int)
    assert score(name, nothing, nothing) == REFERENCES[name](nothing, nothing) == 0.0
    half = np.array([[1, 0], [0, 0], [1, 0]])
    assert score(name, half, half) == REFERENCES[name](half, half)


def test_a_row_counts_for_subset_accuracy_only_if_all_its_labels_are_right() -> None:
    target, prediction = [[1, 0], [1, 1], [0, 0], [0, 1]], [[1, 0], [1, 0], [0, 0], [1, 0]]
    assert score("subset_accuracy", target, prediction) == 0.5
    assert score("hamming_accuracy", target, prediction) == 5 / 8
    assert score("subset_accuracy", target, prediction, [3, 1, 0, 0]) == 0.75


def test_micro_f1_weighs_labels_by_how_common_they_are_and_macro_f1_does_not() -> None:
    target, prediction = [[1, 0], [1, 0], [1, 1]], [[1, 0], [1, 0], [1, 0]]
    assert score("micro_f1", target, prediction) == pytest.approx(6 / 7)
    assert score("macro_f1", target, prediction) == 0.5


def test_predictions_below_0_do_not_make_the_poisson_deviance_infinite() -> None:
    assert score("poisson_deviance", [[0.0]], [[-5.0]]) == pytest.approx(2 * 2**-52)
    found = score("poisson_deviance", [[3.0]], [[0.0]])
    assert found == pytest.approx(2 * (3 * math.log(3 * 2**52) - 3))


def test_the_poisson_deviance_of_several_outputs_is_their_mean() -> None:
    target, prediction = np.array([[1.0, 4.0], [2.0, 0.0]]), np.array([[2.0, 4.0], [2.0, 1.0]])
    columns = [score("poisson_deviance", target[:, [j]], prediction[:, [j]]) for j in (0, 1)]
    assert score("poisson_deviance", target, prediction) == pytest.approx(sum(columns) / 2)


def test_the_poisson_deviance_of_a_negative_target_is_an_error() -> None:
    with pytest.raises(DataError, match="holds -1; the Poisson deviance is for 0 or more"):
        score("poisson_deviance", [[-1.0]], [[1.0]])
