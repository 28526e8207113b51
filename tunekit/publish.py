"""A search with all that it leaves in MLflow: trials, the report, the best network as a model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from tunekit.errors import InputError, TunekitError, WorkError
from tunekit.model import Model
from tunekit.records import StudyInfo, StudyResult
from tunekit.search.lock import held
from tunekit.search.recalled_study import recalled
from tunekit.search.replay import recorded_trial
from tunekit.search.run import Search, run_search
from tunekit.search.setting import Setting
from tunekit.search.winner import key_of, winner
from tunekit.study.command import other_command
from tunekit.study.study import Study
from tunekit.tracking import observer
from tunekit.tracking import synchronize as delivery
from tunekit.tracking.model import KeptModel

logger = logging.getLogger("tunekit")


@dataclass(frozen=True)
class Synced:
    """What `synchronize` did.

    Attributes:
        info: The study.
        result: How far it has come.
        delivered: How many trials were missing in MLflow.
        model: The best network in MLflow, or None.
        is_complete: Whether nothing is missing there.
    """

    info: StudyInfo
    result: StudyResult
    delivered: int
    model: KeptModel | None
    is_complete: bool


def search(setting: Setting, *, fresh: bool = False) -> Search:
    """Run or resume a search; when it comes to its end, its report and model go to MLflow, too.

    Args:
        setting: The study and its data.
        fresh: Whether to put an existing record aside and start over.

    Raises:
        StudyError: The record cannot be opened or continued.
        WorkError: Workers cannot be started, or the final training failed.
    """

    def publish(done: Search) -> None:
        if done.result.status == "finished" and observer.is_up_to_date(done.info):
            _publish(
                setting.study,
                done.info,
                done.result,
                lambda: winner(setting, done.result, checkpoint=done.network),
            )

    return run_search(setting, fresh=fresh, then=publish)


def synchronize(study: Study, told: Callable[[int, int], None]) -> Synced:
    """Bring MLflow up to date with the record of a study that nobody searches at the moment.

    Args:
        study: The study.
        told: Called now and then with how many of how many trials MLflow has.

    Raises:
        InputError: There is no record of it yet, or it is being searched.
        WorkError: MLflow cannot be reached, or refuses.
    """
    with held(study):
        known = recalled(study)
        if known is None:
            raise InputError(
                f"there is no search of {study.name!r} yet; run `tunekit search` with this study "
                "first",
                file=study.file,
            )
        info, result = known
        delivered = delivery.synchronize(info, result, told)

        def model() -> Model:
            assert result.best is not None
            setting, _ = recorded_trial(study, result.best.number)
            return winner(setting, result)

        is_finished = result.status == "finished"
        kept = _publish(study, info, result, model) if is_finished else None
    return Synced(info, result, delivered, kept, kept is not None or not is_finished)


def _publish(
    study: Study, info: StudyInfo, result: StudyResult, model: Callable[[], Model]
) -> KeptModel | None:
    """Keep what a finished search shows besides its trials; what cannot be kept is told.

    The trials are delivered by then, and nothing of this may make a search fail.

    Returns:
        The best network in MLflow, or None if not everything could be kept.
    """
    from tunekit.report.page import page
    from tunekit.report.plots import plots
    from tunekit.search.importances import importances
    from tunekit.tracking.model import keep_model, known_model
    from tunekit.tracking.report import keep_report

    def report() -> None:
        mattered = importances(study.space, result.trials, larger_is_better=info.larger_is_better)
        keep_report(info, page(info, result, mattered), plots(info, result, mattered))

    def network() -> KeptModel:
        key, name = key_of(result), study.register
        known = known_model(info, key, register=name)
        return known or keep_model(info, model(), key, register=name)

    try:
        report()
        return network()
    except WorkError as error:
        remedy = other_command(info.command, "sync")
        logger.warning("%s. `%s` delivers what is missing.", str(error).rstrip("."), remedy)
    except TunekitError as error:
        logger.warning("The best network is not in MLflow: %s", error)
    except KeyboardInterrupt:
        logger.warning("Interrupted: the report or the best network may not be in MLflow.")
    return None
