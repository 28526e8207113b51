"""``tunekit train``: train one configuration, or a recorded trial again."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunekit.cli.options import Json, Plugin, Set, StudyFile
from tunekit.cli.output import duration, print_json
from tunekit.errors import InputError

if TYPE_CHECKING:
    from tunekit.search.replay import Trained
    from tunekit.search.setting import Setting
    from tunekit.search.units import Outcome


def command(
    study: StudyFile,
    trial: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Train recorded trial N again, to the same bits.", show_default=False
        ),
    ] = None,
    set_: Set = None,
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Train one configuration of a study on every fold: its defaults, or a recorded trial again.

    Nothing is recorded.
    """
    from tunekit.study.study import load_study

    if trial is not None and set_:
        raise InputError(
            "--set and --trial exclude each other: a recorded trial is trained as it was"
        )
    opened, registry = load_study(study, set_=set_ or (), plugins=plugin or ())
    from tunekit.search import replay
    from tunekit.search.setting import Setting

    recorded = None
    if trial is None:
        setting = Setting.of(opened, registry)
        configuration = setting.study.space.defaults()[0]
    else:
        setting, recorded = replay.recorded_trial(opened, trial)
        configuration = dict(recorded.configuration)
    report = _Lines(setting, quiet=as_json)
    trained = replay.train(setting, configuration, report.epoch, recorded)
    if as_json:
        print_json(_as_json(setting, trained))
    else:
        report.end(trained)


class _Lines:
    """One line an epoch on the first fold, one line for each further fold."""

    def __init__(self, setting: Setting, *, quiet: bool) -> None:
        self._metric = setting.study.metric
        self._quiet = quiet

    def epoch(self, fold: int, outcome: Outcome) -> None:
        """Print how far the training came."""
        if self._quiet:
            return
        metrics, epoch = outcome.checkpoint.metrics, outcome.checkpoint.epoch
        if fold == 0 and epoch == 1:
            names = [name for name in metrics if name != "lr"]
            sys.stdout.write("epoch  " + "".join(f"{name:>14}" for name in names))
            sys.stdout.write(f"{'learning rate':>16}\n")
            self._row(metrics, 0)
        if fold == 0:
            self._row(metrics, epoch)
        if outcome.checkpoint.status != "running":
            best = outcome.checkpoint.best_epoch
            sys.stdout.write(
                f"fold {fold + 1}: {self._metric} {outcome.score:.5g}"
                f" ({outcome.checkpoint.status} after epoch {epoch}, kept epoch {best})\n"
            )

    def _row(self, metrics: dict[str, list[float]], epoch: int) -> None:
        cells = [
            "" if math.isnan(values[epoch]) else f"{values[epoch]:.5g}"
            for name, values in metrics.items()
            if name != "lr"
        ]
        rate = f"{metrics['lr'][epoch]:.3g}" if epoch else ""
        sys.stdout.write(f"{epoch:>5}  " + "".join(f"{cell:>14}" for cell in cells))
        sys.stdout.write(f"{rate:>16}\n")

    def end(self, trained: Trained) -> None:
        """Print the result."""
        from tunekit.cli.summary import in_short

        sys.stdout.write(
            f"\n{self._metric} {trained.value:.5g}, {trained.parameters:,} parameters, "
            f"{duration(trained.seconds)} of training\n{in_short(trained.configuration)}\n"
        )
        if trained.repeated is not None:
            verdict = "the same to the bit as" if trained.is_same else "NOT the same as"
            sys.stdout.write(f"{verdict} recorded trial {trained.repeated.number}\n")


def _as_json(setting: Setting, trained: Trained) -> dict[str, Any]:
    repeated = trained.repeated
    return {
        "study": setting.study.name,
        "metric": setting.study.metric,
        "value": trained.value,
        "scores": trained.scores,
        "parameters": trained.parameters,
        "configuration": dict(trained.configuration),
        "curves": [
            {"fold": c.fold, "epochs": c.epochs, "metrics": dict(c.metrics)} for c in trained.curves
        ],
        "repeated": None
        if repeated is None
        else {"number": repeated.number, "same": trained.is_same},
        "seconds": {"training": trained.seconds},
    }
