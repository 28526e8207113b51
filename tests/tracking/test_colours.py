"""The colours of trials: what they mean, and that they can be told apart."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import replace

from tunekit.records import FinishedTrial, StudyInfo
from tunekit.tracking.colours import HUES, TAG, colour, legend

Trial = Callable[..., FinishedTrial]


def hue(study: StudyInfo, trial: FinishedTrial) -> float:
    """In degrees."""
    code = colour(study, trial)[TAG]
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 360 * colorsys.rgb_to_hls(red, green, blue)[0]


def test_trials_of_one_optimizer_have_one_hue(study: StudyInfo, trial: Trial) -> None:
    for number, expected in ((0, "green"), (1, "blue"), (2, "orange")):  # sgd, adam, lion
        for other in range(0, 60, 7):
            same = replace(trial(number), number=other)
            assert abs(hue(study, same) - HUES[expected]) < 8


def test_trials_of_one_optimizer_are_told_apart(study: StudyInfo, trial: Trial) -> None:
    codes = [colour(study, replace(trial(0), number=number))[TAG] for number in range(100)]

    assert len(set(codes)) == 100


def test_the_legend_names_the_hues(study: StudyInfo) -> None:
    assert legend(study) == "Blue adam, orange lion, green sgd"


def test_with_one_optimizer_colours_stand_for_what_is_chosen_next(
    study: StudyInfo, trial: Trial
) -> None:
    one = replace(study, space={**study.space, "optimizer": "adam"})

    assert legend(one) == "Blue gelu, orange relu, green tanh"
    assert abs(hue(one, trial(3)) - HUES["blue"]) < 8  # it has gelu


def test_a_switch_is_a_choice_too(study: StudyInfo, trial: Trial) -> None:
    switch = replace(study, space={"regularizer.dropout": "one of false, true"})

    assert abs(hue(switch, trial(4)) - HUES["orange"]) < 8


def test_without_choices_mlflow_chooses_the_colours(study: StudyInfo, trial: Trial) -> None:
    fixed = replace(study, space={"optimizer": "adam", "batch_size": "16 to 64"})

    assert colour(fixed, trial(0)) == {}
    assert legend(fixed) == ""


def test_a_trial_from_before_a_list_was_shortened_has_no_colour(
    study: StudyInfo, trial: Trial
) -> None:
    shorter = replace(study, space={**study.space, "optimizer": "one of adam, lion"})

    assert colour(shorter, trial(0)) == {}  # it has sgd
