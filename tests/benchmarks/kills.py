"""``kill -9`` of searches and of their workers: what is lost, doubled, stale or left over.

``python -m tests.benchmarks.kills [--times 30] [--workers-times 10]``

First the coordinator. A search in a folder of its own is killed: every other one at a moment that
is uniform over the life of an uninterrupted search, from its imports and the creation of its stores
to its last words to MLflow, the others a moment after it has said something, so that a busy machine
does not spare the later parts. Half of those that go on are killed once more. Only the coordinator
is killed, so that its worker has to notice by itself. Then the same command runs until
it is done, and what is there is compared with the uninterrupted search. The space is small, so
that the sampler proposes some configurations again.

Then workers: during one search with two of them, a random one is killed again and again. Its
sampler looks at no other trial, so that every ask can be compared with that of a search that
nobody disturbed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna

from tunekit.tracking.client import quiet

PATIENCE = 10.0
"""Seconds in which a worker whose search is gone has to leave."""

COORDINATOR = """
[study]
name = "killed"
trials = 12
workers = 1
finalists = 2
final_seeds = 2

[data]
source = "sklearn:digits"
folds = 2

[train]
epochs = 20
batch_size = [32, 64]

[network]
depth = { low = 1, high = 2 }
width = 32

[search]
optimizer = ["adam", "sgd"]
activation = ["relu", "tanh"]

[space.optimizer.adam]
lr = [1e-3, 1e-2]
beta1 = 0.9
beta2 = 0.999

[space.optimizer.sgd]
lr = 0.1
momentum = 0.9
nesterov = true

[sampler]
startup_trials = 4

[pruner]
name = "median"
startup_trials = 3
"""

WORKERS = """
[study]
name = "killed"
trials = {trials}
workers = {workers}
finalists = 1
final_seeds = 1

[data]
source = "sklearn:digits"

[train]
epochs = 200

[search]
optimizer = ["adam", "sgd"]
activation = ["relu", "tanh"]

[sampler]
name = "random"

[pruner]
name = "none"
"""

COMMAND = [sys.executable, "-m", "tunekit", "search", "killed.toml"]

Trials = dict[int, optuna.trial.FrozenTrial]


@dataclass
class Count:
    """What was found after kills.

    Attributes:
        kills: How many there were, by what the search was doing.
        lost: Trials that had been finished before a kill and are not there, or other ones.
        doubled: The same ask, the same configuration or the same run in MLflow twice.
        stale: Trials or runs that still wait or run, and studies that are half made.
        left: Processes that outlived their search.
        differing: Searches that did not end like the uninterrupted one.
        errors: Commands that did not end with 0.
    """

    kills: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    stale: int = 0
    left: int = 0
    differing: int = 0
    errors: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether all is zero."""
        return not (
            self.lost or self.doubled or self.stale or self.left or self.differing or self.errors
        )


def start(folder: Path) -> subprocess.Popen[str]:
    """The search of a folder; its standard error goes to a file there."""
    with (folder / "said.txt").open("w") as said:
        return subprocess.Popen(
            COMMAND, cwd=folder, stdout=subprocess.DEVNULL, stderr=said, text=True
        )


