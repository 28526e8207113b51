"""The built-in optimizers keep what they promise, and the notes say what was measured."""

from __future__ import annotations

import re

import pytest

from tunekit import Optimizer
from tunekit.plugins import load
from tunekit.testing import Check, checks_for, examine, parametrize_with_checks
from tunekit.testing.cost import cost
from tunekit.testing.descent import DIGITS_BAR, quadratic, real_problem

REGISTRY = load(entry_points=False)
OPTIMIZERS = [REGISTRY.find(Optimizer, name) for name in REGISTRY.names("optimizer")]


def with_all_on(cls: type[Optimizer]) -> Optimizer:
    """The rule with what is off by default turned on, such as weight decay."""
    off = {name: value for name, value in cls().values().items() if not value}
    return cls(**{name: True if value is False else 0.01 for name, value in off.items()})


RULES = [cls() for cls in OPTIMIZERS]
RULES += [other for cls in OPTIMIZERS if (other := with_all_on(cls)) != cls()]


@parametrize_with_checks(*RULES)
def test_the_built_ins_pass(component: Optimizer, check: Check) -> None:
    check(component)


def test_only_rules_that_claim_it_are_checked_for_their_blocks() -> None:
    checked = {cls.name for cls in OPTIMIZERS if "blocks" in map(str, checks_for(cls))}
    assert checked == {cls.name for cls in OPTIMIZERS if cls.scope == "elementwise"}


def test_notes_say_how_far_a_rule_gets_and_what_it_costs() -> None:
    adam = REGISTRY.find(Optimizer, "adam")
    assert re.fullmatch(r"accuracy 0\.9\d, untrained 0\.\d\d", real_problem(adam) or "")
    assert re.fullmatch(r"[\de.-]+ of the way left", quadratic(adam) or "")
    # Against itself, on a machine that may be busy.
    assert 0.2 < float((cost(adam) or "").removesuffix(" x adam")) < 5


def test_the_slowest_built_in_is_far_from_the_bar_of_the_real_problem() -> None:
    lion = REGISTRY.find(Optimizer, "lion")
    accuracy = float((real_problem(lion) or "").split()[1].rstrip(","))
    assert accuracy > DIGITS_BAR + 0.2


def test_a_bug_that_raises_is_told_with_its_line() -> None:
    class Misspelt(Optimizer):
        """Forgets an import."""

        name = "misspelt"

        def direction(self, w, g, state, step):  # type: ignore[no-untyped-def]
            return nothing.sign(g)  # type: ignore[name-defined]  # noqa: F821

    failures = [finding.failure for finding in examine(Misspelt) if finding.failure]
    assert len(failures) > 10
    for failure in failures:
        assert "name 'nothing' is not defined" in failure.found
    assert "(test_optimizers.py, line " in failures[0].found


@pytest.mark.parametrize("scope", ["tensor", "vector"])
def test_rules_that_see_more_than_an_element_may_use_its_norm(scope: str) -> None:
    class Normed(Optimizer):
        """Goes steps of one length."""

        name = "normed"

        def direction(self, w, g, state, step):  # type: ignore[no-untyped-def]
            assert (step.role == "all") == (scope == "vector")
            assert (step.layer is None) == (scope == "vector")
            return g / (float((g.astype("float64") ** 2).sum()) ** 0.5 + 1e-30)

    Normed.scope = scope  # type: ignore[assignment]
    known = {"real_problem", "quadratic"}  # a length of 1 is a matter of taste
    assert {finding.check.name for finding in examine(Normed) if not finding.is_good} <= known
