"""What a study's own run says in MLflow."""

from __future__ import annotations

from tunekit.records import Remark, StudyInfo, StudyResult
from tunekit.tracking.description import description
from tunekit.tracking.view import Located

STUDY = StudyInfo(
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


def test_remarks_are_bullets_whose_words_are_no_markdown() -> None:
    remark = Remark("edge", "train.batch_size is at\nthe [upper] edge: raise `high`")
    result = StudyResult("finished", None, (), remarks=(remark,))
    lines = description(STUDY, Located("1", "r"), result).splitlines()
    begin = lines.index("**Before you believe it:**")
    assert lines[begin + 2] == r"- train.batch\_size is at the \[upper\] edge: raise `high`"


def test_without_remarks_nothing_is_said_of_belief() -> None:
    result = StudyResult("finished", None, ())
    assert "believe" not in description(STUDY, Located("1", "r"), result)
