"""Installed plugins: found by their entry points, and contained when they fail."""

from __future__ import annotations

import importlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tunekit import Optimizer, PluginError, Schedule, UnknownNameError
from tunekit.plugins import Owner, Packed, Registry, load

LION = """\
from tunekit import Optimizer, hookimpl


class Lion(Optimizer):
    name = "lion"

    def direction(self, w, g, state, step):
        return g


@hookimpl
def tunekit_optimizers():
    return [Lion]
"""


BEFORE = load()  # with whatever is installed where the tests run


def same_names(registry: Registry) -> bool:
    return all(registry.names(kind) == BEFORE.names(kind) for kind in ("optimizer", "schedule"))


def test_they_are_found_and_own_what_they_bring(install: Any, halving: str) -> None:
    install(halving, "installed_halving")
    registry = load()
    assert "halving" in registry.names("schedule")
    owner = registry.owner("schedule", "halving")
    assert owner == Owner("installed_halving", "2.1", "distribution", "mine")
    assert str(owner) == "installed_halving 2.1"


BROKEN = {
    "installed_unspeakable": (
        "class Odd(Exception):\n    def __str__(self):\n        raise ValueError\n\nraise Odd\n",
        "Odd: its message cannot be read",
        5,
    ),
    "installed_basely": (
        "class Odd(BaseException):\n    pass\n\nraise Odd('out')\n",
        "Odd: out",
        4,
    ),
    "installed_init": (
        "from tunekit import Schedule\n\nclass Mine(Schedule):\n    name = 'mine'\n\n"
        "    def __init__(self, rate=1.0):\n        self.rate = rate\n",
        "Mine defines __init__; its typed fields are its hyperparameters",
        3,
    ),
    "installed_raising": ("import os\n\nx = 1 / 0\n", "ZeroDivisionError: division by zero", 3),
    "installed_leaving": ("import sys\n\nsys.exit('no licence')\n", "SystemExit: no licence", 3),
    "installed_unparsable": ("x = 1\ndef f(:\n", "this is not valid Python", 2),
    "installed_needing": ("import nowhere_at_all\n", "No module named 'nowhere_at_all'", 1),
    "installed_in_json": ("import json\n\njson.loads('{')\n", "JSONDecodeError", 3),
    "installed_hookless": ("x = 1\n", "this plugin implements no hook", None),
    "installed_raising_hook": (
        "from tunekit import hookimpl\n\n@hookimpl\ndef tunekit_losses():\n    return 1 / 0\n",
        "ZeroDivisionError",
        5,
    ),
    "installed_newer": (
        "from tunekit import hookimpl\n\n@hookimpl\ndef tunekit_batch_seen(x):\n    pass\n",
        "this version of tunekit has no hook tunekit_batch_seen",
        None,
    ),
    "installed_wider": (
        "from tunekit import hookimpl\n\n@hookimpl\ndef tunekit_trial_started(ask, gpu):\n"
        "    pass\n",
        "tunekit_trial_started asks for the argument 'gpu', which this version of tunekit does "
        "not give to that hook; it gives ask, configuration",
        None,
    ),
    "installed_range": (
        "from tunekit import Float, Schedule\n\nclass Mine(Schedule):\n    name = 'mine'\n"
        "    rate = Float(0.5, low=0.0, high=1.0)\n",
        "Mine.rate has a range but no type",
        3,
    ),
}


@pytest.mark.parametrize(
    ("module", "text", "reason", "line"),
    [(module, *broken) for module, broken in BROKEN.items()],
    ids=BROKEN,
)
def test_a_broken_one_is_left_out_and_named_with_the_line(
    install: Any, tmp_path: Path, module: str, text: str, reason: str, line: int | None
) -> None:
    install(text, module)
    registry = load()
    (left_out,) = registry.left_out
    assert left_out.owner == Owner(module, "2.1", "distribution", "mine")
    assert reason in left_out.reason
    if line is None:
        assert left_out.place is None
        assert str(left_out) == f"{module} 2.1 (entry point mine): {left_out.reason}"
    else:
        assert left_out.place is not None
        assert (left_out.place.file, left_out.place.line) == (
            str(tmp_path / f"{module}.py"),
            line,
        )
        assert str(left_out).endswith(f" ({module}.py, line {line})")
    assert same_names(registry)


def test_an_entry_point_names_no_class(install: Any, tmp_path: Path) -> None:
    install(LION, "installed_class")
    points = tmp_path / "installed_class-2.1.dist-info" / "entry_points.txt"
    points.write_text("[tunekit]\nmine = installed_class:Lion\n", encoding="utf-8")
    assert "its entry point names the class Lion" in load().left_out[0].reason


def test_a_module_that_is_not_there_has_no_line(install: Any, tmp_path: Path) -> None:
    install(LION, "installed_gone")
    (tmp_path / "installed_gone.py").unlink()
    importlib.invalidate_caches()
    assert load().left_out[0].place is None


