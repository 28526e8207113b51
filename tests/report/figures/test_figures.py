"""What the figures' captions say is what happened."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tunekit.records import FinishedTrial, Span
from tunekit.report.facts import Facts
from tunekit.report.figures import curves, history, parallel, slices, timeline

Make = Callable[..., Any]
BEGIN = 1_700_000_000.0


def facts(info: Make, result: Make, trials: tuple[FinishedTrial, ...], **study: Any) -> Facts:
    return Facts(info(**study), result(trials), None)


def test_the_history_tells_when_the_best_was_found(info: Make, result: Make, trial: Make) -> None:
    values = [0.8, 0.9, 0.85, 0.95] + [0.9] * 11
    trials = tuple(trial(n, value=value) for n, value in enumerate(values))
    drawn = history.draw(facts(info, result, trials))
    assert drawn is not None
    assert "reached 0.9500 with trial 3 of 15, after 2 improvements" in drawn.caption
    assert "The 11 trials after it brought nothing better." in drawn.caption


def test_smaller_is_better_where_the_metric_says_so(info: Make, result: Make, trial: Make) -> None:
    trials = tuple(trial(n, value=value) for n, value in enumerate([50.0, 60.0, 40.0]))
    drawn = history.draw(facts(info, result, trials, larger_is_better=False))
    assert drawn is not None
    assert "reached 40.00 with trial 2 of 3, after 1 improvement." in drawn.caption


def test_what_is_far_off_does_not_squeeze_the_others(info: Make, result: Make, trial: Make) -> None:
    trials = tuple(trial(n, value=50 + n / 10) for n in range(20))
    wild = trial(20, value=1e9)
    known = facts(info, result, (*trials, wild), larger_is_better=False)
    assert known.is_beyond(wild)
    assert not any(known.is_beyond(t) for t in trials)
    drawn = history.draw(known)
    assert drawn is not None
    assert "1 trial far off the others" in drawn.caption.lower()


def test_each_state_has_its_own_mark_and_key(info: Make, result: Make, trials: Make) -> None:
    drawn = history.draw(facts(info, result, trials(40)))
    assert drawn is not None
    keys = {css for css, _ in drawn.keys}
    assert keys == {"best", "complete", "winner", "pruned", "diverged", "failed", "carried"}
    for shape in ("star", "ring", "triangle", "cross", "box"):
        assert f'href="#{shape}"' in drawn.drawing


def test_of_many_curves_the_best_are_drawn(info: Make, result: Make, trials: Make) -> None:
    known = facts(info, result, trials(300))
    drawn = curves.draw(known)
    assert drawn is not None
    numbers = re.findall(r'data-t="(\d+)"', drawn.drawing)
    assert len(numbers) == len(set(numbers)) <= curves.MOST + 1
    assert {str(trial.number) for trial in known.ranked[:15]} <= set(numbers)
    assert f"{len(numbers)} of 285 trials" in drawn.caption


def test_a_trial_without_a_setting_passes_below_its_axis(
    info: Make, result: Make, trials: Make
) -> None:
    drawn = parallel.draw(facts(info, result, trials(12)))
    assert drawn is not None
    below = f",{parallel.HEIGHT + parallel.ABSENT - 4:g}"
    assert below in drawn.drawing
    assert "Below an axis pass the trials that have no such setting." in drawn.caption
    assert f"Of 10 hyperparameters these {parallel.AXES} most trials had." in drawn.caption


def test_one_hyperparameter_or_trial_makes_no_parallel_coordinates(
    info: Make, result: Make, trials: Make
) -> None:
    assert parallel.draw(facts(info, result, trials(1))) is None
    assert slices.draw(facts(info, result, trials(1))) == []


def spans(trial: FinishedTrial, worker: str, *pieces: tuple[float, float]) -> FinishedTrial:
    made = (Span(worker, BEGIN + begin, BEGIN + end, 0, 1) for begin, end in pieces)
    return replace(trial, spans=tuple(made))


def test_the_timeline_tells_how_idle_the_workers_were(
    info: Make, result: Make, trial: Make
) -> None:
    trials = (
        spans(trial(0), "a", (0, 10), (15, 20)),
        spans(trial(1), "b", (0, 20)),
    )
    drawn = timeline.draw(facts(info, result, trials))
    assert drawn is not None
    assert "2 workers trained for 35.0 s in 20.0 s" in drawn.caption
    assert "idle for 12% of the time" in drawn.caption  # 5 of 40 seconds


def test_pauses_between_runs_are_no_idle_time(info: Make, result: Make, trial: Make) -> None:
    trials = (
        spans(trial(0), "a", (0, 10)),
        spans(trial(1), "a", (86_410, 86_420)),
    )
    drawn = timeline.draw(facts(info, result, trials))
    assert drawn is not None
    assert "1 worker trained for 20.0 s in 20.0 s" in drawn.caption
    assert "idle for 0% of the time" in drawn.caption
    assert "an upright line stands for the pause: 1 pause." in drawn.caption


def test_what_was_carried_over_was_nobodys_work_here(info: Make, result: Make, trial: Make) -> None:
    carried = replace(spans(trial(0), "a", (0, 10)), carried=3)
    assert timeline.draw(facts(info, result, (carried,))) is None
