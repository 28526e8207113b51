"""What is measured of a network once its training has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, mean_absolute_error, r2_score

from tunekit.errors import UnknownNameError
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Run
from tunekit.nn.training import advance, start, trained
from tunekit.plugins import Packed
from tunekit.search.measure import BUDGET, measure, parameters_of
from tunekit.search.setting import Setting
from tunekit.search.units import FINAL, Bench, Outcome, Unit, Workshop
from tunekit.space import Scalar

Make = Callable[..., Setting]
Changes = Mapping[str, Scalar]
MEASURES = ("f1", "parameters", "log_loss", "latency")
DIABETES = ["data.source = sklearn:diabetes", "study.metric = rmse"]


def configured(setting: Setting, changes: Changes = MappingProxyType({})) -> dict[str, Scalar]:
    return {**setting.study.space.defaults()[0], **changes}


def run_of(setting: Setting, changes: Changes = MappingProxyType({}), *, epochs: int = 100) -> Run:
    configuration = configured(setting, changes)
    recipe = Recipe.of(configuration, setting.registry, setting.study.metric)
    fold, outputs = setting.problem.folds[0], setting.problem.outputs
    return advance(start(recipe, fold, outputs, np.random.SeedSequence(0)), epochs)


def diverged(setting: Setting) -> Run:
    run = run_of(setting, {"optimizer": "sgd", "optimizer.sgd.lr": 1e30})
    assert run.checkpoint.status == "diverged"
    return run


def bench(setting: Setting, *measures: str) -> Bench:
    workshop = Workshop(Path(), Packed(), setting.study.metric, setting.study.seed, measures)
    return Bench(workshop, setting.registry, setting.problem)


def perform(bench: Bench, unit: Unit) -> Outcome:
    outcome = bench.perform(unit)
    assert isinstance(outcome, Outcome), outcome
    return outcome


def test_metrics_of_labels_and_probabilities_are_those_of_the_network(make: Make) -> None:
    setting = make()
    run = run_of(setting)
    probabilities = run.recipe.loss.predict(trained(run).infer(run.fold.x_validation))
    measured = measure(run, ["log_loss", "f1"], setting.registry)
    target = run.fold.target_validation
    expected = {
        "log_loss": log_loss(target, probabilities),
        "f1": f1_score(target, probabilities.argmax(axis=1), average="macro"),
    }
    assert list(measured) == list(expected)
    assert measured == pytest.approx(expected, rel=1e-5)


def test_metrics_of_values_are_in_the_unit_of_the_target(make: Make) -> None:
    setting = make("", *DIABETES)
    run = run_of(setting)
    target = run.fold.target_validation
    spread, mean = run.fold.target.std(), run.fold.target.mean()
    predicted = trained(run).infer(run.fold.x_validation) * spread + mean
    expected = {"mae": mean_absolute_error(target, predicted), "r2": r2_score(target, predicted)}
    assert measure(run, ["mae", "r2"], setting.registry) == pytest.approx(expected, rel=1e-5)


def test_they_belong_to_the_network_of_the_best_epoch(make: Make) -> None:
    setting = make("", *DIABETES)
    run = run_of(setting, {"optimizer.adam.lr": 0.3, "patience": 3, "epochs": 100})
    assert 0 < run.checkpoint.best_epoch < run.checkpoint.epoch
    assert measure(run, ["rmse"], setting.registry) == {"rmse": run.score}


def test_those_of_a_diverged_run_are_its_untrained_networks(make: Make) -> None:
    setting = make()
    assert measure(diverged(setting), ["f1", "accuracy"], setting.registry) == measure(
        run_of(setting, epochs=0), ["f1", "accuracy"], setting.registry
    )


def test_a_metric_that_is_not_there_is_named(make: Make) -> None:
    setting = make()
    with pytest.raises(UnknownNameError, match="Did you mean 'log_loss'"):
        measure(run_of(setting, epochs=0), ["logloss"], setting.registry)


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("normalization", ["none", "batch", "rms"])
def test_parameters_are_known_without_training(make: Make, depth: int, normalization: str) -> None:
    setting = make()
    changes: Changes = {"network.depth": depth, "network.normalization": normalization}
    run = run_of(setting, changes, epochs=0)
    known = parameters_of(
        configured(setting, changes), setting.registry, setting.problem, "accuracy"
    )
    assert known == len(run.checkpoint.weights)
    assert measure(run, ["parameters"], setting.registry) == {"parameters": known}


def test_the_latency_grows_with_the_network_and_takes_little_time_to_measure(make: Make) -> None:
    setting = make()

    def latency(width: int) -> float:
        run = run_of(setting, {"network.width": width, "network.depth": 3}, epochs=0)
        return measure(run, ["latency"], setting.registry)["latency"]

    narrow, wide = latency(4), latency(512)
    assert 0 < 3 * narrow < wide < BUDGET * 1e3


def test_measuring_leaves_the_run_as_it_was(make: Make) -> None:
    setting = make()
    run = run_of(setting, epochs=1)
    before = run.checkpoint.weights.tobytes(), run.checkpoint.noise.bit_generator.state
    measure(run, MEASURES, setting.registry)
    assert (run.checkpoint.weights.tobytes(), run.checkpoint.noise.bit_generator.state) == before


def test_a_unit_measures_when_its_run_has_ended(make: Make) -> None:
    setting = make()
    worker, configuration = bench(setting, *MEASURES), configured(setting)
    begun = perform(worker, Unit(configuration, 0, (0, 0), 2))
    assert begun.checkpoint.status == "running"
    assert begun.measured == {}
    ended = perform(worker, Unit(configuration, 0, (0, 0), 4, begun.checkpoint))
    assert ended.checkpoint.status == "finished"
    assert tuple(ended.measured) == MEASURES
    assert ended.measured["parameters"] == ended.parameters
    assert all(np.isfinite(value) for value in ended.measured.values())


def test_measuring_changes_neither_the_score_nor_the_training(make: Make) -> None:
    setting = make()
    for fold in (0, FINAL):
        unit = Unit(configured(setting), fold, (0, 0), 4)
        plain, measured = perform(bench(setting), unit), perform(bench(setting, "f1"), unit)
        assert plain.measured == {}
        assert plain.score == measured.score
        assert plain.checkpoint.weights.tobytes() == measured.checkpoint.weights.tobytes()


def test_without_a_test_split_the_final_unit_has_no_score(make: Make) -> None:
    setting = make("", "data.test=0")
    outcome = perform(bench(setting, "f1"), Unit(configured(setting), FINAL, (0, 0), 4))
    assert np.isnan(outcome.score)
    assert outcome.measured == {}
    assert outcome.checkpoint.status == "finished"


def test_the_final_units_metrics_are_those_on_the_test_rows(make: Make) -> None:
    setting = make()
    outcome = perform(bench(setting, "f1"), Unit(configured(setting), FINAL, (0, 0), 4))
    final = setting.problem.final
    recipe = Recipe.of(configured(setting), setting.registry, "accuracy")
    network = trained(Run(recipe, final, setting.problem.outputs, outcome.checkpoint))
    predicted = network.infer(final.x_validation).argmax(axis=1)
    f1 = f1_score(final.target_validation, predicted, average="macro")
    assert outcome.measured == {"f1": pytest.approx(f1, rel=1e-6)}
    assert outcome.score == (predicted == final.target_validation).mean()
