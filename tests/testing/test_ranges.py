"""Formulas that are right at the defaults and wrong elsewhere are caught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import Activation, Component, Float, Loss, Progress, Regularizer, Schedule
from tunekit.plugins import load
from tunekit.testing import checks_for, examine

Array = NDArray[Any]


class Bent(Activation):
    """Whose backward pass has a number for the hyperparameter."""

    name = "bent"
    slope: float = Float(0.5, low=0.1, high=0.9)

    def forward(self, z: Array) -> Array:
        return np.where(z > 0, z, z * self.slope)

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        return np.where(z > 0, da, da * 0.5)


class Scaled(Loss):
    """Whose gradient leaves out the scale, which is 1 by default."""

    name = "scaled"
    tasks = ("regression",)
    targets = "values"
    scale: float = Float(1.0, low=0.1, high=3.0)

    def value_and_gradient(
        self, output: Array, target: Array, weight: Array | None
    ) -> tuple[float, Array]:
        share = np.ones(len(output)) if weight is None else weight
        share = (share / share.sum())[:, None].astype(output.dtype)
        error = output - target
        return float((share * self.scale * error * error).sum()), 2 * share * error

    def predict(self, output: Array) -> Array:
        return output


class Strong(Regularizer):
    """Whose gradient has a number for the strength."""

    name = "strong"
    strength: float = Float(1e-3, low=1e-5, high=1e-1, log=True)

    def penalty(self, w: Array) -> tuple[float, Array]:
        return self.strength * float(w @ w), 2e-3 * w


@pytest.mark.parametrize(
    ("component", "check", "value"),
    [
        (Bent, "derivative_in_range", "with slope = 0.1"),
        (Scaled, "gradient_in_range", "with scale = 0.1"),
        (Strong, "penalty_in_range", "with strength = 1e-05"),
    ],
)
def test_what_is_right_at_the_defaults_only_is_caught(
    component: type[Component], check: str, value: str
) -> None:
    failed = {f.check.name: f.failure for f in examine(component) if f.failure}
    assert set(failed) == {check}
    failure = failed[check]
    assert failure is not None
    assert value in failure.found
    assert "a hyperparameter is missing in one of the two formulas" in failure.likely


def test_what_is_wrong_everywhere_is_told_once() -> None:
    class Wrong(Bent):
        def backward(self, da: Array, z: Array, a: Array) -> Array:
            return np.where(z > 0, da, da * 0.3)

    notes = {finding.check.name: finding.note for finding in examine(Wrong)}
    assert notes["derivative_in_range"] == "not judged, because derivative fails"


def test_there_is_nothing_to_try_without_hyperparameters() -> None:
    relu = load(entry_points=False).find(Activation, "relu")
    assert "derivative_in_range" not in {check.name for check in checks_for(relu)}


def test_a_schedule_that_remembers_in_itself_is_caught() -> None:
    class Counting(Schedule):
        """Counts what it was asked."""

        name = "counting"

        def factor(self, progress: Progress) -> float:
            self.__dict__["asked"] = self.__dict__.get("asked", 0) + 1
            return 1.0

    [failed] = [finding.failure for finding in examine(Counting) if finding.failure]
    assert failed is not None
    assert failed.found == "another self.asked than before"
