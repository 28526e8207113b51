"""What is tried next: nothing twice, gaps again, the same after a resume; what pruners know."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
from optuna.trial import FrozenTrial, TrialState

from tunekit.search import asking
from tunekit.search.asking import Asked, Asker
from tunekit.search.record import Record
from tunekit.search.run import run_search
from tunekit.search.samplers import MAX_GRID, RUNG
from tunekit.search.setting import Setting
from tunekit.space import Scalar
from tunekit.study.space import Space

Make = Callable[..., Setting]

SMALL = (
    "search.optimizer=adam",
    "network.width=[4, 8]",
    "space.optimizer.adam={ lr = 0.1, beta1 = 0.9, beta2 = 0.9 }",
)
"""Eight configurations: two widths, two activations, two sizes of batches."""
FIRST = 'study.first=[{ network.width = 5 }, { network.width = 6, activation = "tanh" }]'


def asker(
    setting: Setting, recorded: list[FrozenTrial] | None = None, *advised: Mapping[str, Scalar]
) -> Asker:
    return Asker(setting.study, recorded or [], setting.directions, setting.longest, advised)


def finish(source: Asker, asked: Asked, state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    """Tell that a trial is over, and return what the record would hold of it."""
    values = [asked.ask * 0.618 % 1] if state == TrialState.COMPLETE else None
    trial = source.tell(asked, state, values, {})
    trial.user_attrs = {
        "configuration": asked.configuration,
        "tunekit": {"ask": asked.ask, "repeats": list(asked.repeats)},
    }
    return trial


def run(source: Asker, most: int) -> list[FrozenTrial]:
    recorded = list[FrozenTrial]()
    while len(recorded) < most and (asked := source.ask()) is not None:
        recorded.append(finish(source, asked))
    return recorded


def told(recorded: list[FrozenTrial]) -> list[tuple[int, list[int], str]]:
    return [
        (
            trial.user_attrs["tunekit"]["ask"],
            trial.user_attrs["tunekit"]["repeats"],
            json.dumps(trial.user_attrs["configuration"], sort_keys=True),
        )
        for trial in recorded
    ]


def configurations(recorded: list[FrozenTrial]) -> list[str]:
    return [configuration for *_, configuration in told(recorded)]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "grid"])
def test_a_small_space_is_tried_whole_each_configuration_once(make: Make, sampler: str) -> None:
    setting = make("", *SMALL, f"sampler.name={sampler}")
    assert setting.study.space.size() == 8
    recorded = run(asker(setting), 20)
    assert len(recorded) == len(set(configurations(recorded))) == 8


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_every_ask_index_is_that_of_a_trial_or_of_a_repeat(make: Make, sampler: str) -> None:
    recorded = told(run(asker(make("", *SMALL, f"sampler.name={sampler}")), 20))
    indices = [index for ask, repeats, _ in recorded for index in (*repeats, ask)]
    assert indices == list(range(len(indices)))
    assert any(repeats for _, repeats, _ in recorded)


def test_what_is_running_is_not_tried_besides(make: Make) -> None:
    source = asker(make("", *SMALL))
    asked = [source.ask() for _ in range(8)]
    assert len({json.dumps(a.configuration, sort_keys=True) for a in asked if a}) == 8
    assert source.ask() is None


def test_what_failed_is_not_tried_again(make: Make) -> None:
    setting = make("", *SMALL)
    source, recorded = asker(setting), list[FrozenTrial]()
    while (asked := source.ask()) is not None:
        recorded.append(finish(source, asked, TrialState.FAIL))
    assert len(recorded) == 8
    assert asker(setting, recorded).ask() is None


@pytest.mark.parametrize("cut", [1, 3, 5, 7])
@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "grid"])
def test_repeats_are_repeats_after_a_resume(make: Make, sampler: str, cut: int) -> None:
    setting = make("", *SMALL, f"sampler.name={sampler}")
    whole = run(asker(setting), 20)
    again = run(asker(setting, whole[:cut]), 20)
    assert told([*whole[:cut], *again]) == told(whole)


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "grid"])
def test_gaps_are_asked_for_again_with_what_they_had(make: Make, sampler: str) -> None:
    setting = make("", f"sampler.name={sampler}", FIRST)
    whole = run(asker(setting), 9)
    lost = [whole[i] for i in (0, 3, 7)]
    kept = [trial for trial in whole if trial not in lost]
    source = asker(setting, kept)
    found = [source.ask() for _ in lost]
    assert [a.ask for a in found if a] == [0, 3, 7]
    expected = [trial.user_attrs["configuration"] for trial in lost]
    assert [a.configuration for a in found if a] == expected


def test_first_come_those_of_the_file_then_the_advised_then_the_defaults(make: Make) -> None:
    setting = make("", FIRST)
    defaults = setting.study.space.defaults()
    advised = {**defaults[0], "network.width": 9}
    asked = run(asker(setting, [], advised), 5)
    found = [trial.user_attrs["configuration"] for trial in asked]
    assert found == [*setting.study.first, advised, *defaults]


def test_what_is_named_twice_is_tried_once(make: Make) -> None:
    twice = "study.first=[{ network.width = 5 }, { network.width = 5 }, {}]"
    setting = make("", twice)
    recorded = run(asker(setting), 3)
    first, default, *_ = (trial.user_attrs["configuration"] for trial in recorded)
    assert (first["network.width"], default) == (5, setting.study.space.defaults()[0])
    assert recorded[0].user_attrs["tunekit"]["repeats"] == []


def test_a_grid_has_what_the_file_names_before_it_and_nothing_twice(make: Make) -> None:
    first = 'study.first=[{ network.width = 8, activation = "tanh" }]'
    setting = make("", *SMALL, "sampler.name=grid", first)
    recorded = run(asker(setting), 20)
    assert recorded[0].user_attrs["configuration"]["activation"] == "tanh"
    assert len(set(configurations(recorded))) == len(recorded) == 8


def test_samplers_learn_nothing_from_repeats(make: Make) -> None:
    source = asker(make("", *SMALL, "sampler.name=random"))
    run(source, 8)
    memory = source._memory.get_trials(deepcopy=False)
    assert sum(trial.state == TrialState.COMPLETE for trial in memory) == 8
    assert {trial.state for trial in memory} == {TrialState.COMPLETE, TrialState.FAIL}


def test_a_small_space_is_laid_out_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out, grid = list[int](), Space.grid

    def counted(space: Space, points: int) -> Iterator[dict[str, Scalar]]:
        laid_out.append(points)
        return grid(space, points)

    monkeypatch.setattr(Space, "grid", counted)
    monkeypatch.setattr(asking, "MAX_REPEATS", 0)
    assert len(run(asker(make("", *SMALL)), 20)) == 8
    assert laid_out == [MAX_GRID]


HALVING = "train.epochs=9", "sampler.name=random", "study.trials=20", "study.finalists=0"


def recorded(setting: Setting) -> list[FrozenTrial]:
    record = Record.existing(setting.study)
    assert record is not None
    return record.frozen()


def rungs(trials: list[FrozenTrial]) -> list[dict[str, float]]:
    return [
        {name: note for name, note in trial.system_attrs.items() if name.startswith(RUNG)}
        for trial in trials
    ]


def remembered(setting: Setting, trials: list[FrozenTrial]) -> list[dict[str, float]]:
    """What a pruner is told of the record's trials."""
    return rungs(asker(setting, trials)._memory.get_trials(deepcopy=False))


