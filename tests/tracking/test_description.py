"""What a study's own run says in MLflow."""

from __future__ import annotations

from dataclasses import replace

from tunekit.records import FinishedTrial, Objective, Remark, StudyInfo, StudyResult
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


def test_the_first_line_leads_to_the_views_and_in_the_end_to_the_report() -> None:
    located = Located("1", "r")
    running, ended = (
        description(STUDY, located, result).splitlines()[0]
        for result in (None, StudyResult("finished", None, ()))
    )
    for link in (located.table, located.curves, located.overview, located.progress):
        assert f"]({link})" in running
        assert f"]({link})" in ended
    assert f"[Report]({located.report})" in ended
    assert "Report" not in running


def test_the_data_are_told_in_a_sentence() -> None:
    study = replace(STUDY, data={"name": "a_[b]", "task": "regression", "rows": 1000, "outputs": 2})
    told = description(study, Located("1", "r"), StudyResult("finished", None, ()))
    assert r"Data: a\_\[b\], 1,000 rows, 2 targets." in told


def trial(number: int, value: float, size: float, violation: float = 0.0) -> FinishedTrial:
    measured = {"parameters": size}
    return FinishedTrial(
        number, number, "complete", value, {}, {}, measured=measured, violation=violation
    )


def test_several_objectives_show_the_front_and_then_the_best_by_the_first() -> None:
    objectives = (Objective("accuracy", True), Objective("parameters", False))
    front = (trial(2, 0.9, 12345), trial(0, 0.8, 99))
    trials = (front[1], trial(1, 0.7, 5000), front[0])
    result = StudyResult("finished", front[0], trials, front=front)

    told = description(replace(STUDY, objectives=objectives), Located("1", "r"), result)

    _, shown, best = told.partition("No other trial beats these in all objectives:\n\n")[2].split(
        "| trial | accuracy | parameters |\n| ---: | ---: | ---: |\n"
    )
    assert shown.startswith("| 2 | 0.9 | 12,345 |\n| 0 | 0.8 | 99 |\n\nThe best by accuracy:")
    assert best.startswith("| 2 | 0.9 | 12,345 |\n| 0 | 0.8 | 99 |\n| 1 | 0.7 | 5,000 |")


def test_what_breaks_constraints_is_no_leader() -> None:
    trials = (trial(0, 0.99, 9, violation=1.0), trial(1, 0.7, 5), trial(2, 0.8, 4))
    told = description(STUDY, Located("1", "r"), StudyResult("finished", trials[2], trials))
    rows = [line for line in told.splitlines() if line.startswith("| ")][2:]
    assert [row.split(" | ")[0] for row in rows] == ["| 2", "| 1", "| 0"]
