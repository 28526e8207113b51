from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tunekit.records import FinishedTrial, StudyInfo
from tunekit.tracking.client import connect, quiet
from tunekit.tracking.server import Server
from tunekit.tracking.view import REPORT, Located, shared_views, view_url

LOCATED = Located("7", "abc")
SCATTERS = ("trial_number vs. objective", "log10_learning_rate vs. objective")


def state(study: StudyInfo, key: str = LOCATED.key) -> Any:
    tags = shared_views(study, LOCATED, created=1, updated=2)
    return json.loads(json.loads(tags[f"mlflow.sharedViewState.{key}"])["state"])


def test_the_link_opens_the_table_of_the_study() -> None:
    assert view_url("http://127.0.0.1:5000/", LOCATED) == (
        "http://127.0.0.1:5000/#/experiments/7/runs"
        "?viewStateShareKey=tunekit-abc&workflowType=machine_learning"
    )


def test_trials_are_sorted_best_first(study: StudyInfo) -> None:
    assert state(study)["orderByAsc"] is False
    assert state(replace(study, larger_is_better=False))["orderByAsc"] is True


def test_the_table_shows_the_objective_what_was_chosen_and_the_state(study: StudyInfo) -> None:
    assert state(study)["selectedColumns"] == [
        "metrics.`objective`",
        "params.`optimizer`",
        "params.`activation`",
        "params.`schedule`",
        "tags.`state`",
        "tags.`diagnosis`",
    ]


def test_what_the_search_chooses_in_the_first_place_has_the_columns(study: StudyInfo) -> None:
    fixed = replace(study, space={**study.space, "optimizer": "adam"})

    assert state(fixed)["selectedColumns"][1:4] == [
        "params.`activation`",
        "params.`schedule`",
        "params.`regularizer.dropout`",
    ]


def test_the_columns_fit_beside_the_panel_that_mlflow_opens(study: StudyInfo) -> None:
    widths = state(study)["columnWidths"]

    # Of the table in a window 1400 pixels wide; at least the diagnosis begins to show.
    selection, diagnosis, beside_the_panel = 73, 50, 788
    assert selection + sum(widths.values()) + diagnosis < beside_the_panel
    assert list(widths) == state(study)["columnOrder"][:-1]


def test_curves_the_objective_by_trial_and_by_rate_are_on_the_first_page(study: StudyInfo) -> None:
    charts = state(study)["compareRunCharts"][:3]

    assert charts[0]["metricKey"] == "val_accuracy"
    assert charts[0]["lineSmoothness"] == 0  # or the page smooths curves and says nothing of it
    assert [chart["xaxis"]["key"] for chart in charts[1:]] == [
        "trial_number",
        "log10_learning_rate",
    ]
    assert {chart["yaxis"]["key"] for chart in charts[1:]} == {"objective"}


def test_charts_are_headed_by_what_the_colours_mean(study: StudyInfo) -> None:
    for key in (LOCATED.key, f"{LOCATED.key}-all"):
        heading = state(study, key)["compareRunSections"][0]["name"]
        assert heading == "Blue adam, orange lion, green sgd"


def test_a_loss_that_is_the_metric_is_drawn_once(study: StudyInfo) -> None:
    charts = state(replace(study, metric="loss"))["compareRunCharts"]

    assert [c["metricKey"] for c in charts if c["type"] == "LINE"] == ["val_loss", "train_loss"]


def test_the_overview_leaves_out_what_has_no_objective_of_its_own(study: StudyInfo) -> None:
    query = state(study, f"{LOCATED.key}-all")["searchFilter"]

    assert query.endswith(" and tags.state = 'complete' and tags.diverged IS NULL")


def test_a_study_that_searches_nothing_has_no_parallel_coordinates(study: StudyInfo) -> None:
    fixed = replace(study, space={"optimizer": "adam", "batch_size": "32"})

    charts = state(fixed, f"{LOCATED.key}-all")["compareRunCharts"]

    assert {chart["type"] for chart in charts} == {"SCATTER"}


def test_every_chart_is_in_a_section_that_is_there(study: StudyInfo) -> None:
    for key in (LOCATED.key, f"{LOCATED.key}-all"):
        sections = {section["uuid"] for section in state(study, key)["compareRunSections"]}
        assert {chart["metricSectionId"] for chart in state(study, key)["compareRunCharts"]} <= (
            sections
        )


def test_a_view_fits_into_an_experiments_tag(study: StudyInfo) -> None:
    many = {f"a_rather_long_setting.number_{i}": "1 to 9" for i in range(200)}

    tags = shared_views(
        replace(study, space={**study.space, **many}), LOCATED, created=1, updated=2
    )

    assert all(len(value) < 20_000 for value in tags.values())


@pytest.mark.browser
def test_the_link_shows_the_trials_best_first_with_what_was_chosen(
    served: tuple[Server, Located],
    browser: Any,
    trials: Callable[[], tuple[FinishedTrial, ...]],
) -> None:
    server, located = served

    browser.open(view_url(server.base, located))
    browser.text(until="\ntrial 13\n")  # it failed and comes last
    lines = browser.text(until="\npruned\n").splitlines()

    best_first = sorted(
        (trial for trial in trials() if trial.state == "complete"),
        key=lambda trial: -(trial.value or 0.0),
    )
    shown = [line for line in lines if line.startswith("trial ")]
    assert shown[:16] == [f"trial {trial.number}" for trial in best_first]
    assert {"objective", "optimizer", "activation", "schedule", "state"} <= set(lines)
    assert {"adam", "lion", "relu", "cosine", "complete", "pruned", "failed"} <= set(lines)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("link", "titles"),
    [
        ("curves", ["val_accuracy", *SCATTERS, "val_loss", "train_loss"]),
        ("overview", [*SCATTERS, "Choices", "Parallel Coordinates", "network.width"]),
    ],
)
def test_the_charts_are_those_of_the_view(
    served: tuple[Server, Located], browser: Any, link: str, titles: list[str]
) -> None:
    server, located = served

    browser.open(f"{server.base}/{getattr(located, link)}")

    for title in titles:
        browser.text(until=f"\n{title}\n")
    assert "Blue adam, orange lion, green sgd" in browser.text(until="trial 1")


@pytest.mark.browser
def test_the_description_links_to_the_view(served: tuple[Server, Located], browser: Any) -> None:
    server, located = served

    browser.open(f"{server.base}/{located.run}")

    page = browser.text(until="Best: trial 1")
    assert "Trials, best first · Curves of the leading" in page


@pytest.mark.browser
@pytest.mark.parametrize(
    ("link", "shown"),
    [("progress", "\nAuto-refresh"), ("report", f"/artifacts/{REPORT}\n")],
)
def test_links_into_the_studys_run_open_the_page_that_is_meant(
    served: tuple[Server, Located], browser: Any, link: str, shown: str
) -> None:
    server, located = served
    with quiet():
        connect(server.base).log_text(located.run_id, "<p>", REPORT)

    browser.open(f"{server.base}/{getattr(located, link)}")

    browser.text(until=shown)
