"""SOAP against an independent port, against the paper's algorithm, and on real data."""

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
from tunekit_soap import Soap

from tunekit import Component, State, Step
from tunekit.testing import Check, parametrize_with_checks

Array = NDArray[Any]

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))
MODULE = Path(__file__).parents[1] / "tunekit_soap.py"
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
optimizer = "soap"
activation = "relu"
[plugins]
files = ['{module}']
"""


@parametrize_with_checks(Soap, Soap(max_precond_dim=8, precondition_frequency=1))
def test_it_keeps_what_an_optimizer_promises(component: Component, check: Check) -> None:
    check(component)


def title(case: dict[str, Any]) -> str:
    values = [f"{name} {value}" for name, value in case["values"].items()]
    return ", ".join([*values, *(["varying lr"] if case["varying"] else [])])


def gradients(tensors: list[Array], t: int) -> list[Array]:
    """Of the golden problem, on the rows of step `t`."""
    x, y = (np.array(GOLDEN["problem"][name])[t % 2 :: 2] for name in ("x", "y"))
    w1, w2, b1, b2 = tensors
    hidden = np.tanh(x @ w1 + b1)
    error = 2 / y.size * (hidden @ w2 + b2 - y)
    below = error @ w2.T * (1 - hidden**2)
    return [x.T @ below, hidden.T @ error, below.sum(0), error.sum(0)]


def deviation(case: dict[str, Any]) -> float:
    """The largest deviation of a parameter at any kept step, relative to the largest parameter."""
    rule = Soap(**case["values"])
    tensors = [np.array(tensor) for tensor in GOLDEN["problem"]["parameters"]]
    states = [rule.initial_state(w) for w in tensors]
    found = []
    for t, factor in enumerate(GOLDEN["factors"], start=1):
        lr = rule.lr * factor if case["varying"] else rule.lr
        for w, g, state in zip(tensors, gradients(tensors, t), states, strict=True):
            w -= lr * rule.direction(w, g, state, Step(t=t, lr=lr))
        if t in GOLDEN["kept"]:
            expected = np.array(case["w"][GOLDEN["kept"].index(t)])
            flat = np.concatenate([w.ravel() for w in tensors])
            found.append(np.max(np.abs(flat - expected)) / np.max(np.abs(expected)))
    return float(max(found))


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=title)
def test_forty_steps_end_where_those_of_the_port_end(case: dict[str, Any]) -> None:
    assert deviation(case) < 1e-10


def noisy(shape: tuple[int, ...], steps: int, seed: int = 0) -> list[Array]:
    """Gradients whose directions have different sizes, as real ones have."""
    rng = np.random.default_rng(seed)
    if len(shape) == 1:
        return [rng.normal(size=shape) for _ in range(steps)]
    left, right = (rng.normal(size=(n, n)) * np.geomspace(1, 0.1, n) for n in shape)
    return [left @ rng.normal(size=shape) @ right for _ in range(steps)]


def directions(rule: Soap, gs: list[Array]) -> tuple[list[Array], State]:
    """The directions for given gradients, at parameters of 0, and the last state."""
    w = np.zeros_like(gs[0])
    state = rule.initial_state(w)
    found = [rule.direction(w, g, state, Step(t=t, lr=1.0)) for t, g in enumerate(gs, start=1)]
    return found, state


def by_the_paper(gs: list[Array], beta: float, eps: float) -> list[Array]:
    """The paper's algorithm 3 with a refresh at every step, slowly and in the averages' own terms.

    All is kept in the parameters' coordinates; `v`, which has no other, in the basis's.
    """
    left, right = ((1 - beta) * g for g in (gs[0] @ gs[0].T, gs[0].T @ gs[0]))
    p, q = (np.linalg.eigh(average)[1][:, ::-1] for average in (left, right))
    m, v = np.zeros_like(gs[0]), np.zeros_like(gs[0])
    found = [np.zeros_like(gs[0])]
    for t, g in enumerate(gs[1:], start=1):
        m = beta * m + (1 - beta) * g
        v = beta * v + (1 - beta) * (p.T @ g @ q) ** 2
        within = (p.T @ m @ q) / (np.sqrt(v) + eps)
        found.append(p @ within @ q.T * np.sqrt(1 - beta**t) / (1 - beta**t))
        left = beta * left + (1 - beta) * g @ g.T
        right = beta * right + (1 - beta) * g.T @ g
        columns, rows = (np.argsort(-np.diag(b.T @ a @ b)) for a, b in ((left, p), (right, q)))
        v = v[columns][:, rows]
        p, q = np.linalg.qr(left @ p[:, columns])[0], np.linalg.qr(right @ q[:, rows])[0]
    return found


def test_it_is_the_papers_algorithm() -> None:
    gs = noisy((4, 5), 40)
    rule = Soap(precondition_frequency=1, weight_decay=0.0, eps=1e-6)
    for found, expected in zip(directions(rule, gs)[0], by_the_paper(gs, 0.95, 1e-6), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_the_second_step_worked_by_hand() -> None:
    # The first gradient is diagonal, so the eigenvectors are the axes, in some order. Adam's first
    # direction is then the sign of the second gradient.
    gs = [np.diag([1.0, 2.0]), np.array([[3.0, -5.0], [0.5, 0.0]])]
    found, _ = directions(Soap(weight_decay=0.0, eps=0.0), gs)
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_allclose(found[1], [[1, -1], [1, 0]])

    # Here the eigenvectors are turned by 45 degrees. In their basis the second gradient is
    # [[1, 0], [0, 1]] / 2 up to order and signs, whose direction is the identity.
    half = math.sqrt(0.5)
    turn = np.array([[half, -half], [half, half]])
    gs = [turn @ np.diag([2.0, 1.0]) @ turn.T, 0.5 * turn @ np.diag([1.0, -1.0]) @ turn.T]
    found, _ = directions(Soap(weight_decay=0.0), gs)
    np.testing.assert_allclose(found[1], [[0, 1], [1, 0]], atol=1e-7)


def test_signs_and_order_of_the_eigenvectors_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rule, gs = Soap(precondition_frequency=3, weight_decay=0.0), noisy((4, 5), 30)
    plain, _ = directions(rule, gs)
    rng, qr, eigh = np.random.default_rng(1), np.linalg.qr, np.linalg.eigh

    def flipped_qr(a: Array) -> tuple[Array, Array]:
        q, r = qr(a)
        signs = rng.choice([-1.0, 1.0], len(a))
        return q * signs, (r.T * signs).T

    def flipped_eigh(a: Array) -> tuple[Array, Array]:
        values, vectors = eigh(a)
        return values, vectors * rng.choice([-1.0, 1.0], len(a))

    monkeypatch.setattr(np.linalg, "qr", flipped_qr)
    monkeypatch.setattr(np.linalg, "eigh", flipped_eigh)
    flipped, state = directions(rule, gs)
    np.testing.assert_allclose(flipped, plain, rtol=1e-9, atol=1e-11)

    # A basis in another order, with all that is written in it, is the same basis.
    order = rng.permutation(4)
    other = {name: np.copy(value) for name, value in state.items()}
    other["left_basis"] = other["left_basis"][:, order]
    other["m"], other["v"] = other["m"][order], other["v"][order]
    w, g, step = np.zeros((4, 5)), gs[3], Step(t=31, lr=1.0)
    np.testing.assert_allclose(
        rule.direction(w, g, other, step), rule.direction(w, g, state, step), rtol=1e-9
    )


def test_turning_the_coordinates_turns_the_direction() -> None:
    # What sets it apart from Adam. The first step is the same for both, so `eps` hardly matters.
    gs = noisy((3, 3), 25)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    rule = Soap(weight_decay=0.0, precondition_frequency=2)
    plain = directions(rule, gs)[0]
    turned = directions(rule, [turn @ g for g in gs])[0]
    np.testing.assert_allclose(turned, [turn @ d for d in plain], rtol=1e-6, atol=1e-8)


def adam(gs: list[Array]) -> list[Array]:
    """Adam's directions at SOAP's betas, from the second gradient on."""
    m, v, found = np.zeros_like(gs[0]), np.zeros_like(gs[0]), [np.zeros_like(gs[0])]
    for t, g in enumerate(gs[1:], start=1):
        m, v = 0.95 * m + 0.05 * g, 0.95 * v + 0.05 * g**2
        found.append(m / (np.sqrt(v) + 1e-8) * np.sqrt(1 - 0.95**t) / (1 - 0.95**t))
    return found


@pytest.mark.parametrize("shape", [(5,), (4, 5)])
def test_vectors_and_long_sides_get_adam(shape: tuple[int, ...]) -> None:
    gs = noisy(shape, 25)
    found, state = directions(Soap(weight_decay=0.0, max_precond_dim=3), gs)
    np.testing.assert_allclose(found, adam(gs), rtol=1e-12)
    assert set(state) == {"m", "v"}


def test_one_side_can_be_turned_alone() -> None:
    gs = noisy((4, 5), 25)
    rule = Soap(weight_decay=0.0, max_precond_dim=4)
    found, state = directions(rule, gs)
    assert set(state) == {"m", "v", "left", "left_basis"}
    upright, other = directions(rule, [g.T for g in gs])
    assert set(other) == {"m", "v", "right", "right_basis"}
    np.testing.assert_allclose(found, [d.T for d in upright], rtol=1e-7, atol=1e-10)


def test_the_basis_comes_to_be_that_of_the_eigenvectors() -> None:
    # Power iterations on a moving average: exact only where the average stands still.
    gs = noisy((4, 4), 2) * 400
    _, state = directions(Soap(precondition_frequency=1, shampoo_beta=0.999), gs)
    basis = state["left_basis"]
    np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-12)
    within = basis.T @ state["left"] @ basis
    assert np.abs(within - np.diag(np.diag(within))).max() < 1e-3 * within.max()
    assert (np.diff(np.diag(within)) <= 0).all()  # largest first


def test_the_basis_stays_until_the_step_that_refreshes_it() -> None:
    gs = noisy((3, 3), 12)
    w, rule = np.zeros((3, 3)), Soap(precondition_frequency=5)
    state = rule.initial_state(w)
    changed = []
    for t, g in enumerate(gs, start=1):
        before = state["left_basis"].copy()
        rule.direction(w, g, state, Step(t=t, lr=1.0))
        if not np.array_equal(before, state["left_basis"]):
            changed.append(t)
    assert changed == [1, 6, 11]


def test_decay_draws_the_weights_to_zero() -> None:
    rule, w = Soap(weight_decay=0.1), np.full((3, 3), 2.0)
    state = rule.initial_state(w)
    rule.direction(w, 0 * w, state, Step(t=1, lr=1.0))
    np.testing.assert_allclose(rule.direction(w, 0 * w, state, Step(t=2, lr=1.0)), 0.1 * w)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e30])
def test_a_gradient_that_is_no_number_or_too_large_stops_no_program(bad: float) -> None:
    w = np.ones((3, 4), np.float32)
    gs = [np.asarray(g, np.float32) for g in noisy((3, 4), 12)]
    for when in (0, 5):
        broken = [g * np.float32(bad) if t == when else g for t, g in enumerate(gs)]
        state = Soap().initial_state(w)
        with np.errstate(all="ignore"):
            for t, g in enumerate(broken, start=1):
                assert Soap().direction(w, g, state, Step(t=t, lr=1.0)).dtype == np.float32
        assert np.isfinite(state["left_basis"]).all()
        assert all(array.dtype == np.float32 for array in state.values())


def test_digits_are_learned_at_the_defaults_from_the_single_file(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(STUDY.format(module=MODULE), encoding="utf-8")
    command = [sys.executable, "-m", "tunekit", "train", str(study), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["value"] > 0.96
