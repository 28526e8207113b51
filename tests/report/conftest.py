"""Studies and results as a search leaves them, made by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tunekit.records import (
    Curve,
    Diagnosis,
    Finalist,
    FinishedTrial,
    Importances,
    Remark,
    Span,
    StudyInfo,
    StudyResult,
    TestScore,
)

BEGIN = 1_700_000_000.0
SPACE = {
    "optimizer": "one of adam, lion, sgd",
    "optimizer.adam.lr": "0.0001 to 0.1, log scale",
    "optimizer.lion.lr": "1e-05 to 0.01, log scale",
    "optimizer.sgd.lr": "0.001 to 1, log scale",
    "optimizer.sgd.nesterov": "true",
    "activation": "one of gelu, relu",
    "schedule": "constant",
    "regularizer.dropout": "one of false, true",
    "regularizer.dropout.rate": "0.05 to 0.5",
    "network.depth": "1 to 3",
    "network.width": "16 to 256, log scale",
    "network.normalization": "none",
    "batch_size": "one of 32, 64, 128",
    "epochs": "12",
}


def make_trial(number: int, **changes: Any) -> FinishedTrial:
    """A complete trial; values differ from number to number, the best is not the last."""
    spread = number * 0.618 % 1
    optimizer = ("sgd", "adam", "lion")[number % 3]
    low, high = {"sgd": (1e-3, 1), "adam": (1e-4, 0.1), "lion": (1e-5, 0.01)}[optimizer]
    params = {
        "optimizer": optimizer,
        f"optimizer.{optimizer}.lr": low * (high / low) ** spread,
        "activation": ("gelu", "relu")[number % 2],
        "regularizer.dropout": number % 4 == 0,
        "network.depth": 1 + number % 3,
        "network.width": 16 * (1 + number % 5),
        "batch_size": 32 * 2 ** (number % 3),
    }
    if params["regularizer.dropout"]:
        params["regularizer.dropout.rate"] = 0.05 + 0.4 * spread
    value = 0.97 - 0.05 * abs(spread - 0.4) - 0.002 * (number % 3)
    epochs = tuple(range(13))
    curve = tuple(value - 0.8 * math.exp(-epoch / 2) for epoch in epochs)
    trial = FinishedTrial(
        number=number,
        ask=number,
        state="complete",
        value=value,
        params=params,
        configuration={**params, "schedule": "constant", "epochs": 12},
        curves=(Curve(0, epochs, {"val_accuracy": curve, "val_loss": curve}),),
        scores=(value - 0.003, value, value + 0.003),
        started=BEGIN + number,
        finished=BEGIN + number + 0.9,
        training_seconds=0.8,
        parameters=1000 + 100 * (number % 7),
        provenance={"seed": 0, "data_digest": "0123456789abcdef", "numpy": "2.4.0"},
        diagnosis=Diagnosis("healthy", "Signals flow."),
        spans=(Span(f"host:{number % 2}", BEGIN + number, BEGIN + number + 0.8, 0, 12),),
    )
    return replace(trial, **changes)


def make_trials(count: int) -> tuple[FinishedTrial, ...]:
    """Trials of all states."""
    changes: dict[int, dict[str, Any]] = {
        3: {"state": "pruned", "value": 0.5, "scores": (), "reason": "hyperband after epoch 3"},
        5: {"state": "failed", "value": None, "scores": (), "curves": (), "reason": "no memory"},
        6: {"diverged": True, "value": 0.1, "diagnosis": Diagnosis("exploding", "It blew up.")},
        7: {"carried": 2, "spans": ()},
    }
    return tuple(make_trial(n, **changes.get(n % 20, {})) for n in range(count))


def make_info(**changes: Any) -> StudyInfo:
    """A study of classes."""
    info = StudyInfo(
        name="digits",
        file="/somewhere/digits.toml",
        folder="/somewhere",
        text='[study]\nname = "digits"\n',
        identity="0f3a9c",
        metric="accuracy",
        larger_is_better=True,
        space=SPACE,
        trials=20,
        recorded=(),
        data={
            "name": "digits",
            "task": "classification",
            "rows": 1797,
            "features": 64,
            "outputs": 10,
            "folds": 3,
        },
        tracking_uri="sqlite:////somewhere/mlflow.db",
        artifact_root=None,
        experiment="digits",
        command="tunekit search digits.toml --trials 20",
    )
    return replace(info, **changes)


def make_result(trials: tuple[FinishedTrial, ...], **changes: Any) -> StudyResult:
    """How a search with these trials ended."""
    complete = [t for t in trials if t.state == "complete" and t.value is not None]
    best = max(complete, key=lambda t: t.value or 0.0, default=None)
    finalists: tuple[Finalist, ...] = ()
    test = None
    if best is not None and best.value is not None:
        scores = (best.value - 0.002, best.value, best.value + 0.001)
        finalists = (Finalist(best.number, best.value, scores, sum(scores) / 3, (9, 10, 11)),)
        test = TestScore("accuracy", 0.953, 0.004, (0.949, 0.957, 0.953))
    result = StudyResult(
        "finished" if complete else "failed",
        best,
        trials,
        finalists,
        test,
        seconds=20.0,
        remarks=(Remark("few", "These are few trials."),),
    )
    return replace(result, **changes)


@pytest.fixture(scope="session")
def trial() -> Callable[..., FinishedTrial]:
    return make_trial


@pytest.fixture(scope="session")
def trials() -> Callable[[int], tuple[FinishedTrial, ...]]:
    return make_trials


@pytest.fixture(scope="session")
def info() -> Callable[..., StudyInfo]:
    return make_info


@pytest.fixture(scope="session")
def result() -> Callable[..., StudyResult]:
    return make_result


@pytest.fixture(scope="session")
def importances() -> Importances:
    shares = {"optimizer.sgd.lr": 0.6, "network.width": 0.3, "activation": 0.1, "batch_size": 0.0}
    return Importances(shares, "PED-ANOVA", "This holds for these trials only.")
