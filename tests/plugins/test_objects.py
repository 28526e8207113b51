"""Plugins that are objects of the running program, here and in another process."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunekit import Array, Flag, Optimizer, PluginError, Schedule, State, Step, hookimpl
from tunekit.plugins import Packed, load

ROOT = Path(__file__).parents[2]


class Downhill(Optimizer):
    """The gradient itself."""

    name = "downhill"
    half: bool = Flag(False)

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        return scaled(g, 0.5 if self.half else 1.0)


def scaled(g: Array, factor: float) -> Array:
    return g * factor


class Bringer:
    """An object with a hook for components, and one to observe."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # something that cannot travel
        self.heard: list[int] = []

    @hookimpl
    def tunekit_optimizers(self) -> list[type[Optimizer]]:
        return [Downhill]

    @hookimpl
    def tunekit_final_started(self, runs: int) -> None:
        self.heard.append(runs)


def directions(found: Any) -> list[float]:
    g = np.array([2.0, -3.0])
    rule = found(half=True)
    answer: list[float] = rule.direction(g, g, {}, Step(t=1, lr=0.1)).tolist()
    return answer


class TestWays:
    def test_a_class(self) -> None:
        registry = load(objects=[Downhill], entry_points=False)
        assert registry.find(Optimizer, "downhill") is Downhill
        owner = registry.owner("optimizer", "downhill")
        assert owner.origin == "object"
        assert owner.name.endswith("test_objects.Downhill")
        assert owner.version == ""

    def test_an_object_that_also_observes(self) -> None:
        bringer = Bringer()
        registry = load(objects=[bringer], entry_points=False)
        assert registry.find(Optimizer, "downhill") is Downhill
        registry.notify("tunekit_final_started", runs=3)
        assert bringer.heard == [3]

    def test_a_module(self, halving: str, monkeypatch: pytest.MonkeyPatch) -> None:
        module = types.ModuleType("made_here")
        monkeypatch.setitem(sys.modules, "made_here", module)
        exec(halving, module.__dict__)
        registry = load(objects=[module], entry_points=False)
        assert registry.find(Schedule, "halving")
        assert registry.owner("schedule", "halving").name == "made_here"

    def test_it_may_replace_a_built_in(self) -> None:
        class Lion(Downhill):
            name = "lion"

        assert load(objects=[Lion], entry_points=False).find(Optimizer, "lion") is Lion

    def test_an_object_without_hooks_is_refused_by_name(self) -> None:
        with pytest.raises(PluginError, match=r"builtins\.int.*implements no hook"):
            load(objects=[3], entry_points=False)

    def test_an_abstract_class_is_refused(self) -> None:
        class Half(Optimizer):
            name = "half"

        with pytest.raises(PluginError, match="Half does not define direction"):
            load(objects=[Half], entry_points=False)


def test_one_class_named_twice_is_one_plugin(halving: str) -> None:
    registry = load(objects=[Downhill, Downhill], entry_points=False)
    assert registry.find(Optimizer, "downhill") is Downhill


