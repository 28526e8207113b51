"""Several objectives and constraints: what wins, what is not trained, what the sampler learns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from tunekit.errors import StudyError
from tunekit.records import FinishedTrial
from tunekit.search.asking import Asker
from tunekit.search.front import values_of
from tunekit.search.measure import parameters_of
from tunekit.search.recalled_study import recalled
from tunekit.search.run import run_search
from tunekit.search.setting import Setting

Make = Callable[..., Setting]

SEVERAL = 'study.metric=["accuracy", "parameters", "log_loss"]'
QUICK = "study.finalists=0"


def bound(*constraints: str) -> str:
    return f"study.constraints={list(constraints)}"


def told(trials: tuple[FinishedTrial, ...]) -> list[tuple[object, ...]]:
    return [(t.ask, t.state, t.value, dict(t.measured), dict(t.configuration)) for t in trials]


def test_the_front_holds_what_no_other_trial_beats(make: Make) -> None:
    search = run_search(make("", SEVERAL, "study.trials=8", QUICK))
    objectives, result = search.info.objectives, search.result
    assert [(o.name, o.larger_is_better) for o in objectives] == [
        ("accuracy", True), ("parameters", False), ("log_loss", False)
    ]  # fmt: skip
    signs = np.array([1, -1, -1])
    points = {t.number: signs * values_of(t, objectives) for t in result.trials}
    beaten = {
        number
        for number, point in points.items()
        if any((other >= point).all() and (other > point).any() for other in points.values())
    }
    assert {trial.number for trial in result.front} == set(points) - beaten
    assert result.best is not None
    assert result.best.value == max(trial.value or 0 for trial in result.trials)


def test_a_search_of_several_objectives_resumes_as_if_it_had_not_stopped(make: Make) -> None:
    constraint = bound("log_loss <= 1.05")
    whole = run_search(make("", SEVERAL, constraint, QUICK, name="whole")).result
    run_search(make("", SEVERAL, constraint, QUICK, "study.trials=3", name="parts"))
    setting = make("", SEVERAL, constraint, QUICK, name="parts")
    parts = run_search(setting).result
    assert told(parts.trials) == told(whole.trials)
    assert [t.number for t in parts.front] == [t.number for t in whole.front]
    found = recalled(setting.study)
    assert found is not None
    assert (found[0].constraints, found[1].front) == (("log_loss <= 1.05",), parts.front)


def test_workers_find_what_one_process_finds(make: Make) -> None:
    here = run_search(make("", SEVERAL, QUICK, "study.trials=3", name="here")).result
    there = run_search(
        make("", SEVERAL, QUICK, "study.trials=3", "study.workers=1", name="there")
    ).result
    assert told(there.trials) == told(here.trials)


def test_what_is_too_large_is_not_trained(make: Make) -> None:
    search = run_search(make("", bound("parameters < 100"), "study.trials=10", "study.finalists=1"))
    refused = [trial for trial in search.result.trials if trial.violation > 0]
    assert refused
    for trial in refused:
        assert (trial.state, trial.curves, trial.value) == ("pruned", (), None)
        size = trial.measured["parameters"]
        assert trial.violation == pytest.approx(max(size / 100 - 1, 1e-12))
        assert trial.reason == f"not trained: {size:,.0f} parameters break 'parameters < 100'"
    best = search.result.best
    assert best is not None
    assert best.parameters == best.measured["parameters"] < 100


def test_what_breaks_a_constraint_does_not_win(make: Make) -> None:
    free = run_search(make("", QUICK, "study.trials=8", name="free")).result
    assert free.best is not None
    losses = sorted(t.curves[0].metrics["val_loss"][-1] for t in free.trials)
    # Half of the trials have a smaller loss, the best of them among these.
    constraint = bound(f"log_loss > {losses[4]:.6f}")
    held = run_search(make("", QUICK, "study.trials=8", constraint, name="held")).result
    assert held.best is not None
    kept = [trial for trial in held.trials if trial.violation == 0]
    assert 0 < len(kept) < len(held.trials)
    assert held.best.value == max(trial.value or 0 for trial in kept)


def test_where_nothing_keeps_the_constraints_the_nearest_are_finalists(make: Make) -> None:
    result = run_search(make("", SEVERAL, bound("log_loss < 0.001"))).result
    nearest = sorted(result.trials, key=lambda trial: trial.violation)[:2]
    assert {f.number for f in result.finalists} == {trial.number for trial in nearest}
    assert result.remarks[0].kind == "infeasible"
    assert result.front == ()


def test_optuna_knows_the_constraints_of_the_record(make: Make) -> None:
    setting = make("", SEVERAL, bound("parameters < 90", "accuracy >= 0.5"), QUICK)
    result = run_search(setting).result
    study = optuna.load_study(study_name=setting.study.name, storage=setting.study.storage)
    assert {trial.number for trial in study.best_trials} == {t.number for t in result.front}
    for trial, recorded in zip(result.trials, study.trials, strict=True):
        assert sum(recorded.constraints.values()) == trial.violation


@pytest.mark.parametrize("pruner", ["hyperband", "median", "successive_halving"])
def test_pruners_work_beside_constraints(make: Make, pruner: str) -> None:
    constraints = bound("parameters < 100", "log_loss < 2")
    search = run_search(make("", constraints, QUICK, "data.repeats=2", f"pruner.name={pruner}"))
    assert len(search.result.trials) == 6
    assert search.result.best is not None


def shares_that_break(setting: Setting, limit: float, trials: int) -> list[bool]:
    """Which of a search's trials are too large; larger networks score better, by design."""
    asker = Asker(setting.study, [], setting.directions, setting.longest)
    found = []
    for _ in range(trials):
        asked = asker.ask()
        assert asked is not None
        size = parameters_of(asked.configuration, setting.registry, setting.problem, "accuracy")
        found.append(size >= limit)
        violations = {"parameters": max(0.0, size / limit - 1)}
        if size >= limit:
            asker.tell(asked, TrialState.PRUNED, None, violations)
        else:
            asker.tell(asked, TrialState.COMPLETE, [size / limit], violations)
    return found


