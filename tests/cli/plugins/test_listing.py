"""``tunekit plugins``: what there is to choose from, and what could not be used."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunekit.cli.plugins.paper import without_paper
from tunekit.components import KINDS, Component
from tunekit.plugins import load

Command = Callable[..., subprocess.CompletedProcess[str]]
Install = Callable[..., None]

REGISTRY = load(entry_points=False)
BUILTIN = [(kind, name) for kind in KINDS for name in REGISTRY.names(kind)]


def component(kind: str, name: str) -> type[Component]:
    return REGISTRY.find(KINDS[kind], name)


def as_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert (done.returncode, done.stderr) == (0, "")
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def row(done: subprocess.CompletedProcess[str], name: str) -> str:
    """The line of the listing that begins with that name."""
    [found] = [line for line in done.stdout.splitlines() if line.split()[:1] == [name]]
    return found


def section(done: subprocess.CompletedProcess[str], title: str) -> list[str]:
    """The lines below a title, up to the next empty one."""
    below = done.stdout.partition(f"\n\n{title}")[2]
    return below.partition("\n\n")[0].splitlines()[1:]


def test_every_component_is_listed_with_its_summary(tunekit: Command) -> None:
    done = tunekit("plugins")
    assert done.returncode == 0
    for kind, name in BUILTIN:
        summary = without_paper(component(kind, name).summary())
        assert f"  {name:<21} {summary}" in done.stdout.splitlines()


def test_on_a_narrow_terminal_every_component_has_one_line(
    tunekit: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = tunekit("plugins").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert len([line for line in lines if line.startswith("  ")]) >= len(BUILTIN)
    assert "  relu                  Rectified linear unit." in lines
    assert "  macro_f1              Mean over the labels of the harmonic mean of..." in lines


def test_json_lists_the_same(tunekit: Command) -> None:
    printed = as_json(tunekit("plugins", "--json"))
    own = [c for c in printed["components"] if c["owner"]["origin"] == "tunekit"]
    assert [(c["kind"], c["name"]) for c in own] == BUILTIN
    assert all(c["summary"] == component(c["kind"], c["name"]).summary() for c in own)
    assert set(printed) == {"components", "left_out", "disabled", "contested", "observers"}


@pytest.mark.parametrize("name", ["loss", "losses"])
def test_one_kind_can_be_listed(name: str, tunekit: Command) -> None:
    done = tunekit("plugins", name)
    assert done.stdout.startswith("losses\n")
    assert "huber" in done.stdout
    assert "adam" not in done.stdout
    printed = as_json(tunekit("plugins", name, "--json"))
    assert {c["kind"] for c in printed["components"]} == {"loss"}


def test_a_plugin_file_is_listed_with_where_it_comes_from(tunekit: Command, mine: Path) -> None:
    # What stands in brackets is text, and no instruction to the terminal.
    done = tunekit("plugins", "--plugin", "mine.py")
    assert row(done, "mine") == "  mine                  Goes from [low] to [/high].  (mine.py)"
    [owner] = [
        c["owner"]
        for c in as_json(tunekit("plugins", "--plugin", "mine.py", "--json"))["components"]
        if c["name"] == "mine"
    ]
    assert (owner["name"], owner["origin"], owner["entry_point"]) == (str(mine), "file", "")


def test_a_broken_file_of_the_command_line_is_listed_as_that(
    tunekit: Command, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("import os\nraise ValueError('no')\n")
    done = tunekit("plugins", "--plugin", "broken.py")
    assert done.returncode == 0
    assert "left out\n  broken.py\n    ValueError: no\n    broken.py:2\n" in done.stdout
    done = tunekit("plugins", "my_rule", "--plugin", "broken.py")
    assert done.returncode == 2
    assert "ValueError: no (broken.py, line 2)" in done.stderr


def test_a_broken_file_of_the_environment_is_left_out(
    tunekit: Command, tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text("import os\nraise ValueError('no')\n")
    monkeypatch.setenv("TUNEKIT_PLUGINS", "gone.py:mine.py:broken.py")
    done = tunekit("plugins")
    assert (done.returncode, done.stderr) == (0, "")
    assert "(mine.py)" in row(done, "mine")
    assert section(done, "left out") == [
        "  gone.py",
        "    cannot read this plugin file: No such file or directory",
        "  broken.py",
        "    ValueError: no",
        "    broken.py:2",
    ]
    left_out = as_json(tunekit("plugins", "mine", "--json"))["left_out"]
    assert [(o["reason"], o["line"]) for o in left_out][1] == ("ValueError: no", 2)


def test_installed_plugins_have_their_version_and_a_broken_one_is_left_out(
    launch: Command, tmp_path: Path, site: Path, install: Install
) -> None:
    install("mine")
    install("broken", "raise RuntimeError('out of ideas')\n")
    done = launch("plugins", cwd=tmp_path, path=site)
    assert (done.returncode, done.stderr) == (0, "")
    assert row(done, "mine").endswith("  (tunekit-mine 0.3)")
    assert row(done, "adam")
    assert section(done, "left out") == [
        "  tunekit-broken 0.3 (entry point broken)",
        "    RuntimeError: out of ideas",
        "    site/broken.py:1",
    ]
    printed = as_json(launch("plugins", "--json", cwd=tmp_path, path=site))
    broken = {"name": "tunekit-broken", "version": "0.3"}
    broken |= {"origin": "distribution", "entry_point": "broken"}
    assert printed["left_out"] == [
        {
            "owner": broken,
            "reason": "RuntimeError: out of ideas",
            "file": str(site / "broken.py"),
            "line": 1,
        }
    ]
    # Every page says so in a line.
    done = launch("plugins", "mine", cwd=tmp_path, path=site)
    last = "Left out: tunekit-broken 0.3. tunekit plugins says why."
    assert done.stdout.splitlines()[-1] == last
    # Who asks for something of the broken plugin is told why it is not there.
    done = launch("plugins", "brilliant", cwd=tmp_path, path=site)
    assert done.returncode == 2
    assert "tunekit-broken 0.3 (entry point broken): RuntimeError: out of ideas" in done.stderr


def test_a_name_that_two_plugins_claim_is_listed_with_both(
    launch: Command, tmp_path: Path, site: Path, install: Install
) -> None:
    install("mine")
    install("yours")
    done = launch("plugins", cwd=tmp_path, path=site)
    owners = "tunekit-mine 0.3 (entry point mine), tunekit-yours 0.3 (entry point yours)"
    assert section(done, "contested") == [f"  activation.mine: {owners}"]
    [contested] = as_json(launch("plugins", "--json", cwd=tmp_path, path=site))["contested"]
    assert (contested["kind"], contested["name"]) == ("activation", "mine")
    assert [owner["entry_point"] for owner in contested["owners"]] == ["mine", "yours"]
    done = launch("plugins", "mine", cwd=tmp_path, path=site)
    assert done.returncode == 2
    assert "two activations are called 'mine'" in done.stderr


def test_a_disabled_plugin_is_named(
    launch: Command, tmp_path: Path, site: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("mine")
    monkeypatch.setenv("TUNEKIT_DISABLED", "mine")
    done = launch("plugins", cwd=tmp_path, path=site)
    assert section(done, "disabled") == ["  tunekit-mine 0.3 (entry point mine)"]
    [disabled] = as_json(launch("plugins", "--json", cwd=tmp_path, path=site))["disabled"]
    assert disabled["entry_point"] == "mine"


def test_who_observes_is_named_with_the_hooks(tunekit: Command, watch: Path) -> None:
    done = tunekit("plugins", "--plugin", "watch.py")
    [line] = section(done, "observers")
    assert line.startswith("  watch.py ")
    assert line.endswith("  tunekit_trial_finished")
    [observer] = as_json(tunekit("plugins", "--plugin", "watch.py", "--json"))["observers"]
    assert observer["hooks"] == ["tunekit_trial_finished"]
    # tunekit's own are not.
    assert as_json(tunekit("plugins", "--json"))["observers"] == []


ALL = "lists all that there are; a plugin file is named with --plugin FILE."


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("adan", "Did you mean 'adam'?"),
        ("optimizerz", "Did you mean 'optimizers'?"),
        ("optimizer.lyon", "Did you mean 'lion'?"),
        ("optimiser.lion", "Did you mean 'optimizer.lion'?"),
        ("qqqq", f"tunekit plugins {ALL}"),
        ("optimizer.qqqq", f"tunekit plugins optimizer {ALL}"),
    ],
)
def test_an_unknown_name_is_led_to_a_known_one(name: str, hint: str, tunekit: Command) -> None:
    done = tunekit("plugins", name)
    assert done.returncode == 2
    assert done.stderr == f"error: no component is called {name!r}. {hint}\n"


def test_an_installed_plugin_can_be_trained_with(
    launch: Command, small: Path, site: Path, install: Install
) -> None:
    install("mine")
    install("broken", "raise RuntimeError('out of ideas')\n")
    more = ["--json", "--set", "search.activation=mine"]
    done = launch("train", "small.toml", *more, cwd=small.parent, path=site)
    assert json.loads(done.stdout)["configuration"]["activation.mine.slope"] == 0.3
