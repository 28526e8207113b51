"""``tunekit report``: one HTML page on a study, for somebody who was not there."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunekit.cli.options import Plugin, Set, StudyFile
from tunekit.cli.recorded import recorded_study
from tunekit.cli.whole import written_whole
from tunekit.errors import InputError, WorkError

if TYPE_CHECKING:
    from tunekit.study.study import Study

logger = logging.getLogger("tunekit")

ENDINGS = (".html", ".htm")


def command(
    study: StudyFile,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the page goes.  [default: beside the study file]",
            show_default=False,
        ),
    ] = None,
    set_: Set = None,
    plugin: Plugin = None,
) -> None:
    """Write one self-contained HTML page on a study, also while it is searched.

    It is kept in MLflow, too. Nothing is trained, and the data are not loaded.
    """
    from tunekit.study.places import places_of

    at = places_of(study, set_ or ())
    path = _place(output, Path(at.file), at.name)
    opened = recorded_study(study, set_ or (), plugin or ())
    _write(opened, study, path)


def _write(study: Study, file: Path, path: Path) -> None:
    from tunekit.report.page import page
    from tunekit.report.plots import plots
    from tunekit.search.importances import importances
    from tunekit.search.recalled_study import recalled

    known = recalled(study)
    if known is None:
        raise InputError(
            f"there is no search of {study.name!r} to report on yet; run `tunekit search {file}` "
            "first",
            file=study.file,
        )
    info, result = known
    mattered = importances(study.space, result.trials, larger_is_better=info.larger_is_better)
    html = page(info, result, mattered)
    _save(html, path)
    sys.stdout.write(f"Report: {path}\n")
    sys.stdout.flush()  # MLflow may take its time
    from tunekit.tracking.report import keep_report

    try:
        keep_report(info, html, plots(info, result, mattered))
    except WorkError as error:
        logger.warning("%s. The report is in the file only.", error.message.rstrip("."))


def _place(output: Path | None, study: Path, name: str) -> Path:
    """Where the page goes: where the person said, or beside the study file.

    Raises:
        InputError: No page can be written there.
    """
    if output is None:
        # A study's name may be any text.
        plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")
        return study.with_name(f"{plain or 'report'}.html")
    if output.suffix.lower() not in ENDINGS:
        found = f"ends in {output.suffix!r}" if output.suffix else "has no ending"
        raise InputError(f"the page's name {found}; expected .html", key=f"-o {output}")
    if output.is_dir():
        raise InputError("this is a folder; expected the page's file name", key=f"-o {output}")
    if not output.parent.is_dir():
        raise InputError(f"there is no folder {output.parent}; make it first", key=f"-o {output}")
    return output


def _save(html: str, path: Path) -> None:
    """Write the page whole or not at all: somebody may be looking at an earlier one.

    Raises:
        InputError: The file cannot be written.
    """
    with written_whole(path) as passing:
        passing.write_text(html, encoding="utf-8", newline="\n")
