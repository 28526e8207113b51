from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunekit import Optimizer, PluginError, Schedule, Step, UnknownNameError
from tunekit.components import KINDS
from tunekit.plugins import COMPONENT_HOOKS, PluginFile, Registry, load

LION = '''\
import numpy as np
from tunekit import Float, Optimizer, hookimpl


class Lion(Optimizer):
    """Follow the sign of an interpolated momentum (Chen et al., 2023, arXiv:2302.06675)."""

    name = "lion"
    slots = ("m",)
    lr: float = Float(1e-4, low=1e-5, high=1e-2, log=True)
    beta1: float = Float(0.9, low=0.8, high=0.99)
    beta2: float = Float(0.99, low=0.9, high=0.999)

    def direction(self, w, g, state, step):
        m = state["m"]
        update = np.sign(self.beta1 * m + (1 - self.beta1) * g)
        state["m"] = self.beta2 * m + (1 - self.beta2) * g
        return update


@hookimpl
def tunekit_optimizers():
    return [Lion]
'''


def load_file(*files: Any) -> Registry:
    return load(files, entry_points=False)


class TestBuiltIns:
    def test_every_kind_has_some(self) -> None:
        registry = load(entry_points=False)
        assert all(registry.names(kind) for kind in KINDS)

    def test_every_kind_has_a_hook(self) -> None:
        assert set(COMPONENT_HOOKS.values()) == set(KINDS)

    def test_they_are_found_by_name_and_owned_by_tunekit(self) -> None:
        registry = load(entry_points=False)
        assert registry.find(Optimizer, "adam").name == "adam"
        assert registry.owner("optimizer", "adam").name == "tunekit"

    def test_a_wrong_name_leads_to_the_nearest(self) -> None:
        registry = load(entry_points=False)
        with pytest.raises(UnknownNameError, match=r"no optimizer is called 'lino'.*'lion'"):
            registry.find(Optimizer, "lino")

    def test_names_belong_to_their_kind(self) -> None:
        registry = load(entry_points=False)
        with pytest.raises(UnknownNameError, match="no schedule is called 'adam'"):
            registry.find(Schedule, "adam")


class TestFiles:
    def test_a_file_brings_its_component(self, write: Any, halving: str) -> None:
        path = write(halving)
        registry = load_file(path)
        assert "halving" in registry.names("schedule")
        found: Any = registry.find(Schedule, "halving")
        assert found(period=3).values() == {"period": 3}

    def test_it_owns_what_it_brings(self, write: Any, halving: str) -> None:
        path = write(halving)
        owner = load_file(path).owner("schedule", "halving")
        assert owner.name == str(path)
        assert owner.version == PluginFile.read(path).digest
        assert str(owner) == f"{path} {owner.version}"

    def test_it_may_replace_a_built_in(self, write: Any) -> None:
        path = write(LION)
        registry = load_file(path)
        rule = registry.find(Optimizer, "lion")()
        assert registry.owner("optimizer", "lion").name == str(path)
        g = np.array([2.0, -3.0, 0.0])
        found = rule.direction(g, g, rule.initial_state(g), Step(t=1, lr=rule.lr))
        assert found.tolist() == [1.0, -1.0, 0.0]

    def test_the_next_study_without_the_file_has_the_built_in_again(self, write: Any) -> None:
        load_file(write(LION))
        assert load(entry_points=False).owner("optimizer", "lion").name == "tunekit"

    def test_it_travels_as_text_and_works_where_the_file_is_not(
        self, write: Any, halving: str
    ) -> None:
        path = write(halving)
        file = pickle.loads(pickle.dumps(PluginFile.read(path)))
        path.unlink()
        registry = load_file(file)
        assert "halving" in registry.names("schedule")
        assert registry.files == (file,)

    def test_its_source_can_be_read_where_the_file_is_not(self, write: Any, halving: str) -> None:
        path = write(halving + "# in a worker\n", "elsewhere.py")
        file = PluginFile.read(path)
        path.unlink()
        found = load_file(file).find(Schedule, "halving")
        assert "self.period" in inspect.getsource(found)

    def test_its_components_survive_pickling(self, write: Any, halving: str) -> None:
        found: Any = load_file(write(halving)).find(Schedule, "halving")
        assert pickle.loads(pickle.dumps(found(period=3))) == found(period=3)

    def test_naming_it_twice_loads_it_once(self, write: Any, halving: str) -> None:
        path = write(halving)
        registry = load_file(path, str(path), path.parent / "." / path.name)
        assert len(registry.files) == 1

    def test_an_edited_file_is_loaded_anew(self, write: Any, halving: str) -> None:
        before = load_file(write(halving)).find(Schedule, "halving")
        after = load_file(write(halving.replace("Int(10,", "Int(20,"))).find(Schedule, "halving")
        assert before().values() == {"period": 10}
        assert after().values() == {"period": 20}

    def test_two_files_of_one_name_do_not_get_mixed_up(
        self, write: Any, tmp_path: Path, halving: str
    ) -> None:
        (tmp_path / "other").mkdir()
        first = write(halving)
        second = write(halving.replace('"halving"', '"quartering"'), "other/mine.py")
        names = load_file(first, second).names("schedule")
        assert {"halving", "quartering"} <= set(names)

    def test_two_files_may_not_bring_one_name(self, write: Any, halving: str) -> None:
        first, second = write(halving, "first.py"), write(halving + "\n", "second.py")
        with pytest.raises(PluginError, match="two schedules are called 'halving'") as caught:
            load_file(first, second)
        assert str(first) in caught.value.message
        assert str(second) in caught.value.message
        assert caught.value.file == str(second)

    def test_one_file_may_bring_several_kinds(self, write: Any, halving: str) -> None:
        both = halving + LION.replace('"lion"', '"tiger"')
        registry = load_file(write(both))
        assert "halving" in registry.names("schedule")
        assert "tiger" in registry.names("optimizer")


