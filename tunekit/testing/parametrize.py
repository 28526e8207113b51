"""The conformance checks as a parametrised test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tunekit.components import Component
from tunekit.testing.check import Subject, checks_for, made, refuse_unknown

if TYPE_CHECKING:
    import pytest


def parametrize_with_checks(
    *components: Subject,
    expected_failures: Mapping[str, str] | Callable[[Component], Mapping[str, str]] | None = None,
) -> pytest.MarkDecorator:
    """Parametrise a test over components and all their checks.

        @parametrize_with_checks(Lion, Lion(beta1=0.5))
        def test_conformance(component, check):
            check(component)

    Args:
        components: Components, or classes to check at their defaults.
        expected_failures: The reasons for failures that are known, by the check's name; or a
            function of a component that gives them, where components differ in them. Such a test
            is marked as an expected failure, and fails when the check passes.

    Raises:
        TypeError: One is no component, or a class that cannot be made at its defaults.
        ValueError: There are no components, or a failure is expected of a check that there is not.
    """
    import pytest

    if not components:
        raise ValueError("there are no components to check; name one or more")
    cases = [(component, check) for component in components for check in checks_for(component)]
    if not callable(expected_failures):
        refuse_unknown(expected_failures or {}, tuple(check for _, check in cases))
    reasons = {component: _reasons(component, expected_failures) for component in components}
    return pytest.mark.parametrize(
        ("component", "check"),
        [
            pytest.param(
                component,
                check,
                id=f"{_title(component)}-{check.name}",
                marks=[pytest.mark.xfail(reason=reasons[component][check.name], strict=True)]
                if check.name in reasons[component]
                else [],
            )
            for component, check in cases
        ],
    )


def _reasons(
    component: Subject,
    expected: Mapping[str, str] | Callable[[Component], Mapping[str, str]] | None,
) -> Mapping[str, str]:
    if not callable(expected):
        return expected or {}
    reasons = expected(made(component))
    refuse_unknown(reasons, checks_for(component))
    return reasons


def _title(component: Subject) -> str:
    """The component's name, with the values that are not its defaults."""
    if isinstance(component, type):
        return component.name
    defaults = component.hyperparameters()
    other = {
        name: value for name, value in component.values().items() if value != defaults[name].default
    }
    return component.name + "".join(f",{name}={value}" for name, value in other.items())
