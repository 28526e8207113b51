"""Mistakes that are made on purpose, and which conformance checks catch them.

Run it in the project's folder: ``python -m tests.benchmarks.mistakes``.
"""

from __future__ import annotations

from tests.testing.test_caught_mistakes import MISTAKES
from tunekit.testing import examine


def main() -> None:
    """Print the table."""
    print("| mistake in an optimizer | caught by | found | checks that fail besides |")
    print("| --- | --- | --- | --- |")
    for case in MISTAKES:
        failures = {f.check.name: f.failure for f in examine(case.rule) if f.failure is not None}
        failure = failures.pop(case.check)
        print(f"| {case.words} | `{case.check}` | {failure.found} | {', '.join(failures)} |")


if __name__ == "__main__":
    main()
