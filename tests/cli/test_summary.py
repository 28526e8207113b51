"""The end of a search, as a person reads it."""

from __future__ import annotations

import io
from collections.abc import Mapping

from rich.console import Console

from tunekit.cli.summary import as_json, print_summary
from tunekit.records import FinishedTrial, Remark, StudyInfo, StudyResult
from tunekit.space import Scalar

CONFIGURATION: Mapping[str, Scalar] = {
    "optimizer": "adam",
    "optimizer.adam.lr": 0.001,
    "activation": "relu",
    "schedule": "constant",
    "network.hidden": "16",
    "network.normalization": "none",
    "batch_size": 32,
}
INFO = StudyInfo(
    name="small",
    file=None,
    folder=".",
    text="",
    identity="i",
    metric="accuracy",
    larger_is_better=True,
    space={},
    trials=1,
    recorded=(),
    data={},
    tracking_uri="",
    artifact_root=None,
    experiment="small",
)
TRIAL = FinishedTrial(0, 0, "complete", 0.9, {}, CONFIGURATION)
EDGE = Remark("edge", "lr = 0.0098 is at the [upper] edge of its range: " + "raise `high` " * 9)


def printed(*remarks: Remark) -> str:
    console = Console(file=io.StringIO(), width=60)
    result = StudyResult("finished", TRIAL, (TRIAL,), remarks=remarks)
    print_summary(INFO, result, look="tunekit ui", console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_remarks_are_wrapped_bullets_before_the_last_line() -> None:
    lines = printed(EDGE, Remark("few", "4 trials are few.")).splitlines()
    begin = lines.index("Before you believe it:")
    assert lines[begin - 1] == ""
    assert lines[begin + 1].startswith("- lr = 0.0098 is at the [upper] edge")
    assert lines[begin + 2].startswith("  ")
    assert "- 4 trials are few." in [line.rstrip() for line in lines]
    assert lines[-1] == "Look at all trials: tunekit ui"


def test_a_search_without_remarks_says_nothing_of_belief() -> None:
    assert "believe" not in printed()


def test_json_holds_the_remarks() -> None:
    result = StudyResult("finished", TRIAL, (TRIAL,), remarks=(Remark("few", "Few."),))
    assert as_json(INFO, result, {}, {})["remarks"] == [{"kind": "few", "words": "Few."}]
