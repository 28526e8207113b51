"""MLflow, brought up to date with a search that is not running."""

from __future__ import annotations

from collections.abc import Callable

from tunekit.records import StudyInfo, StudyResult
from tunekit.tracking.locate import talking_to
from tunekit.tracking.projection import Projection

PORTION = 50
"""Trials after which a long delivery is told to go on."""


def synchronize(
    study: StudyInfo, result: StudyResult, told: Callable[[int, int], None] = lambda *_: None
) -> int:
    """Bring MLflow up to date with a search that is not running.

    Args:
        study: The study, with the trials that its record holds.
        result: How the search ended, as far as the record knows.
        told: Called after each portion with how many of how many trials MLflow has.

    Returns:
        How many trials were missing.

    Raises:
        WorkError: MLflow cannot be reached, or refuses.
    """
    projection, missing = Projection(study), 0
    with talking_to(study.tracking_uri):
        for first in range(0, len(study.recorded), PORTION):
            missing += projection.deliver(study.recorded[first : first + PORTION])
            told(projection.arrived, len(study.recorded))
        projection.finish(result)
        projection.keep_files()
    return missing
