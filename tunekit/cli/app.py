"""The ``tunekit`` command: its sub-commands, and how errors leave it."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any

import typer

from tunekit.cli import (
    check,
    completion,
    new,
    plugins,
    predict,
    report,
    schema,
    search,
    sync,
    train,
    ui,
)
from tunekit.cli.output import complain, kept_for_json, write_no_more
from tunekit.errors import InputError, TunekitError, WorkError

app = typer.Typer(
    name="tunekit",
    help="Search the best small network, or find out whether your own optimizer, activation or "
    "schedule helps. Start with: tunekit search STUDY.toml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _interruptible(command: Callable[..., None]) -> Callable[..., None]:
    """A command that says so when Ctrl-C ends it; the command-line library would say nothing."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except KeyboardInterrupt:
            sys.stderr.write("Interrupted.\n")
            raise typer.Exit(130) from None

    return run


for name, command, summary in (
    ("search", search.command, "Run or resume a study."),
    ("train", train.command, "Train one configuration, or a recorded trial again."),
    ("plugins", plugins.command, "What a study can name, and one of them in detail."),
    ("new", new.command, "Write a plugin to start from."),
    ("check", check.command, "Find the mistakes in a plugin."),
    ("schema", schema.command, "Print a JSON Schema of study files, for editors."),
    ("report", report.command, "Write a page on a study."),
    ("predict", predict.command, "Predict new rows with a network that a search found."),
    ("ui", ui.command, "Open the MLflow UI on a study's results."),
    ("sync", sync.command, "Bring MLflow up to date with a study's record."),
):
    app.command(name, short_help=summary)(_interruptible(command))


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        from tunekit import __version__

        sys.stdout.write(f"tunekit {__version__}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")


def run() -> int:
    """Run a command and turn its errors into messages and exit codes.

    Returns:
        0 done; 1 the work failed; 2 the input is wrong; 130 interrupted.
    """
    if completion.is_asked():
        return completion.answer(app)
    # Warnings of the package, such as an unreachable MLflow server, are for the person.
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a letter gets a question mark, not a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    as_json = "--json" in sys.argv
    with kept_for_json() if as_json else nullcontext():
        return _run(as_json)


def _run(as_json: bool) -> int:
    try:
        # Shells are told of the command, also where it was run as `python -m tunekit`.
        name = "tunekit" if completion.is_set_up() else None
        code = app(standalone_mode=False, prog_name=name)
        sys.stdout.flush()  # here, where it can be told that nobody reads it
    except TunekitError as error:
        complain(error, as_json=as_json)
        return error.exit_code
    except typer.TyperException as error:
        # A wrong option or a missing argument.
        context = getattr(error, "ctx", None)
        if context is not None:
            sys.stderr.write(f"{context.get_usage()}\n")
        message = error.format_message()
        if message:
            complain(InputError(message), as_json=as_json)
        return 2
    except SystemExit as leaving:
        if completion.is_set_up():
            return leaving.code if isinstance(leaving.code, int) else 0
        if isinstance(leaving.__context__, BrokenPipeError):
            return _unread()  # what the command-line library makes of it
        # Somebody's plugin wanted to leave, in a place where nothing else could be made of it.
        complain(
            WorkError(f"a plugin ended the command (SystemExit: {leaving.code})"), as_json=as_json
        )
        return 1
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("Interrupted.\n")
        return 130
    except BrokenPipeError:
        return _unread()
    except OSError as error:
        # Everything that is opened by name is told where it is opened; this is the output.
        write_no_more()
        complain(WorkError(f"cannot write the output: {error.strerror}"), as_json=False)
        return 1
    return code if isinstance(code, int) else 0


def _unread() -> int:
    """Whoever read our output has left (as in `tunekit plugins | head`): nothing is wrong."""
    write_no_more()
    return 0
