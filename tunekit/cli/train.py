"""``tunekit train``: train one configuration, or a recorded trial again."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunekit.cli.options import Json, Plugin, Set, StudyFile
from tunekit.cli.output import print_json
from tunekit.cli.picture import place, save
from tunekit.errors import InputError
from tunekit.report.words import duration

if TYPE_CHECKING:
    from tunekit.search.replay import Trained
    from tunekit.search.setting import Setting
    from tunekit.search.units import Outcome
    from tunekit.space import Scalar


WHEREABOUTS = ("study.name=", "study.storage=")
"""How changes start that say where a record is, not what was trained."""


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
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Train one step only, and show every value, gradient and update; with a picture.",
        ),
    ] = False,
    lr_range: Annotated[
        bool,
        typer.Option(
            "--lr-range",
            help="Find the learning rates worth trying: a range test, with a picture.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the picture goes: .svg, .png or .pdf.  [default: beside the study file]",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train one configuration of a study on every fold: its defaults, or a recorded trial again.

    Nothing is recorded.
    """
    from tunekit.search.recall import kept_files, recalled
    from tunekit.study.places import places_of
    from tunekit.study.study import load_study

    if explain and lr_range:
        raise InputError("--explain and --lr-range exclude each other: ask for one at a time")
    if output is not None and not (explain or lr_range):
        raise InputError("-o says where a picture goes; ask for one with --explain or --lr-range")
    if trial is not None:
        for change in set_ or ():
            if not change.startswith(WHEREABOUTS):
                raise InputError(
                    "a recorded trial is trained as it was; with --trial, --set only says where "
                    f"the record is (study.name, study.storage), got {change!r}"
                )
    if trial is not None and plugin:
        raise InputError(
            "--plugin and --trial exclude each other: a recorded trial is trained with the plugin "
            "files that it had"
        )
    if explain or lr_range:
        picture = place(output, study, "step" if explain else "lr_range")
    files = None
    if trial is not None:
        at = places_of(study, set_ or ())
        files = kept_files(at.storage, at.name)  # as they were, also if they are gone
    opened, registry = load_study(
        study, set_=set_ or (), plugins=plugin or (), files=files, recalled=recalled
    )
    from tunekit.search import replay
    from tunekit.search.setting import Setting

    recorded = None
    if trial is None:
        setting = Setting.of(opened, registry)
        configuration = setting.study.space.defaults()[0]
    else:
        setting, recorded = replay.recorded_trial(opened, trial)
        configuration = dict(recorded.configuration)
    if explain or lr_range:
        show = _explain if explain else _find_rates
        show(setting, configuration, picture, as_json=as_json)
        return
    report = _Lines(setting, quiet=as_json)
    trained = replay.train(setting, configuration, report.epoch, recorded)
    if as_json:
        print_json(_as_json(setting, trained))
    else:
        report.end(trained)


def _explain(
    setting: Setting, configuration: Mapping[str, Scalar], picture: Path, *, as_json: bool
) -> None:
    from tunekit.cli.first_fold import on_first_fold
    from tunekit.cli.step import boxes, circuit, lesson, plain
    from tunekit.nn.explain.step import explain as take_apart

    step = on_first_fold(take_apart, setting, configuration)
    title = _title(setting, configuration)
    drawing = circuit if circuit.can_draw(step) else boxes
    save(drawing.draw(step, title), picture)
    if as_json:
        print_json(_heading(setting, configuration, picture) | plain.as_json(step))
    else:
        problem = setting.problem
        switches = tuple(
            parameter.name.removeprefix("regularizer.")
            for parameter in setting.study.space.parameters
            if parameter.name.startswith("regularizer.")
            and parameter.name.count(".") == 1
            and configuration.get(parameter.name) is not True
        )
        names = lesson.Names(title, problem.features, problem.classes, switches)
        lesson.print_explanation(step, names)
        sys.stdout.write(f"\nPicture: {picture}\n")


def _find_rates(
    setting: Setting, configuration: Mapping[str, Scalar], picture: Path, *, as_json: bool
) -> None:
    from tunekit.cli import lr_range
    from tunekit.cli.first_fold import on_first_fold
    from tunekit.nn.explain.lr_range import range_test

    found = on_first_fold(range_test, setting, configuration)
    title = _title(setting, configuration)
    optimizer = str(configuration["optimizer"])
    lr = float(configuration[f"optimizer.{optimizer}.lr"])
    save(lr_range.draw(found, title, lr), picture)
    if as_json:
        result = lr_range.as_json(found, optimizer, lr)
        print_json(_heading(setting, configuration, picture) | result)
    else:
        lr_range.print_range(found, optimizer, lr, title)
        sys.stdout.write(f"\nPicture: {picture}\n")


def _title(setting: Setting, configuration: Mapping[str, Scalar]) -> str:
    from tunekit.report.words import configuration as in_short

    return f"{setting.study.name}: {in_short(configuration)}"


def _heading(
    setting: Setting, configuration: Mapping[str, Scalar], picture: Path
) -> dict[str, Any]:
    return {
        "study": setting.study.name,
        "configuration": dict(configuration),
        "picture": str(picture),
    }


class _Lines:
    """One line an epoch on the first fold, one line for each further fold."""

    def __init__(self, setting: Setting, *, quiet: bool) -> None:
        self._metric = setting.study.metric
        self._columns = ("train_loss", "val_loss", f"val_{self._metric}")
        self._quiet = quiet

    def epoch(self, fold: int, outcome: Outcome) -> None:
        """Print how far the training came."""
        if self._quiet:
            return
        metrics, epoch = outcome.checkpoint.metrics, outcome.checkpoint.epoch
        if fold == 0 and epoch == 1:
            sys.stdout.write("epoch  " + "".join(f"{name:>14}" for name in self._columns))
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
            if fold == 0 or outcome.checkpoint.status == "diverged":
                verdict, words = outcome.diagnosis.verdict, outcome.diagnosis.words
                sys.stdout.write(
                    fill(f"diagnosis: {verdict}. {words}", 88, subsequent_indent="  ") + "\n"
                )

    def _row(self, metrics: dict[str, list[float]], epoch: int) -> None:
        cells = [
            "" if math.isnan(metrics[name][epoch]) else f"{metrics[name][epoch]:.5g}"
            for name in self._columns
        ]
        rate = f"{metrics['lr'][epoch]:.3g}" if epoch else ""
        sys.stdout.write(f"{epoch:>5}  " + "".join(f"{cell:>14}" for cell in cells))
        sys.stdout.write(f"{rate:>16}\n")

    def end(self, trained: Trained) -> None:
        """Print the result."""
        from tunekit.report.words import configuration as in_short

        sys.stdout.write(
            f"\n{self._metric} {trained.value:.5g}, {trained.parameters:,} parameters, "
            f"{duration(trained.seconds)} of training\n{in_short(trained.configuration)}\n"
        )
        if trained.repeated is not None:
            number = trained.repeated.number
            if trained.is_same is None:
                sys.stdout.write(f"recorded trial {number} was not trained\n")
            else:
                verdict = "the same to the bit as" if trained.is_same else "NOT the same as"
                sys.stdout.write(f"{verdict} recorded trial {number}\n")


def _as_json(setting: Setting, trained: Trained) -> dict[str, Any]:
    repeated = trained.repeated
    return {
        "study": setting.study.name,
        "metric": setting.study.metric,
        "value": trained.value,
        "scores": trained.scores,
        "diagnosis": dataclasses.asdict(trained.diagnosis),
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
