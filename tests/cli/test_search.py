"""``tunekit search``: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]
Finished = tuple[Path, subprocess.CompletedProcess[str]]

NEVER = """\
from tunekit import Optimizer, hookimpl


class Never(Optimizer):
    name = "never"
    lr: float = 0.1

    def direction(self, w, g, state, step):
        raise ArithmeticError("out of ideas")


@hookimpl
def tunekit_optimizers():
    return [Never]
"""


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_json_is_one_object_with_all_that_the_search_found(finished: Finished) -> None:
    folder, done = finished
    result = json.loads(done.stdout)
    assert result["study"] == "small"
    assert result["status"] == "finished"
    assert result["metric"] == "accuracy"
    assert result["trials"] == {"complete": 4, "pruned": 0, "failed": 0}
    best = result["best"]
    assert 0 <= best["number"] < 4
    assert 0 <= best["value"] <= 1
    assert set(best["params"]) <= set(best["configuration"])
    assert best["params"]["optimizer"] in ("adam", "sgd")
    numbers = [finalist["number"] for finalist in result["finalists"]]
    assert len(numbers) == 2
    assert numbers[0] == best["number"]
    assert all(len(finalist["per_seed"]) == 2 for finalist in result["finalists"])
    test = result["test"]
    assert test["metric"] == "accuracy"
    assert test["mean"] == pytest.approx(sum(test["per_seed"]) / 2)
    assert test["spread"] >= 0
    mlflow = result["mlflow"]
    assert mlflow["tracking_uri"] == f"sqlite:///{folder}/mlflow.db"
    assert mlflow["run_id"] in mlflow["url"]
    assert f"/experiments/{mlflow['experiment_id']}/" in mlflow["url"]
    seconds = result["seconds"]
    assert 0 < seconds["training"] <= seconds["total"]


def test_results_live_beside_the_study_file(finished: Finished) -> None:
    assert {"optuna.db", "mlflow.db"} <= files(finished[0])


def test_progress_is_one_line_a_trial_on_standard_error(finished: Finished) -> None:
    lines = finished[1].stderr.splitlines()
    assert lines[0] == "small: 150 rows, 4 features, 3 classes, 1 validation fold"
    trials = [line for line in lines if "  trial " in line]
    assert len(trials) == 4
    assert all("complete accuracy " in line for line in trials)
    assert trials[0].endswith("*best*")


def test_a_finished_search_run_again_trains_nothing_and_prints_the_same(
    tunekit: Command, finished: Finished, searched: Path
) -> None:
    done = tunekit("search", "small.toml", "--json")
    assert done.returncode == 0
    assert "going on after 4 recorded trials" in done.stderr
    assert "  trial " not in done.stderr
    before, now = json.loads(finished[1].stdout), json.loads(done.stdout)
    assert now["seconds"]["training"] == 0
    for key in ("study", "status", "metric", "trials", "best", "finalists", "test"):
        assert now[key] == before[key]
    assert now["mlflow"]["run_id"] == before["mlflow"]["run_id"]


def test_the_summary_for_people_is_on_standard_output_alone(
    tunekit: Command, finished: Finished, searched: Path
) -> None:
    done = tunekit("search", "small.toml")
    result = json.loads(finished[1].stdout)
    best, test = result["best"], result["test"]
    assert "small: 4 trials (4 complete)" in done.stdout
    assert f"Trial {best['number']}, " in done.stdout
    for name in best["params"]:
        assert f"  {name} = " in done.stdout
    assert f"Test accuracy {test['mean']:.4g} ± {test['spread']:.2g}: " in done.stdout
    assert "tunekit ui small.toml" in done.stdout
    assert "Test" not in done.stderr
    assert "going on" not in done.stdout


def test_the_command_it_ends_with_can_be_typed(launch: Command, searched: Path) -> None:
    study = searched / "my study.toml"
    (searched / "small.toml").rename(study)
    done = launch("search", study.name, "--set", "study.name=small", cwd=searched)
    told = done.stdout.partition("Look at all trials: ")[2].strip()
    assert told == "python -m tunekit ui 'my study.toml' --set 'study.name=\"small\"'"


def test_trials_is_the_total_of_the_record(tunekit: Command, searched: Path) -> None:
    done = tunekit("search", "small.toml", "--json", "--trials", "6")
    assert json.loads(done.stdout)["trials"]["complete"] == 6
    assert sum("  trial " in line for line in done.stderr.splitlines()) == 2
    assert [n for n in range(9) if f"  trial {n} " in done.stderr] == [4, 5]


def test_no_trial_starts_after_the_timeout(tunekit: Command, searched: Path) -> None:
    done = tunekit("search", "small.toml", "--json", "--trials", "200", "--timeout", "0.2s")
    counted = json.loads(done.stdout)["trials"]
    assert 4 <= sum(counted.values()) < 200


def test_what_cannot_be_compared_is_refused_with_the_difference_and_the_way_out(
    tunekit: Command, searched: Path
) -> None:
    done = tunekit("search", "small.toml", "--json", "--set", "study.seed=4")
    assert done.returncode == 2
    assert "study.seed: was 0, is 4" in json.loads(done.stdout)["error"]["message"]
    assert "--fresh" in done.stderr
    assert "  trial " not in done.stderr


def test_fresh_starts_over(tunekit: Command, searched: Path) -> None:
    done = tunekit("search", "small.toml", "--json", "--fresh", "--trials", "2")
    assert json.loads(done.stdout)["trials"]["complete"] == 2
    assert "going on" not in done.stderr


def test_set_and_workers_replace_what_the_file_says(tunekit: Command, searched: Path) -> None:
    done = tunekit(
        *("search", "small.toml", "--json", "--fresh", "--workers", "1", "--trials", "1"),
        *("--set", "train.epochs=2", "--set", "search.optimizer=lion"),
        *("--set", "space.optimizer.lion.beta1={low = 0.85, high = 0.95}"),
    )
    result = json.loads(done.stdout)
    assert result["best"]["configuration"]["epochs"] == 2
    assert result["best"]["configuration"]["optimizer"] == "lion"
    assert 0.85 <= result["best"]["params"]["optimizer.lion.beta1"] <= 0.95


def test_the_exit_code_is_1_when_every_trial_fails(tunekit: Command, searched: Path) -> None:
    (searched / "never.py").write_text(NEVER)
    arguments = ["search", "small.toml", "--set", "study.name=never", "--plugin", "never.py"]
    arguments += ["--set", "search.optimizer=never", "--trials", "2"]
    done = tunekit(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    told = done.stderr.splitlines()[-1]
    assert told.startswith(f"error: {searched / 'small.toml'}: all 2 trials failed, the first")
    assert "ArithmeticError" in told
    assert "out of ideas" in told
    assert "Traceback" not in done.stderr
    again = tunekit(*arguments, "--json")
    assert again.returncode == 1
    assert "out of ideas" in json.loads(again.stdout)["error"]["message"]


def test_names_are_printed_as_they_are(tunekit: Command, searched: Path) -> None:
    study = (searched / "small.toml").read_text().replace("[study]", '[study]\nname = "a [/b]"')
    (searched / "small.toml").write_text(study)
    assert tunekit("search", "small.toml", "--dry-run").stdout.startswith("a [/b]: 150 rows")
    done = tunekit("search", "small.toml", "--trials", "1")
    assert "a [/b]: 1 trial " in done.stdout


def dry(tunekit: Command, *more: str) -> dict[str, Any]:
    done = tunekit("search", "small.toml", "--dry-run", "--json", *more)
    assert (done.returncode, done.stderr) == (0, "")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_dry_run_lists_every_parameter_with_its_condition(tunekit: Command, small: Path) -> None:
    result = dry(tunekit)
    space = {entry.pop("name"): entry for entry in result["space"]}
    searched = {name: (e["default"], e["when"]) for name, e in space.items() if e["searched"]}
    assert searched == {
        "optimizer": ("adam", None),
        "optimizer.adam.lr": (0.001, "optimizer = adam"),
        "optimizer.adam.beta1": (0.9, "optimizer = adam"),
        "optimizer.adam.beta2": (0.999, "optimizer = adam"),
        "optimizer.sgd.lr": (0.05, "optimizer = sgd"),
        "optimizer.sgd.momentum": (0.9, "optimizer = sgd"),
        "optimizer.sgd.nesterov": (False, "optimizer = sgd"),
        "regularizer.dropout": (False, None),
        "regularizer.dropout.rate": (0.2, "regularizer.dropout = true"),
    }
    assert space["optimizer.adam.lr"]["values"] == "0.0001 to 0.1, log scale"
    assert space["batch_size"]["values"] == "16"
    assert result["study"] == "small"
    assert result["metric"] == "accuracy"
    assert (result["data"]["rows"], result["data"]["features"]) == (150, 4)


def test_a_dry_run_for_people_says_the_same(tunekit: Command, small: Path) -> None:
    done = tunekit("search", "small.toml", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    for entry in dry(tunekit)["space"]:
        assert entry["values"] in lines[entry["name"]]
        assert (entry["when"] or "") in lines[entry["name"]]
    assert "150 rows, 4 features, classification, 1 validation fold;" in done.stdout
    assert done.stdout.endswith("9 searched; sampler tpe, pruner none. Nothing was trained.\n")


def test_a_dry_run_writes_nothing(tunekit: Command, small: Path) -> None:
    dry(tunekit)
    tunekit("search", "small.toml", "--dry-run")
    assert files(small.parent) == {"small.toml"}


def test_a_dry_run_has_what_the_options_change(tunekit: Command, small: Path) -> None:
    result = dry(tunekit, "--set", "search.optimizer=rmsprop", "--set", "train.batch_size=[8, 64]")
    space = {entry["name"]: entry for entry in result["space"]}
    assert space["optimizer"]["values"] == "rmsprop"
    assert space["batch_size"]["values"] == "one of 8, 64"
    assert tomllib.loads(small.read_text())["train"]["batch_size"] == 16
