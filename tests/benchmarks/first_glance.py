"""What a person sees first: MLflow's pages of real searches, in a browser that was never there.

Run as ``python -m tests.benchmarks.first_glance FOLDER [--trials N]...``. For each number of trials
(20 and 500) it runs a small search, in which trials are pruned, diverge and fail, serves what
MLflow holds, as ``tunekit ui`` does, and writes pictures of the pages to FOLDER: look at them. It
prints how long the server took to answer, and the memory of its processes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tunekit.tracking.locate import locate_study
from tunekit.tracking.server import Server, serve
from tunekit.tracking.view import Located

STUDY = """
[study]
name = "digits"
metric = "accuracy"
trials = {trials}
workers = 2

[data]
source = "sklearn:digits"
test = 0.2
folds = 2

[train]
epochs = 12
batch_size = [32, 64, 128]

[network]
depth = {{ low = 1, high = 3 }}
width = {{ low = 8, high = 64, log = true }}

[search]
optimizer = ["adam", "picky", "sgd"]
activation = ["relu", "gelu", "tanh"]
schedule = ["constant", "cosine", "one_cycle"]
regularizers = ["dropout"]

[space.optimizer.sgd]
lr = {{ low = 1e-3, high = 30.0, log = true }}

[pruner]
name = "{pruner}"

[plugins]
files = ["picky.py"]
"""

PLUGIN = '''
from tunekit import Float, Optimizer, hookimpl


class Picky(Optimizer):
    """Momentum that refuses large rates."""

    name = "picky"
    slots = ("m",)
    lr: float = Float(0.05, low=1e-3, high=1.0, log=True)

    def direction(self, w, g, state, step):
        if self.lr > 0.5 and step.t > 20:
            raise ValueError(f"{self.lr:.3g} is too large for me")
        state["m"] = 0.9 * state["m"] + g
        return state["m"]


@hookimpl
def tunekit_optimizers():
    return [Picky]
'''


def search(folder: Path, trials: int) -> None:
    """Run the search, by the command that a person would use."""
    pruner = "none" if trials < 100 else "hyperband"
    file = folder / "study.toml"
    file.write_text(STUDY.format(trials=trials, pruner=pruner))
    (folder / "picky.py").write_text(PLUGIN)
    command = [sys.executable, "-m", "tunekit", "search", str(file)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def pages(located: Located) -> dict[str, str]:
    """The pages to look at, by what they are."""
    return {
        "table": located.table,
        "curves": located.curves,
        "overview": located.overview,
        "run": located.run,
        "progress": located.progress,
        "report": located.report,
        "plain": "",
    }


def picture(url: str, path: Path) -> float:
    """Take a picture of a page in a new profile; returns the seconds it took, waiting included."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser is not None, "Chromium is not installed"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    options += ["--window-size=1400,900", "--virtual-time-budget=20000", f"--screenshot={path}"]
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [browser, *options, f"--user-data-dir={profile}", url]
        subprocess.run(command, check=True, capture_output=True, timeout=180)
    return time.perf_counter() - begin


def memory(server: Server) -> float:
    """Megabytes that the server's processes hold, each shared page counted once."""
    assert server._process is not None
    group, total = server._process.pid, 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(entry.name)) == group:
                rollup = (entry / "smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue  # it ended meanwhile
    return total / 1024


def look(trials: int, pictures: Path) -> None:
    """Search, serve, and take the pictures."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        begin = time.perf_counter()
        search(folder, trials)
        print(f"{trials} trials: searched in {time.perf_counter() - begin:.0f} s", flush=True)
        store = f"sqlite:///{folder / 'mlflow.db'}"
        located = locate_study(store, "digits", "digits")
        assert located is not None
        begin = time.perf_counter()
        with serve(store, str(folder / "mlartifacts"), port=5600) as server:
            took = time.perf_counter() - begin
            for page, link in pages(located).items():
                seconds = picture(f"{server.base}/{link}", pictures / f"{page}-{trials}.png")
                print(f"  {page}-{trials}.png in {seconds:.0f} s", flush=True)
            print(f"  the server answered after {took:.1f} s and holds {memory(server):.0f} MB")


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, action="append")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for trials in options.trials or (20, 500):
        look(trials, options.folder.resolve())


if __name__ == "__main__":
    main()
