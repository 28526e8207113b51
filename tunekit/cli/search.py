"""``tunekit search``: run or resume a study."""

from __future__ import annotations

import shlex
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunekit.cli.options import Json, Plugin, Set, StudyFile
from tunekit.cli.output import print_json
from tunekit.errors import WorkError

if TYPE_CHECKING:
    from tunekit.records import StudyInfo, StudyResult
    from tunekit.search.setting import Setting


def command(
    study: StudyFile,
    trials: Annotated[
        int | None,
        typer.Option(help="Trials that the record shall hold in total.", show_default=False),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Start no trial after this time, as in 90s, 10m or 1h30m.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Worker processes; 0 trains in the command's own process.", show_default=False
        ),
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Train on a cluster instead of worker processes: dask://HOST:PORT.",
            show_default=False,
        ),
    ] = None,
    set_: Set = None,
    plugin: Plugin = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be searched, and leave.")
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Start over; the old trials are kept under a dated study name."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Search the best configuration of a study, or go on with a search that was stopped.

    Every finished trial is recorded at once: Ctrl-C keeps it, and the same command resumes.
    """
    from tunekit.search.recall import recalled
    from tunekit.study.study import load_study

    opened, registry = load_study(
        study,
        set_=set_ or (),
        plugins=plugin or (),
        trials=trials,
        timeout=timeout,
        workers=workers,
        executor=executor,
        recalled=recalled,
    )
    from tunekit.search.setting import Setting

    setting = Setting.of(opened, registry)
    if dry_run:
        from tunekit.cli.space import print_space

        print_space(setting, as_json=as_json)
        return
    result = _search(setting, _looking(setting), fresh=fresh, as_json=as_json)
    if result.status == "interrupted":
        raise typer.Exit(130)


def _search(setting: Setting, look: str, *, fresh: bool, as_json: bool) -> StudyResult:
    from tunekit import publish
    from tunekit.cli import progress, summary

    watcher = progress.watcher()
    setting.registry.observe(watcher)
    try:
        search = publish.search(setting, fresh=fresh)
    finally:
        if isinstance(watcher, progress.Bars):
            watcher.stop()
    info, result = search.info, search.result
    if result.status == "failed":
        raise WorkError(result.why_failed, file=info.file)
    if as_json:
        print_json(summary.as_json(info, result, in_mlflow(info), asdict(search.seconds)))
    else:
        summary.print_summary(info, result, look=look)
    return result


def in_mlflow(info: StudyInfo) -> dict[str, str | None]:
    """Where MLflow shows the study; the address is that of `tunekit ui` for a local store."""
    from tunekit.tracking.client import redacted
    from tunekit.tracking.locate import locate
    from tunekit.tracking.view import view_url

    uri = info.tracking_uri
    located = locate(uri, info.experiment, info.identity)
    base = redacted(uri) if uri.startswith("http") else "http://127.0.0.1:5000"
    return {
        "tracking_uri": redacted(uri),
        "experiment_id": located.experiment_id if located else None,
        "run_id": located.run_id if located else None,
        "url": view_url(base, located) if located else None,
    }


def _looking(setting: Setting) -> str:
    """The command that shows the results, with the changes that say where they are."""
    from tunekit.search.database import without_passwords
    from tunekit.study.command import other_command

    words = without_passwords(other_command(setting.study.command, "ui"))
    return words.replace("tunekit", _program(), 1)


def _program() -> str:
    """The command as the person typed it."""
    name = Path(sys.argv[0]).name
    if name == "__main__.py":
        return "python -m tunekit"
    found = shutil.which(name)
    with suppress(OSError):
        if found is not None and Path(found).samefile(sys.argv[0]):
            return name
    # Such as .venv/bin/tunekit, where .venv is not activated.
    with suppress(ValueError):
        return shlex.quote(str(Path(sys.argv[0]).relative_to(Path.cwd())))
    return shlex.quote(sys.argv[0])
