"""The winner of a search as a model: trained on all rows that are not set aside."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

import tunekit
from tunekit.errors import ComponentError
from tunekit.model import Model
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Checkpoint, Run
from tunekit.records import FinishedTrial, StudyResult
from tunekit.search.engines import Engine
from tunekit.search.final import FIRST_NETWORK, epochs_for_test, perform_all
from tunekit.search.interrupt import Interrupt
from tunekit.search.launch import make_engine
from tunekit.search.setting import Setting
from tunekit.search.trial import SLICE
from tunekit.search.units import FINAL, Failure, Unit
from tunekit.search.workfolder import workfolder
from tunekit.space import Scalar


def winner(
    setting: Setting,
    result: StudyResult,
    *,
    engine: Engine | None = None,
    interrupt: Interrupt | None = None,
    checkpoint: Checkpoint | None = None,
) -> Model:
    """The best trial of a search as a model, trained on all rows that are not set aside.

    It is the network of the final's first fresh seed, to the bit. Where no final was held it is
    trained likewise, for as many epochs as the trial's own curves say.

    Args:
        setting: The study and its data; for a record alone, that of `replay.recorded_trial`.
        result: How the search ended; it has a best trial.
        engine: Who trains it; one is made if there is none.
        interrupt: Ends the waiting.
        checkpoint: That of `unit_of`, if it has been trained already; then nothing is trained.

    Raises:
        ComponentError: The training failed.
        Interrupted: A signal came.
    """
    from threadpoolctl import threadpool_limits

    unit = unit_of(setting, result)
    if checkpoint is None:
        with _engine(setting, engine) as trainer:
            checkpoint = _trained(setting, unit, trainer, interrupt or Interrupt())
    recipe = Recipe.of(unit.configuration, setting.registry, setting.study.metric)
    # As in the worker, which has nothing to stop early on.
    recipe = dataclasses.replace(recipe, patience=0)
    problem = setting.problem
    with threadpool_limits(1):
        return Model.of(
            setting.study.name,
            Run(recipe, problem.final, problem.outputs, checkpoint),
            problem,
            setting.registry,
            configuration=unit.configuration,
            provenance=_provenance(setting, result, checkpoint),
        )


def unit_of(setting: Setting, result: StudyResult) -> Unit:
    """The training of the winner: the same as that of the final's first fresh seed."""
    trial = result.best
    assert trial is not None, "a search without a best trial has no winner"
    configured = int(trial.configuration["epochs"])
    if result.finalists:
        epochs = epochs_for_test(result.finalists[0], configured)
    else:
        epochs = _best_epochs(setting, trial) or configured
    configuration = {**trial.configuration, "epochs": epochs}
    return Unit(configuration, FINAL, FIRST_NETWORK, epochs, seconds=SLICE)


def key_of(result: StudyResult) -> str:
    """What tells the winner apart from those of other results; nothing is trained for it."""
    trial, finalist, test = result.best, next(iter(result.finalists), None), result.test
    assert trial is not None, "a search without a best trial has no winner"
    what = (
        trial.number,
        sorted(trial.configuration.items()),
        sorted(trial.provenance.items()),
        finalist and (finalist.epochs, finalist.mean),
        test and test.per_seed,
    )
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]


def _best_epochs(setting: Setting, trial: FinishedTrial) -> int:
    """The epoch after which validation was best, the latest over folds; 0 if none is known.

    Without early stopping it is the last one, as in `nn.evaluation`.
    """
    better = np.greater if setting.metric.larger_is_better else np.less
    found = [0]
    for curve in trial.curves:
        scores, best = curve.metrics[f"val_{setting.metric.name}"], 1
        for epoch in range(2, len(scores)):
            if not trial.configuration["patience"] or better(scores[epoch], scores[best]):
                best = epoch
        found.append(min(best, curve.epochs[-1]))
    return 0 if trial.diverged else max(found)


@contextmanager
def _engine(setting: Setting, engine: Engine | None) -> Iterator[Engine]:
    """The engine that is there, or a small one that is closed in the end."""
    if engine is not None:
        yield engine
        return
    study = dataclasses.replace(setting.study, workers=min(setting.study.workers, 1))
    with workfolder() as folder:
        own = make_engine(dataclasses.replace(setting, study=study), folder)
        try:
            yield own
        finally:
            own.close()


def _trained(setting: Setting, unit: Unit, engine: Engine, interrupt: Interrupt) -> Checkpoint:
    ((_, answer),) = perform_all(engine, [unit], interrupt)
    if isinstance(answer, Failure):
        raise ComponentError(
            f"the best network could not be trained again: {answer.reason}",
            file=setting.study.file,
        )
    return answer.checkpoint


def _provenance(
    setting: Setting, result: StudyResult, checkpoint: Checkpoint
) -> dict[str, Scalar | None]:
    """Where the model comes from; the versions are those that it was trained with."""
    trial, finalist, test = result.best, next(iter(result.finalists), None), result.test
    assert trial is not None
    return {
        "study": setting.study.name,
        "trial": trial.number,
        "metric": setting.study.metric,
        "validation": finalist.mean if finalist else trial.value,
        "test": test.per_seed[0] if test else None,
        "test_mean": test.mean if test else None,
        "rows": len(setting.problem.final.x),
        "epochs": checkpoint.epoch,
        "status": checkpoint.status,
        **trial.provenance,
        "tunekit": tunekit.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