def test_tpe_learns_what_is_too_large_though_it_is_never_trained(make: Make) -> None:
    space = ("network.width={ low = 4, high = 64 }", "network.depth={ low = 1, high = 3 }")
    late = {}
    for sampler in ("tpe", "random"):
        setting = make("", *space, f"sampler.name={sampler}", name=sampler)
        late[sampler] = sum(shares_that_break(setting, 800, 60)[30:])
    assert late["tpe"] < 0.6 * late["random"]


@pytest.mark.parametrize(
    ("sampler", "change", "words"),
    [
        ("cmaes", SEVERAL, "cannot handle several metrics"),
        ("cmaes", bound("log_loss < 1"), "cannot handle constraints"),
        ("gp", bound("parameters < 100"), "cannot learn from a constraint on 'parameters'"),
    ],
)
def test_samplers_that_would_leave_them_aside_are_refused(
    make: Make, sampler: str, change: str, words: str
) -> None:
    with pytest.raises(StudyError, match=f"{words}; expected tpe") as error:
        make("", f"sampler.name={sampler}", change)
    assert error.value.key == "sampler.name"


@pytest.mark.parametrize(
    "sampler", ["random", "qmc", "grid", pytest.param("gp", marks=pytest.mark.torch)]
)
def test_other_samplers_take_them(make: Make, sampler: str) -> None:
    constraints = bound("log_loss < 1.1", "latency < 1000")
    options = ["sampler.startup_trials=4"] if sampler == "gp" else []
    setting = make("", f"sampler.name={sampler}", SEVERAL, constraints, QUICK, *options)
    result = run_search(setting).result
    assert [trial.state for trial in result.trials] == ["complete"] * 6
    assert all(trial.measured["latency"] > 0 for trial in result.trials)


@pytest.mark.parametrize(
    ("pruner", "key"),
    [("pruner.name=hyperband", "pruner.name"), ("pruner.racing=true", "pruner.racing")],
)
def test_with_several_objectives_nothing_is_pruned(make: Make, pruner: str, key: str) -> None:
    with pytest.raises(StudyError, match="no single score") as error:
        make("", SEVERAL, pruner)
    assert error.value.key == key


def test_regression_has_further_objectives_too(make: Make) -> None:
    changes = ('study.metric=["rmse", "parameters"]', bound("r2 > -50"), "study.trials=3", QUICK)
    result = run_search(make("", "data.source=sklearn:diabetes", *changes)).result
    assert all(set(trial.measured) == {"parameters", "r2"} for trial in result.trials)
    values = [trial.value or 0.0 for trial in result.front]
    assert values == sorted(values)


def test_several_labels_have_further_objectives_too(make: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    lines = [f"{a:.3f},{b:.3f},{c:.3f},{int(a > 0)},{int(b > c)}" for a, b, c in x]
    (tmp_path / "labels.csv").write_text("\n".join(["a,b,c,p,q", *lines]))
    data = ("data.source=labels.csv", 'data.target=["p", "q"]', "data.task=multilabel")
    changes = ('study.metric=["micro_f1", "parameters"]', bound("subset_accuracy >= 0"), QUICK)
    result = run_search(make("", *data, *changes, "study.trials=3")).result
    assert {trial.state for trial in result.trials} == {"complete"}
    assert all(0 <= trial.measured["subset_accuracy"] <= 1 for trial in result.trials)


@pytest.mark.parametrize("name", ["rmse", "subset_accuracy"])
def test_further_metrics_have_to_fit_the_task(make: Make, name: str) -> None:
    with pytest.raises(StudyError, match=name) as error:
        make("", f'study.metric=["accuracy", "{name}"]')
    assert error.value.key == "study.metric"
    with pytest.raises(StudyError, match=name) as error:
        make("", bound("parameters < 50", f"{name} > 0"))
    assert error.value.key == "study.constraints[1]"
