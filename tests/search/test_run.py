"""A whole search, in this process and in worker processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from tunekit import FinishedTrial, StudyResult, hookimpl
from tunekit.search.record import Record
from tunekit.search.run import run_search
from tunekit.search.setting import Setting

Make = Callable[..., Setting]


def changed(setting: Setting, **changes: object) -> Setting:
    return replace(setting, study=replace(setting.study, **changes))  # type: ignore[arg-type]


def told(trials: tuple[FinishedTrial, ...]) -> list[tuple[object, ...]]:
    return [(t.number, t.ask, t.state, t.value, dict(t.configuration)) for t in trials]


def test_a_search_records_every_trial_once_and_tests_only_the_winner(make: Make) -> None:
    search = run_search(make())
    result = search.result
    assert result.status == "finished"
    assert [trial.number for trial in result.trials] == list(range(6))
    assert all(trial.state == "complete" for trial in result.trials)
    assert len(result.finalists) == 2
    assert result.best is not None
    assert result.best.number == result.finalists[0].number
    assert result.test is not None
    assert len(result.test.per_seed) == 2


def test_finalists_are_ranked_by_fresh_seeds_not_by_what_the_search_saw(make: Make) -> None:
    result = run_search(make()).result
    means = [finalist.mean for finalist in result.finalists]
    assert means == sorted(means, reverse=True)
    searched = {trial.number: trial.value for trial in result.trials}
    assert all(f.searched == searched[f.number] for f in result.finalists)


def test_a_resumed_search_goes_on_as_if_it_had_not_stopped(make: Make, tmp_path: Path) -> None:
    learning = '[pruner]\nname = "hyperband"\nmin_epochs = 1\n[sampler]\nstartup_trials = 3\n'
    whole = run_search(make(learning, "study.trials=14")).result
    (tmp_path / "optuna.db").unlink()
    for trials in (1, 4, 9, 14):
        parts = run_search(make(learning, f"study.trials={trials}")).result
    assert told(parts.trials) == told(whole.trials)
    assert parts.test == whole.test


def test_a_finished_search_run_again_trains_nothing(make: Make) -> None:
    first = run_search(make())
    again = run_search(make())
    assert told(again.result.trials) == told(first.result.trials)
    assert again.seconds.training == 0
    assert again.result.test == first.result.test
    assert again.result.finalists == first.result.finalists


def test_worker_processes_find_what_one_process_finds(make: Make) -> None:
    here = run_search(make(name="here")).result
    there = run_search(make("", "study.workers=1", name="there")).result
    assert told(here.trials) == told(there.trials)
    assert here.test == there.test


def test_every_trial_is_the_same_with_any_number_of_workers(make: Make) -> None:
    result = run_search(make("", "study.workers=2", "study.trials=8")).result
    by_ask = {trial.ask: trial for trial in result.trials}
    assert sorted(by_ask) == list(range(8))
    alone = run_search(make("", "study.trials=8", name="alone")).result
    for trial in alone.trials:
        twin = next(
            (t for t in result.trials if dict(t.configuration) == dict(trial.configuration)), None
        )
        if twin is not None:
            assert twin.value == trial.value


def test_a_search_ends_when_all_configurations_are_tried_and_stays_ended(make: Make) -> None:
    more = "[space.optimizer.adam]\nlr = 0.01\nbeta1 = 0.9\nbeta2 = 0.999\n"
    few = ('search.optimizer="adam"', "network.width=[4, 8]", "study.trials=20")
    first, again = run_search(make(more, *few)), run_search(make(more, *few))
    tried = {str(sorted(trial.configuration.items())) for trial in first.result.trials}
    assert len(tried) == len(first.result.trials) == 8
    assert told(again.result.trials) == told(first.result.trials)
    assert again.seconds.training == 0
    for search in (first, again):
        assert search.result.status == "finished"
        (words,) = [r.words for r in search.result.remarks if r.kind == "exhausted"]
        assert words == "The whole space has been tried."


def test_the_record_is_a_plain_optuna_study(make: Make) -> None:
    setting = make()
    run_search(setting)
    study = optuna.load_study(study_name="small", storage=setting.study.storage)
    assert len(study.trials) == 6
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert "optimizer.adam.lr" in study.best_trial.params or "optimizer.sgd.lr" in study.best_params
    assert study.trials[0].user_attrs["configuration"]["epochs"] == 4
    assert sorted(study.trials[0].intermediate_values) == [1, 2, 3, 4]


def test_fresh_starts_over_and_keeps_the_old_trials_under_another_name(make: Make) -> None:
    setting = make()
    run_search(setting)
    again = run_search(make("", "network.width.high=32", "study.trials=2"), fresh=True)
    assert len(again.result.trials) == 2
    names = sorted(optuna.get_all_study_names(setting.study.storage))
    assert names[0] == "small"
    assert names[1].startswith("small (until ")
    old = optuna.load_study(study_name=names[1], storage=setting.study.storage)
    assert len(old.trials) == 6


def test_defaults_of_every_choice_are_tried_first(make: Make) -> None:
    result = run_search(make("", "study.trials=2")).result
    chosen = [(t.configuration["optimizer"], t.configuration["activation"]) for t in result.trials]
    assert chosen == [("adam", "relu"), ("sgd", "tanh")]
    assert result.trials[0].configuration["optimizer.adam.lr"] == 1e-3


def test_a_timeout_starts_no_further_trial(make: Make) -> None:
    setting = changed(make(), trials=None, timeout=0.4)
    result = run_search(setting).result
    assert 1 <= len(result.trials) < 2000


def test_without_a_test_split_there_is_no_test_score(make: Make) -> None:
    result = run_search(make("", "data.test=0")).result
    assert result.test is None
    assert result.finalists


def test_a_search_whose_trials_all_fail_says_so(make: Make, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    more = '[space.optimizer.broken]\nlr = 0.1\n[plugins]\nfiles = ["broken.py"]\n'
    setting = make(more, 'search.optimizer="broken"')
    result = run_search(setting).result
    assert result.status == "failed"
    assert result.best is None
    assert {trial.state for trial in result.trials} == {"failed"}
    assert "direction" in result.trials[0].reason
    assert "broken" in result.trials[0].reason


def test_observers_are_told_and_a_broken_one_does_no_harm(make: Make) -> None:
    setting = make()
    seen: list[FinishedTrial] = []
    ends: list[StudyResult] = []

    class Watching:
        @hookimpl
        def tunekit_trial_finished(self, trial: FinishedTrial) -> None:
            seen.append(trial)

        @hookimpl
        def tunekit_study_finished(self, result: StudyResult) -> None:
            ends.append(result)

    class Raising:
        @hookimpl
        def tunekit_trial_finished(self, trial: FinishedTrial) -> None:
            raise ZeroDivisionError

    setting.registry.observe(Watching())
    setting.registry.observe(Raising())
    search = run_search(setting)
    assert tuple(seen) == search.result.trials
    assert ends == [search.result]


def test_diverged_trials_score_as_untrained_and_do_not_win(make: Make) -> None:
    more = "[space.optimizer.sgd]\nlr = 1e30\n"
    result = run_search(make(more)).result
    diverged = [trial for trial in result.trials if trial.diverged]
    assert diverged
    assert all(trial.state == "complete" and trial.value is not None for trial in diverged)
    assert all("diverged" in trial.reason for trial in diverged)
    assert result.best is not None
    assert not result.best.diverged


BROKEN = '''
from tunekit import Optimizer, hookimpl

class Broken(Optimizer):
    """Returns half of what it should."""
    name = "broken"

    def direction(self, w, g, state, step):
        return g[: len(g) // 2]

@hookimpl
def tunekit_optimizers():
    return [Broken]
'''


def test_a_test_split_that_is_opened_again_is_told(make: Make) -> None:
    assert "reopened" not in {r.kind for r in run_search(make()).result.remarks}
    again = run_search(make("", "study.final_seeds=3")).result
    assert again.remarks[0].kind == "reopened"
    assert "opened 2 times" in again.remarks[0].words
    fresh = run_search(make("", "study.final_seeds=4"), fresh=True).result
    assert "opened 3 times" in fresh.remarks[0].words


def test_the_same_test_score_seen_again_is_no_opening(make: Make) -> None:
    winner = run_search(make("", "study.finalists=3")).result
    again = run_search(make("", "study.finalists=4")).result
    assert again.best == winner.best
    assert again.test == winner.test
    assert "reopened" not in {remark.kind for remark in again.remarks}


def test_an_opening_counts_whose_search_was_killed_a_moment_later(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Record, "set_final", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_search(make())
    again = run_search(make("", "study.final_seeds=3")).result
    assert "opened 2 times" in again.remarks[0].words


def test_refused_networks_leave_room_for_an_interrupt(make: Make) -> None:
    setting = make("", 'study.constraints=["parameters < 2"]', "study.trials=200")
    seen: list[int] = []

    class Impatient:
        @hookimpl
        def tunekit_trial_finished(self, trial: FinishedTrial) -> None:
            seen.append(trial.number)
            if len(seen) == 3:
                os.kill(os.getpid(), signal.SIGINT)

    setting.registry.observe(Impatient())
    result = run_search(setting).result
    assert result.status == "interrupted"
    assert len(result.trials) < 10
    assert {trial.state for trial in result.trials} == {"pruned"}