def test_a_module_with_two_entry_points_is_one_plugin(
    install: Any, tmp_path: Path, halving: str
) -> None:
    install(halving, "installed_twice")
    points = tmp_path / "installed_twice-2.1.dist-info" / "entry_points.txt"
    points.write_text("[tunekit]\na = installed_twice\nb = installed_twice\n", encoding="utf-8")
    registry = load()
    assert registry.owner("schedule", "halving").entry_point == "a"
    assert not registry.left_out


def test_who_was_made_for_a_newer_tunekit_is_told_so(install: Any, tmp_path: Path) -> None:
    install("from tunekit import NotYet\n", "installed_early")
    metadata = tmp_path / "installed_early-2.1.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text() + "Requires-Dist: tunekit>=9\n")
    assert re.search(
        r"It was made for tunekit>=9, and this is tunekit \d", load().left_out[0].reason
    )


def test_half_a_plugin_does_not_stay(install: Any, halving: str) -> None:
    install(halving.replace("[Halving]", "[Halving, 3]"), "installed_half")
    registry = load()
    assert "it holds 3" in registry.left_out[0].reason
    assert same_names(registry)


def test_what_a_refused_plugin_observes_is_not_told_to_it(
    install: Any, halving: str, caplog: pytest.LogCaptureFixture
) -> None:
    observing = "\n@hookimpl\ndef tunekit_final_started():\n    raise RuntimeError('still there')\n"
    text = halving.replace('"halving"', '"Half of it"') + observing
    install(text, "installed_observing")
    registry = load()
    assert "Halving has the name 'Half of it'" in registry.left_out[0].reason
    registry.notify("tunekit_final_started", runs=1)
    assert not caplog.records


def test_a_refused_plugin_contests_no_name(install: Any) -> None:
    second = LION.replace("class Lion", "class Other").replace('"lion"', '"Not A Name"')
    text = LION.replace("[Lion]", "[Lion, Other]").replace(
        "@hookimpl", second.partition("hookimpl\n")[2].partition("@hookimpl")[0] + "@hookimpl"
    )
    install(text, "installed_twofold")
    registry = load()
    assert "Other has the name" in registry.left_out[0].reason
    assert registry.find(Optimizer, "lion").name == "lion"


def test_who_needs_what_was_left_out_is_told_why(install: Any) -> None:
    install("import nowhere_at_all\n", "installed_rules")
    with pytest.raises(UnknownNameError) as caught:
        load().find(Optimizer, "lab_rule")
    assert caught.value.message.endswith(
        "Left out was installed_rules 2.1 (entry point mine): ModuleNotFoundError: "
        "No module named 'nowhere_at_all' (installed_rules.py, line 1)."
    )


def test_a_hook_of_another_version_may_be_optional(install: Any, halving: str) -> None:
    newer = "\n@hookimpl(optionalhook=True)\ndef tunekit_batch_seen(x):\n    pass\n"
    install(halving + newer, "installed_both_ways")
    registry = load()
    assert not registry.left_out
    assert "halving" in registry.names("schedule")


class TestContestedNames:
    @pytest.fixture
    def two(self, install: Any, halving: str) -> None:
        install(halving, "installed_one", "one")
        install(halving, "installed_two", "two")

    @pytest.mark.usefixtures("two")
    def test_nobody_gets_a_name_that_two_claim(self) -> None:
        registry = load()
        with pytest.raises(PluginError) as caught:
            registry.find(Schedule, "halving")
        assert caught.value.message == (
            "two schedules are called 'halving': one of installed_one 2.1 (entry point one), "
            "one of installed_two 2.1 (entry point two); rename one, or disable one: "
            '[plugins] disabled = ["two"]'
        )
        assert [str(owner) for owner in registry.contested["schedule", "halving"]] == [
            "installed_one 2.1",
            "installed_two 2.1",
        ]
        assert not registry.left_out
        assert "halving" not in registry.names("schedule")

    def test_entry_points_of_one_name_are_told_apart_by_their_distributions(
        self, install: Any, halving: str
    ) -> None:
        install(halving, "installed_one")
        install(halving, "installed_two")
        with pytest.raises(PluginError, match=r'disabled = \["installed_two"\]$'):
            load().find(Schedule, "halving")
        registry = load(disabled=["installed_two"])
        assert registry.owner("schedule", "halving").name == "installed_one"

    @pytest.mark.usefixtures("two")
    def test_disabling_one_settles_it(self) -> None:
        registry = load(disabled=["two"])
        assert str(registry.owner("schedule", "halving")) == "installed_one 2.1"

    def test_a_third_is_named_as_well(self, two: None, install: Any, halving: str) -> None:
        install(halving, "installed_three", "three")
        with pytest.raises(PluginError, match="three schedules are called 'halving'"):
            load().find(Schedule, "halving")

    def test_no_distribution_takes_the_name_of_a_built_in(self, install: Any) -> None:
        install(LION, "installed_lion")
        registry = load()
        with pytest.raises(PluginError) as caught:
            registry.find(Optimizer, "lion")
        assert "one of tunekit built in, one of installed_lion 2.1" in caught.value.message
        assert registry.find(Optimizer, "adam").name == "adam"
        assert load(disabled=["mine"]).owner("optimizer", "lion").name == "tunekit"

    def test_a_file_beside_a_distribution_is_refused_with_both_owners(
        self, install: Any, write: Any, halving: str
    ) -> None:
        install(halving, "installed_halving")
        with pytest.raises(PluginError, match="two schedules") as caught:
            load([write(halving + "\n")])
        assert "installed_halving 2.1" in caught.value.message
        assert "mine.py" in caught.value.message


