"""The conformance checks as a parametrised test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tunekit.testing.check import Subject, checks_for, refuse_unknown

if TYPE_CHECKING:
    import pytest


def parametrize_with_checks(
    *components: Subject, expected_failures: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """Parametrise a test over components and all their checks.

        @parametrize_with_checks(Lion, Lion(beta1=0.5))
        def test_conformance(component, check):
            check(component)

    Args:
        components: Components, or classes to check at their defaults.
        expected_failures: The reasons for failures that are known, by the check's name. Such a
            test is marked as an expected failure, and fails when the check passes.

    Raises:
        ValueError: A failure is expected of a check that there is not.
    """
    import pytest

    reasons = expected_failures or {}
    cases = [(component, check) for component in components for check in checks_for(component)]
    refuse_unknown(reasons, tuple(check for _, check in cases))
    return pytest.mark.parametrize(
        ("component", "check"),
        [
            pytest.param(
                component,
                check,
                id=f"{_title(component)}-{check.name}",
                marks=[pytest.mark.xfail(reason=reasons[check.name], strict=True)]
                if check.name in reasons
                else [],
            )
            for component, check in cases
        ],
    )


def _title(component: Subject) -> str:
    """The component's name, with the values that are not its defaults."""
    if isinstance(component, type):
        return component.name
    defaults = component.hyperparameters()
    other = {
        name: value for name, value in component.values().items() if value != defaults[name].default
    }
    return component.name + "".join(f",{name}={value}" for name, value in other.items())
