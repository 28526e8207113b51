"""Training a recorded trial again: to the bit, whatever became of the files since."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tunekit.errors import StudyError
from tunekit.records import Curve
from tunekit.search.replay import Trained, recorded_trial, train
from tunekit.search.run import run_search
from tunekit.search.setting import Setting
from tunekit.study.study import Study, load_study

Make = Callable[..., Setting]
QUICK = ("study.trials=3", "study.finalists=0")


def again(study: Study, number: int) -> Trained:
    setting, trial = recorded_trial(study, number)
    return train(setting, trial.configuration, lambda fold, outcome: None, trial)


def test_every_recorded_trial_comes_out_again_to_the_bit(make: Make) -> None:
    more = 'schedule = "cosine"\nregularizers = ["dropout"]\n[sampler]\nname = "random"\n'
    setting = make(more, "study.trials=6", "study.finalists=0", "data.repeats=2")
    recorded = run_search(setting).result.trials
    assert all(len(trial.scores) == 2 for trial in recorded)
    assert {trial.configuration["regularizer.dropout"] for trial in recorded} == {True, False}
    for trial in recorded:
        trained = again(setting.study, trial.number)
        assert trained.is_same
        assert trained.scores == trial.scores
        assert trained.value == trial.value
        assert trained.parameters == trial.parameters
        assert [c.metrics.keys() for c in trained.curves] == [
            c.metrics.keys() for c in trial.curves
        ]


def test_a_pruned_trial_is_trained_to_its_end_and_agrees_as_far_as_it_came(make: Make) -> None:
    more = '[sampler]\nname = "random"\n[pruner]\nname = "median"\nstartup_trials = 1\n'
    setting = make(more, "study.trials=10", "study.finalists=0")
    trials = run_search(setting).result.trials
    pruned = next(trial for trial in trials if trial.state == "pruned")
    trained = again(setting.study, pruned.number)
    assert trained.is_same
    assert len(trained.curves[0].epochs) == 5 > len(pruned.curves[0].epochs)


def test_a_diverged_trial_comes_out_again(make: Make) -> None:
    explosive = ("search.optimizer=sgd", "search.activation=relu", "space.optimizer.sgd.lr=1e30")
    setting = make("", *QUICK, *explosive)
    diverged = next(trial for trial in run_search(setting).result.trials if trial.diverged)
    trained = again(setting.study, diverged.number)
    assert trained.is_same
    assert trained.value == diverged.value


def test_a_worker_process_repeats_what_this_process_recorded(make: Make) -> None:
    setting = make("", *QUICK)
    run_search(setting)
    assert again(dataclasses.replace(setting.study, workers=1), 0).is_same


def test_the_seed_of_the_record_counts_not_that_of_the_file(make: Make) -> None:
    run_search(make("", *QUICK))
    assert again(make("", *QUICK, "study.seed=99").study, 1).is_same


@pytest.mark.parametrize("change", ["edited", "gone"])
def test_a_plugin_file_is_trained_with_as_it_was(make: Make, tmp_path: Path, change: str) -> None:
    plugin = tmp_path / "halving.py"
    plugin.write_text(PLUGIN)
    setting = make('[plugins]\nfiles = ["halving.py"]\n', *QUICK, "search.optimizer=halving")
    value = run_search(setting).result.trials[0].value
    if change == "edited":
        plugin.write_text(PLUGIN.replace("0.5 * g", "-0.5 * g"))
        study, _ = load_study(tmp_path / "small.toml", set_=["search.optimizer=halving"])
    else:
        plugin.unlink()
        study = setting.study
    trained = again(study, 0)
    assert trained.is_same
    assert trained.value == value


def test_the_command_trains_again_with_a_plugin_file_that_is_gone(
    make: Make, tmp_path: Path
) -> None:
    plugin = tmp_path / "halving.py"
    plugin.write_text(PLUGIN)
    make('[plugins]\nfiles = ["halving.py"]\n', *QUICK)
    path = tmp_path / "small.toml"
    path.write_text(path.read_text().replace('["adam", "sgd"]', '"halving"'))
    study, registry = load_study(path, set_=[*QUICK])
    run_search(Setting.of(study, registry))
    plugin.unlink()
    command = [sys.executable, "-m", "tunekit", "train", "small.toml", "--trial", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("the same to the bit as recorded trial 0\n"), done.stderr


def test_a_recorded_trial_is_trained_without_what_the_study_disables(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "evil_rules.py").write_text(PLUGIN.replace('"halving"', '"adam"'))
    info = tmp_path / "evil_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tunekit]\nevil = evil_rules\n")
    setting = make('[plugins]\ndisabled = ["evil"]\n', *QUICK)
    run_search(setting)
    assert again(setting.study, 0).is_same


def test_a_changed_data_file_is_refused(make: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'yes' if a > b else 'no'}" for a, b in rng.normal(size=(60, 2))]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["a,b,c", *rows]) + "\n")
    changes = (*QUICK, "data.source=table.csv", "data.target=c")
    setting = make("", *changes)
    run_search(setting)
    assert again(make("", *changes).study, 0).is_same
    table.write_text("\n".join(["a,b,c", "9.999,0.000,yes", *rows[1:]]) + "\n")
    with pytest.raises(StudyError, match="have changed since trial 0") as refused:
        again(make("", *changes).study, 0)
    assert refused.value.key == "data"


def test_a_changed_split_is_refused(make: Make) -> None:
    run_search(make("", *QUICK))
    with pytest.raises(StudyError, match="data or their split have changed"):
        again(make("", *QUICK, "data.validation=0.4").study, 0)


def test_without_a_record_no_file_is_made(make: Make, tmp_path: Path) -> None:
    study = make().study
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StudyError, match="the record has no trial 0; it holds no trials"):
        recorded_trial(study, 0)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("number", [3, -1])
def test_a_number_that_is_not_there_is_refused_with_those_that_are(make: Make, number: int) -> None:
    setting = make("", *QUICK)
    run_search(setting)
    with pytest.raises(StudyError, match=f"no trial {number}; it holds trials 0 to 2") as refused:
        recorded_trial(setting.study, number)
    assert refused.value.key == "--trial"


def test_a_number_that_differs_in_its_last_bit_is_told(make: Make) -> None:
    setting = make("", *QUICK)
    run_search(setting)
    trained = again(setting.study, 0)
    (curve,) = trained.curves
    for name, values in curve.metrics.items():
        last = np.nextafter(values[-1], np.inf)
        metrics = {**curve.metrics, name: (*values[:-1], float(last))}
        other = dataclasses.replace(trained, curves=(Curve(curve.fold, curve.epochs, metrics),))
        assert not other.is_same, name


def test_the_command_says_that_the_numbers_are_the_same(make: Make, tmp_path: Path) -> None:
    run_search(make("", *QUICK))
    command = [sys.executable, "-m", "tunekit", "train", "small.toml", "--trial", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("the same to the bit as recorded trial 1\n")


PLUGIN = '''
from __future__ import annotations

from tunekit import Float, Optimizer, hookimpl


class Halving(Optimizer):
    """Goes half of the way."""

    name = "halving"
    lr: float = Float(0.1, low=0.01, high=1.0, log=True)

    def direction(self, w, g, state, step):
        return 0.5 * g


@hookimpl
def tunekit_optimizers():
    return [Halving]
'''
