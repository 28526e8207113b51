"""The rule by tunekit's command, from the single file, on digits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PLUGIN = Path(__file__).parents[1] / "tunekit_ademamix.py"
STUDY = """
[study]
metric = "accuracy"
trials = 4
workers = 2
finalists = 1
final_seeds = 1

[data]
source = "sklearn:digits"
test = 0.2

[train]
epochs = 20
batch_size = 64

[network]
hidden = "64"

[search]
optimizer = ["ademamix", "adam"]

[plugins]
files = ["tunekit_ademamix.py"]
"""


def command(folder: Path, *arguments: str) -> Any:
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    (folder / PLUGIN.name).write_text(PLUGIN.read_text(encoding="utf-8"), encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if key[:7] != "MLFLOW_"}
    # Where the distribution is installed too, its name would be brought twice.
    environment["TUNEKIT_DISABLED"] = "ademamix"
    done = subprocess.run(
        [sys.executable, "-m", "tunekit", *arguments, "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_digits_are_learned_at_the_defaults(tmp_path: Path) -> None:
    trained = command(tmp_path, "train", "study.toml")
    assert trained["configuration"]["optimizer"] == "ademamix"
    assert trained["value"] > 0.94
    assert trained["diagnosis"]["verdict"] == "healthy"


def test_two_workers_search_it_beside_adam(tmp_path: Path) -> None:
    found = command(tmp_path, "search", "study.toml")
    assert found["trials"] == {"complete": 4, "pruned": 0, "failed": 0}
    assert found["best"]["params"]["optimizer"] in ("ademamix", "adam")
    assert found["test"]["mean"] > 0.92
