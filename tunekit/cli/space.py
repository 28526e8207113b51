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
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, highlight=False)
    data, study = setting.data, setting.study
    console.print(
        f"[bold]{study.name}[/bold]: {data['rows']} rows, {data['features']} features, "
        f"{data['task']}, {data['folds']} validation folds; {setting.direction} {study.metric}"
    )
    for title, is_searched in (("searched", True), ("fixed", False)):
        table = Table(
            title, "values", "default", "only when", box=None, header_style="bold", pad_edge=False
        )
        for p in parameters:
            if isinstance(p.domain, Fixed) != is_searched:
                default = show(p.default) if is_searched else ""
                table.add_row(p.name, str(p.domain), default, _when(p))
        if table.row_count:
            console.print()
            console.print(table)
    console.print()
    console.print(
        f"{len(study.space.searched)} searched; sampler {study.sampler}, pruner {study.pruner}. "
        "Nothing was trained."
    )


def _when(parameter: Parameter) -> str:
    when = parameter.when
    return "" if when is None else f"{when.name} = {show(when.value)}"