BODY = """
    def factor(self, progress):
        return 1.0
"""


def bringing(name: str, body: str = BODY) -> str:
    """A plugin whose schedule has that name and that body."""
    return (
        "from tunekit import Schedule, hookimpl\n\n"
        f"class Mine(Schedule):\n    name = {name!r}\n{body}\n"
        "@hookimpl\ndef tunekit_schedules():\n    return [Mine]\n"
    )


BROKEN = {
    "it raises": ("import math\n\nx = 1 / 0\n", "ZeroDivisionError", 3),
    "it raises in a library": ("import json\n\njson.loads('{')\n", "JSONDecodeError", 3),
    "it exits": ("import sys\nsys.exit(3)\n", "SystemExit", 2),
    "it is no Python": ("x = 1\ndef f(:\n", "this is not valid Python", 2),
    "it imports what is not there": ("import nowhere_at_all\n", "nowhere_at_all", 1),
    "a range without a type": (
        "from tunekit import Float, Schedule\n\n"
        "class Mine(Schedule):\n    name = 'mine'\n    rate = Float(0.5, low=0.0, high=1.0)\n",
        "Mine.rate has a range but no type; write `rate: float = ...`",
        3,
    ),
    "it implements no hook": ("x = 1\n", "this plugin implements no hook", None),
    "a hook without its mark": (
        "def tunekit_schedules():\n    return []\n",
        "tunekit_schedules is not marked; write @hookimpl above it",
        None,
    ),
    "it implements an unknown hook": (
        "from tunekit import hookimpl\n\n@hookimpl\ndef tunekit_schedule():\n    return []\n",
        "this version of tunekit has no hook tunekit_schedule. Did you mean 'tunekit_schedules'?",
        None,
    ),
    "the hook returns no list": (
        "from tunekit import hookimpl\n\n@hookimpl\ndef tunekit_schedules():\n    return 3\n",
        "tunekit_schedules must return a list, got 3",
        None,
    ),
    "the hook returns an instance": (
        bringing("mine").replace("[Mine]", "[Mine()]"),
        "must return a list of Schedule classes",
        None,
    ),
    "the hook is that of another kind": (
        bringing("mine").replace("tunekit_schedules", "tunekit_optimizers"),
        "tunekit_optimizers must return a list of Optimizer classes",
        None,
    ),
    "the hook raises": (
        "from tunekit import hookimpl\n\n@hookimpl\ndef tunekit_schedules():\n    return 1 / 0\n",
        "ZeroDivisionError",
        5,
    ),
    "the hook wants arguments": (
        "from tunekit import hookimpl\n\n@hookimpl\ndef tunekit_schedules(a):\n    return []\n",
        "tunekit_schedules",
        None,
    ),
    "the class is abstract": (
        bringing("mine", body="    other = 1\n"),
        "Mine does not define factor",
        None,
    ),
    "the name is empty": (bringing(""), "Mine has the name ''", None),
    "the name is not an identifier": (bringing("My Rule"), "lower-case letters", None),
}


class TestBrokenFiles:
    @pytest.mark.parametrize(("text", "message", "line"), BROKEN.values(), ids=BROKEN)
    def test_the_error_says_which_file_and_why(
        self, write: Any, text: str, message: str, line: int | None
    ) -> None:
        path = write(text)
        with pytest.raises(PluginError) as caught:
            load_file(path)
        assert message in caught.value.message
        assert caught.value.file == str(path)
        assert caught.value.line == line
        assert caught.value.exit_code == 2

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "nowhere.py"
        with pytest.raises(PluginError, match="No such file or directory") as caught:
            load_file(path)
        assert caught.value.file == str(path)

    def test_a_folder_is_no_plugin_file(self, tmp_path: Path) -> None:
        with pytest.raises(PluginError, match="cannot read this plugin file"):
            load_file(tmp_path)

    def test_a_file_that_is_no_text_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.py"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(PluginError, match="cannot read this plugin file"):
            load_file(path)

    def test_it_is_as_broken_the_second_time(self, write: Any) -> None:
        path = write("x = 1 / 0\n")
        for _ in range(2):
            with pytest.raises(PluginError, match="ZeroDivisionError"):
                load_file(path)

    def test_once_repaired_it_loads(self, write: Any, halving: str) -> None:
        with pytest.raises(PluginError):
            load_file(write("x = 1 / 0\n"))
        assert "halving" in load_file(write(halving)).names("schedule")
