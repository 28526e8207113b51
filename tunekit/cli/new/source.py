"""The text of a new plugin: that of its kind's starter, under its own names."""

from __future__ import annotations

import json
import re
import textwrap
from importlib import resources

from tunekit.cli.new.names import Beginning

SOURCES = {"loss": "sklearn:diabetes", "dataset": "{name}"}
"""The data of a first study, where the digits do not suit."""
COMPETE = {
    "optimizer": '[search]\noptimizer = ["adam", "{name}"]',
    "activation": '[search]\nactivation = ["relu", "{name}"]',
    "schedule": '[search]\nschedule = ["constant", "{name}"]',
    "regularizer": '[search]\nregularizers = ["{name}"]',
    "initializer": '[search]\ninitializer = ["he_normal", "{name}"]',
    "loss": '[search]\nloss = ["squared_error", "{name}"]',
    "metric": '[study]\nmetric = "{name}"',
}
"""How a study names a component of each kind, beside one that comes with tunekit."""

FILE = '''\
"""The {spoken_kind} {name}, which works as it stands. Make it yours, and ask tunekit:

    tunekit check {name}.py
    tunekit plugins {name} --plugin {name}.py

The first looks for mistakes, the second shows it as a study sees it. Then try it. This
is a whole study file, to be put beside this one, for `tunekit search STUDY.toml`:

{study}
"""
'''

MODULE = '''\
"""The {spoken_kind} {name}, which works as it stands. Make it yours, and ask tunekit:

    tunekit check {name}
    tunekit plugins {name}

The first looks for mistakes, the second shows it as a study sees it. Then try it. Once
this package is installed, this is a whole study file, for `tunekit search STUDY.toml`:

{study}
"""
'''


def first_study(beginning: Beginning, file: str | None = None) -> str:
    """The smallest study that the component is tried in.

    Args:
        beginning: The component.
        file: The plugin file that brings it, as the study names it; None if it is installed.
    """
    source = SOURCES.get(beginning.kind, "sklearn:digits")
    tables = [f'[data]\nsource = "{source}"']
    if beginning.kind in COMPETE:
        tables.append(COMPETE[beginning.kind])
    study = "\n\n".join(tables).replace("{name}", beginning.name)
    if file is None:
        return study
    # A text in TOML is one in JSON.
    return f"{study}\n\n[plugins]\nfiles = [{json.dumps(file, ensure_ascii=False)}]"


def plugin_file(beginning: Beginning) -> str:
    """A plugin that is a file of its own."""
    return _lesson(beginning, FILE, first_study(beginning, f"{beginning.name}.py"))


def plugin_module(beginning: Beginning) -> str:
    """A plugin that is the module of a distribution."""
    return _lesson(beginning, MODULE, first_study(beginning))


def _lesson(beginning: Beginning, head: str, study: str) -> str:
    starter = resources.files("tunekit.starters") / f"{beginning.kind}.py"
    _, _, body = starter.read_text(encoding="utf-8").partition('"""\n')
    # To the user tunekit is a library like numpy, and import sorters keep the two together.
    body = body.replace("import numpy as np\n\nfrom", "import numpy as np\nfrom")
    names = {"starter": beginning.name, "Starter": beginning.class_name}
    return head.format(
        name=beginning.name,
        spoken_kind=beginning.spoken_kind,
        study=textwrap.indent(study, "    "),
    ) + re.sub(r"\b[sS]tarter\b", lambda found: names[found[0]], body)
