"""The page as a whole: well formed, safe, complete, and sensible for every kind of study."""

from __future__ import annotations

import json
import math
import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunekit.records import (
    Curve,
    Finalist,
    FinishedTrial,
    Importances,
    Objective,
    StudyInfo,
    StudyResult,
)
from tunekit.report.page import page
from tunekit.space import Scalar

Trials = Callable[[int], tuple[FinishedTrial, ...]]
Make = Callable[..., Any]


class Tags(HTMLParser):
    """Sees that every element is closed where it should be, and collects the visible text."""

    EMPTY: ClassVar = {"meta", "link", "br"}

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        """What a person reads."""
        return " ".join(" ".join(self.words).split())


def read(html: str) -> str:
    """The text of a page that is well formed and needs nothing else."""
    tags = Tags(html)
    assert len(tags.ids) == len(set(tags.ids))
    assert {link for link in tags.links if link[0] != "#"} == {"data:,"}
    assert {link[1:] for link in tags.links if link[0] == "#"} <= set(tags.ids)
    assert not re.search(r"@import|url\(", html)
    for drawing in re.findall(r"<svg.*?</svg>", html, re.S):
        if drawing.count("<svg") == 1:
            ET.fromstring(drawing)
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"<pre.*?</pre>|<script.*?</script>", "", html))
    return tags.text


def test_somebody_who_was_not_there_finds_what_they_need_in_order(
    info: Make, result: Make, trials: Trials, importances: Importances
) -> None:
    ended = result(trials(40))
    text = read(page(info(), ended, importances))
    sections = ["Result", "Leaderboard", "What mattered", "The search", "Diagnoses"]
    places = [text.rindex(title) for title in [*sections[:1], *sections[2:]]]
    assert places == sorted(places)
    for words in (
        "40 trials over 10 hyperparameters (at most 8 in one trial) in search of the best accuracy",
        "on digits (classification, 1,797 rows, 64 features, 10 classes, 3 validation folds)",
        f"Trial {ended.best.number} won: sgd at learning rate 0.015, 1 hidden layer of 64",
        "Test accuracy 0.9530 ± 0.0040",
        "Before you believe it These are few trials.",
        "The best 15 of 36 complete trials",
        "PED-ANOVA. This holds for these trials only.",
        "The others do not stand out from chance.",
        "Importances can mislead",
        "40 trials: 36 complete, 2 pruned and 2 failed.",
        "2 workers trained for",
        "tunekit search digits.toml --trials 20",
        f"tunekit train digits.toml --trial {ended.best.number}",
        'name = "digits"',
        "digest of the data 0123456789abcdef",
    ):
        assert words in text


def test_names_reasons_and_files_are_text_and_nothing_else(
    info: Make, result: Make, trial: Make
) -> None:
    evil = "</script><img src=x onerror=alert(1)>&\"'"
    odd = trial(
        0,
        params={"optimizer": evil, f"optimizer.{evil}.lr": 0.1},
        configuration={"optimizer": evil, f"optimizer.{evil}.lr": 0.1, "activation": evil},
        provenance={evil: evil},
    )
    failed = trial(1, state="failed", value=None, reason=evil, scores=(), curves=())
    study = info(name=evil, text=evil, command=evil, space={"optimizer": f"one of {evil}, adam"})
    html = page(study, result((odd, failed, trial(2))), Importances({evil: 1.0}, evil, evil))
    assert "<img" not in html
    assert html.count("</script>") == 2
    text = read(html)
    assert text.count(evil) >= 8
    [data] = re.findall(r'<script type="application/json" id="trials">(.*?)</script>', html, re.S)
    assert json.loads(data)["1"][1] == evil


def test_what_a_pruned_trial_came_to_is_not_shown_as_its_value(
    info: Make, result: Make, trials: Trials
) -> None:
    html = page(info(), result(trials(6)))
    [data] = re.findall(r'<script type="application/json" id="trials">(.*?)</script>', html, re.S)
    tips = json.loads(data)
    assert tips["3"][:2] == ["trial 3, pruned", "last report 0.5000"]
    assert "report" not in tips["2"][1]


def test_the_browser_is_told_to_fetch_and_run_nothing_else(
    info: Make, result: Make, trials: Trials
) -> None:
    html = page(info(), result(trials(3)))
    [policy] = re.findall(r'Content-Security-Policy" content="(.*?)">', html)
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy


def no_change(study: StudyInfo, result: StudyResult) -> tuple[StudyInfo, StudyResult]:
    return study, result


def interrupted(study: StudyInfo, result: StudyResult) -> tuple[StudyInfo, StudyResult]:
    return study, replace(result, status="interrupted", finalists=(), test=None)


def regression(study: StudyInfo, result: StudyResult) -> tuple[StudyInfo, StudyResult]:
    data: dict[str, Scalar] = {"task": "regression"}
    return replace(study, metric="rmse", larger_is_better=False, data=data), result


def multilabel(study: StudyInfo, result: StudyResult) -> tuple[StudyInfo, StudyResult]:
    data: dict[str, Scalar] = {"name": "films", "task": "multilabel", "rows": 9, "outputs": 4}
    return replace(study, metric="micro_f1", data=data), result


def one_parameter(study: StudyInfo, result: StudyResult) -> tuple[StudyInfo, StudyResult]:
    def kept(trial: FinishedTrial) -> FinishedTrial:
        params = {"network.width": trial.params["network.width"]}
        return replace(trial, params=params)

    trials = tuple(kept(trial) for trial in result.trials)
    study = replace(study, space={"network.width": "16 to 256, log scale"})
    return study, replace(result, trials=trials)


