"""Whether formulas and their derivatives belong together at other hyperparameters, too."""

from __future__ import annotations

from tunekit.components import Activation, Component, Loss, Regularizer
from tunekit.space import show
from tunekit.testing.activations import derivative
from tunekit.testing.check import Check, CheckFailure, check
from tunekit.testing.losses import gradient
from tunekit.testing.moments import acts_at
from tunekit.testing.penalties import penalty_gradient
from tunekit.testing.variants import variants


def has_variants(component: Component) -> bool:
    """Whether there are other values to try."""
    return next(variants(component), None) is not None


@check("activation", applies=has_variants)
def derivative_in_range(f: Activation) -> str | None:
    """Its derivative is right over its ranges."""
    return _holds_in_range(derivative, f)


@check("loss", applies=has_variants)
def gradient_in_range(loss: Loss) -> str | None:
    """Its gradient is right over its ranges."""
    return _holds_in_range(gradient, loss)


@check("regularizer", applies=lambda r: acts_at("penalty")(r) and has_variants(r))
def penalty_in_range(regularizer: Regularizer) -> str | None:
    """The penalty's gradient is right over its ranges."""
    return _holds_in_range(penalty_gradient, regularizer)


def _holds_in_range(check: Check, component: Component) -> str | None:
    """See that a check that holds at a component's own values holds at others."""
    try:
        check.function(component)
    except CheckFailure:
        return f"not judged, because {check.name} fails"
    for variant in variants(component):
        try:
            check.function(variant)
        except CheckFailure as failure:
            raise CheckFailure(
                expected=failure.expected,
                found=f"{failure.found}, with {_difference(component, variant)}",
                likely="a hyperparameter is missing in one of the two formulas, or a number stands "
                "in its place",
            ) from failure
    return None


def _difference(component: Component, variant: Component) -> str:
    before = component.values()
    others = {name: value for name, value in variant.values().items() if value != before[name]}
    return ", ".join(f"{name} = {show(value)}" for name, value in others.items())