@pytest.mark.parametrize("folds", [1, 2])
@pytest.mark.parametrize(
    ("pruner", "changes"),
    [
        ("successive_halving", ()),
        ("successive_halving", ("train.epochs=[3, 9]", "pruner.min_epochs=1")),
        ("successive_halving", ("train.patience=2", "space.optimizer.sgd.lr={low=1, high=1e9}")),
        ("hyperband", ()),
        ("hyperband", ("pruner.reduction_factor=2", "train.epochs=[4, 8]")),
    ],
)
def test_a_pruner_knows_after_a_resume_what_it_knew(
    make: Make, pruner: str, changes: tuple[str, ...], folds: int
) -> None:
    setting = make("", *HALVING, f"pruner.name={pruner}", *changes)
    problem = replace(setting.problem, folds=setting.problem.folds * folds)
    setting = replace(setting, problem=problem)
    run_search(setting)
    trials = recorded(setting)
    assert len(trials) == 20
    assert remembered(setting, trials) == rungs(trials)
    assert len({len(noted) for noted in rungs(trials)}) > 1


def test_scores_at_another_pruners_rungs_do_not_count(make: Make) -> None:
    run_search(make("", *HALVING, "pruner.name=successive_halving", "pruner.min_epochs=1"))
    changed = make("", *HALVING, "pruner.name=successive_halving", "pruner.min_epochs=2")
    trials = recorded(changed)
    found = remembered(changed, trials)
    assert found == [
        {f"{RUNG}{i}": reports[epoch] for i, epoch in enumerate((2, 6)) if epoch in reports}
        for reports in (trial.intermediate_values for trial in trials)
    ]
    assert {len(noted) for noted in found} == {0, 1, 2}
    assert remembered(make("", *HALVING, "pruner.name=median"), trials) == [{}] * 20


def test_scores_at_rungs_go_on_in_a_wider_space(make: Make) -> None:
    pruner = "pruner.name=successive_halving"
    setting = make("", *HALVING, pruner)
    run_search(setting)
    before = recorded(setting)
    wider = make("", *HALVING, pruner, "network.width={low=4, high=17}", "study.trials=21")
    run_search(wider)
    carried = recorded(wider)[:20]
    assert rungs(carried) == [{}] * 20
    assert remembered(wider, carried) == rungs(before)
