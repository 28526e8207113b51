"""All that is needed to repeat a study."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tunekit.records import FinishedTrial
from tunekit.report.facts import Facts
from tunekit.space import show


@dataclass(frozen=True)
class Repeat:
    """All that is needed to repeat a study.

    Attributes:
        command: The command that runs it again.
        again: The command that trains the winner again, to the same bits; empty without one.
        file: The study file's name.
        text: Its text.
        facts: Versions, digests and seeds: name and value.
        differ: What is not the same for all trials, in words.
    """

    command: str
    again: str
    file: str
    text: str
    facts: tuple[tuple[str, str], ...]
    differ: str


def repeat(facts: Facts) -> Repeat:
    """All that is needed to repeat a study."""
    info = facts.info
    file = Path(info.file).name if info.file else "STUDY.toml"
    winner = facts.winner
    where = "".join(f" --set {shlex.quote(change)}" for change in _whereabouts(info.command))
    again = f"tunekit train {shlex.quote(file)} --trial {winner.number}{where}" if winner else ""
    known = _provenance(facts.trials)
    told = {"seed": "seed", "blas_threads": "BLAS threads", "data_digest": "digest of the data"}
    rows = [(told.get(name, name), values[0]) for name, values in known.items()]
    if winner is not None:
        rows.append(("ask index of the winner", str(winner.ask)))
    differ = [
        f"{told.get(name, name)} ({', '.join(values)})"
        for name, values in known.items()
        if len(values) > 1
    ]
    return Repeat(
        command=info.command or f"tunekit search {shlex.quote(file)}",
        again=again,
        file=file,
        text=info.text,
        facts=tuple(rows),
        differ="; ".join(differ),
    )


def _whereabouts(command: str) -> list[str]:
    """Of a command's changes to the study file, those that say where its record is."""
    try:
        words = shlex.split(command)
    except ValueError:  # no command that tunekit wrote
        return []
    changes = [word for option, word in pairwise(words) if option == "--set"]
    return [change for change in changes if change.startswith(("study.name=", "study.storage="))]


def _provenance(trials: Iterable[FinishedTrial]) -> dict[str, list[str]]:
    """What the trials were made from: the values of each, the most frequent first."""
    counts: dict[str, Counter[str]] = {}
    for trial in trials:
        for name, value in trial.provenance.items():
            counts.setdefault(name, Counter())[show(value)] += 1
    return {name: [value for value, _ in count.most_common()] for name, count in counts.items()}
