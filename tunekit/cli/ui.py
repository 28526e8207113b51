"""``tunekit ui``: the MLflow UI on a study's store."""

from __future__ import annotations

import sys
import webbrowser
from contextlib import suppress
from typing import Annotated

import typer

from tunekit.cli.options import Set, StudyFile
from tunekit.errors import InputError


def command(
    study: StudyFile,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to try first.")] = 5000,
    browser: Annotated[
        bool, typer.Option(help="Open the page in a browser, where there is one.")
    ] = True,
    set_: Set = None,
) -> None:
    """Open the MLflow UI on a study's results, on this machine only. Ctrl-C ends it."""
    from tunekit.search.recall import identity_of
    from tunekit.study.places import places_of

    opened = places_of(study, set_ or ())
    from tunekit.tracking.locate import locate_study
    from tunekit.tracking.server import serve, view_url

    identity = identity_of(opened.storage, opened.name)
    located = locate_study(opened.tracking_uri, opened.experiment, opened.name, identity)
    if located is None:
        what = "sync" if identity else "search"
        raise InputError(
            f"MLflow has no results of {opened.name!r} yet; run `tunekit {what} {study}` first",
            file=opened.file,
        )
    if not opened.tracking_uri.startswith("http"):
        sys.stderr.write("starting the MLflow server ...\n")
    server = serve(opened.tracking_uri, opened.artifact_root, port=port)
    # Ctrl-C is how this is meant to end, from the moment that the server answers.
    with suppress(KeyboardInterrupt), server:
        url = view_url(server.base, located)
        pages = {
            f"trials of {opened.name}, best first": located.table,
            "curves of the leading trials": located.curves,
            "charts of all completed trials": located.overview,
            "result, report and study file": located.run,
        }
        for words, link in pages.items():
            sys.stdout.write(f"{words}:\n  {server.base.rstrip('/')}/{link}\n")
        sys.stdout.write("Ctrl-C ends the server.\n" if server.is_ours else "")
        sys.stdout.flush()
        if browser:
            # Without a browser this does nothing, and the address is printed.
            webbrowser.open(url)
        server.wait()
