"""``tunekit plugins``: what there is to choose from."""

from __future__ import annotations

import inspect
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunekit.components import KINDS, Component
from tunekit.plugins import load
from tunekit.space import show

Command = Callable[..., subprocess.CompletedProcess[str]]

REGISTRY = load(entry_points=False)
BUILTIN = [(kind, name) for kind in KINDS for name in REGISTRY.names(kind)]

MINE = '''\
from tunekit import Activation, Float, hookimpl


class Mine(Activation):
    """Goes from [low] to [/high] (me, 2024)."""

    name = "mine"
    slope: float = Float(0.3, low=0.1, high=0.9, min=0.0)

    def forward(self, z):
        return self.slope * z

    def backward(self, da, z, a):
        return self.slope * da


@hookimpl
def tunekit_activations():
    return [Mine]
'''


def component(kind: str, name: str) -> type[Component]:
    return REGISTRY.find(KINDS[kind], name)


def words(text: str) -> str:
    """A text without its line breaks, and without the width of a terminal."""
    return " ".join(text.split())


def listed(tunekit: Command, *arguments: str) -> list[dict[str, Any]]:
    done = tunekit("plugins", *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    components: list[dict[str, Any]] = json.loads(done.stdout)["components"]
    return components


def test_every_component_is_listed_with_its_summary(tunekit: Command) -> None:
    done = tunekit("plugins")
    assert done.returncode == 0
    for kind, name in BUILTIN:
        assert f"{name} {words(component(kind, name).summary())}" in words(done.stdout)


def test_json_lists_the_same(tunekit: Command) -> None:
    components = [c for c in listed(tunekit) if c["owner"].startswith("tunekit ")]
    assert [(c["kind"], c["name"]) for c in components] == BUILTIN
    assert all(c["summary"] == component(c["kind"], c["name"]).summary() for c in components)


@pytest.mark.parametrize(("kind", "name"), BUILTIN, ids=".".join)
def test_one_is_shown_with_its_documentation_and_hyperparameters(
    kind: str, name: str, tunekit: Command
) -> None:
    done = tunekit("plugins", f"{kind}.{name}")
    assert (done.returncode, done.stderr) == (0, "")
    cls = component(kind, name)
    assert done.stdout.startswith(f"{name}  {kind}, from tunekit ")
    assert words(inspect.cleandoc(cls.__doc__ or "")) in words(done.stdout)
    for h in cls.hyperparameters().values():
        row = f"{h.name} {show(h.default)} {h.search or 'no'} "
        assert row in words(done.stdout)
    [described] = listed(tunekit, f"{kind}.{name}")
    assert [(h["name"], h["default"]) for h in described["hyperparameters"]] == [
        (h.name, h.default) for h in cls.hyperparameters().values()
    ]


def test_a_name_alone_is_enough(tunekit: Command) -> None:
    assert tunekit("plugins", "adam").stdout == tunekit("plugins", "optimizer.adam").stdout
    assert [(c["kind"], c["name"]) for c in listed(tunekit, "adam")] == [("optimizer", "adam")]


def test_a_hyperparameter_has_its_limits_beside_its_range(tunekit: Command) -> None:
    [adam] = listed(tunekit, "adam")
    assert adam["hyperparameters"][0] == {
        "name": "lr",
        "type": "float",
        "default": 0.001,
        "searched": "0.0001 to 0.1, log scale",
        "min": 0.0,
        "max": None,
        "choices": None,
    }


def test_a_plugin_file_is_listed_with_where_it_comes_from(tunekit: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    done = tunekit("plugins", "--plugin", "mine.py")
    # What stands in brackets is text, and no instruction to the terminal.
    assert "mine Goes from [low] to [/high] (me, 2024). (mine.py " in words(done.stdout)
    done = tunekit("plugins", "mine", "--plugin", "mine.py")
    assert done.stdout.startswith("mine  activation, from mine.py ")
    assert "slope 0.3 0.1 to 0.9 0 or more" in words(done.stdout)


def install(folder: Path, name: str, text: str) -> None:
    """A distribution as an installer leaves it: a module, and metadata with an entry point."""
    (folder / f"{name}.py").write_text(text)
    metadata = folder / f"tunekit_{name}-0.3.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: tunekit-{name}\nVersion: 0.3\n"
    )
    (metadata / "entry_points.txt").write_text(f"[tunekit]\n{name} = {name}\n")


def test_an_installed_plugin_is_there_and_a_broken_one_is_left_out_and_named(
    launch: Command, tmp_path: Path
) -> None:
    site, folder = tmp_path / "site", tmp_path / "folder"
    site.mkdir()
    folder.mkdir()
    install(site, "mine", MINE)
    install(site, "broken", "raise RuntimeError('out of ideas')\n")

    done = launch("plugins", cwd=folder, path=site)
    assert done.returncode == 0
    assert "(tunekit-mine 0.3)" in words(done.stdout)
    assert "adam" in done.stdout
    told = "left out: tunekit-broken (broken): RuntimeError: out of ideas"
    assert told in done.stderr.splitlines()

    printed = json.loads(launch("plugins", "--json", cwd=folder, path=site).stdout)
    assert printed["broken"] == {"tunekit-broken (broken)": "RuntimeError: out of ideas"}
    assert ("mine", "tunekit-mine 0.3") in [(c["name"], c["owner"]) for c in printed["components"]]

    # Who asks for something of the broken plugin is told why it is not there.
    done = launch("plugins", "brilliant", cwd=folder, path=site)
    assert done.returncode == 2
    assert told in done.stderr.splitlines()


def test_an_installed_plugin_can_be_trained_with(launch: Command, small: Path) -> None:
    site = small.parent / "site"
    site.mkdir()
    install(site, "mine", MINE)
    install(site, "broken", "raise RuntimeError('out of ideas')\n")
    more = ["--json", "--set", "search.activation=mine"]
    done = launch("train", "small.toml", *more, cwd=small.parent, path=site)
    assert json.loads(done.stdout)["configuration"]["activation.mine.slope"] == 0.3
