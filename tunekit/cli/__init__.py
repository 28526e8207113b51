"""The command line: one small module a command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the ``tunekit`` command and leave with its exit code."""
    try:
        # Imported here, so that Ctrl-C in the first moments is told as at any other time.
        from tunekit.cli.app import run

        code = run()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        code = 130
    raise SystemExit(code)
