"""Mistakes that are made on purpose, and which conformance checks catch them.

Run it in the project's folder: ``python -m tests.benchmarks.mistakes``.
"""

from __future__ import annotations

import importlib

from tests.testing.test_caught_mistakes import MISTAKES
from tunekit import Component
from tunekit.components import KINDS
from tunekit.testing import CheckFailure, examine


def main() -> None:
    """Print the tables."""
    print("| mistake in an optimizer | caught by | found | checks that fail besides |")
    print("| --- | --- | --- | --- |")
    for case in MISTAKES:
        _print_row("", case.words, _failures(case.rule()), case.check)
    print("\n| mistake in another kind | caught by | found | checks that fail besides |")
    print("| --- | --- | --- | --- |")
    for kind in KINDS:
        if kind != "optimizer":
            _print_kind(kind)


def _print_kind(kind: str) -> None:
    module = importlib.import_module(f"tests.testing.test_{'losse' if kind == 'loss' else kind}s")
    for words, (*_, told) in module.MISTAKES.items():
        failures = _failures(module.broken(words))
        check = next(name for name, failure in failures.items() if told in failure.likely)
        _print_row(f"{kind}: ", words, failures, check)


def _failures(component: Component) -> dict[str, CheckFailure]:
    found = {f.check: f.failure for f in examine(component) if f.failure is not None}
    return {
        check.name: failure for check, failure in found.items() if check.kind or len(found) == 1
    }


def _print_row(kind: str, words: str, failures: dict[str, CheckFailure], check: str) -> None:
    failure = failures.pop(check)
    print(f"| {kind}{words} | `{check}` | {failure.found} | {', '.join(failures)} |")


if __name__ == "__main__":
    main()
