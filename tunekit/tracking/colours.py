"""The colours of trials in MLflow's charts: a hue for each optimizer."""

from __future__ import annotations

import colorsys

from tunekit.records import FinishedTrial, StudyInfo
from tunekit.tracking.choices import options, searched
from tunekit.tracking.content import text

TAG = "mlflow.runColor"
"""What a click on a run's dot sets; MLflow's page (seen with 3.17) draws the run in it."""

HUES = {
    "blue": 212,
    "orange": 24,
    "green": 140,
    "purple": 285,
    "yellow": 46,
    "pink": 332,
    "teal": 180,
    "red": 0,
}
"""Degrees; the first few are told apart by most people who see fewer colours."""


def colour(study: StudyInfo, trial: FinishedTrial) -> dict[str, str]:
    """The tag that colours a trial's run, or nothing where nothing is chosen by name.

    Trials of one optimizer have nearly one hue and differ in lightness, so that curves that cross
    are told apart.
    """
    name = _key(study)
    if name is None:
        return {}
    chosen = text(trial.configuration.get(name, ""))
    if chosen not in options(study, name):
        return {}
    hue = list(HUES.values())[options(study, name).index(chosen) % len(HUES)]
    # Multiples of the plastic number's powers: trials are far apart in one of the two.
    hue += round(12 * (0.7549 * trial.number % 1) - 6)
    lightness = 0.3 + 0.36 * (0.5698 * trial.number % 1)
    channels = colorsys.hls_to_rgb(hue / 360 % 1, lightness, 0.75)
    return {TAG: "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)}


def legend(study: StudyInfo) -> str:
    """What the colours mean, such as ``"Blue adam, orange sgd"``; empty without colours."""
    name = _key(study)
    pairs = zip(HUES, options(study, name) if name else (), strict=False)
    words = ", ".join(f"{hue} {option}" for hue, option in pairs)
    return words[:1].upper() + words[1:]


def _key(study: StudyInfo) -> str | None:
    """What colours stand for: the first of what is chosen by name, the optimizer if it is."""
    return next((name for name in searched(study) if options(study, name)), None)
