"""Training one configuration: a study's defaults, or a recorded trial again."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from tunekit import plugins
from tunekit.errors import ComponentError, StudyError
from tunekit.records import Curve, Diagnosis, FinishedTrial
from tunekit.search.launch import make_engine
from tunekit.search.recall import recalled
from tunekit.search.record import Record
from tunekit.search.setting import Setting
from tunekit.search.trial import curve, seed_key
from tunekit.search.units import Failure, Outcome, Unit
from tunekit.search.workfolder import workfolder
from tunekit.space import Scalar
from tunekit.study.study import Study


@dataclass(frozen=True)
class Trained:
    """One configuration, trained on every fold.

    Attributes:
        configuration: What was trained.
        curves: Per-epoch measurements, one for each fold.
        scores: The metric on each fold.
        seconds: Time spent in training.
        parameters: Number of trainable parameters.
        diagnosis: What the training on the first fold suffered from, or that on a fold on which
            it diverged.
        repeated: The recorded trial that this repeats, or None.
    """

    configuration: Mapping[str, Scalar]
    curves: tuple[Curve, ...]
    scores: tuple[float, ...]
    seconds: float
    parameters: int
    diagnosis: Diagnosis
    repeated: FinishedTrial | None = None

    @property
    def value(self) -> float:
        """The objective: the mean over folds."""
        return sum(self.scores) / len(self.scores)

    @property
    def is_same(self) -> bool | None:
        """Whether every number of the recorded curves came out again; None if there are none."""
        assert self.repeated is not None
        again = {curve.fold: curve for curve in self.curves}
        recorded = self.repeated.curves
        if not recorded:
            return None  # refused before it was trained, or failed in its first epoch
        return all(c.fold in again and _agree(again[c.fold], c) for c in recorded)


def _agree(again: Curve, recorded: Curve) -> bool:
    """Whether a curve starts as the recorded one, which is shorter for a pruned trial."""
    for name, values in recorded.metrics.items():
        repeated = again.metrics.get(name, ())[: len(values)]
        if len(repeated) < len(values):
            return False
        for value, other in zip(values, repeated, strict=True):
            # The record has no infinities: what is not finite is not a number there.
            if value != other and (math.isfinite(value) or math.isfinite(other)):
                return False
    return True


def recorded_trial(study: Study, number: int) -> tuple[Setting, FinishedTrial]:
    """A recorded trial, and the setting in which it was made.

    The seed, the configuration and the single-file plugins are those of the record, whatever
    the study file and the plugin files say today.

    Raises:
        StudyError: There is no such trial, or the data have changed since.
    """
    record = Record.existing(study)
    trials = {trial.number: trial for trial in record.trials()} if record else {}
    if record is None or number not in trials:
        there = f"it holds trials 0 to {max(trials)}" if trials else "it holds no trials"
        raise StudyError(
            f"the record has no trial {number}; {there}", file=study.file, key="--trial"
        )
    trial = trials[number]
    registry = plugins.load(record.plugin_files(), disabled=study.document.plugins.disabled)
    registry.recall = partial(recalled, study.storage, study.name)
    metric = record.signature["study.metric"].partition(", ")[0]
    study = dataclasses.replace(study, seed=int(trial.provenance["seed"]), metric=metric)
    setting = Setting.recalled(study, registry, dtype=str(trial.configuration["dtype"]))
    if setting.problem.digest != trial.provenance["data_digest"]:
        raise StudyError(
            f"the data or their split have changed since trial {number} was recorded "
            f"(digest {trial.provenance['data_digest']}, now {setting.problem.digest}); "
            "it cannot be trained again",
            file=study.file,
            key="data",
        )
    return setting, trial


def train(
    setting: Setting,
    configuration: Mapping[str, Scalar],
    told: Callable[[int, Outcome], None],
    repeated: FinishedTrial | None = None,
) -> Trained:
    """Train one configuration on every fold, epoch by epoch, as a search would.

    Args:
        setting: The study and its data.
        configuration: What to train.
        told: Called after each epoch with the fold and how far it came.
        repeated: The recorded trial that this repeats, if any.

    Raises:
        ComponentError: The training failed.
    """
    curves, scores, seconds, parameters = [], [], 0.0, 0
    with workfolder() as folder:
        study = dataclasses.replace(setting.study, workers=min(setting.study.workers, 1))
        engine = make_engine(dataclasses.replace(setting, study=study), folder)
        try:
            # A trial that diverged was not trained on the folds that would have followed.
            folds = len(repeated.curves) if repeated else len(setting.problem.folds)
            for fold in range(max(folds, 1)):
                outcome: Outcome | None = None
                while outcome is None or outcome.checkpoint.status == "running":
                    checkpoint = outcome.checkpoint if outcome else None
                    until = checkpoint.epoch + 1 if checkpoint else 1
                    engine.submit(0, Unit(configuration, fold, seed_key(fold), until, checkpoint))
                    arrived = engine.wait()
                    assert arrived is not None
                    if isinstance(arrived[1], Failure):
                        raise ComponentError(arrived[1].reason, file=study.file)
                    outcome = arrived[1]
                    seconds += outcome.seconds
                    told(fold, outcome)
                curves.append(curve(fold, outcome))
                if fold == 0 or outcome.checkpoint.status == "diverged":
                    diagnosis = outcome.diagnosis
                scores.append(outcome.score)
                parameters = outcome.parameters
        finally:
            engine.close()
    return Trained(
        configuration, tuple(curves), tuple(scores), seconds, parameters, diagnosis, repeated
    )