def finish(folder: Path) -> tuple[int, dict[str, Any]]:
    """Run the search of a folder until it is done."""
    command = [*COMMAND, "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, done.stdout)
    return done.returncode, json.loads(done.stdout)


def said(folder: Path) -> dict[int, str]:
    """The trials that the search has said to be finished, with their score as it was said."""
    lines = (folder / "said.txt").read_text().splitlines()
    words = [line.split() for line in lines if "  trial " in line]
    return {int(word[2]): word[5] for word in words if word[3] == "complete"}


def recorded(folder: Path) -> Trials:
    """The record's trials, by number."""
    if not (folder / "optuna.db").exists():
        return {}
    storage = f"sqlite:///{folder}/optuna.db"
    try:
        study = optuna.load_study(study_name="killed", storage=storage)
    except (KeyError, AssertionError, RuntimeError):
        return {}  # killed while the tables were made
    return {trial.number: trial for trial in study.get_trials(deepcopy=False)}


def by_ask(folder: Path) -> Trials:
    """The record's trials, by ask index."""
    return {trial.user_attrs["tunekit"]["ask"]: trial for trial in recorded(folder).values()}


def essence(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """All of a trial that does not depend on the clock."""
    notes = trial.user_attrs["tunekit"]
    return {
        "state": trial.state.name,
        "value": trial.values,
        "configuration": trial.user_attrs["configuration"],
        "curves": _without_clock(trial.user_attrs["curves"]),
        **{name: notes[name] for name in ("ask", "repeats", "scores", "reason")},
    }


def _without_clock(curves: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**curve, "metrics": {k: v for k, v in curve["metrics"].items() if "seconds" not in k}}
        for curve in curves
    ]


def outcome(result: dict[str, Any]) -> dict[str, Any]:
    """How a search ended."""
    return {name: result[name] for name in ("status", "trials", "best", "finalists", "test")}


def workers_in(folder: Path) -> list[int]:
    """Processes that work in this folder, other than this one."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.readlink(f"/proc/{entry}/cwd") == str(folder):
                found.append(int(entry))
        except OSError:
            continue
    return found


def left_over(folder: Path) -> int:
    """How many processes are there after some patience; they are ended."""
    deadline = time.monotonic() + PATIENCE
    while (left := workers_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return len(left)


def doubled(folder: Path, result: dict[str, Any]) -> int:
    """Asks, configurations and runs in MLflow that are there more than once, or are missing."""
    trials = recorded(folder).values()
    asks = Counter(trial.user_attrs["tunekit"]["ask"] for trial in trials)
    configurations = Counter(
        json.dumps(trial.user_attrs["configuration"], sort_keys=True) for trial in trials
    )
    below = [run for run in runs_of(folder) if "tunekit.trial" in run.data.tags]
    runs = Counter(run.data.tags["tunekit.trial"] for run in below)
    parents = [run for run in runs_of(folder) if "tunekit.trial" not in run.data.tags]
    twice = sum(count - 1 for counts in (asks, configurations, runs) for count in counts.values())
    missing = sum(result["trials"].values()) - len(runs)
    return twice + abs(int(missing)) + len(parents) - 1


def runs_of(folder: Path) -> list[Any]:
    """All runs in the folder's MLflow."""
    with quiet():
        import mlflow

        client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        experiments = [e.experiment_id for e in client.search_experiments()]
        return list(client.search_runs(experiments, max_results=1000))


def stale(folder: Path) -> int:
    """What still waits or runs, or is half made."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/optuna.db")
    count = 0
    for study in optuna.get_all_study_summaries(storage):
        count += study.study_name != "killed"
        for trial in storage.get_all_trials(study._study_id):
            count += not trial.state.is_finished()
    count += sum(run.info.status in ("RUNNING", "SCHEDULED") for run in runs_of(folder))
    return count + len(list(folder.glob("*.lock")))


def differs(before: Trials, now: Trials) -> int:
    """How many trials are gone or have become other ones."""
    return sum(
        number not in now or essence(now[number]) != essence(trial)
        for number, trial in before.items()
    )


def phase(folder: Path) -> str:
    """What a search was doing when it was killed."""
    lines = (folder / "said.txt").read_text()
    if "training the best few" in lines:
        return "final and end"
    if "  trial " in lines:
        return "trials"
    return "stores" if (folder / "optuna.db").exists() else "imports"


def kill_coordinators(times: int, chance: random.Random, count: Count) -> None:
    """Kill searches and let them go on."""
    reference = _folder(COORDINATOR)
    begin = time.monotonic()
    process = start(reference)
    assert process.wait() == 0
    life = time.monotonic() - begin
    _, ended = finish(reference)
    expected, trials = outcome(ended), recorded(reference)
    repeats = sum(len(t.user_attrs["tunekit"]["repeats"]) for t in trials.values())
    pruned = sum(t.state.name == "PRUNED" for t in trials.values())
    print(
        f"uninterrupted: {life:.1f} s, {len(trials)} trials ({pruned} pruned), "
        f"{repeats} repeated proposals"
    )
    for turn in range(times):
        folder = _folder(COORDINATOR)
        after: list[Trials] = []
        told: dict[int, str] = {}
        for again in range(2):
            process = start(folder)
            if turn % 2:
                _wait_for_words(process, folder, chance.randint(2, 15))
                time.sleep(chance.uniform(0, 0.5))
            else:
                time.sleep(chance.uniform(0, life))
            if process.poll() is None:
                process.kill()
                count.kills[phase(folder) + (", again" if again else "")] += 1
            process.wait()
            told |= said(folder)
            count.left += left_over(folder)
            now = recorded(folder)
            count.lost += sum(differs(before, now) for before in after)
            after.append(now)
            if chance.random() < 0.5:
                break
        code, result = finish(folder)
        count.errors += code != 0
        now = recorded(folder)
        count.lost += sum(differs(before, now) for before in after)
        for number, score in told.items():
            value = now[number].value if number in now else None
            count.lost += value is None or abs(value - float(score)) > 1e-3 * abs(value)
        count.doubled += doubled(folder, result)
        count.stale += stale(folder)
        is_same = outcome(result) == expected and not differs(trials, now) and len(now) == 12
        count.differing += not is_same
        print(f"  {turn + 1}: {count}", flush=True)


def _wait_for_words(process: subprocess.Popen[str], folder: Path, lines: int) -> None:
    while (folder / "said.txt").read_text().count("\n") < lines and process.poll() is None:
        time.sleep(0.01)


def kill_workers(times: int, chance: random.Random, count: Count) -> None:
    """Kill the workers of one search."""
    trials = 10 * times
    alone = _folder(WORKERS.format(trials=trials, workers=1))
    finish(alone)
    undisturbed = by_ask(alone)
    folder = _folder(WORKERS.format(trials=trials, workers=2))
    process = start(folder)
    whole = 1
    for _ in range(times):
        # What a kill has hit is finished before the next one: a unit that dies twice at the same
        # place is taken to be the cause.
        while not by_ask(folder).keys() >= set(range(whole)):
            assert process.poll() is None, "the search ended before all kills"
            time.sleep(0.1)
        time.sleep(chance.uniform(0, 0.3))
        workers = [pid for pid in workers_in(folder) if pid != process.pid]
        os.kill(chance.choice(workers), signal.SIGKILL)
        count.kills["workers"] += 1
        whole = max(by_ask(folder)) + 4
    count.errors += process.wait() != 0
    count.left += left_over(folder)
    _, result = finish(folder)
    now = by_ask(folder)
    count.lost += trials - len(now)
    count.differing += differs(undisturbed, now)
    count.doubled += doubled(folder, result)
    count.stale += stale(folder)


def _folder(study: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="kills-")).resolve()
    (folder / "killed.toml").write_text(study)
    return folder


def table(counts: dict[str, Count]) -> str:
    """The counts as Markdown."""
    rows = [
        "| killed | kills | lost | doubled | stale | left over | other result | errors |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, count in counts.items():
        numbers = (
            count.kills.total(),
            count.lost,
            count.doubled,
            count.stale,
            count.left,
            count.differing,
            count.errors,
        )
        rows.append(f"| {name} | " + " | ".join(map(str, numbers)) + " |")
    return "\n".join(rows)


def main() -> None:
    """Kill, count, and print the table; exit with 1 unless all is zero."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=30, help="searches to kill")
    parser.add_argument("--workers-times", type=int, default=10, help="workers to kill")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    chance = random.Random(options.seed)
    counts = {"the coordinator": Count(), "a worker": Count()}
    if options.times:
        kill_coordinators(options.times, chance, counts["the coordinator"])
    if options.workers_times:
        kill_workers(options.workers_times, chance, counts["a worker"])
    print(table(counts))
    for name, count in counts.items():
        print(f"{name}:", ", ".join(f"{n} in {what}" for what, n in count.kills.items()))
    sys.exit(not all(count.is_clean for count in counts.values()))


if __name__ == "__main__":
    main()
