"""``tunekit ui``: a real MLflow server on the store of a real search."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def descendants(parent: int) -> set[int]:
    """The processes that a process started, and those that they started."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                status = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            children.setdefault(int(status.rpartition(")")[2].split()[1]), []).append(int(entry))
    found: set[int] = set()
    waiting = [parent]
    while waiting:
        new = children.get(waiting.pop(), [])
        found.update(new)
        waiting.extend(new)
    return found


def living(processes: set[int]) -> set[int]:
    """Those that have not ended; an ended one may wait for whoever inherited it."""
    found = set()
    for pid in processes:
        with suppress(OSError):
            status = Path(f"/proc/{pid}/stat").read_text()
            if status.rpartition(")")[2].split()[0] != "Z":
                found.add(pid)
    return found


@pytest.fixture
def ui(searched: Path) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own; nothing of it is left, whatever the test finds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tunekit", "ui", "small.toml", "--no-browser", "--port", "5400"],
        cwd=searched,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        for pid in [process.pid, *descendants(process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@needs_proc
def test_the_server_answers_here_and_ends_with_ctrl_c(ui: subprocess.Popen[str]) -> None:
    assert ui.stdout is not None
    lines = [ui.stdout.readline() for _ in range(9)]
    assert lines[0] == "trials of small, best first:\n"
    assert lines[-1] == "Ctrl-C ends the server.\n"
    found = re.match(r"  (http://127\.0\.0\.1:\d+)/#/experiments/\d+/runs\?", lines[1])
    assert found is not None
    assert all(line.startswith(f"  {found[1]}/#/experiments/") for line in lines[1:8:2])
    with urllib.request.urlopen(f"{found[1]}/health") as answer:
        assert answer.status == 200

    started = descendants(ui.pid)
    assert started
    ui.send_signal(signal.SIGINT)
    rest, told = ui.communicate(timeout=30)
    assert ui.returncode == 0
    assert (rest, told) == ("", "starting the MLflow server ...\n")
    give_up = time.monotonic() + 10
    while living(started):
        assert time.monotonic() < give_up, "the server outlived its command"
        time.sleep(0.02)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{found[1]}/health")


def test_a_study_without_results_is_told(tunekit: Command, small: Path) -> None:
    done = tunekit("ui", "small.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert str(small) in done.stderr
    assert "run `tunekit search small.toml` first" in done.stderr
    assert [path.name for path in small.parent.iterdir()] == ["small.toml"]


def test_another_study_in_a_store_with_results_is_told(tunekit: Command, searched: Path) -> None:
    text = (searched / "small.toml").read_text()
    (searched / "other.toml").write_text(text)
    done = tunekit("ui", "other.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no results of 'other' yet" in done.stderr


def test_a_study_that_was_renamed_is_looked_for_under_that_name(
    tunekit: Command, searched: Path
) -> None:
    done = tunekit("search", "small.toml", "--set", "study.name=two words", "--trials", "1")
    assert done.stdout.endswith("tunekit ui small.toml --set 'study.name=\"two words\"'\n")
    done = tunekit("ui", "small.toml", "--set", "study.name=third")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no results of 'third' yet" in done.stderr


@pytest.mark.parametrize("port", ["-1", "0", "65536"])
def test_an_impossible_port_is_told(port: str, tunekit: Command, searched: Path) -> None:
    done = tunekit("ui", "small.toml", "--no-browser", "--port", port)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--port" in done.stderr