class Ascending:
    @hookimpl
    def tunekit_optimizers(self) -> list[type[Optimizer]]:
        raise RuntimeError("out of ideas")


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        (
            Ascending(),
            r"Ascending: RuntimeError: out of ideas \(test_objects\.py, line",
        ),
        (Downhill(), "this is a component; pass its class, Downhill"),
        ("text", r"builtins\.str: this plugin implements no hook"),
    ],
)
def test_what_cannot_be_used_is_an_error_in_words(plugin: object, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        load(objects=[plugin], entry_points=False)


def rule(factor: float, source: str = "") -> type[Optimizer]:
    """A class made here, whose formula uses a value around it, or one of a text."""
    if source:
        space: dict[str, Any] = {
            "Optimizer": Optimizer,
            "__name__": "made_nowhere",
            "factor": factor,
        }
        sys.modules["made_nowhere"] = types.ModuleType("made_nowhere")
        exec(source, space)
        del sys.modules["made_nowhere"]
        made: type[Optimizer] = space["Made"]
        return made

    class Made(Optimizer):
        name = "made"

        def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
            return factor * g

    return Made


MADE = """
def helper(g):
    return {body}

class Made(Optimizer):
    name = "made"
    def direction(self, w, g, state, step):
        return helper(g)
"""


class TestDigests:
    """The same code has the same digest, other code has another."""

    def of(self, cls: type[Optimizer]) -> str:
        return load(objects=[cls], entry_points=False).digest("optimizer", "made")

    def test_values_around_a_class_count(self) -> None:
        assert self.of(rule(1.0)) == self.of(rule(1.0))
        assert self.of(rule(1.0)) != self.of(rule(-1.0))

    def test_functions_that_it_calls_count(self) -> None:
        plus, same, minus = (
            self.of(rule(1.0, MADE.format(body=body))) for body in ("g * 2", "g * 2", "g * 3")
        )
        assert plus == same != minus

    def test_global_values_count(self) -> None:
        text = MADE.format(body="factor * g")
        assert self.of(rule(1.0, text)) == self.of(rule(1.0, text)) != self.of(rule(2.0, text))

    def test_another_process_finds_the_same(self, tmp_path: Path) -> None:
        script = tmp_path / "script.py"
        script.write_text(
            "import numpy as np\nfrom tunekit import Float, Optimizer\n"
            "from tunekit.plugins import load\n"
            "SCALE = {'a', 'b', 'c'}\n"
            "class Made(Optimizer):\n"
            "    name = 'made'\n"
            "    lr: float = Float(0.1, low=0.01, high=1.0)\n"
            "    def direction(self, w, g, state, step):\n        return np.sign(g) * len(SCALE)\n"
            "print(load(objects=[Made], entry_points=False).digest('optimizer', 'made'))\n"
        )
        found = {
            subprocess.run(
                [sys.executable, str(script)],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "PYTHONHASHSEED": seed},
            ).stdout
            for seed in ("1", "2")
        }
        assert len(found) == 1
        assert len(found.pop().strip()) == 16


class TestTravelling:
    def test_a_class_that_no_other_process_can_import_travels_whole(self, tmp_path: Path) -> None:
        packed = Packed.of(load(objects=[Downhill], entry_points=False))
        assert self.elsewhere(packed, "downhill", tmp_path) == "4.0"

    @pytest.mark.parametrize("path_has", ["no such module", "another one of the name"])
    def test_a_class_of_a_module_that_a_worker_would_not_find_travels_whole(
        self, tmp_path: Path, path_has: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = f"found_by_nobody_{len(path_has)}"
        file = tmp_path / "hidden" / f"{name}.py"
        file.parent.mkdir()
        file.write_text(
            "from tunekit import Optimizer\n\nclass Base(Optimizer):\n"
            "    def direction(self, w, g, state, step):\n        return 7.0 * g\n"
        )
        if path_has != "no such module":
            (tmp_path / f"{name}.py").write_text("")
        monkeypatch.syspath_prepend(str(tmp_path))
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)

        class Child(module.Base):  # type: ignore[misc, name-defined]
            name = "child"

        packed = Packed.of(load(objects=[Child], entry_points=False))
        assert self.elsewhere(packed, "child", tmp_path) == "28.0"

    def elsewhere(self, packed: Packed, name: str, path: Path) -> str:
        """The direction for a gradient of 4 in another process."""
        text = (
            "import sys, pickle, tunekit; rule = pickle.load(sys.stdin.buffer).load().find("
            f"tunekit.Optimizer, {name!r})(); "
            "sys.stdout.write(repr(rule.direction(None, 4.0, {}, None)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", text],
            input=pickle.dumps(packed),
            capture_output=True,
            check=True,
            cwd=Path.home(),
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(ROOT)])},
        )
        return done.stdout.decode()

    def test_only_classes_travel(self) -> None:
        bringer = Bringer()
        registry = Packed.of(load(objects=[bringer], entry_points=False)).load()
        assert directions(registry.find(Optimizer, "downhill")) == [1.0, -1.5]

    def test_what_cannot_travel_is_named(self) -> None:
        lock = threading.Lock()

        class Reader(Downhill):
            name = "reader"

            def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
                with lock:
                    return g

        with pytest.raises(PluginError, match=r"Reader cannot be sent to worker processes"):
            Packed.of(load(objects=[Reader], entry_points=False))


