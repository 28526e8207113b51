"""Small studies for the tests of the search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tunekit.search.setting import Setting
from tunekit.study.study import load_study

SMALL = """
[study]
trials = 6
seed = 3
workers = 0
finalists = 2
final_seeds = 2

[data]
source = "sklearn:iris"
validation = 0.3

[train]
epochs = 4
batch_size = [16, 32]

[network]
depth = 1
width = {{ low = 4, high = 16 }}

[search]
optimizer = ["adam", "sgd"]
activation = ["relu", "tanh"]
{more}
"""

Make = Callable[..., Setting]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a small study file (with more tables, and ``--set`` changes) and load its data."""

    def make_setting(more: str = "", *set_: str, name: str = "small") -> Setting:
        path = tmp_path / f"{name}.toml"
        path.write_text(SMALL.format(more=more))
        study, registry = load_study(path, set_=set_)
        # MLflow has tests of its own; here it would only take time.
        for module in list(registry.manager.get_plugins()):
            if getattr(module, "__name__", "").startswith("tunekit.tracking"):
                registry.manager.unregister(module)
        return Setting.of(study, registry)

    return make_setting
