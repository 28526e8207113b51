from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tracking.conftest import delivered
from tunekit import plugins
from tunekit.records import FinishedTrial, StudyInfo, StudyResult
from tunekit.tracking import observer

Trials = Callable[..., tuple[FinishedTrial, ...]]
Result = Callable[[tuple[FinishedTrial, ...]], StudyResult]


def search(study: StudyInfo, trials: tuple[FinishedTrial, ...], result: StudyResult) -> None:
    observer.tunekit_study_started(study)
    for trial in trials:
        observer.tunekit_trial_finished(trial)
    observer.tunekit_study_finished(result)


def test_a_search_is_observed_without_a_word(
    study: StudyInfo, trials: Trials, result: Result, capfd: pytest.CaptureFixture[str]
) -> None:
    search(study, trials(5), result(trials(5)))

    assert delivered(study) == 5
    assert capfd.readouterr() == ("", "")


def test_the_observer_is_loaded_with_the_built_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins.loading, "BUILTIN_COMPONENTS", ())

    registry = plugins.load(observers=True, entry_points=False)

    assert registry.manager.is_registered(observer)


def test_trials_of_no_observed_search_are_nobodys(trials: Trials, result: Result) -> None:
    observer.tunekit_trial_finished(trials(1)[0])
    observer.tunekit_study_finished(result(trials(1)))


def test_two_searches_in_two_threads_do_not_meet(
    study: StudyInfo, trials: Trials, result: Result
) -> None:
    other = replace(study, identity="other", name="other")
    observer.tunekit_study_started(study)
    thread = threading.Thread(target=search, args=(other, trials(2), result(trials(2))))
    thread.start()
    thread.join()
    observer.tunekit_trial_finished(trials(1)[0])
    observer.tunekit_study_finished(result(trials(1)))

    assert delivered(study) == 1
    assert delivered(other) == 2


def test_artifacts_that_cannot_be_kept_do_not_keep_the_trials_back(
    study: StudyInfo, folder: Path, trials: Trials, result: Result, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "file").write_text("not a folder")
    study = replace(study, artifact_root=str(folder / "file" / "artifacts"))

    search(study, trials(2), result(trials(2)))

    (said,) = caplog.messages
    assert said.endswith(
        f"Not a directory: '{folder}/file/artifacts'. Trials are delivered, files are not."
    )
    assert delivered(study) == 2
