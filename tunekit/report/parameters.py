"""What was searched: the hyperparameters with more than one value, and how to draw them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tunekit.records import FinishedTrial
from tunekit.report.drawing.scale import Categories, Scale, numeric
from tunekit.report.words import short
from tunekit.space import Scalar, show

_RANGE = re.compile(r"(?P<low>\S+) to (?P<high>\S+?)(?: in steps of \S+?)?(?P<log>, log scale)?")


@dataclass(frozen=True)
class Parameter:
    """A hyperparameter that was searched.

    Attributes:
        name: Its qualified name.
        words: What was searched, such as ``"0.0001 to 0.1, log scale"``.
        choices: Its values as texts in the order of the study; empty if it is a range.
        low: Smallest value, where it is a range.
        high: Largest value, where it is a range.
        log: Whether the range is one of orders of magnitude.
        whole: Whether its values are whole numbers.
    """

    name: str
    words: str
    choices: tuple[str, ...] = ()
    low: float = math.nan
    high: float = math.nan
    log: bool = False
    whole: bool = False

    @property
    def short(self) -> str:
        """Its name on an axis."""
        return short(self.name)

    @property
    def is_range(self) -> bool:
        """Whether its values are numbers on a scale."""
        return not self.choices

    def of(self, trial: FinishedTrial) -> Scalar | None:
        """A trial's value, or None where the trial did not have this hyperparameter."""
        value = trial.params.get(self.name, trial.configuration.get(self.name))
        if value is None or not self.is_range:
            return value
        if isinstance(value, (str, bool)) or not math.isfinite(value):
            return None
        return value

    def on_axis(self, trial: FinishedTrial) -> float | str | None:
        """A trial's value as its scale takes it."""
        value = self.of(trial)
        if value is None:
            return None
        return float(value) if self.is_range else show(value)

    def scale(self) -> Scale:
        """The axis that shows it."""
        if not self.is_range:
            return Categories(self.choices)
        return numeric(self.low, self.high, log=self.log, whole=self.whole)


def searched(space: Mapping[str, str], trials: Iterable[FinishedTrial]) -> list[Parameter]:
    """The hyperparameters that were searched, in the study's order.

    Args:
        space: The space by qualified name, in words.
        trials: What was tried; it may go beyond today's space.
    """
    tried: dict[str, list[Scalar]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            tried.setdefault(name, []).append(value)
    names = [name for name, words in space.items() if _is_varied(words)]
    names += [name for name in tried if name not in space or name not in names]
    found = [_parameter(name, space.get(name, ""), tried.get(name, [])) for name in names]
    return [parameter for parameter in found if parameter is not None]


def _is_varied(words: str) -> bool:
    return words.startswith("one of ") or _RANGE.fullmatch(words) is not None


def _parameter(name: str, words: str, tried: list[Scalar]) -> Parameter | None:
    match = _RANGE.fullmatch(words)
    are_numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in tried)
    if match is not None and are_numbers:
        try:
            bounds = [float(match["low"]), float(match["high"])]
        except ValueError:
            return None
        values = [*bounds, *(float(v) for v in tried if math.isfinite(float(v)))]
        log = match["log"] is not None and min(values) > 0
        whole = bool(tried) and all(isinstance(value, int) for value in tried)
        return Parameter(name, words, low=min(values), high=max(values), log=log, whole=whole)
    offered = words.removeprefix("one of ").split(", ") if words.startswith("one of ") else []
    shown = list(dict.fromkeys(show(value) for value in tried))
    choices = tuple(dict.fromkeys([*offered, *shown]))
    return Parameter(name, words or "one of " + ", ".join(choices), choices) if choices else None
