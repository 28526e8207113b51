"""What the shell offers when Tab is pressed.

The functions here are given to options and arguments as ``autocompletion``. They answer while
somebody types: quickly, and in silence, whatever goes wrong.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import wraps

import typer

Offer = list[tuple[str, str]]
"""Words with what they mean; shells show the meaning where they can."""
MEANING = 60
"""Characters of a meaning."""
Offering = Callable[[typer.Context, str], Offer]


def is_asked() -> bool:
    """Whether it is a shell that runs the command, to know what to offer."""
    return "_TUNEKIT_COMPLETE" in os.environ


def is_set_up() -> bool:
    """Whether a person asks for the script by which a shell knows what to ask."""
    options = ("--install-completion", "--show-completion")
    return any(word.partition("=")[0] in options for word in sys.argv[1:])


def answer(app: typer.Typer) -> int:
    """Tell the shell what it may offer; nothing if anything fails.

    Returns:
        The exit code, which has a meaning for some shells.
    """
    try:
        with redirect_stderr(io.StringIO()):
            app(standalone_mode=False)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    except Exception:  # a command line that makes no sense, so far
        return 1
    return 0


def _quiet(offering: Offering) -> Offering:
    """Offer nothing if anything fails, and let nobody's plugin write between the words."""

    @wraps(offering)
    def offered(context: typer.Context, incomplete: str) -> Offer:
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                return offering(context, incomplete)
        except (Exception, SystemExit):
            return []

    return offered


@_quiet
def component_names(context: typer.Context, incomplete: str) -> Offer:
    """Components: by their name alone where that is enough, or as ``optimizer.adam``."""
    from tunekit.cli.plugins import lookup
    from tunekit.cli.plugins.paper import in_brief
    from tunekit.components import KINDS

    registry = lookup.loaded(context.params.get("plugin") or ())
    keys = [(kind, name) for kind in KINDS for name in registry.names(kind)]
    names = [name for _, name in keys]

    def word(kind: str, name: str) -> str:
        is_enough = "." not in incomplete and names.count(name) == 1
        return name if is_enough else f"{kind}.{name}"

    def meaning(kind: str, name: str) -> str:
        summary = in_brief(lookup.find(registry, kind, name).summary(), MEANING)
        return summary.translate(str.maketrans("[]", "()"))  # they would be taken for styles

    return [(word(*key), meaning(*key)) for key in keys]


@_quiet
def kinds(context: typer.Context, incomplete: str) -> Offer:
    """The kinds of component."""
    from tunekit.components import KINDS

    return [(kind, "") for kind in KINDS]


@_quiet
def names_and_kinds(context: typer.Context, incomplete: str) -> Offer:
    """What `kinds` and `component_names` offer."""
    return [*kinds(context, incomplete), *component_names(context, incomplete)]


@_quiet
def study_keys(context: typer.Context, incomplete: str) -> Offer:
    """The keys of a study file, ready for their value."""
    from tunekit.study.schema import known_keys

    return [(f"{key}=", "") for key in known_keys()]
