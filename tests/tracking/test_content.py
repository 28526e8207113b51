from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from tunekit.records import Curve, FinishedTrial
from tunekit.space import Scalar
from tunekit.tracking import content

Trial = Callable[..., FinishedTrial]


def test_the_first_fold_has_the_metrics_own_names_and_the_others_an_ending(trial: Trial) -> None:
    keys = {point.key for point in content.points(trial(0))}

    assert {"val_accuracy", "val_accuracy.fold2", "train_loss", "train_loss.fold2"} <= keys
    assert {"objective", "trial_number", "training_seconds", "parameters", "fold_score"} <= keys


def test_only_a_complete_trial_has_an_objective(trial: Trial) -> None:
    for state, expected in (("complete", "objective"), ("pruned", "last_report"), ("failed", None)):
        points = content.points(trial(5, state))
        values = {p.key: p.value for p in points if p.key in ("objective", "last_report")}
        assert values == ({expected: trial(5, state).value} if expected else {})


def test_every_trial_has_the_rate_of_its_optimizer_under_one_name(trial: Trial) -> None:
    for state in ("complete", "pruned", "failed"):
        values = {p.key: p.value for p in content.points(trial(4, state))}
        rate = trial(4).configuration["optimizer.adam.lr"]
        assert values["learning_rate"] == rate
        assert 10 ** values["log10_learning_rate"] == pytest.approx(rate)


def test_an_optimizer_without_a_rate_has_none(trial: Trial) -> None:
    configuration: dict[str, Scalar] = {"optimizer": "newton", "optimizer.sgd.lr": 0.1}
    keys = {p.key for p in content.points(replace(trial(0), configuration=configuration))}

    assert not {"learning_rate", "log10_learning_rate"} & keys


def test_how_far_a_trial_came_can_be_compared(trial: Trial) -> None:
    came = {
        state: p.value
        for state in ("complete", "pruned", "failed")
        for p in content.points(trial(4, state))
        if p.key == "epochs_trained"
    }

    assert came == {"complete": 20, "pruned": 5, "failed": 0}


def test_what_else_a_study_measures_stands_beside_the_objective(trial: Trial) -> None:
    measured = {"parameters": 1234.0, "latency": 0.5, "f1": 0.75}
    points = content.points(replace(trial(0), measured=measured))

    last = [(p.key, p.value, p.step) for p in points if p.key in measured]
    assert sorted(last) == [("f1", 0.75, 0), ("latency", 0.5, 0), ("parameters", 1234.0, 0)]


def test_a_trial_that_breaks_a_constraint_can_be_filtered_out(trial: Trial) -> None:
    assert "feasible" not in content.tags(trial(0))
    assert content.tags(replace(trial(0), violation=0.5))["feasible"] == "false"


def test_values_that_are_not_finite_are_left_out(trial: Trial) -> None:
    curve = Curve(0, (0, 1, 2, 3), {"val_loss": (2.0, math.nan, math.inf, 1.0)})

    points = content.points(replace(trial(0), curves=(curve,), value=None))

    assert [(p.step, p.value) for p in points if p.key == "val_loss"] == [(0, 2.0), (3, 1.0)]
    assert "objective" not in {point.key for point in points}


def test_times_lie_within_the_trial_and_depend_on_nothing_else(trial: Trial) -> None:
    points = content.points(trial(3))

    assert points == content.points(trial(3))
    assert all(trial(3).started * 1000 <= p.time <= trial(3).finished * 1000 for p in points)


def test_values_are_written_as_in_a_study_file_and_in_full_precision(trial: Trial) -> None:
    params = content.parameters(trial(0))

    assert params["regularizer.dropout"] == "true"
    assert float(params["optimizer.sgd.lr"]) == trial(0).configuration["optimizer.sgd.lr"]


def test_tags_say_how_a_trial_ended_and_what_it_was_made_from(trial: Trial) -> None:
    tags = content.tags(trial(13, "failed"))

    assert tags["state"] == "failed"
    assert tags["reason"] == "the loss is NaN"
    assert tags["diverged"] == "true"
    assert tags["data.digest"] == "0123456789abcdef"


def test_no_batch_exceeds_what_mlflow_takes_in_one_call_and_nothing_is_lost() -> None:
    points = [content.Point("m", 0.0, 0, step) for step in range(2000)]
    params = {f"p{i}": "" for i in range(150)}

    batches = list(content.batches(points, params))

    assert [point for part, _ in batches for point in part] == points
    assert [name for _, part in batches for name in part] == list(params)
    assert all(len(part) + len(names) <= 1000 and len(names) <= 100 for part, names in batches)


def test_an_ordinary_trial_is_one_batch(trial: Trial) -> None:
    batches = content.batches(content.points(trial(0)), content.parameters(trial(0)))

    assert len(list(batches)) == 1


def test_layers_are_shown_at_few_epochs_and_scores_at_all(trial: Trial) -> None:
    epochs = tuple(range(201))
    values = tuple(float(epoch) for epoch in epochs)
    metrics = {"val_accuracy": values, "dead.layer1": values}
    found = content.points(replace(trial(0), curves=(Curve(0, epochs, metrics),)))
    assert sum(point.key == "val_accuracy" for point in found) == 201
    layers = [point.step for point in found if point.key == "dead.layer1"]
    assert len(layers) <= 41
    assert (layers[0], layers[-1]) == (0, 200)
