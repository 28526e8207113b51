"""What was searched, as told by the space's words and the trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tunekit.records import FinishedTrial, StudyInfo
from tunekit.report.parameters import searched

Make = Callable[..., FinishedTrial]


def test_only_what_has_several_values_was_searched(
    info: Callable[..., StudyInfo], trials: Callable[[int], tuple[FinishedTrial, ...]]
) -> None:
    found = {parameter.name: parameter for parameter in searched(info().space, trials(9))}
    assert "optimizer.sgd.nesterov" not in found
    assert "epochs" not in found
    assert found["batch_size"].choices == ("32", "64", "128")
    lr = found["optimizer.adam.lr"]
    assert (lr.low, lr.high, lr.log, lr.whole) == (1e-4, 0.1, True, False)
    assert found["network.depth"].whole


def test_a_trial_that_lacks_it_has_no_value(trial: Make) -> None:
    [parameter] = searched({"optimizer.adam.lr": "0.0001 to 0.1, log scale"}, [])
    assert parameter.of(trial(1)) is not None  # adam
    assert parameter.of(trial(0)) is None  # sgd


def test_an_axis_reaches_over_all_that_was_tried(trial: Make) -> None:
    wide = replace(trial(0), params={"network.width": 512})
    [parameter] = searched({"network.width": "16 to 256, log scale"}, [wide])
    assert parameter.high == 512


def test_what_is_no_longer_in_the_space_is_told_by_the_trials(trial: Make) -> None:
    gone = replace(trial(0), params={"loss": "hinge"})
    [parameter] = searched({}, [gone])
    assert (parameter.choices, parameter.words) == (("hinge",), "one of hinge")
