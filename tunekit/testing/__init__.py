"""The checks that every component has to pass: tunekit's own, and yours.

    from tunekit.testing import parametrize_with_checks

    @parametrize_with_checks(MyRule)
    def test_conformance(component, check):
        check(component)

A check is a plain function, too: ``checks_for(MyRule)`` lists those of a component, each can be
called with it, and ``examine(MyRule)`` runs them all. ``tunekit check FILE_OR_NAME`` does so from
the command line.
"""

from __future__ import annotations

import importlib

from tunekit.testing.check import Check, CheckFailure, Finding, checks_for, examine
from tunekit.testing.parametrize import parametrize_with_checks

__all__ = [
    "Check",
    "CheckFailure",
    "Finding",
    "checks_for",
    "examine",
    "parametrize_with_checks",
]

# Importing a module registers its checks, in the order in which they are run.
for _module in (
    "common",
    "optimizers",
    "state",
    "descent",
    "hyperparameters",
    "cost",
    "activations",
    "schedules",
    "initializers",
    "regularizers",
    "penalties",
    "hidden",
    "losses",
    "ranges",
    "metrics",
    "datasets",
    "worker",
):
    importlib.import_module(f"tunekit.testing.{_module}")
