"""``tunekit search --dry-run``: what would be searched."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tunekit.cli.output import print_json
from tunekit.space import Fixed, show

if TYPE_CHECKING:
    from tunekit.search.setting import Setting
    from tunekit.study.space import Parameter


def print_space(setting: Setting, *, as_json: bool) -> None:
    """Print the resolved space: every parameter with its values, default and condition."""
    parameters, metrics = setting.study.space.parameters, list(setting.study.metrics)
    if as_json:
        print_json(
            {
                "study": setting.study.name,
                "metric": metrics[0] if len(metrics) == 1 else metrics,
                "constraints": [constraint.words for constraint in setting.study.constraints],
                "first": [dict(configuration) for configuration in setting.study.first],
                "data": setting.data,
                "space": [
                    {
                        "name": p.name,
                        "values": str(p.domain),
                        "searched": not isinstance(p.domain, Fixed),
                        "default": p.default,
                        "when": _when(p) or None,
                    }
                    for p in parameters
                ],
            }
        )
        return
    _print(setting)


def _print(setting: Setting) -> None:
    data, study = setting.data, setting.study
    folds = f"{data['folds']} validation fold{'s' if data['folds'] != 1 else ''}"
    sys.stdout.write(
        f"{study.name}: {data['rows']} rows, {data['features']} features, {data['task']}, "
        f"{folds}; {_aims(setting)}\n"
    )
    for constraint in study.constraints:
        sys.stdout.write(f"trials have to keep to {constraint.words}\n")
    for title, is_searched in (("searched", True), ("fixed", False)):
        rows = [
            (p.name, str(p.domain), show(p.default) if is_searched else "", _when(p))
            for p in study.space.parameters
            if isinstance(p.domain, Fixed) != is_searched
        ]
        if rows:
            _print_rows([(title, "values", "default" if is_searched else "", "only when"), *rows])
    if study.first:
        sys.stdout.write("\n")
    for configuration in study.first:
        told = (
            f"{p.name} = {show(configuration[p.name])}"
            for p in study.space.searched
            if p.name in configuration
        )
        sys.stdout.write(f"tried first: {', '.join(told)}\n")
    sys.stdout.write(
        f"\n{len(study.space.searched)} searched; sampler {study.sampler}, pruner {study.pruner}. "
        "Nothing was trained.\n"
    )


def _aims(setting: Setting) -> str:
    """What is made large and what small."""
    aims = zip(setting.directions, setting.study.metrics, strict=True)
    return ", ".join(f"{direction} {metric}" for direction, metric in aims)


def _print_rows(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    sys.stdout.write("\n")
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _when(parameter: Parameter) -> str:
    when = parameter.when
    return "" if when is None else f"{when.name} = {show(when.value)}"
