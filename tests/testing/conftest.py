"""What the tests of the checks have in common."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tunekit import Component
from tunekit.testing import CheckFailure, checks_for


@pytest.fixture
def caught() -> Callable[[Component], dict[str, CheckFailure]]:
    """The failures of the checks of a component's own kind, by the check's name."""

    def failures(component: Component) -> dict[str, CheckFailure]:
        found = {}
        for check in checks_for(component):
            try:
                if check.kind:
                    check(component)
            except CheckFailure as failure:
                found[check.name] = failure
        return found

    return failures