def nothing_searched(study: StudyInfo, result: StudyResult) -> tuple[StudyInfo, StudyResult]:
    trials = tuple(replace(trial, params={}) for trial in result.trials)
    return replace(study, space={"optimizer": "sgd"}), replace(result, trials=trials)


def all_diverged(study: StudyInfo, result: StudyResult) -> tuple[StudyInfo, StudyResult]:
    trials = tuple(replace(trial, diverged=True, value=0.1) for trial in result.trials)
    best = trials[0] if trials else None
    return study, replace(result, trials=trials, best=best, finalists=())


def all_failed(study: StudyInfo, result: StudyResult) -> tuple[StudyInfo, StudyResult]:
    trials = tuple(
        replace(t, state="failed", value=None, scores=(), curves=(), reason="no memory")
        for t in result.trials
    )
    nothing: dict[str, Any] = {"best": None, "finalists": (), "test": None}
    return study, replace(result, status="failed", trials=trials, **nothing)


def two_objectives(study: StudyInfo, result: StudyResult) -> tuple[StudyInfo, StudyResult]:
    objectives = (Objective("accuracy", True), Objective("latency", False))
    trials = tuple(
        replace(t, measured={"latency": 1e-4 * (1 + t.number)}, violation=0.5 * (t.number == 4))
        for t in result.trials
    )
    front = tuple(t for t in trials if t.state == "complete")[:2]
    study = replace(study, objectives=objectives, constraints=("parameters < 50000",))
    return study, replace(result, trials=trials, front=front)


def odd_values(study: StudyInfo, result: StudyResult) -> tuple[StudyInfo, StudyResult]:
    nothing = Curve(0, (0, 1, 2), {"val_accuracy": (math.nan, math.nan, math.nan)})
    trials = tuple(replace(t, value=t.value and 0.5, curves=(nothing,)) for t in result.trials)
    finalists = tuple(Finalist(t.number, 0.5, (), math.nan) for t in trials[:1])
    return replace(study, data={}, command="", file=None), replace(
        result, trials=trials, finalists=finalists
    )


def bare(study: StudyInfo, result: StudyResult) -> tuple[StudyInfo, StudyResult]:
    """As an old record has it: no spans, diagnoses, curves, sizes or provenance."""
    nothing: dict[str, Any] = {"spans": (), "diagnosis": None, "curves": (), "parameters": None}
    trials = tuple(replace(t, provenance={}, scores=(), **nothing) for t in result.trials)
    return study, replace(result, trials=trials, remarks=())


KINDS: dict[Callable[[StudyInfo, StudyResult], tuple[StudyInfo, StudyResult]], str] = {
    no_change: "To repeat it",
    interrupted: "The search was interrupted after",
    regression: "rmse",
    multilabel: "films (multilabel, 9 rows, 4 labels)",
    one_parameter: "1 hyperparameter",
    nothing_searched: "no hyperparameters",
    all_diverged: "diverged",
    all_failed: "No winner: ",
    two_objectives: "Constraints: parameters < 50000.",
    odd_values: "tunekit search STUDY.toml",
    bare: "To repeat it",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_every_kind_of_study_gets_a_sensible_page(
    kind: Any, count: int, info: Make, result: Make, trials: Trials, importances: Importances
) -> None:
    study, ended = kind(info(), result(trials(count)))
    text = read(page(study, ended, importances if count > 2 else None))
    said = {"regression", "multilabel", "two_objectives"}
    if count > 0 or kind.__name__ in said:
        assert KINDS[kind] in text
    else:
        assert "No trials over" in text


def test_without_a_test_split_validation_is_not_sold_as_honest(
    info: Make, result: Make, trials: Trials
) -> None:
    text = read(page(info(), result(trials(9), test=None)))
    assert "There is no test score: all figures are of rows that the winner was chosen by" in text
    assert "Honest" not in text


def test_the_front_is_drawn_and_listed(info: Make, result: Make, trials: Trials) -> None:
    study, ended = two_objectives(info(), result(trials(9)))
    html = page(study, ended)
    assert 'class="front"' in html
    text = read(html)
    assert "2 trials of 7 that no other one beats in all objectives" in text
    assert "Better is up and to the left." in text


def test_two_thousand_trials_stay_small_and_quick(
    info: Make, result: Make, trials: Trials, importances: Importances
) -> None:
    many = result(trials(2000))
    begin = time.perf_counter()
    html = page(info(), many, importances)
    assert time.perf_counter() - begin < 10  # 0.3 s where nothing else runs
    assert len(html) < 1_500_000
    read(html)


scalars = st.one_of(st.booleans(), st.integers(-5, 500), st.floats(width=32), st.text(max_size=5))
values = st.one_of(st.none(), st.floats())


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_record_however_odd_breaks_the_page(
    data: st.DataObject, info: Make, result: Make, trial: Make
) -> None:
    def drawn(number: int) -> FinishedTrial:
        params = data.draw(
            st.dictionaries(st.sampled_from(["optimizer", "batch_size", "odd.name"]), scalars)
        )
        changed: FinishedTrial = trial(
            number,
            state=data.draw(st.sampled_from(["complete", "pruned", "failed"])),
            value=data.draw(values),
            params=params,
            scores=tuple(data.draw(st.lists(st.floats(), max_size=2))),
            diverged=data.draw(st.booleans()),
            violation=data.draw(st.sampled_from([0.0, 0.5])),
        )
        return replace(changed, configuration={**changed.configuration, **params})

    trials = tuple(drawn(number) for number in range(data.draw(st.integers(0, 4))))
    best = next((t for t in trials if t.state == "complete" and t.value is not None), None)
    ended = result(trials, best=best, finalists=(), test=None)
    study = info(larger_is_better=data.draw(st.booleans()))
    Tags(page(study, ended, None))
