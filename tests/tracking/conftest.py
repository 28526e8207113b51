"""Synthetic searches, and real MLflow stores that are quick to come by."""

from __future__ import annotations

import json
import math
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunekit.data.options import DataOptions
from tunekit.data.prepare import prepare
from tunekit.model import Model
from tunekit.nn.recipe import Recipe
from tunekit.nn.training import advance, start
from tunekit.plugins import PluginFile, load
from tunekit.records import (
    Curve,
    FinishedTrial,
    State,
    StudyInfo,
    StudyResult,
    Table,
    TestScore,
)
from tunekit.space import Scalar
from tunekit.tracking.client import connect, find_runs, quiet
from tunekit.tracking.locate import locate
from tunekit.tracking.projection import Projection
from tunekit.tracking.server import Server, serve
from tunekit.tracking.view import Located

OPTIMIZERS = ("sgd", "adam", "lion")
ACTIVATIONS = ("relu", "gelu", "tanh")
SCHEDULES = ("constant", "cosine")
BEGIN = 1_700_000_000.0


def make_trial(
    number: int, state: State = "complete", *, epochs: int = 20, folds: int = 2
) -> FinishedTrial:
    """A trial that looks like one of a classification study."""
    optimizer = OPTIMIZERS[number % 3]
    lr = 10 ** (-4 + 3 * (number * 0.618 % 1))  # spread over three orders of magnitude
    ceiling = 0.97 - 0.05 * abs(math.log10(lr) + 2.3) - 0.01 * (number % 3)
    curves = []
    for fold in range(folds if state == "complete" else 1):
        steps = range(epochs + 1 if state == "complete" else epochs // 3)
        accuracy = [ceiling - 0.85 * math.exp(-e / 4) - 0.003 * fold for e in steps]
        curves.append(
            Curve(
                fold,
                tuple(steps),
                {
                    "train_loss": (math.nan, *(2.3 * math.exp(-e / 5) for e in steps[1:])),
                    "val_loss": tuple(
                        0.1 + 2.2 * math.exp(-e / (4.5 - number / 10)) for e in steps
                    ),
                    "val_accuracy": tuple(accuracy),
                    "lr": tuple(lr for _ in steps),
                },
            )
        )
    configuration = {
        "optimizer": optimizer,
        f"optimizer.{optimizer}.lr": lr,
        "activation": ACTIVATIONS[number // 3 % 3],
        "schedule": SCHEDULES[number // 2 % 2],
        "initializer": "he_normal",
        "regularizer.dropout": number % 4 == 0,
        "network.depth": 1 + number % 3,
        "network.width": 16 * (1 + number % 5),
        "batch_size": 32 * 2 ** (number % 3),
        "epochs": epochs,
    }
    return FinishedTrial(
        number=number,
        ask=number,
        state=state,
        value={"complete": ceiling, "pruned": ceiling - 0.2, "failed": None}[state],
        params={key: value for key, value in configuration.items() if key != "epochs"},
        configuration=configuration,
        curves=tuple(curves) if state != "failed" else (),
        scores=(ceiling, ceiling - 0.003) if state == "complete" else (),
        started=BEGIN + 10 * number,
        finished=BEGIN + 10 * number + 8.5,
        training_seconds=8.0 + number % 4,
        reason={"complete": "", "pruned": "behind at epoch 6", "failed": "the loss is NaN"}[state],
        diverged=state == "failed",
        parameters=1000 + 100 * number,
        provenance={"seed": 0, "data.digest": "0123456789abcdef", "numpy": "2.4.0"},
    )


STATES: dict[int, State] = {5: "pruned", 9: "pruned", 13: "failed", 16: "pruned"}


def make_trials(count: int = 20) -> tuple[FinishedTrial, ...]:
    """Trials of which a few were pruned and one failed."""
    return tuple(make_trial(n, STATES.get(n, "complete")) for n in range(count))


def make_study(folder: Path, **changes: object) -> StudyInfo:
    """A study whose local store is in `folder`."""
    study = StudyInfo(
        name="digits",
        file=str(folder / "study.toml"),
        folder=str(folder),
        text='[study]\nname = "digits"\n',
        identity="0f3a9c",
        metric="accuracy",
        larger_is_better=True,
        space={
            "optimizer": "one of adam, lion, sgd",
            "optimizer.adam.lr": "0.0001 to 0.1, log scale",
            "optimizer.adam.beta1": "0.9",
            "activation": "one of gelu, relu, tanh",
            "schedule": "one of constant, cosine",
            "initializer": "he_normal",
            "regularizer.dropout": "one of false, true",
            "network.depth": "1 to 3",
            "network.width": "16 to 80, log scale",
            "batch_size": "one of 32, 64, 128",
            "epochs": "20",
        },
        trials=20,
        recorded=(),
        data={"name": "digits", "rows": 1797, "features": 64, "task": "classification"},
        tracking_uri=f"sqlite:///{folder / 'mlflow.db'}",
        artifact_root=str(folder / "mlartifacts"),
        experiment="digits",
        command="tunekit search study.toml",
    )
    return replace(study, **changes)  # type: ignore[arg-type]


def make_result(trials: tuple[FinishedTrial, ...]) -> StudyResult:
    """A finished search with a test score."""
    best = max(
        (trial for trial in trials if trial.state == "complete"), key=lambda t: t.value or 0.0
    )
    test = TestScore("accuracy", 0.953, 0.004, (0.949, 0.957, 0.953))
    return StudyResult("finished", best, trials, test=test, seconds=200.0)


def train_model(
    seed: int = 0,
    files: Sequence[PluginFile] = (),
    only: Sequence[str] = ("size", "rooms", "town"),
    **changes: Scalar,
) -> Model:
    """A network that was trained on numbers and texts, some of them missing."""
    configuration: dict[str, Scalar] = {
        "activation": "tanh",
        "initializer": "he_normal",
        "loss": "cross_entropy",
        "optimizer": "adam",
        "optimizer.adam.lr": 0.02,
        "schedule": "constant",
        "network.hidden": "6",
        "network.normalization": "none",
        "epochs": 2,
        "batch_size": 16,
        "patience": 0,
        "warmup": 0.0,
        "dtype": "float32",
        **changes,
    }
    rng = np.random.default_rng(5)
    size, town = rng.normal(10, 3, 60), rng.choice(["Lima", "Oslo"], 60).astype(object)
    size[::7], town[::11] = np.nan, None
    columns = {"size": size, "rooms": rng.integers(1, 6, 60), "town": town}
    price = np.array(["low", "high"])[(columns["rooms"] > 3).astype(int)]
    options = DataOptions("houses.csv", target="price", test=0.2, validation=0.25)
    used = {name: columns[name] for name in only}
    problem = prepare(Table(used, price, "houses"), options, seed=1)
    registry = load(files, entry_points=False)
    recipe = Recipe.of(configuration, registry, "accuracy")
    begun = start(recipe, problem.final, problem.outputs, np.random.SeedSequence(seed))
    return Model.of(
        "digits",
        advance(begun, recipe.epochs),
        problem,
        registry,
        configuration=configuration,
        provenance={
            "study": "digits",
            "trial": 7,
            "metric": "accuracy",
            "validation": 0.9,
            "test": 0.95,
        },
    )


@pytest.fixture(scope="session")
def train() -> Callable[..., Model]:
    return train_model


@pytest.fixture(scope="session")
def model() -> Model:
    """A small network."""
    return train_model()


def delivered(study: StudyInfo) -> int:
    """How many trials of the study MLflow holds."""
    located = locate(study.tracking_uri, study.experiment, study.identity)
    if located is None:
        return 0
    with quiet():
        client = connect(study.tracking_uri)
        below = f"tags.`mlflow.parentRunId` = '{located.run_id}'"
        return len(find_runs(client, located.experiment_id, below))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new SQLite store, which takes MLflow seconds to create."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with quiet():
        connect(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def folder(empty_store: Path, tmp_path: Path) -> Path:
    """A folder with an empty store in it."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def study(folder: Path) -> StudyInfo:
    return make_study(folder)


@pytest.fixture(scope="session")
def trial() -> Callable[..., FinishedTrial]:
    return make_trial


@pytest.fixture(scope="session")
def trials() -> Callable[..., tuple[FinishedTrial, ...]]:
    return make_trials


@pytest.fixture(scope="session")
def result() -> Callable[[tuple[FinishedTrial, ...]], StudyResult]:
    return make_result


@pytest.fixture(scope="session")
def busy_port() -> Iterator[int]:
    """A port on which somebody listens already."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.fixture(scope="session")
def served(
    empty_store: Path,
    tmp_path_factory: pytest.TempPathFactory,
    busy_port: int,
) -> Iterator[tuple[Server, Located]]:
    """A server on a store with 20 trials."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(empty_store, folder / "mlflow.db")
    study = make_study(folder)
    projection = Projection(study)
    projection.start()
    projection.finish(make_result(make_trials()))
    located = locate(study.tracking_uri, study.experiment, study.identity)
    assert located is not None
    with serve(study.tracking_uri, study.artifact_root, port=busy_port) as server:
        yield server, located


class Browser:
    """A headless Chromium with a profile of its own, driven by the WebDriver protocol."""

    def __init__(self, driver: str, profile: Path) -> None:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
        options += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
        options += ["--disable-component-update", "--window-size=1500,1300"]
        options += [f"--user-data-dir={profile}"]
        self._driver = driver
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": options}}
        opened = self._call("", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/{opened['sessionId']}"

    _session = ""

    def _call(self, command: str, body: object) -> Any:
        request = urllib.request.Request(
            f"{self._driver}/session{self._session}{command}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, url: str) -> None:
        """Go to a page."""
        self._call("/url", {"url": url})

    def text(self, *, until: str) -> str:
        """The page's visible text, one element a line, as soon as `until` is in it."""
        script = "return document.body.innerText"
        give_up = time.monotonic() + 30
        while until not in (text := self._call("/execute/sync", {"script": script, "args": []})):
            assert time.monotonic() < give_up, f"{until!r} is not on the page:\n{text}"
            time.sleep(0.1)
        return str(text)

    def close(self) -> None:
        """End the browser."""
        request = urllib.request.Request(f"{self._driver}/session{self._session}", method="DELETE")
        urllib.request.urlopen(request, timeout=60).close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    path = shutil.which("chromedriver")
    if path is None or not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("Chromium or its driver is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    driver = subprocess.Popen([path, f"--port={port}"], stdout=subprocess.PIPE, text=True)
    with driver:
        assert driver.stdout is not None
        while "started successfully" not in (line := driver.stdout.readline()):
            assert line, "chromedriver did not start"
        browser = Browser(f"http://127.0.0.1:{port}", tmp_path / "profile")
        try:
            yield browser
        finally:
            browser.close()
            driver.terminate()
