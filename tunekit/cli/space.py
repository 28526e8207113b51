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
    parameters = setting.study.space.parameters
    if as_json:
        print_json(
            {
                "study": setting.study.name,
                "metric": setting.study.metric,
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
        f"{folds}; {setting.directions[0]} {study.metric}\n"
    )
    for title, is_searched in (("searched", True), ("fixed", False)):
        rows = [
            (p.name, str(p.domain), show(p.default) if is_searched else "", _when(p))
            for p in study.space.parameters
            if isinstance(p.domain, Fixed) != is_searched
        ]
        if rows:
            _print_rows([(title, "values", "default" if is_searched else "", "only when"), *rows])
    sys.stdout.write(
        f"\n{len(study.space.searched)} searched; sampler {study.sampler}, pruner {study.pruner}. "
        "Nothing was trained.\n"
    )


def _print_rows(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    sys.stdout.write("\n")
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _when(parameter: Parameter) -> str:
    when = parameter.when
    return "" if when is None else f"{when.name} = {show(when.value)}"
