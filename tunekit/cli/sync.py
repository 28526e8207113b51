"""``tunekit sync``: bring MLflow up to date with a study's record."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict

import typer

from tunekit.cli.options import Json, Plugin, Set, StudyFile
from tunekit.cli.output import print_json
from tunekit.cli.recorded import recorded_study

PAUSE = 5.0
"""Seconds between two lines about how far it has come."""


def command(
    study: StudyFile,
    set_: Set = None,
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Bring MLflow up to date with a study's record, also where its store was lost.

    What is there already stays as it is. If MLflow lacks the best network, that is trained again
    from the record, to the same bits.
    """
    from tunekit.cli.search import in_mlflow
    from tunekit.publish import synchronize
    from tunekit.tracking.client import redacted

    synced = synchronize(recorded_study(study, set_ or (), plugin or ()), _Progress())
    info, missing = synced.info, synced.delivered
    if as_json:
        print_json(
            {
                "study": info.name,
                "trials": len(info.recorded),
                "delivered": missing,
                "model": synced.model and asdict(synced.model),
                "mlflow": in_mlflow(info),
            }
        )
        raise typer.Exit(0 if synced.is_complete else 1)
    count, where = len(info.recorded), redacted(info.tracking_uri)
    lacked = f"; {missing} of them were missing" if missing else " already"
    sys.stdout.write(f"MLflow at {where} has all {count} trials of {info.name}{lacked}.\n")
    if synced.model is not None:
        sys.stdout.write(f"Best network: {synced.model}\n")
    if not synced.is_complete:
        raise typer.Exit(1)


class _Progress:
    """Says on standard error how far a long delivery has come."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, arrived: int, trials: int) -> None:
        if arrived < trials and time.monotonic() - self._said > PAUSE:
            self._said = time.monotonic()
            sys.stderr.write(f"{arrived} of {trials} trials are there\n")
