"""``tunekit check``: what is wrong with a component, line by line."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunekit import Optimizer
from tunekit.plugins import load
from tunekit.testing import checks_for

Command = Callable[..., subprocess.CompletedProcess[str]]

SOUND = '''\
from tunekit import Float, Optimizer, Schedule, hookimpl


class Mean(Optimizer):
    """Walk along a running mean of the gradients."""

    name = "mean"
    slots = ("m",)
    lr: float = Float(0.3, low=0.01, high=3.0, log=True)

    def direction(self, w, g, state, step):
        m = 0.9 * state["m"] + 0.1 * g
        state["m"] = m
        return m


@hookimpl
def tunekit_optimizers():
    return [Mean]
'''
BROKEN = SOUND.replace("0.1 * g", "0.1 * abs(g).mean()")
TWO = f'''{SOUND}

class Half(Schedule):
    """Half the rate, always."""

    name = "half"

    def factor(self, progress):
        return 0.5


@hookimpl
def tunekit_schedules():
    return [Half]
'''


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        (tmp_path / "mean.py").write_text(text)
        return "mean.py"

    return write


Write = Callable[[str], str]


def names(output: str) -> list[str]:
    """The checks that the output has lines of."""
    return re.findall(r"^  (?:ok|FAILED|expected|PASSED) +([a-z_0-9]+)  ", output, re.MULTILINE)


def test_a_file_that_keeps_its_promises_passes_check_by_check(
    tunekit: Command, plugin: Write
) -> None:
    done = tunekit("check", plugin(SOUND))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mean  optimizer, from ")
    checks = checks_for(load(["mean.py"]).find(Optimizer, "mean"))
    assert names(done.stdout) == [check.name for check in checks]
    assert re.search(r"  ok +cost +A step takes no absurd time \([\d.]+ x adam\)\n", done.stdout)
    assert done.stdout.endswith(f"\n\n{len(checks)} checks, none failed\n")


def test_a_failure_prints_what_was_expected_what_came_and_the_likely_mistake(
    tunekit: Command, plugin: Write
) -> None:
    done = tunekit("check", plugin(BROKEN))
    assert (done.returncode, done.stderr) == (1, "")
    words = " ".join(done.stdout.split())
    assert "FAILED sign " in words
    assert re.search(
        r"FAILED blocks Blocks of any size give the same directions expected the same directions "
        r"from one block as from several, .* found up to [\d.]+ of the largest direction apart in "
        r"step 1, .* likely the formula looks at the block as a whole ",
        words,
    )
    failed = len(re.findall("^  FAILED ", done.stdout, re.MULTILINE))
    assert done.stdout.splitlines()[-1] == f"{len(names(done.stdout))} checks, {failed} failed"


def test_lines_fit_the_terminal_and_a_pipe_gets_no_colours(
    launch: Command, plugin: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = launch("check", plugin(BROKEN), cwd=tmp_path)
    assert max(len(line) for line in done.stdout.splitlines()[1:]) <= 80
    assert "\x1b" not in done.stdout


def test_what_several_checks_meet_is_told_once(tunekit: Command, plugin: Write) -> None:
    done = tunekit("check", plugin(SOUND.replace("+ 0.1 * g", "+ 0.1 * h")))
    assert done.returncode == 1
    assert done.stdout.count("name 'h' is not defined (mean.py, line 12)\n") == 1
    assert done.stdout.count("the same as in shape_and_dtype\n") > 8


def test_every_component_of_a_file_is_checked(tunekit: Command, plugin: Write) -> None:
    done = tunekit("check", plugin(TWO))
    assert done.returncode == 0
    assert re.search("^mean  optimizer, from ", done.stdout, re.MULTILINE)
    assert re.search("^half  schedule, from ", done.stdout, re.MULTILINE)
    assert re.search(r"^\d+ checks of 2 components, none failed$", done.stdout, re.MULTILINE)


def test_a_component_is_checked_by_its_name(tunekit: Command, plugin: Write) -> None:
    done = tunekit("check", "schedule.constant")
    assert done.returncode == 0
    assert done.stdout.startswith("constant  schedule, from tunekit")
    done = tunekit("check", "half", "--plugin", plugin(TWO))
    assert done.returncode == 0
    assert re.search(r"^\d+ checks, none failed$", done.stdout, re.MULTILINE)


def test_a_known_failure_may_be_expected_and_has_to_come(tunekit: Command, plugin: Write) -> None:
    text = SOUND.replace('    """Walk along a running mean of the gradients."""\n', "")
    done = tunekit("check", plugin(text), "--expect", "summary=not yet")
    assert done.returncode == 0
    assert re.search(r"  expected  summary +Its docstring .* \(not yet\)\n", done.stdout)

    done = tunekit("check", plugin(SOUND), "--expect", "summary=not yet")
    assert done.returncode == 1
    words = " ".join(done.stdout.split())
    assert "PASSED summary Its docstring says what it does (but was expected to fail: " in words
    assert done.stdout.endswith(" checks, 1 failed\n")


def test_json_is_one_object_with_every_check(tunekit: Command, plugin: Write) -> None:
    # What a plugin prints does not come between.
    text = BROKEN.replace("        m = ", '        print("here")\n        m = ')
    done = tunekit("check", plugin(text), "--json")
    assert done.returncode == 1
    printed: dict[str, Any] = json.loads(done.stdout)
    [component] = printed["components"]
    assert (component["kind"], component["name"]) == ("optimizer", "mean")
    assert component["owner"].startswith(os.path.abspath("mean.py"))
    checks = {check["name"]: check for check in component["checks"]}
    assert printed["failed"] == sum(c["outcome"] == "failed" for c in checks.values()) > 0
    assert checks["summary"] == {
        "name": "summary",
        "summary": "Its docstring says what it does",
        "outcome": "passed",
        "note": None,
        "expected": None,
        "found": None,
        "likely": None,
        "seconds": checks["summary"]["seconds"],
    }
    assert "apart in step 1" in checks["blocks"]["found"]
    assert 0 < checks["blocks"]["seconds"] < 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["adm"], "no component is called 'adm'. Did you mean 'adam'?"),
        (["missing.py"], "missing.py: cannot read this plugin file: No such file or directory"),
        (["adam", "--expect", "blocks"], "--expect blocks: expected CHECK=REASON"),
        (
            ["adam", "--expect", "block=why"],
            "there is no check 'block' here. Did you mean 'blocks'",
        ),
    ],
)
def test_wrong_input_is_named(tunekit: Command, arguments: list[str], message: str) -> None:
    done = tunekit("check", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_file_that_cannot_be_loaded_is_told_with_its_line(
    tunekit: Command, plugin: Write
) -> None:
    done = tunekit("check", plugin(SOUND + "\nraise RuntimeError('stop')\n"))
    assert (done.returncode, done.stdout) == (2, "")
    line = SOUND.count("\n") + 2
    assert done.stderr.endswith(f"mean.py:{line}: RuntimeError: stop\n")


def test_a_component_that_cannot_be_made_at_its_defaults_is_told_with_its_line(
    tunekit: Command, plugin: Write
) -> None:
    picky = "    def __post_init__(self):\n        raise ValueError('never')\n\n    def direction"
    done = tunekit("check", plugin(SOUND.replace("    def direction", picky)))
    assert (done.returncode, done.stdout) == (2, "")
    assert "mean.py:12: the optimizer 'mean' cannot be made at its defaults" in done.stderr


def test_a_file_that_brings_no_component_is_told(tunekit: Command, plugin: Write) -> None:
    watching = (
        "from tunekit import hookimpl\n\n@hookimpl\ndef tunekit_trial_finished(trial):\n    pass\n"
    )
    done = tunekit("check", plugin(watching))
    assert done.returncode == 2
    assert "mean.py: it brings no component to check" in done.stderr
