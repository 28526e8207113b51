"""The checks as tests of pytest's: what is expected to fail, and what cannot be checked."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tunekit import Component, Float, Optimizer, Schedule
from tunekit.builtin.schedules import Constant, Cosine
from tunekit.testing import checks_for, examine, parametrize_with_checks

pytest_plugins = ["pytester"]

HEAD = """
    from tunekit import Schedule
    from tunekit.testing import parametrize_with_checks

    class Half(Schedule):
        {docstring}
        name = "half"
        part: float = 0.5

        def factor(self, progress):
            return self.part

    @parametrize_with_checks({arguments})
    def test_conformance(component, check):
        if check.name in ("summary", "finite"):
            check(component)
"""
DONE = '"Half the rate."'


def outcomes(pytester: pytest.Pytester, docstring: str, arguments: str) -> dict[str, int]:
    """How the tests of a plugin's author end; all but two are left out."""
    pytester.makepyfile(HEAD.format(docstring=docstring, arguments=arguments))
    return pytester.runpytest_inprocess("-p", "no:cacheprovider").parseoutcomes()


CHECKS = len(checks_for(Constant))
EXPECTED = 'Half, expected_failures={"summary": "not yet"}'


def test_each_check_is_a_test(pytester: pytest.Pytester) -> None:
    assert outcomes(pytester, DONE, "Half, Half(part=0.2)") == {"passed": 2 * CHECKS}


def test_a_failure_that_is_expected_is_no_failure(pytester: pytest.Pytester) -> None:
    assert outcomes(pytester, "", EXPECTED) == {"passed": CHECKS - 1, "xfailed": 1}


def test_a_pass_that_is_not_expected_is_a_failure(pytester: pytest.Pytester) -> None:
    assert outcomes(pytester, DONE, EXPECTED) == {"passed": CHECKS - 1, "failed": 1}


def test_failures_may_be_expected_of_some_components_only(pytester: pytest.Pytester) -> None:
    function = """
        Half, Half(part=-0.5),
        expected_failures=lambda half: {"finite": "uphill"} if half.part < 0 else {}
    """
    assert outcomes(pytester, DONE, function) == {"passed": 2 * CHECKS - 1, "xfailed": 1}


def test_an_unknown_check_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no check 'finnite' here\. Did you mean 'finite'"):
        parametrize_with_checks(Constant, expected_failures={"finnite": "?"})
    # Known, but not a check of this one.
    parametrize_with_checks(Constant, Sound, expected_failures={"slots": "?"})

    def reasons(component: Component) -> Mapping[str, str]:
        return {"slots": "?"}

    with pytest.raises(ValueError, match="no check 'slots' here"):
        parametrize_with_checks(Sound, Constant, expected_failures=reasons)


class Sound(Optimizer):
    """Gradient descent."""

    name = "sound"

    def direction(self, w, g, state, step):  # type: ignore[no-untyped-def]
        return g


class Abstract(Schedule):
    """Has no factor."""

    name = "abstract"


class Picky(Cosine):
    """Wants to be told its part."""

    name = "picky"
    part: float = Float(0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.part == 0.5:
            raise ValueError("which part?")


@pytest.mark.parametrize(
    ("component", "told"),
    [
        (3, "expected a component or its class, found 3"),
        (int, "expected a component or its class, found <class 'int'>"),
        (Schedule, "Schedule does not define `factor` yet"),
        (Abstract, "Abstract does not define `factor` yet"),
        (Picky, "Picky cannot be made at its defaults: ValueError: which part.*an instance"),
    ],
)
def test_what_cannot_be_checked_is_told(component: Component, told: str) -> None:
    for refusing in (parametrize_with_checks, checks_for, examine):
        with pytest.raises(TypeError, match=told):
            refusing(component)


def test_nothing_to_check_is_told() -> None:
    with pytest.raises(ValueError, match="there are no components to check"):
        parametrize_with_checks()
