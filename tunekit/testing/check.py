"""What a conformance check is: a named statement about a component, and how it fails."""

from __future__ import annotations

import inspect
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from tunekit.components import Component, Optimizer, Regularizer
from tunekit.errors import suggestion
from tunekit.plugins import Place, place, told

Subject: TypeAlias = Component | type[Component]
"""What is checked: a component with its values, or a class at its defaults."""
Outcome = Literal["passed", "failed", "expected failure", "unexpected pass"]


class CheckFailure(AssertionError):  # noqa: N818 (an assertion that does not hold)
    """A component does not keep what its kind promises.

    Args:
        expected: What should have come.
        found: What came instead.
        likely: The mistake that is most often behind it.
    """

    def __init__(self, *, expected: str, found: str, likely: str) -> None:
        super().__init__(f"\nexpected: {expected}\nfound:    {found}\nlikely:   {likely}")
        self.expected, self.found, self.likely = expected, found, likely


@dataclass(frozen=True)
class Check:
    """One statement about components of a kind. Call it with a component to see it hold.

    Attributes:
        name: What it is called in listings and in expected failures.
        summary: The statement.
        kind: The kind of component it is about, or ``""`` for all.
        function: Raises `CheckFailure`; what it returns is told beside a pass.
        applies: Whether the statement makes sense for a component.
    """

    name: str
    summary: str
    kind: str
    function: Callable[[Any], str | None]
    applies: Callable[[Any], bool]

    def __call__(self, component: Subject) -> str | None:
        """Check a component.

        Returns:
            What was measured, if there is something to tell.

        Raises:
            CheckFailure: The statement does not hold.
        """
        subject = made(component)
        try:
            # What overflows is judged by its result, not by numpy's warning.
            with np.errstate(all="ignore"):
                return self.function(subject)
        except CheckFailure:
            raise
        except (Exception, SystemExit) as error:
            raise _failure(error, subject) from error

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Finding:
    """How a check ended.

    Attributes:
        check: The check.
        outcome: How it ended.
        note: What was measured, or why the failure was expected.
        failure: Why it failed, expected or not.
        seconds: How long it took.
    """

    check: Check
    outcome: Outcome
    note: str | None
    failure: CheckFailure | None
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether it ended as it was expected to."""
        return self.outcome in ("passed", "expected failure")


HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
CHECKS: list[Check] = []
"""All checks, in the order in which they are run."""


def check(
    kind: str = "", *, applies: Callable[[Any], bool] = lambda component: True
) -> Callable[[Callable[[Any], str | None]], Check]:
    """Make a function a check; its name and the first line of its docstring are the check's.

    Args:
        kind: The kind of component it is about; all kinds if left out.
        applies: Whether it makes sense for a component.
    """

    def register(function: Callable[[Any], str | None]) -> Check:
        summary = inspect.cleandoc(function.__doc__ or "").partition("\n")[0].rstrip(".")
        check = Check(function.__name__, summary, kind, function, applies)
        CHECKS.append(check)
        return check

    return register


def checks_for(component: Subject) -> tuple[Check, ...]:
    """The checks that a component has to pass, in the order in which they are run.

    Raises:
        TypeError: It is no component, or a class that cannot be made at its defaults.
    """
    subject = made(component)
    return tuple(c for c in CHECKS if c.kind in ("", subject.kind) and c.applies(subject))


def examine(
    component: Subject, *, expected_failures: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """Run all checks on a component.

    Args:
        component: A component, or a class to check at its defaults.
        expected_failures: The reasons for failures that are known, by the check's name.

    Raises:
        TypeError: It is no component, or a class that cannot be made at its defaults.
        ValueError: A failure is expected of a check that there is not.
    """
    reasons = expected_failures or {}
    checks = checks_for(component)
    refuse_unknown(reasons, checks)
    return tuple(found(check, component, reasons.get(check.name)) for check in checks)


def refuse_unknown(names: Mapping[str, str], checks: tuple[Check, ...]) -> None:
    """See that every name is that of a check.

    Raises:
        ValueError: One is not.
    """
    known = [check.name for check in checks]
    for name in names:
        if name not in known:
            raise ValueError(f"there is no check {name!r} here. {suggestion(name, known)}")


def found(check: Check, component: Subject, reason: str | None = None) -> Finding:
    """Run one check on a component.

    Args:
        check: The check.
        component: A component, or a class to check at its defaults.
        reason: Why it is expected to fail, if it is.
    """
    begin = time.perf_counter()
    try:
        note, failure = check(component), None
    except CheckFailure as error:
        note, failure = None, error
    seconds = time.perf_counter() - begin
    outcome: Outcome = "failed" if failure else "passed"
    if reason is not None:
        outcome = "expected failure" if failure else "unexpected pass"
    return Finding(check, outcome, reason or note, failure, seconds)


def _failure(error: BaseException, component: Component) -> CheckFailure:
    """What is said of something that was raised in a check."""
    frames = traceback.extract_tb(error.__traceback__)
    if _files(component).isdisjoint(frame.filename for frame in frames):
        here = [frame for frame in frames if frame.filename.startswith(HERE)][-1]
        return CheckFailure(
            expected="a result that the check can work with",
            found=f"{told(error)} (in the check itself: {Place(here.filename, here.lineno or 1)})",
            likely="the result has another form, as another check says; if no other one fails, "
            "the mistake is in tunekit",
        )
    at = place(error)
    likely = "a slip in the formula, or arguments that it does not stand; training brings them, too"
    if isinstance(error, KeyError) and isinstance(component, (Optimizer, Regularizer)):
        likely = "a name that is not in the state; `slots` declares what is in it at first"
    if isinstance(error, NameError):
        likely = "a slip of the pen, or a missing import, such as `import numpy as np`"
    return CheckFailure(
        expected="a result", found=told(error) + (f" ({at})" if at else ""), likely=likely
    )


def _files(component: Component) -> set[str]:
    """The files in which a component's methods are written."""
    methods = (
        inspect.unwrap(value)
        for cls in type(component).__mro__
        if not cls.__module__.startswith(Component.__module__.rpartition(".")[0])
        for value in vars(cls).values()
        if inspect.isfunction(value)
    )
    return {method.__code__.co_filename for method in methods} - {"<string>"}


def made(component: Subject) -> Component:
    """A component, or that of a class at its defaults.

    Raises:
        TypeError: It is no component, or a class without defaults that can be had.
    """
    cls = component if isinstance(component, type) else type(component)
    if not (issubclass(cls, Component) and cls.kind):
        raise TypeError(f"expected a component or its class, found {component!r:.100}")
    if not isinstance(component, type):
        return component
    if missing := sorted(cls.__abstractmethods__):
        raise TypeError(f"{cls.__name__} does not define `{missing[0]}` yet")
    try:
        return cls()
    except (Exception, SystemExit) as error:
        raise TypeError(
            f"{cls.__name__} cannot be made at its defaults: {told(error)}. Give an instance"
        ) from error
