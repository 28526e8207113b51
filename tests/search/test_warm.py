"""What a study begins with: another study's trials, and configurations that its file names."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from tunekit.errors import StudyError
from tunekit.records import FinishedTrial
from tunekit.search.continuation import nearest
from tunekit.search.record import Record
from tunekit.search.run import run_search
from tunekit.search.setting import Setting
from tunekit.study.study import load_study

Make = Callable[..., Setting]

QUICK = ("study.finalists=1", "study.final_seeds=1", "train.epochs=2", "sampler.name=random")


@pytest.fixture
def known(make: Make) -> tuple[FinishedTrial, ...]:
    """The trials of a study in the same folder."""
    return run_search(make("", *QUICK, name="known")).result.trials


def values(trials: tuple[FinishedTrial, ...]) -> list[tuple[object, ...]]:
    return [(trial.value, trial.curves, dict(trial.configuration)) for trial in trials]


@pytest.mark.parametrize("whose", ["known", "known.toml"])
def test_trials_on_the_same_data_are_taken_over(
    make: Make, known: tuple[FinishedTrial, ...], whose: str
) -> None:
    search = run_search(make("", *QUICK, f"study.warm_start={whose}", "study.trials=8"))
    assert values(search.result.trials[:6]) == values(known)
    assert [trial.carried for trial in search.result.trials] == [*range(6), None, None]
    assert search.info.notes == (
        f"warm start: 6 of 6 trials of the study {whose!r} are taken over",
    )
    again = run_search(make("", *QUICK, f"study.warm_start={whose}", "study.trials=8"))
    assert values(again.result.trials) == values(search.result.trials)
    assert again.info.notes == ()


def test_a_study_of_another_folder_is_named_by_its_file(
    make: Make, known: tuple[FinishedTrial, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    path = folder / "next.toml"
    path.write_text((tmp_path / "known.toml").read_text())
    set_ = (*QUICK, "study.warm_start=../known.toml", "study.trials=7")
    setting = Setting.of(*load_study(path, set_=set_))
    for module in list(setting.registry.manager.get_plugins()):
        if getattr(module, "__name__", "").startswith("tunekit.tracking"):
            setting.registry.manager.unregister(module)
    assert values(run_search(setting).result.trials[:6]) == values(known)
    assert optuna.get_all_study_names(f"sqlite:///{folder}/optuna.db") == ["next"]


def test_only_what_is_in_the_space_is_taken_over(
    make: Make, known: tuple[FinishedTrial, ...]
) -> None:
    fitting = tuple(t for t in known if float(t.configuration["network.width"]) <= 10)
    assert 0 < len(fitting) < 6
    search = run_search(make("", *QUICK, "study.warm_start=known", "network.width.high=10"))
    assert values(search.result.trials[: len(fitting)]) == values(fitting)
    assert f"{len(fitting)} of 6 trials" in search.info.notes[0]


def test_on_other_data_the_best_are_tried_first(
    make: Make, known: tuple[FinishedTrial, ...]
) -> None:
    wine = ("study.warm_start=known", "data.source=sklearn:wine", "network.width.high=10")
    search = run_search(make("", *QUICK, *wine, "study.trials=1", name="wine"))
    assert "the best 6 configurations of the study 'known' are tried first" in search.info.notes[0]
    assert "(data (digest) differ)" in search.info.notes[0]
    # They are remembered, also when the space changes before all of them were tried.
    wide = (*wine[:2], "network.width.high=32", "study.trials=8")
    later = run_search(make("", *QUICK, *wide, name="wine"))
    best = sorted(known, key=lambda trial: -(trial.value or 0))
    space = search.setting.study.space
    advised = [nearest(trial.configuration, space) for trial in best]
    once = [c for i, c in enumerate(advised) if c not in advised[:i]]
    tried = [dict(trial.configuration) for trial in later.result.trials]
    assert tried[: len(once)] == once
    assert all(trial.carried is None for trial in later.result.trials[1:])


def test_a_study_that_is_not_there_is_told(make: Make, known: tuple[FinishedTrial, ...]) -> None:
    with pytest.raises(StudyError, match=r"holds no study 'knwon' .* Did you mean 'known'") as told:
        run_search(make("", *QUICK, "study.warm_start=knwon"))
    assert told.value.key == "study.warm_start"


def test_a_kill_while_trials_are_taken_over_leaves_none_out(
    make: Make, known: tuple[FinishedTrial, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = make("", *QUICK, "study.warm_start=known", "study.trials=7")
    whole, steps = optuna.Study.add_trial, itertools.count()

    def cut(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if next(steps) == 3:
            raise KeyboardInterrupt
        whole(study, trial)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "add_trial", cut)
        with pytest.raises(KeyboardInterrupt):
            run_search(setting)
    identity = Record(setting.study).identity
    search = run_search(setting)
    assert [trial.carried for trial in search.result.trials] == [*range(6), None]
    assert search.info.identity == identity


FIRST = """
[[study.first]]
optimizer = "sgd"
"optimizer.sgd.lr" = 0.3
"network.width" = 5
"""


def test_an_added_first_configuration_is_tried_next(
    make: Make, known: tuple[FinishedTrial, ...]
) -> None:
    search = run_search(make(FIRST, *QUICK, "study.trials=8", name="known"))
    assert values(search.result.trials[:6]) == values(known)
    added = search.result.trials[6].configuration
    assert (added["optimizer"], added["optimizer.sgd.lr"]) == ("sgd", 0.3)
    assert added["network.width"] == 5
    assert search.info.notes == ()
    again = run_search(make(FIRST, *QUICK, "study.trials=8", name="known"))
    assert len(again.result.trials) == 8
