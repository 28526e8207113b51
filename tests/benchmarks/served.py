"""A kept network in an environment that pip makes of its requirements: the same answer?

Run as ``python -m tests.benchmarks.served``. It takes minutes and needs a package index; the tests
of ``tunekit.tracking.served`` borrow what is installed instead.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from tunekit.model import Model
from tunekit.publish import search
from tunekit.search.setting import Setting
from tunekit.study.study import load_study
from tunekit.tracking.folder import NETWORK

STUDY = """
[study]
trials = 2
workers = 0

[data]
source = "sklearn:iris"

[train]
epochs = 5
"""

PREDICT = """
import importlib.util, json, sys
import mlflow.pyfunc, pandas as pd

assert importlib.util.find_spec("tunekit") is None
network = mlflow.pyfunc.load_model(sys.argv[1])
print(network.predict(pd.read_csv(sys.argv[2])).to_json(orient="records", double_precision=15))
"""


def main() -> None:
    """Search, install, predict, compare."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "study.toml").write_text(STUDY)
        search(Setting.of(*load_study(folder / "study.toml")))
        (kept,) = folder.glob("mlartifacts/models/m-*/artifacts")
        network = Model.load(kept / NETWORK)
        rows = pd.DataFrame(network.example)
        rows.to_csv(folder / "rows.csv", index=False)
        python = folder / "environment" / "bin" / "python"
        begin = time.monotonic()
        subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
        asked = ["-m", "pip", "install", "--quiet", "-r", str(kept / "requirements.txt")]
        subprocess.run([python, *asked], check=True)
        print(f"environment made in {time.monotonic() - begin:.0f} s")
        begin = time.monotonic()
        arguments = ["-c", PREDICT, str(kept), str(folder / "rows.csv")]
        done = subprocess.run(
            [python, *arguments], check=True, capture_output=True, text=True, cwd=folder
        )
        print(f"loaded and predicted in {time.monotonic() - begin:.1f} s: {done.stdout.strip()}")
        columns = network.predict(network.example).columns
        expected = {name: values[0] for name, values in columns.items()}
        (found,) = json.loads(done.stdout)
        assert found["y"] == expected["y"]
        for name, value in expected.items():
            assert name == "y" or abs(found[name] - float(value)) < 1e-12, name
        print("the same as the network says")


if __name__ == "__main__":
    main()
