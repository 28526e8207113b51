from __future__ import annotations

from tunekit.records import StudyInfo
from tunekit.tracking.choices import options, searched


def test_only_what_every_trial_chooses_is_compared(study: StudyInfo) -> None:
    assert searched(study) == [
        "optimizer",
        "activation",
        "schedule",
        "regularizer.dropout",
        "network.depth",
        "network.width",
        "batch_size",
    ]


def test_there_are_options_where_something_is_chosen_by_name(study: StudyInfo) -> None:
    assert options(study, "optimizer") == ["adam", "lion", "sgd"]
    assert options(study, "network.depth") == options(study, "initializer") == []
