"""What a kind's class attributes may be."""

from __future__ import annotations

from typing import Any

import pytest

from tunekit import Activation, Choice, Float, Loss, Optimizer, PluginError


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Optimizer, {"scope": "tensors"}, r"Mine.scope = 'tensors' .* Did you mean 'tensor'\?"),
        (Optimizer, {"slots": ("m")}, r"Mine.slots = 'm' is a text; expected a tuple, \('m',\)"),
        (Optimizer, {"slots": ["m"]}, r"Mine.slots = \['m'\]; expected a tuple of texts"),
        (Optimizer, {"slots": ("m", 1)}, r"Mine.slots = \('m', 1\): 1; expected a text"),
        (Loss, {"targets": "onehot"}, r"Mine.targets = 'onehot' .* Did you mean 'one-hot'\?"),
        (Loss, {"tasks": ("clasification",)}, r"Did you mean 'classification'\?"),
        (Activation, {"gain": "2"}, r"Mine.gain = '2'; expected a number"),
        (Activation, {"name": 3}, r"Mine.name = 3; expected a text"),
    ],
)
def test_a_setting_that_means_nothing_is_an_error(
    kind: type, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(PluginError, match=message):
        type("Mine", (kind,), settings)


def test_a_setting_of_a_mixin_is_looked_at_too() -> None:
    class Mixin:
        scope = "elementwse"

    with pytest.raises(PluginError, match="Did you mean 'elementwise'"):
        type("Mine", (Mixin, Optimizer), {})


def test_a_gain_may_be_a_hyperparameter() -> None:
    body = {"gain": Float(1.0, low=0.5, high=2.0), "__annotations__": {"gain": float}}
    mine: Any = type("Mine", (Activation,), body)
    assert list(mine.hyperparameters()) == ["gain"]


def test_a_gain_may_be_a_whole_number_or_depend_on_hyperparameters() -> None:
    type("Mine", (Activation,), {"gain": 2})
    type("Mine", (Activation,), {"gain": property(lambda self: 2.0)})


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("slots", "Mine.slots is a setting and no hyperparameter"),
        ("direction", "Mine.direction is a method, so it names no field"),
    ],
)
def test_a_hyperparameter_cannot_have_the_name_of_something_else(field: str, message: str) -> None:
    body = {field: Float(1.0), "__annotations__": {field: float}}
    with pytest.raises(PluginError, match=message):
        type("Mine", (Optimizer,), body)


def test_a_learning_rate_is_a_number() -> None:
    body = {"lr": Choice("fast", ["fast", "slow"]), "__annotations__": {"lr": str}}
    with pytest.raises(PluginError, match=r"Mine.lr is a str; expected a float, as in Optimizer"):
        type("Mine", (Optimizer,), body)