def test_a_file_that_is_installed_as_well_is_one_plugin(
    install: Any, tmp_path: Path, write: Any, halving: str
) -> None:
    install(halving, "installed_halving")
    (tmp_path / "copied").mkdir()
    copied = write(halving, "copied/installed_halving.py")
    for file in (tmp_path / "installed_halving.py", copied):
        registry = load([file])
        assert registry.owner("schedule", "halving").name == str(file)
        assert not registry.contested
    edited = write(halving + "\n", "copied/installed_halving.py")
    with pytest.raises(PluginError, match="two schedules are called 'halving'"):
        load([edited])


class TestDisabling:
    def test_an_entry_point_is_disabled_by_name(self, install: Any, halving: str) -> None:
        install(halving, "installed_halving", "by_half")
        registry = load(disabled=["by_half"])
        assert "halving" not in registry.names("schedule")
        assert [owner.in_full for owner in registry.disabled] == [
            "installed_halving 2.1 (entry point by_half)"
        ]

    def test_it_is_not_even_imported(self, install: Any) -> None:
        install("1 / 0\n", "installed_raising")
        assert not load(disabled=["mine"]).left_out

    def test_the_environment_disables_for_every_command(
        self, install: Any, halving: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        install(halving, "installed_halving", "by_half")
        monkeypatch.setenv("TUNEKIT_DISABLED", "other, by_half")
        assert "halving" not in load().names("schedule")

    def test_who_needs_it_is_told(self, install: Any, halving: str) -> None:
        install(halving, "installed_halving", "by_half")
        with pytest.raises(UnknownNameError, match=r"Disabled is .*\(entry point by_half\)\.$"):
            load(disabled=["by_half"]).find(Schedule, "halving")

    def test_workers_disable_the_same(self, install: Any, halving: str) -> None:
        install(halving, "installed_halving", "by_half")
        registry = Packed.of(load(disabled=["by_half"])).load()
        assert "halving" not in registry.names("schedule")


@pytest.mark.parametrize(
    ("name", "is_told"),
    [
        ("adm", False),
        ("sdg", False),
        ("rmspropp", False),
        ("adamixed", True),
        ("walk_far", True),
    ],
)
def test_a_name_that_is_no_slip_may_be_that_of_a_plugin(name: str, is_told: bool) -> None:
    with pytest.raises(UnknownNameError) as caught:
        load(entry_points=False).find(Optimizer, name)
    assert ("If a plugin brings it, install that" in caught.value.message) == is_told


class TestDigests:
    def test_a_module_has_that_of_its_file(self, install: Any, write: Any, halving: str) -> None:
        as_file = load([write(halving)], entry_points=False).digest("schedule", "halving")
        install(halving, "installed_as_file")
        assert load().digest("schedule", "halving") == as_file

    def test_an_edited_module_has_another_at_the_same_version(
        self, install: Any, tmp_path: Path, halving: str
    ) -> None:
        install(halving, "installed_to_edit")
        registry = load()
        before = registry.digest("schedule", "halving")
        (tmp_path / "installed_to_edit.py").write_text(halving.replace("0.5", "0.25"))
        assert registry.digest("schedule", "halving") != before


def test_what_two_threads_load_at_once_is_run_once_and_whole(write: Any, halving: str) -> None:
    path = write("import time\n\ntime.sleep(0.3)\n" + halving)
    with ThreadPoolExecutor(2) as pool:
        registries = list(pool.map(lambda _: load([path], entry_points=False), range(2)))
    first, second = (registry.find(Schedule, "halving") for registry in registries)
    assert first is second


def test_workers_leave_out_installed_plugins_where_the_coordinator_does(
    install: Any, halving: str
) -> None:
    install(halving, "installed_halving")
    assert "halving" in Packed.of(load()).load().names("schedule")
    assert "halving" not in Packed.of(load(entry_points=False)).load().names("schedule")
