"""Prodigy against the authors' package, by hand, and on real data."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tunekit_prodigy import Prodigy

from tunekit import Component, Step
from tunekit.testing import Check, parametrize_with_checks

Array = NDArray[Any]

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))
MODULE = Path(__file__).parents[1] / "tunekit_prodigy.py"
STUDY = """
[study]
metric = "accuracy"
[data]
source = "sklearn:digits"
folds = 3
[train]
epochs = 30
batch_size = 64
[network]
hidden = "64"
[search]
optimizer = "prodigy"
activation = "relu"
[plugins]
files = ['{module}']
"""


@parametrize_with_checks(Prodigy, Prodigy(use_bias_correction=True, safeguard_warmup=True))
def test_it_keeps_what_an_optimizer_promises(component: Component, check: Check) -> None:
    check(component)


def title(case: dict[str, Any]) -> str:
    values = [f"{name} {value}" for name, value in case["values"].items()]
    return ", ".join([*values, *(["varying lr"] if case["varying"] else [])]) or "defaults"


def network(flat: Array) -> tuple[list[Array], Array]:
    """The golden problem's tensors, as views of its flat parameters, and its gradient."""
    given = GOLDEN["problem"]
    x, y = np.array(given["x"]), np.array(given["y"])
    shapes = [np.shape(tensor) for tensor in given["parameters"]]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    w1, w2, b1, b2 = tensors = [
        part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)
    ]
    hidden = np.tanh(x @ w1 + b1)
    error = 2 / len(y) * (hidden @ w2 + b2 - y)
    below = error @ w2.T * (1 - hidden**2)
    parts = [x.T @ below, hidden.T @ error, below.sum(0), error.sum(0)]
    return tensors, np.concatenate([part.ravel() for part in parts])


def deviation(case: dict[str, Any]) -> float:
    """The largest relative deviation of a parameter or of `d` from the authors', at any kept step.

    A parameter's is relative to the largest parameter: one that passes 0 has no relative error.
    """
    rule = Prodigy(**case["values"])
    w = np.concatenate([np.ravel(tensor) for tensor in GOLDEN["problem"]["parameters"]])
    state = rule.initial_state(w)
    found = []
    for t, factor in enumerate(GOLDEN["factors"], start=1):
        lr = rule.lr * factor if case["varying"] else rule.lr
        w -= lr * rule.direction(w, network(w)[1], state, Step(t=t, lr=lr))
        if t in GOLDEN["kept"]:
            at = GOLDEN["kept"].index(t)
            expected = np.array(case["w"][at])
            found.append(np.max(np.abs(w - expected)) / np.max(np.abs(expected)))
            found.append(abs(state["d"] - case["d"][at]) / case["d"][at])
    return float(max(found))


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=title)
def test_sixty_steps_end_where_those_of_the_authors_end(case: dict[str, Any]) -> None:
    assert deviation(case) < 1e-10


def test_the_first_two_steps_are_those_worked_by_hand() -> None:
    rule = Prodigy(d0=0.5, beta1=0.5, beta2=0.75, beta3=0.5, eps=0.0)
    w = np.array([4.0, 1.0])
    state = rule.initial_state(w)

    # m = 0.5 * 0.5 * g = (2, -1); v = 0.25 * (0.5 g)^2 = (4, 1). Nothing has moved yet, so d stays.
    g = np.array([8.0, -4.0])
    direction = rule.direction(w, g, state, Step(t=1, lr=1.0))
    np.testing.assert_allclose(direction, 0.5 * np.array([2 / 2, -1 / 1]))
    assert state["d"] == 0.5

    # The same gradient at w = (3.5, 1.5): n = 1 * 0.5 * (8 * 0.5 + 4 * 0.5) = 3, and
    # s = 0.5 * 0.5 g + 0.5 g = (6, -3), so d = max(0.5, 3 / 9) stays; m = (3, -1.5), v = (7, 1.75).
    w = w - direction
    direction = rule.direction(w, g, state, Step(t=2, lr=1.0))
    np.testing.assert_allclose(direction, 0.5 * np.array([3, -1.5]) / np.sqrt([7, 1.75]))
    assert state["n"] == 3.0
    np.testing.assert_allclose(state["s"], [6.0, -3.0])
    assert state["d"] == 0.5

    # With d_coef = 3, d becomes 3 * 3 / 9 = 1.
    tripled = Prodigy(d0=0.5, d_coef=3.0, beta1=0.5, beta2=0.75, beta3=0.5, eps=0.0)
    w, state = np.array([4.0, 1.0]), tripled.initial_state(np.array([4.0, 1.0]))
    w = w - tripled.direction(w, g, state, Step(t=1, lr=1.0))
    tripled.direction(w, g, state, Step(t=2, lr=1.0))
    assert state["d"] == pytest.approx(1.0)


def run(rule: Prodigy, steps: int, scale: float = 1.0) -> tuple[Array, list[float]]:
    """Parameters and `d` on ``|w - 3|_1 * scale``, from 0 on."""
    w = np.zeros(5)
    state = rule.initial_state(w)
    grown = []
    for t in range(1, steps + 1):
        g = scale * np.sign(w - 3.0)
        w = w - rule.lr * rule.direction(w, g, state, Step(t=t, lr=rule.lr))
        grown.append(state["d"])
    return w, grown


def test_d_grows_to_the_scale_of_the_distance_and_never_shrinks() -> None:
    _, grown = run(Prodigy(), 400)
    assert (np.diff(grown) >= 0).all()
    assert 0.1 < grown[-1] <= 3.0  # every coordinate is 3 from its optimum


def test_the_scale_of_the_loss_does_not_matter() -> None:
    rule = Prodigy(eps=0.0)
    for scale in (1e-3, 1e3):
        np.testing.assert_allclose(run(rule, 60, scale)[0], run(rule, 60)[0])


def test_growth_is_limited() -> None:
    _, grown = run(Prodigy(growth_rate=1.02), 100)
    left = next(i for i, d in enumerate(grown) if d > 1e-6)
    ratios = np.array(grown[left + 1 :]) / np.array(grown[left:-1])
    assert ratios.max() <= 1.02 * (1 + 1e-12)


def test_a_rate_of_zero_changes_nothing() -> None:
    w = np.ones(3)
    state = Prodigy().initial_state(w)
    assert not Prodigy().direction(w, w, state, Step(t=1, lr=0.0)).any()
    assert not state["m"].any()


def test_without_a_gradient_nothing_moves_and_no_estimate_is_made() -> None:
    w = np.ones(3)
    state = Prodigy(eps=0.0).initial_state(w)
    assert not Prodigy(eps=0.0).direction(w, 0 * w, state, Step(t=1, lr=1.0)).any()
    assert state["d"] == 1e-6


def test_digits_are_learned_at_the_defaults_from_the_single_file(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(STUDY.format(module=MODULE), encoding="utf-8")
    command = [sys.executable, "-m", "tunekit", "train", str(study), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["value"] > 0.94
