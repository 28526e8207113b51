"""A study as it was searched, for commands that read its record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunekit.study.study import Study


def recorded_study(file: Path, set_: Sequence[str], plugins: Sequence[str]) -> Study:
    """The study, with plugins as they were in its search, also if they are gone.

    Args:
        file: The study file.
        set_: Changes to it.
        plugins: Plugin files that the person names instead.
    """
    from tunekit.search.recall import kept_files, recalled
    from tunekit.study.places import places_of
    from tunekit.study.study import load_study

    at = places_of(file, set_)
    files = None if plugins else kept_files(at.storage, at.name)
    study, _ = load_study(file, set_=set_, plugins=plugins, files=files, recalled=recalled)
    return study