SCRIPT = """
import json, sys
import numpy as np
import tunekit
from tunekit import (Activation, Dataset, Float, Initializer, Loss, Metric, Optimizer, Regularizer,
                     Schedule, Table)

FACTOR = 1.0

class Down(Optimizer):
    name = "down"
    lr: float = Float(0.1, low=0.01, high=1.0, log=True)
    def direction(self, w, g, state, step):
        return FACTOR * g

class Bent(Activation):
    name = "bent"
    def forward(self, z): return np.where(z > 0, z, z / 2)
    def backward(self, da, z, a): return np.where(z > 0, da, da / 2)

class Falling(Schedule):
    name = "falling"
    def factor(self, progress): return 1 - progress.fraction

class Square(Regularizer):
    name = "square"
    def penalty(self, w): return float(w @ w) * 1e-4, w * 2e-4

class Small(Initializer):
    name = "small"
    def draw(self, rng, fan_in, fan_out, gain): return rng.normal(size=(fan_in, fan_out)) / 10

class Halves(Loss):
    name = "halves"
    tasks = ("regression",)
    def value_and_gradient(self, output, target, weight):
        d = output - target
        return float((d * d).sum() / 2 / len(d)), d / len(d)
    def predict(self, output): return output

class Worst(Metric):
    name = "worst"
    tasks = ("regression",)
    larger_is_better = False
    def score(self, target, prediction, weight): return float(np.abs(target - prediction).max())

class Line(Dataset):
    name = "line"
    def load(self):
        x = np.random.default_rng(0).normal(size=(90, 2))
        return Table.from_matrix(x, x @ [1.0, -2.0], name="line", task="regression")

CLASSES = [Down, Bent, Falling, Square, Small, Halves, Worst, Line]
result = tunekit.search_study(
    sys.argv[1], plugins=CLASSES, workers=int(sys.argv[2]), changes={"study.trials": 4}
)
json.dump([t.state for t in result.trials] + [result.best.value], sys.stdout)
"""

STUDY = """
[study]
metric = "worst"
trials = 99
finalists = 1
final_seeds = 1
[data]
source = "line"
[train]
epochs = 3
[network]
width = 4
[search]
optimizer = ["down", "adam"]
activation = ["bent", "relu"]
schedule = "falling"
regularizers = ["square"]
initializer = "small"
loss = "halves"
"""


def test_every_kind_of_a_script_is_searched_in_workers_as_in_its_own_process(
    tmp_path: Path,
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    results = []
    for workers in ("0", "2"):
        folder = tmp_path / workers
        folder.mkdir()
        (folder / "study.toml").write_text(STUDY, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(tmp_path / "script.py"), str(folder / "study.toml"), workers],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))
    assert results[0][:4] == ["complete"] * 4
    assert results[0] == results[1]


def test_a_search_from_python_says_what_is_wrong_as_the_command_does(tmp_path: Path) -> None:
    import tunekit

    path = tmp_path / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    refused: Any = [
        ({"changes": {"study.trails": 4}}, "study.trails: there is no such key. Did you mean"),
        ({"plugins": [tmp_path / "no.py"]}, "cannot read this plugin file"),
        ({}, "no metric is called 'worst'"),
    ]
    for options, message in refused:
        with pytest.raises(tunekit.InputError) as caught:
            tunekit.search_study(path, **options)
        assert message in str(caught.value)
