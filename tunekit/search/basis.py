"""What a search's scores rest on, and how far two of them part by chance alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tunekit.components import KINDS
from tunekit.plugins import Registry
from tunekit.records import FinishedTrial
from tunekit.search.setting import Setting
from tunekit.space import Interval
from tunekit.study.constraints import Constraint
from tunekit.study.settings import NETWORK, TRAIN
from tunekit.study.space import Space

Limits = Mapping[str, tuple[float, float]]
"""The smallest and the largest value that make sense, by qualified name."""


@dataclass(frozen=True)
class Basis:
    """What a search's scores rest on.

    Attributes:
        metric: The objective's name.
        larger_is_better: Its direction.
        needs: What it is given as predictions.
        validation_rows: Different rows that a trial is validated on, over all folds.
        test_rows: Rows of the test split; 0 without one.
        longest: Epochs of the study's longest trial.
        limits: How far each searched range can be widened.
        constraints: What a trial has to keep to.
        objectives: How many there are; `metric` is the first.
    """

    metric: str
    larger_is_better: bool
    needs: Literal["labels", "probabilities", "values"]
    validation_rows: int
    test_rows: int
    longest: int
    limits: Limits
    constraints: tuple[Constraint, ...] = ()
    objectives: int = 1

    @classmethod
    def of(cls, setting: Setting) -> Basis:
        """The basis of a study with its data."""
        study, problem, metric = setting.study, setting.problem, setting.metric
        validated = sum(len(fold.target_validation) for fold in problem.folds)
        return cls(
            metric=metric.name,
            larger_is_better=metric.larger_is_better,
            needs=metric.needs,
            validation_rows=validated // study.data.repeats,
            test_rows=len(problem.final.target_validation),
            longest=setting.longest,
            limits=limits(study.space, setting.registry),
            constraints=study.constraints,
            objectives=len(study.metrics),
        )

    def quantities(self, trial: FinishedTrial) -> dict[str, float]:
        """What constraints may be about, as far as it is known of a trial."""
        known = dict(trial.measured)
        return known if trial.value is None else known | {self.metric: trial.value}

    def worse(self, than: float, score: float) -> float:
        """By how much `score` is worse; negative where it is better."""
        return than - score if self.larger_is_better else score - than

    def gap_by_chance(
        self, score: float, per_fold: Sequence[float], spread: float, seeds: int
    ) -> float:
        """The standard error of a validation score minus a test score.

        Args:
            score: About what both are.
            per_fold: The scores on single folds. From three on, their spread says how much the
                rows matter, if that is more than what `_per_row` assumes.
            spread: Standard deviation over seeds.
            seeds: How many seeds each score is the mean of.
        """
        variance = self._per_row(score) ** 2
        if len(per_fold) >= 3:
            rows = self.validation_rows / len(per_fold)
            variance = max(variance, statistics.variance(per_fold) * rows)
        of_rows = variance * (1 / self.validation_rows + 1 / self.test_rows)
        return math.sqrt(of_rows + 2 * spread**2 / seeds)

    def _per_row(self, score: float) -> float:
        """The standard deviation that a score would have on a single row.

        The score on n rows has this over the root of n. For accuracy it is that of the binomial
        distribution. For the others the factors lie above most of what bootstraps of linear
        models and forests on seven data sets gave: F1 and balanced accuracy had about the
        binomial's, the area under the ROC curve less, the log loss 0.7 to 1.7 times its root, RMSE
        and MAE 0.6 to 0.9 times themselves (2.3 where errors had heavy tails), 1 - R2 0.6 to 2.1
        times itself.
        """
        if self.needs == "values":
            return 2.2 * abs(1 - score) if self.larger_is_better else 1.5 * abs(score)
        if self.larger_is_better:
            share = min(max(score, 0.0), 1.0)
            return math.sqrt(share * (1 - share))
        return 1.7 * math.sqrt(abs(score))


def limits(space: Space, registry: Registry) -> Limits:
    """How far the searched ranges can be widened; infinity where nothing is declared."""
    found = {}
    for parameter in space.searched:
        if isinstance(parameter.domain, Interval):
            group, _, name = parameter.name.rpartition(".")
            if group in ("", "network"):
                declared = (NETWORK if group else TRAIN)[name]
            else:
                kind, _, component = group.partition(".")
                declared = registry.find(KINDS[kind], component).hyperparameters()[name]
            low = -math.inf if declared.min is None else declared.min
            high = math.inf if declared.max is None else declared.max
            found[parameter.name] = (low, high)
    return found
