"""Several objectives, constraints and first configurations, as the command shows them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from tunekit.cli.progress import trial_line
from tunekit.records import FinishedTrial, Objective
from tunekit.study.constraints import from_words

Command = Callable[..., subprocess.CompletedProcess[str]]

SEVERAL = (
    *("--set", 'study.metric=["accuracy", "parameters"]'),
    *("--set", 'study.constraints=["parameters < 60_000", "log_loss <= 1.3"]'),
    *("--set", "study.first=[{ optimizer.sgd.lr = 0.05, network.width = 16 }]"),
    *("--set", "network.width=[16, 32, 8192, 16384]"),
    *("--set", "study.name=several"),
)
OBJECTIVES = (Objective("accuracy", True), Objective("parameters", False))


def finished(
    state: str = "complete", violation: float = 0.0, reason: str = "", **measured: float
) -> FinishedTrial:
    configuration = {
        "optimizer": "adam",
        "activation": "relu",
        "schedule": "constant",
        "network.hidden": "16",
        "network.normalization": "none",
        "batch_size": 32,
    }
    return FinishedTrial(
        *(3, 3, state, 0.875 if state == "complete" else None, {}, configuration),  # type: ignore[arg-type]
        measured=measured, violation=violation, reason=reason,
    )  # fmt: skip


def test_a_line_has_all_objectives_and_says_what_is_broken() -> None:
    constraints = from_words(("log_loss < 1", "parameters < 60000"))
    trial = finished(violation=0.5, parameters=12345.0, log_loss=1.5)
    line = trial_line(trial, OBJECTIVES, constraints)
    assert "complete accuracy 0.875, parameters 12,345 " in line
    assert line.endswith("(breaks 'log_loss < 1': 1.5)")
    assert "breaks" not in trial_line(finished(parameters=5.0), OBJECTIVES, constraints)


def test_a_line_of_what_was_not_trained_has_the_reason_once() -> None:
    reason = "not trained: 70,000 parameters break 'parameters < 60000'"
    trial = finished("pruned", 0.2, reason, parameters=70000.0)
    line = trial_line(trial, OBJECTIVES, from_words(("parameters < 60000",)))
    assert line.endswith(f"({reason})")


def test_metric_and_best_are_lists_and_lines_and_summary_show_the_front(
    tunekit: Command, searched: Path
) -> None:
    done = tunekit("search", "small.toml", *SEVERAL, "--trials", "6", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["metric"] == ["accuracy", "parameters"]
    assert found["constraints"] == ["parameters < 60000", "log_loss <= 1.3"]
    values = [(trial["value"], trial["measured"]["parameters"]) for trial in found["best"]]
    assert values == sorted(set(values), reverse=True)
    assert all(trial["violation"] == 0 for trial in found["best"])
    assert "trial 0    complete accuracy 0." in done.stderr
    assert ", parameters 131 " in done.stderr
    assert "(not trained: 65,539 parameters break 'parameters < 60000')" in done.stderr
    assert "*best*" not in done.stderr

    again = tunekit("search", "small.toml", *SEVERAL, "--trials", "6")
    assert "in all objectives" in again.stdout
    assert "The best by accuracy, again on fresh seeds:" in again.stdout


def test_with_one_objective_they_are_not(tunekit: Command, searched: Path) -> None:
    found = json.loads(tunekit("search", "small.toml", "--json").stdout)
    assert found["metric"] == "accuracy"
    assert found["best"]["violation"] == 0


def test_a_search_in_which_nothing_is_trained_fails(tunekit: Command, searched: Path) -> None:
    change = ("--set", 'study.constraints=["parameters < 5"]', "--set", "study.name=small2")
    done = tunekit("search", "small.toml", *change)
    assert done.returncode == 1
    assert "no trial was completed" in done.stderr


def test_a_dry_run_shows_objectives_constraints_and_what_is_tried_first(
    tunekit: Command, small: Path
) -> None:
    lines = tunekit("search", str(small), *SEVERAL, "--dry-run").stdout.splitlines()
    assert lines[0].endswith("maximize accuracy, minimize parameters")
    assert lines[1:3] == [
        "trials have to keep to parameters < 60000",
        "trials have to keep to log_loss <= 1.3",
    ]
    assert lines[-3].startswith("tried first: optimizer = sgd, optimizer.sgd.lr = 0.05, ")
    found = json.loads(tunekit("search", str(small), *SEVERAL, "--dry-run", "--json").stdout)
    assert found["metric"] == ["accuracy", "parameters"]
    assert found["constraints"] == ["parameters < 60000", "log_loss <= 1.3"]
    assert [first["optimizer.sgd.lr"] for first in found["first"]] == [0.05]


def test_a_sampler_that_cannot_is_told_with_what_can(tunekit: Command, small: Path) -> None:
    done = tunekit("search", str(small), *SEVERAL, "--set", "sampler.name=cmaes")
    assert done.returncode == 2
    assert "sampler.name: the sampler 'cmaes' cannot handle several metrics" in done.stderr
