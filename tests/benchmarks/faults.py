"""What is lost, doubled or told when MLflow fails beside a search, and when the search does.

Each case is a real search, the command, with two workers, that brings its trials to a SQLite store
or to a real server on one. The record's trials are then compared with the store, row for row: after
the search, again after ``tunekit sync``, and a second ``tunekit sync`` must not change any row of
any table. Whether training goes on at full speed is seen at the time from the first trial's start
to the last one's end, next to that of searches without a fault.

Run it: ``python -m tests.benchmarks.faults [case ...]``, about half a minute a case. The disk that
is full is a file system of its own, which takes root.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.fault_cases import LOCAL, SERVED
from tests.benchmarks.fault_scene import STUDY, Scene, Store
from tests.benchmarks.kills import left_over
from tests.tracking.faults.conftest import Difference, difference, dump
from tunekit.search.recalled_study import recalled
from tunekit.study.study import load_study
from tunekit.tracking.client import connect, quiet

HEAD = (
    f"{'case':<28}{'store':<7}{'trials':>7}  {'by the search':<40}{'after sync':<28}"
    f"{'values':>8}{'params':>8}{'tags':>7}  {'again':<6}{'s/trial':>8}{'end, s':>8}{'told':>5}"
    f"{'left':>5}"
)


def play(case: Callable[[Scene], None], empty: Path, *, is_served: bool) -> None:
    """One case: a row of the table, then what was told."""
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        place = folder / "store"
        place.mkdir()
        store = Store(place, empty, is_served=is_served)
        scene = Scene(folder, store, random.Random(0))
        try:
            case(scene)
            left = left_over(folder)
            study, _ = load_study(folder / "study.toml")
            known = recalled(study)
            assert known is not None
            trials = known[1].trials
            before = difference(store.file, trials) if store.file.exists() else None
            (folder / "study.toml").write_text(STUDY.format(uri=store.uri))  # not by a proxy
            said = scene.sync()
            after, rows = difference(store.file, trials), dump(store.file)
            scene.sync()
            again = sum(rows[table] != now for table, now in dump(store.file).items())
        finally:
            store.stop()
            if place.is_mount():
                subprocess.run(["umount", "-l", place], check=True)
        first = min(trial.started for trial in trials)
        last = max(trial.finished for trial in trials)
        told = scene.told()
        print(
            f"{case.__name__:<28}{'HTTP' if is_served else 'SQLite':<7}{len(trials):>7}  "
            f"{in_words(before):<40}{in_words(after):<28}{after.rows:>8}{after.params:>8}"
            f"{after.tags:>7}  {f'{again} tables' if again else 'same':<6}"
            f"{(last - first) / len(trials):>8.3f}{scene.ended - last:>8.1f}{len(told):>5}{left:>5}"
        )
        for line in [*told, f"sync: {said}"]:
            print(f"    {line}")
        sys.stdout.flush()


def in_words(found: Difference | None) -> str:
    """A difference, short."""
    if found is None:
        return "no store"
    if found.is_none:
        return "all"
    counts = {
        "missing": found.missing,
        "doubled": found.doubled,
        "RUNNING": found.running,
        "wrong": found.wrong.total(),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def main() -> None:
    """Play the cases that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = sorted({case.__name__ for case in (*SERVED, *LOCAL)})
    parser.add_argument("cases", nargs="*", metavar="case", help=f"all, or of: {', '.join(names)}")
    parser.add_argument("--only", choices=["HTTP", "SQLite"], help="one kind of store")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(names):
        parser.error(f"no case {', '.join(unknown)}; expected some of {', '.join(names)}")
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        empty = Path(folder) / "mlflow.db"
        with quiet():
            connect(f"sqlite:///{empty}").search_experiments()
        print(HEAD)
        for is_served, cases in ((True, SERVED), (False, LOCAL)):
            for case in cases:
                is_wanted = not options.cases or case.__name__ in options.cases
                if is_wanted and options.only != ("SQLite" if is_served else "HTTP"):
                    play(case, empty, is_served=is_served)


if __name__ == "__main__":
    main()
