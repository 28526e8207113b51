"""Samplers and pruners by name: domains, conditions, resuming, grids, rungs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tunekit.errors import StudyError
from tunekit.records import FinishedTrial
from tunekit.search.asking import Asker
from tunekit.search.record import Record
from tunekit.search.run import run_search
from tunekit.search.samplers import QuasiRandom, grid, stops
from tunekit.search.setting import Setting
from tunekit.space import Choices, Fixed, Interval, Scalar
from tunekit.study.space import Space

Make = Callable[..., Setting]

CONDITIONAL = """
schedule = ["constant", "cosine"]
regularizers = ["l2", "dropout"]

[space.regularizer.dropout]
rate = { low = 0.0, high = 0.5, step = 0.25 }

[sampler]
name = "SAMPLER"
OPTIONS
"""
QUICK = ("train.epochs=1", "study.finalists=0", "study.trials=9")
ONE_OF_EACH = ("search.optimizer=adam", "search.activation=relu", "train.batch_size=32")


def conditional(sampler: str, options: str = "") -> str:
    return CONDITIONAL.replace("SAMPLER", sampler).replace("OPTIONS", options)


def told(trials: tuple[FinishedTrial, ...]) -> list[tuple[object, ...]]:
    return [(t.number, t.ask, t.state, t.value, dict(t.configuration)) for t in trials]


def check_inside(space: Space, configuration: dict[str, Scalar]) -> None:
    """Exactly the parameters whose condition holds are there, each inside its domain."""
    for parameter in space.parameters:
        when = parameter.when
        is_asked_for = when is None or configuration.get(when.name) == when.value
        assert (parameter.name in configuration) == is_asked_for, parameter.name
        if not is_asked_for:
            continue
        value = configuration[parameter.name]
        match parameter.domain:
            case Fixed(fixed):
                assert value == fixed
            case Choices(values):
                assert value in values
            case Interval() as domain:
                assert isinstance(value, (int, float))
                assert domain.low <= value <= domain.high
                if domain.step is not None or domain.integer:
                    assert value == domain.nearest(value)
                if domain.integer:
                    assert isinstance(value, int)


LEARNING = {
    "tpe": "startup_trials = 3",
    "cmaes": "startup_trials = 1",
    "gp": "startup_trials = 4",
    "grid": "points = 2",
}
"""Options with which the samplers have begun to learn before nine trials are over."""


@pytest.mark.parametrize(
    "sampler",
    ["tpe", "random", "qmc", "cmaes", "grid", pytest.param("gp", marks=pytest.mark.torch)],
)
def test_every_sampler_stays_inside_a_space_with_conditions(make: Make, sampler: str) -> None:
    # A grid over more than this would be too large.
    changes = ONE_OF_EACH if sampler == "grid" else ("network.width={low=4, high=64, log=true}",)
    setting = make(conditional(sampler, LEARNING.get(sampler, "")), *QUICK, *changes)
    trials = run_search(setting).result.trials
    assert [trial.ask for trial in trials] == list(range(9))
    for trial in trials:
        assert trial.state == "complete"
        check_inside(setting.study.space, dict(trial.configuration))
    assert len({str(sorted(trial.configuration.items())) for trial in trials}) > 5


# CMA-ES learns after each generation of eight: the last case stops and goes on in the third.
@pytest.mark.parametrize(
    ("sampler", "first", "trials"),
    [("tpe", 4, 9), ("cmaes", 4, 9), ("qmc", 4, 9), ("grid", 4, 9), ("cmaes", 20, 22)],
)
def test_a_search_in_two_parts_is_the_same_as_in_one(
    make: Make, tmp_path: Path, sampler: str, first: int, trials: int
) -> None:
    more = f'[sampler]\nname = "{sampler}"\n{LEARNING.get(sampler, "")}\n'
    changes = (*QUICK, "search.optimizer=adam", "search.activation=relu", f"study.trials={trials}")
    whole = run_search(make(more, *changes)).result.trials
    (tmp_path / "optuna.db").unlink()
    run_search(make(more, *changes, f"study.trials={first}"))
    parts = run_search(make(more, *changes)).result.trials
    assert told(parts) == told(whole)


def test_cma_es_keeps_its_state_in_the_record(make: Make) -> None:
    setting = make('[sampler]\nname = "cmaes"\n', *QUICK, *ONE_OF_EACH)
    run_search(setting)
    record = Record.existing(setting.study)
    assert record is not None
    notes = [key for trial in record.frozen() for key in trial.system_attrs]
    assert any(key.startswith("cma:") for key in notes)


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "grid"])
def test_what_was_lost_in_a_kill_is_asked_for_again(make: Make, sampler: str) -> None:
    more = f'[sampler]\nname = "{sampler}"\n{LEARNING.get(sampler, "")}\n'
    setting = make(more, *QUICK)
    whole = run_search(setting).result.trials
    record = Record.existing(setting.study)
    assert record is not None
    # Trial 1 never finished; what came after it did, on another worker.
    kept = [trial for trial in record.frozen() if trial.number != 1]
    asker = Asker(setting.study, kept, setting.directions, setting.longest)
    again, after = asker.ask(), asker.ask()
    assert again is not None
    assert again.ask == 1
    assert again.configuration == whole[1].configuration
    assert after is not None
    assert after.ask == len(whole)


def test_a_grid_visits_every_configuration_once_and_stops_by_itself(make: Make) -> None:
    more = 'regularizers = ["l2"]\n[sampler]\nname = "grid"\npoints = 2\n'
    changes = ("train.epochs=1", "study.finalists=0", "study.trials=500")
    setting = make(
        more,
        *changes,
        "search.optimizer=adam",
        "space.optimizer.adam.lr=0.01",
        "space.optimizer.adam.beta1=0.9",
        "space.optimizer.adam.beta2=0.99",
    )
    space = setting.study.space
    # Two batch sizes, activations and widths; l2 off, or on with two strengths.
    assert space.size(2) == 2 * 2 * 2 * 3
    trials = run_search(setting).result.trials
    visited = Counter(str(sorted(trial.configuration.items())) for trial in trials)
    assert len(visited) == space.size(2)
    assert set(visited.values()) == {1}
    again = run_search(setting)
    assert told(again.result.trials) == told(trials)
    assert again.seconds.training == 0


def test_the_order_of_a_grid_follows_the_seed(make: Make) -> None:
    more = '[sampler]\nname = "grid"\npoints = 2\n'

    def order(*changes: str) -> list[str]:
        given = grid(make(more, *changes).study)
        assert isinstance(given, list)
        return [str(configuration) for configuration in given]

    assert order() == order()
    assert order() != order("study.seed=4")
    assert sorted(order()) == sorted(order("study.seed=4"))


def test_a_grid_that_is_too_large_is_refused_with_its_size(make: Make) -> None:
    with pytest.raises(StudyError, match=r"the grid has [0-9,]+ configurations") as refused:
        make('[sampler]\nname = "grid"\npoints = 400\n')
    assert refused.value.key == "sampler.name"
    assert str(refused.value.file).endswith("small.toml")


def test_quasi_random_points_cover_choices_evenly(make: Make) -> None:
    space = make("", 'search.activation=["relu", "tanh", "gelu"]').study.space
    sequence = QuasiRandom(space, seed=0)
    points = [sequence[i] for i in range(128)]
    assert Counter(point["optimizer"] for point in points) == {"adam": 64, "sgd": 64}
    thirds = Counter(point["activation"] for point in points)
    assert len(thirds) == 3
    assert max(thirds.values()) - min(thirds.values()) <= 3
    both = Counter((point["optimizer"], point["batch_size"]) for point in points)
    assert len(both) == 4
    assert max(both.values()) - min(both.values()) <= 4
    for point in points:
        check_inside(space, point)


def test_quasi_random_points_depend_on_seed_and_index_only(make: Make) -> None:
    space = make().study.space
    assert QuasiRandom(space, 1)[7] == QuasiRandom(space, 1)[7]
    assert QuasiRandom(space, 1)[7] != QuasiRandom(space, 2)[7]
    assert QuasiRandom(space, 1)[7] != QuasiRandom(space, 1)[8]


@pytest.mark.parametrize("pruner", ["none", "median", "successive_halving", "hyperband"])
def test_every_pruner_ends_trials_only_where_it_is_asked(make: Make, pruner: str) -> None:
    options = "startup_trials = 2" if pruner == "median" else ""
    more = f'[sampler]\nname = "random"\n[pruner]\nname = "{pruner}"\n{options}\n'
    setting = make(more, "train.epochs=9", "study.trials=12", "study.finalists=0")
    trials = run_search(setting).result.trials
    asked_at = stops(setting.study, 9, 9)
    assert {trial.state for trial in trials} == (
        {"complete"} if pruner == "none" else {"complete", "pruned"}
    )
    for trial in trials:
        (curve,) = trial.curves
        assert curve.epochs[-1] == 9 if trial.state == "complete" else curve.epochs[-1] in asked_at
        if trial.state == "pruned":
            assert pruner in trial.reason
            assert trial.scores == ()
            # Its value is what it was judged by.
            assert trial.value == curve.metrics["val_accuracy"][-1]


@pytest.mark.parametrize(
    ("pruner", "epochs", "expected"),
    [
        ('name = "none"', 20, (20,)),
        ('name = "median"', 5, (1, 2, 3, 4, 5)),
        ('name = "median"\nwarmup_epochs = 2', 30, (3, 6, 9, 12, 15, 18, 21, 24, 27, 30)),
        ('name = "median"\nwarmup_epochs = 9', 5, (5,)),
        # By default the first rung is at a ninth of the longest trial.
        ('name = "hyperband"', 40, (4, 12, 36, 40)),
        ('name = "hyperband"\nmin_epochs = 1', 9, (1, 3, 9)),
        ('name = "successive_halving"\nmin_epochs = 3\nreduction_factor = 2', 9, (3, 6, 9)),
        ('name = "successive_halving"\nmin_epochs = 5', 5, (5,)),
        ('name = "hyperband"', 4, (1, 3, 4)),
    ],
)  # fmt: skip
def test_the_epochs_at_which_a_pruner_is_asked(
    make: Make, pruner: str, epochs: int, expected: tuple[int, ...]
) -> None:
    study = make(f"[pruner]\n{pruner}\n", f"train.epochs={max(epochs, 9)}").study
    assert stops(study, epochs, epochs) == expected


def test_shorter_trials_are_asked_at_the_rungs_of_the_longest(make: Make) -> None:
    study = make('[pruner]\nname = "hyperband"\n', "train.epochs=[5, 40]").study
    assert stops(study, 5, 40) == (4, 5)
    assert stops(study, 40, 40) == (4, 12, 36, 40)
