"""What a study chooses in every trial."""

from __future__ import annotations

from tunekit.components import KINDS
from tunekit.records import StudyInfo

MAIN = ("optimizer", "activation", "schedule")


def searched(study: StudyInfo) -> list[str]:
    """What the search chooses in every trial, the main choices first."""
    varied = [name for name, words in study.space.items() if _is_varied(words)]
    # A component's own hyperparameter (optimizer.adam.lr) exists only where it was chosen.
    common = [name for name in varied if not (name.count(".") > 1 and name.split(".")[0] in KINDS)]
    return sorted(common, key=lambda name: name not in MAIN)


def options(study: StudyInfo, name: str) -> list[str]:
    """What there is to choose from; nothing for a range or a fixed value."""
    kind, _, listed = study.space[name].partition("one of ")
    return [] if kind else listed.split(", ")


def _is_varied(words: str) -> bool:
    return words.startswith("one of ") or " to " in words
