"""The ``record`` section of ``scale.py``: what a growing record costs the coordinator."""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.trial import TrialState

from tests.benchmarks.filled import DIGITS, Likeness, check_alike, fill, setting_of
from tunekit.search.asking import Asker
from tunekit.search.coordinator import Coordinator
from tunekit.search.notes import notes
from tunekit.search.record import Record
from tunekit.search.run import describe, run_search
from tunekit.search.setting import Setting

MEGABYTE = 10**6


def record_section(sizes: Sequence[int], storage: str | None) -> None:
    """Print a column of figures for each size."""
    with tempfile.TemporaryDirectory(prefix="tunekit-bench-") as folder:
        address = storage or f"sqlite:///{folder}/optuna.db"
        likeness = real_trial(Path(folder))
        setting = setting_of(DIGITS, f"study.storage={address}")
        check_alike(opened(setting, fresh=True), likeness)
        record, had = opened(setting), 0
        columns: dict[int, dict[str, float]] = {}
        for size in sorted(sizes):
            fill(record, likeness, had, size - had)
            command = [sys.executable, "-m", "tests.benchmarks.scale_record", address]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            columns[size] = json.loads(done.stdout)
            had = size + int(columns[size].pop("added"))
        _print_columns(columns)


def _print_columns(columns: dict[int, dict[str, float]]) -> None:
    print(f"{'trials in the record':<44}" + "".join(f"{size:>10,}" for size in columns))
    for name in next(iter(columns.values())):
        print(f"{name:<44}" + "".join(f"{column[name]:>10.4g}" for column in columns.values()))


def opened(setting: Setting, *, fresh: bool = False) -> Record:
    """The record of a study, as a search opens it."""
    record = Record(setting.study, fresh=fresh)
    record.open(setting.directions, setting.signature(), setting.registry.files)
    record.remember(setting.owners())
    return record


def real_trial(folder: Path) -> Likeness:
    """Train the first trial of the digits study to its last epoch on all folds."""
    setting = setting_of(
        DIGITS,
        f"study.storage=sqlite:///{folder}/real.db",
        "study.trials=1",
        "study.workers=0",
        "study.finalists=0",
        "train.patience=0",
    )
    run_search(setting)
    (trial,) = opened(setting).optuna.get_trials()
    return Likeness(setting.study.space, trial)


def measure_at(storage: str) -> dict[str, float]:
    """What a search that goes on takes with the record as it is; milliseconds unless named.

    The processor's time, which other processes do not change; waiting for the disk or a server is
    in the wall time alone, given where it matters.
    """
    setting = setting_of(DIGITS, f"study.storage={storage}")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    took: dict[str, list[float]] = {}
    walls: dict[str, list[float]] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        begin, clock = time.process_time(), time.perf_counter()
        yield
        took.setdefault(name, []).append(1000 * (time.process_time() - begin))
        walls.setdefault(name, []).append(1000 * (time.perf_counter() - clock))

    before = resident()
    with timed("start: open the record"):
        record = opened(setting)
    with timed("start: tell the observers"):
        info = describe(setting, record)
    with timed("start: mirror it in memory"):
        asker = Asker(setting.study, record.frozen(), setting.directions, setting.longest)
    with timed("start: the coordinator's own trials"):
        coordinator = Coordinator(setting, record, asker, None)  # type: ignore[arg-type]
    after = resident()
    like = coordinator.trials[-1]
    has = len(info.recorded)
    added = 20 if has < 5000 else 8
    for name, asks in (("tpe", added), ("random", 10)):
        chosen = dataclasses.replace(setting.study, sampler=name)
        if name != "tpe":
            asker = Asker(chosen, record.frozen(), setting.directions, setting.longest)
        for _ in range(asks):
            with timed(f"trial: ask ({name})"):
                asked = asker.ask()
            assert asked is not None
            if name != "tpe":
                continue
            with timed("trial: 30 reports"):
                for epoch in range(1, 31):
                    asker.report(asked, {epoch: 0.9 + epoch / 1000})
            with timed("trial: ask the pruner, 3 times"):
                for _ in range(3):
                    asker.should_prune(asked)
            with timed("trial: tell"):
                told = asker.tell(asked, TrialState.COMPLETE, [0.5], {})
            done = dataclasses.replace(like, ask=asked.ask, configuration=asked.configuration)
            with timed("trial: write it"):
                told.user_attrs = notes(done)
                coordinator.trials.append(record.add(told))
    figures = {name: statistics.median(times) for name, times in took.items()}
    parts = [value for name, value in figures.items() if name.startswith("trial: ")]
    return {
        **dict(sorted(figures.items())),
        "trial: all of it with tpe": sum(parts) - figures["trial: ask (random)"],
        "trial: write it, wall, at best": min(walls["trial: write it"]),
        "memory before, MB": before / MEGABYTE,
        "memory with the record open, MB": after / MEGABYTE,
        "memory at its peak, MB": peak() / MEGABYTE,
        "added": added,
    }


def resident() -> int:
    """Bytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """Bytes of memory that this process had at most."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    print(json.dumps(measure_at(sys.argv[1])))
