"""The two rules in tunekit's own trainer, and by its command, on digits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tunekit_schedule_free import ScheduleFreeAdamW, ScheduleFreeSGD

from tunekit import Optimizer
from tunekit.nn.recipe import Recipe
from tunekit.nn.trainer import Trainer
from tunekit.nn.training import advance, start
from tunekit.plugins import load
from tunekit.records import Fold

Array = NDArray[Any]

PLUGIN = Path(__file__).parents[1] / "tunekit_schedule_free.py"
RULES: dict[str, type[Optimizer]] = {cls.name: cls for cls in (ScheduleFreeSGD, ScheduleFreeAdamW)}
every_rule = pytest.mark.parametrize("cls", RULES.values(), ids=RULES)


def recipe(cls: type[Optimizer], hidden: str, **values: Any) -> Recipe:
    configuration: dict[str, Any] = {
        "activation": "tanh",
        "initializer": "he_normal",
        "loss": "cross_entropy",
        "optimizer": cls.name,
        "schedule": "cosine",
        "network.hidden": hidden,
        "network.normalization": "none",
        "epochs": 4,
        "batch_size": 16,
        "patience": 0,
        "warmup": 0.25,
        "dtype": "float64",
        **{f"optimizer.{cls.name}.{name}": value for name, value in values.items()},
    }
    registry = load(objects=[cls], entry_points=False)
    return Recipe.of(configuration, registry, metric="accuracy")


def rows() -> Fold:
    rng = np.random.default_rng(3)
    x, target = rng.normal(size=(96, 64)), rng.integers(0, 10, 96)
    return Fold(x[:64], target[:64], None, x[64:], target[64:], None)


class Plain:
    """The paper's three sequences, each on the whole vector, with nothing saved."""

    def __init__(self, rule: Any, w: Array) -> None:
        self.rule, self.x, self.y, self.z, self.v = rule, w.copy(), w.copy(), w.copy(), 0 * w
        self.weights: list[float] = []
        self.rates: list[float] = []

    def step(self, g: Array, lr: float) -> None:
        rule, t = self.rule, len(self.weights) + 1
        if isinstance(rule, ScheduleFreeAdamW):
            self.v = rule.beta2 * self.v + (1 - rule.beta2) * g**2
            g = g / (np.sqrt(self.v / (1 - rule.beta2**t)) + rule.eps)
        self.z = self.z - lr * (g + rule.weight_decay * self.y)
        self.rates.append(lr)
        self.weights.append(t**rule.r * max(self.rates) ** rule.weight_lr_power)
        share = self.weights[-1] / sum(self.weights)
        self.x = (1 - share) * self.x + share * self.z
        self.y = (1 - rule.beta) * self.z + rule.beta * self.x


@every_rule
def test_blocks_of_a_large_network_take_the_steps_of_the_whole_vector(
    cls: type[Optimizer],
) -> None:
    made = recipe(cls, "256-128", weight_decay=0.1, r=0.5)
    trainer = Trainer(start(made, rows(), 10, np.random.SeedSequence(0)))
    weights = trainer.checkpoint.weights
    assert len(weights) > 32768
    assert len(trainer.update.blocks) > 1
    plain = Plain(made.optimizer, weights)
    for t in range(12):
        trainer.backpropagate(np.arange(16) + 4 * t)
        lr = made.optimizer.lr * (t + 1) / 12 if t < 8 else made.optimizer.lr / t
        plain.step(trainer.network.gradient.copy(), lr)
        trainer.descend(lr)
    evaluated = trainer.update.evaluation_weights()
    assert evaluated is not None
    np.testing.assert_allclose(weights, plain.y, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(evaluated, plain.x, rtol=1e-10, atol=1e-13)


@every_rule
def test_a_run_in_two_pieces_ends_in_the_bits_of_one(cls: type[Optimizer]) -> None:
    run = start(recipe(cls, "8"), rows(), 10, np.random.SeedSequence(0))
    whole, halves = advance(run, 4), advance(advance(run, 2), 2)
    assert whole.checkpoint.metrics == halves.checkpoint.metrics
    np.testing.assert_array_equal(whole.checkpoint.weights, halves.checkpoint.weights)


STUDY = """
[study]
metric = "accuracy"
trials = 4
workers = 2
finalists = 1
final_seeds = 1

[data]
source = "sklearn:digits"
test = 0.2

[train]
epochs = 20
batch_size = 64
warmup = 0.05

[network]
hidden = "64"

[search]
optimizer = ["schedule_free_sgd", "schedule_free_adamw"]

[plugins]
files = ["tunekit_schedule_free.py"]
"""


def command(folder: Path, *arguments: str) -> Any:
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    (folder / PLUGIN.name).write_text(PLUGIN.read_text(encoding="utf-8"), encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if key[:7] != "MLFLOW_"}
    # Where the distribution is installed too, its names would be brought twice.
    environment["TUNEKIT_DISABLED"] = "schedule_free"
    done = subprocess.run(
        [sys.executable, "-m", "tunekit", *arguments, "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@every_rule
def test_digits_are_learned_at_the_defaults(cls: type[Optimizer], tmp_path: Path) -> None:
    trained = command(tmp_path, "train", "study.toml", "--set", f'search.optimizer="{cls.name}"')
    assert trained["value"] > 0.94
    assert trained["diagnosis"]["verdict"] == "healthy"


def test_two_workers_search_both_rules(tmp_path: Path) -> None:
    found = command(tmp_path, "search", "study.toml")
    assert found["trials"] == {"complete": 4, "pruned": 0, "failed": 0}
    assert found["best"]["params"]["optimizer"] in RULES
    assert found["test"]["mean"] > 0.92
