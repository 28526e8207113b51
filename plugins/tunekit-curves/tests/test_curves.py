"""Both curves against the papers' formulas, tunekit's conformance checks, and a search."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tunekit_curves import Golu, Rex

from tunekit import Array, Component, HyperparameterError, Progress
from tunekit.testing import Check, parametrize_with_checks

LN2 = math.log(2)


@parametrize_with_checks(Golu, Rex, Rex(beta=0.1), Rex(beta=1.0))
def test_conformance(component: Component, check: Check) -> None:
    check(component)


class TestGolu:
    @pytest.mark.parametrize(
        ("z", "a", "slope"),
        [
            (0.0, 0.0, 1 / math.e),  # the gate at 0 is exp(-1)
            (LN2, LN2 / math.sqrt(math.e), (1 + LN2 / 2) / math.sqrt(math.e)),  # exp(-1/2)
            (-LN2, -LN2 / math.e**2, (1 - 2 * LN2) / math.e**2),  # exp(-2)
            (1.0, 0.6922006275553464, 0.9468470077),  # exp(-1/e) and (1 + 1/e) exp(-1/e)
        ],
    )
    def test_values_worked_by_hand(self, z: float, a: float, slope: float) -> None:
        column = np.array([[z]])
        found = Golu().forward(column)
        assert found.item() == pytest.approx(a, rel=1e-14)
        assert Golu().backward(np.ones((1, 1)), column, found).item() == pytest.approx(slope)

    def test_derivative_is_that_of_finite_differences(self) -> None:
        golu, z, h = Golu(), np.linspace(-6, 12, 181)[None], 1e-5
        difference = (golu.forward(z + h) - golu.forward(z - h)) / (2 * h)
        da = np.linspace(-2, 2, 181)[None]
        assert golu.backward(da, z, golu.forward(z)) == pytest.approx(da * difference, abs=1e-9)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_is_zero_far_left_and_the_identity_far_right(self, dtype: type) -> None:
        # With warnings as errors this also says that nothing overflows.
        golu, most = Golu(), float(np.finfo(dtype).max)
        left: Array = np.array([[-most, -1e4, -104.0, -89.0, -50.0]], dtype)
        right = -left
        for z, a, slope in ((left, 0 * left, 0), (right, right, 1)):
            found = golu.forward(z)
            assert np.array_equal(found, a)
            assert golu.backward(np.ones_like(z), z, found) == pytest.approx(slope, abs=1e-7)

    def test_float32_is_as_good_as_float32_can_be(self) -> None:
        z = np.linspace(-4, 8, 10_001)[None]
        exact = z * np.exp(-np.exp(-z))
        assert Golu().forward(z.astype(np.float32)) == pytest.approx(exact, rel=2e-5, abs=1e-7)

    def test_gain_keeps_the_second_moment(self) -> None:
        z = np.linspace(-12, 12, 100_001)
        density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        a = Golu().forward(z[None])[0] * Golu.gain
        assert np.sum(a * a * density) * (z[1] - z[0]) == pytest.approx(1, abs=1e-5)


class TestRex:
    @pytest.mark.parametrize(
        ("beta", "step", "factor"),
        [
            (0.5, 0, 1.0),
            (0.5, 25, 6 / 7),  # 3/4 over 1/2 + 3/8
            (0.5, 50, 2 / 3),  # 1/2 over 1/2 + 1/4
            (0.5, 75, 2 / 5),  # 1/4 over 1/2 + 1/8
            (0.1, 50, 10 / 11),  # the authors' code: z / (1 - 0.9 + 0.9 z) at z = 1/2
            (1.0, 30, 0.7),
            (0.5, 100, 0.0),
        ],
    )
    def test_values_worked_by_hand(self, beta: float, step: int, factor: float) -> None:
        assert Rex(beta=beta).factor(at(step)) == pytest.approx(factor, abs=1e-15)

    def test_is_the_papers_formula_at_its_defaults(self) -> None:
        for step in range(101):
            x = step / 100
            assert Rex().factor(at(step)) == pytest.approx((1 - x) / (1 / 2 + 1 / 2 * (1 - x)))

    def test_is_its_own_mirror_image(self) -> None:
        # Reflected: exchanging how much is done and how much is left turns beta into 1 / beta.
        for step in range(1, 100):
            other = 1 - Rex(beta=5.0).factor(at(100 - step))
            assert Rex(beta=0.2).factor(at(step)) == pytest.approx(other)

    def test_refuses_a_beta_of_zero(self) -> None:
        with pytest.raises(HyperparameterError, match="or more"):
            Rex(beta=0.0)


def at(step: int) -> Progress:
    """A run of 100 steps."""
    return Progress(step=step, steps=100, epoch=0, epochs=1, fraction=step / 100)


STUDY = """
[study]
metric = "accuracy"
trials = 3
workers = 0
finalists = 1
final_seeds = 1

[data]
source = "sklearn:iris"

[train]
epochs = 5

[search]
optimizer = "adam"
activation = "golu"
schedule = "rex"
"""


def test_a_search_takes_both(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    done = subprocess.run(
        [sys.executable, "-m", "tunekit", "search", "study.toml", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["trials"]["complete"] == 3
    assert 0.1 <= result["best"]["params"]["schedule.rex.beta"] <= 1.0
