"""The command line: one small module a command."""

from __future__ import annotations


def main() -> None:
    """Run the ``tunekit`` command and leave with its exit code."""
    # Imported here: a worker process that finds this module as its parent's main needs none of it.
    from tunekit.cli.app import run

    raise SystemExit(run())
