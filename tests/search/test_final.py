"""The final when runs of it fail, or when it is cut short."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tunekit import StudyResult, hookimpl
from tunekit.errors import WorkError
from tunekit.search.recalled_study import recalled
from tunekit.search.run import run_search
from tunekit.search.setting import Setting

Make = Callable[..., Setting]

MOODY = '''
import math
import os
from pathlib import Path

from tunekit import Float, Metric, Optimizer, hookimpl

def mood():
    file = Path(r"{file}")
    return file.read_text() if file.exists() else ""

class Moody(Optimizer):
    """Against the gradient, in a good mood."""
    name = "moody"
    lr: float = Float(0.1, low=0.01, high=1.0, log=True)

    def direction(self, w, g, state, step):
        if mood() == "raise":
            raise ZeroDivisionError("in a bad mood")
        if mood() == "die":
            os._exit(9)
        return g

class Hits(Metric):
    """The share of rows that are right, in a good mood."""
    name = "hits"
    needs = "labels"

    def score(self, target, prediction, weight):
        return math.nan if mood() == "nan" else float((target == prediction).mean())

@hookimpl
def tunekit_optimizers():
    return [Moody]

@hookimpl
def tunekit_metrics():
    return [Hits]
'''
SEEDS = 2


class Killed(BaseException):
    """What no one catches."""


class Moods:
    """Changes the mood in the final, and counts its runs.

    Args:
        file: Where the plugin looks its mood up.
        moods: The mood from so many finished runs on.
        killed_at: After so many the search is killed.
    """

    def __init__(self, file: Path, moods: Mapping[int, str], killed_at: int = -1) -> None:
        self.file, self.moods, self.killed_at = file, moods, killed_at
        self.done: list[int] = []
        self.runs = 0

    @hookimpl
    def tunekit_final_started(self, runs: int) -> None:
        self.runs = runs
        self.file.write_text(self.moods.get(0, ""))

    @hookimpl
    def tunekit_final_advanced(self, done: int, runs: int) -> None:
        self.done.append(done)
        if done in self.moods:
            self.file.write_text(self.moods[done])
        if done == self.killed_at:
            raise Killed

    @hookimpl
    def tunekit_study_finished(self, result: StudyResult) -> None:
        self.file.unlink(missing_ok=True)


Watched = Callable[..., tuple[Setting, Moods]]


@pytest.fixture
def watched(make: Make, tmp_path: Path) -> Watched:
    """A study of three finalists whose optimizer and metric have moods."""
    file = tmp_path / "mood"
    (tmp_path / "moody.py").write_text(MOODY.replace("{file}", str(file)))
    changes = ('study.metric="hits"', 'search.optimizer="moody"', "study.trials=4")

    def prepare(
        moods: Mapping[int, str], *set_: str, killed_at: int = -1, name: str = "small"
    ) -> tuple[Setting, Moods]:
        more = '[plugins]\nfiles = ["moody.py"]\n'
        setting = make(more, *changes, "study.finalists=3", *set_, name=name)
        observer = Moods(file, moods, killed_at)
        setting.registry.observe(observer)
        return setting, observer

    return prepare


def failures(result: StudyResult) -> list[str]:
    return [remark.words for remark in result.remarks if remark.kind == "failed_final"]


def numbers(result: StudyResult) -> set[int]:
    return {finalist.number for finalist in result.finalists}


@pytest.mark.parametrize(
    ("mood", "told"), [("raise", "ZeroDivisionError: in a bad mood"), ("nan", "hits is nan")]
)
def test_a_finalist_that_fails_is_left_out_and_the_others_are_ranked(
    watched: Watched, mood: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = run_search(watched({}, name="whole")[0]).result
    setting, moods = watched({0: mood, SEEDS: ""})
    result = run_search(setting).result
    # The first of them in the search is trained first.
    (out,) = numbers(whole) - numbers(result)
    rest = [finalist for finalist in whole.finalists if finalist.number != out]
    assert list(result.finalists) == rest
    assert all(math.isfinite(finalist.mean) for finalist in result.finalists)
    assert result.status == "finished"
    assert result.best is not None
    assert result.best.number == rest[0].number
    assert result.test is not None
    (words,) = failures(result)
    assert words.startswith(f"Trial {out} failed when it was trained again with fresh seed 1: ")
    assert told in words
    assert words in caplog.messages
    # The failed finalist's other runs count as done, and are not performed.
    assert moods.done == list(range(SEEDS, moods.runs + 1))


def test_what_failed_in_the_final_is_told_from_the_record_and_tried_again(watched: Watched) -> None:
    whole = run_search(watched({}, name="whole")[0]).result
    first = run_search(watched({0: "raise", SEEDS: ""})[0])
    setting, moods = watched({})
    known = recalled(setting.study)
    assert known is not None
    assert failures(known[1]) == failures(first.result) != []

    again = run_search(setting).result

    assert moods.done[0] == 2 * SEEDS + 1  # the other two are not trained again
    assert (again.finalists, again.test) == (whole.finalists, whole.test)
    assert failures(again) == []


def test_a_finalist_that_kills_its_workers_is_left_out(watched: Watched) -> None:
    changes = ("study.workers=1", "study.final_seeds=1", "study.finalists=2")
    result = run_search(watched({0: "die", 1: ""}, *changes)[0]).result
    assert result.status == "finished"
    assert len(result.finalists) == 1
    assert result.test is not None
    assert "the worker process died (exit code 9)" in failures(result)[0]


def test_without_any_finalist_left_the_final_fails_and_can_be_done_again(watched: Watched) -> None:
    with pytest.raises(WorkError, match=r"failed for every finalist: trial .* in a bad mood"):
        run_search(watched({0: "raise"})[0])
    result = run_search(watched({})[0]).result
    assert len(result.finalists) == 3
    assert failures(result) == []


def test_a_winner_whose_test_fails_is_told_without_a_test_score(watched: Watched) -> None:
    result = run_search(watched({3 * SEEDS: "raise"})[0]).result
    assert result.status == "finished"
    assert len(result.finalists) == 3
    assert result.test is None
    (words,) = failures(result)
    assert "is missing: its training on all rows failed with fresh seed 1" in words


def test_a_test_score_rests_on_the_seeds_that_did_not_fail(watched: Watched) -> None:
    whole = run_search(watched({}, name="whole")[0]).result
    result = run_search(watched({3 * SEEDS + 1: "raise"})[0]).result
    assert whole.test is not None
    assert result.test is not None
    assert result.test.per_seed == whole.test.per_seed[:1]
    assert "rests on 1 of 2 fresh seeds" in failures(result)[0]


@pytest.mark.parametrize("killed_at", [1, 4, 7])
def test_a_killed_final_goes_on_and_repeats_nothing(watched: Watched, killed_at: int) -> None:
    whole = run_search(watched({}, name="whole")[0]).result
    with pytest.raises(Killed):
        run_search(watched({}, killed_at=killed_at)[0])
    setting, moods = watched({})
    result = run_search(setting).result
    assert moods.runs == 3 * SEEDS + SEEDS
    assert moods.done == list(range(killed_at + 1, moods.runs + 1))
    assert (result.finalists, result.test) == (whole.finalists, whole.test)


def test_other_finalists_are_trained_though_some_runs_are_kept(watched: Watched) -> None:
    whole = run_search(watched({}, "study.trials=8", name="whole")[0]).result
    with pytest.raises(Killed):
        run_search(watched({}, killed_at=3)[0])
    result = run_search(watched({}, "study.trials=8")[0]).result
    assert (result.finalists, result.test) == (whole.finalists, whole.test)
