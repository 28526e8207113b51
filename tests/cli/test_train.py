"""``tunekit train``: one configuration, epoch by epoch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_the_default_configuration_is_trained_epoch_by_epoch(tunekit: Command, small: Path) -> None:
    done = tunekit("train", "small.toml")
    assert (done.returncode, done.stderr) == (0, "")
    header, *rows = done.stdout.splitlines()
    assert header.split() == ["epoch", "train_loss", "val_loss", "val_accuracy", "learning", "rate"]
    assert [row.split()[0] for row in rows[:4]] == ["0", "1", "2", "3"]
    assert rows[4].startswith("fold 1: accuracy ")
    assert "adam lr=0.001, relu, 1x64, batch 16" in done.stdout


def test_the_end_says_what_the_training_suffered_from(tunekit: Command, small: Path) -> None:
    slow = ("--set", "train.epochs=20", "--set", "space.optimizer.adam.lr=1e-4")
    done = tunekit("train", "small.toml", *slow)
    assert "diagnosis: rate_too_small. The validation loss still falls" in done.stdout
    told = json.loads(tunekit("train", "small.toml", "--json", *slow).stdout)
    assert told["diagnosis"]["verdict"] == "rate_too_small"


@pytest.mark.parametrize("more", [[], ["--explain"], ["--json"]])
def test_a_reader_who_leaves_early_ends_it_quietly(small: Path, more: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tunekit", "train", "small.toml", *more],
            cwd=small.parent,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_fold_is_trained(tunekit: Command, small: Path) -> None:
    done = tunekit("train", "small.toml", "--set", "data.folds=3")
    folds = [line for line in done.stdout.splitlines() if line.startswith("fold ")]
    assert [line.partition(":")[0] for line in folds] == ["fold 1", "fold 2", "fold 3"]


def test_nothing_is_recorded(tunekit: Command, small: Path) -> None:
    tunekit("train", "small.toml")
    assert [path.name for path in small.parent.iterdir()] == ["small.toml"]


def test_json_is_one_object_with_the_curves(tunekit: Command, small: Path) -> None:
    done = tunekit("train", "small.toml", "--json", "--set", "data.folds=2")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result["study"] == "small"
    assert result["metric"] == "accuracy"
    assert result["value"] == pytest.approx(sum(result["scores"]) / 2)
    assert [curve["fold"] for curve in result["curves"]] == [0, 1]
    assert result["curves"][0]["epochs"] == [0, 1, 2, 3]
    # Before the first epoch there is no training loss: not finite, so null.
    assert result["curves"][0]["metrics"]["train_loss"][0] is None
    assert result["configuration"]["optimizer"] == "adam"
    assert result["parameters"] == 4 * 64 + 64 + 64 * 3 + 3
    assert result["repeated"] is None


def test_set_and_plugin_change_what_is_trained(tunekit: Command, small: Path) -> None:
    (small.parent / "plain.py").write_text(
        "from tunekit import Optimizer, hookimpl\n\n\n"
        "class Plain(Optimizer):\n"
        '    name = "plain"\n'
        "    lr: float = 0.25\n\n"
        "    def direction(self, w, g, state, step):\n"
        "        return g\n\n\n"
        "@hookimpl\n"
        "def tunekit_optimizers():\n"
        "    return [Plain]\n"
    )
    more = ["--set", "search.optimizer=plain", "--set", "train.epochs=1", "--plugin", "plain.py"]
    result = json.loads(tunekit("train", "small.toml", "--json", *more).stdout)
    assert result["configuration"]["optimizer.plain.lr"] == 0.25
    assert result["curves"][0]["epochs"] == [0, 1]


@pytest.mark.parametrize("number", [0, 3])
def test_a_recorded_trial_is_trained_again_to_the_same_bits(
    number: int, tunekit: Command, searched: Path
) -> None:
    done = tunekit("train", "small.toml", "--trial", str(number), "--json")
    assert json.loads(done.stdout)["repeated"] == {"number": number, "same": True}
    done = tunekit("train", "small.toml", "--trial", str(number))
    assert done.stdout.endswith(f"the same to the bit as recorded trial {number}\n")


def test_a_recorded_trial_is_trained_as_it_was_whatever_the_file_says_now(
    tunekit: Command, searched: Path
) -> None:
    study = searched / "small.toml"
    study.write_text(study.read_text().replace("epochs = 3", "epochs = 9\nwarmup = 0.5"))
    done = tunekit("train", "small.toml", "--trial", "1", "--json")
    assert json.loads(done.stdout)["repeated"] == {"number": 1, "same": True}


def test_a_recorded_trial_is_not_changed(tunekit: Command, searched: Path) -> None:
    done = tunekit("train", "small.toml", "--trial", "0", "--set", "train.epochs=5")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--set only says where the record is (study.name, study.storage)" in done.stderr


def test_a_trial_that_is_not_there_is_told_with_those_that_are(
    tunekit: Command, searched: Path
) -> None:
    done = tunekit("train", "small.toml", "--trial", "9")
    assert done.returncode == 2
    assert "no trial 9; it holds trials 0 to 3" in done.stderr


def test_the_exit_code_is_1_when_the_training_fails(tunekit: Command, small: Path) -> None:
    (small.parent / "wrong.py").write_text(
        "from tunekit import Optimizer, hookimpl\n\n\n"
        "class Wrong(Optimizer):\n"
        '    name = "wrong"\n'
        "    lr: float = 0.25\n\n"
        "    def direction(self, w, g, state, step):\n"
        "        return g[:1]\n\n\n"
        "@hookimpl\n"
        "def tunekit_optimizers():\n"
        "    return [Wrong]\n"
    )
    more = ["--set", "search.optimizer=wrong", "--plugin", "wrong.py", "--json"]
    done = tunekit("train", "small.toml", *more)
    assert done.returncode == 1
    assert "wrong" in json.loads(done.stdout)["error"]["message"]
    assert "Traceback" not in done.stderr
