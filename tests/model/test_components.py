"""A model takes the plugin files along that it predicts with, and names what is installed."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tunekit import Activation, Array
from tunekit.errors import PluginError
from tunekit.model import Model
from tunekit.plugins import PluginFile, load
from tunekit.space import Scalar

if TYPE_CHECKING:
    from tests.model.conftest import Train

BENT = '''
from tunekit import Activation, Float, hookimpl

class Bent(Activation):
    """Steeper above 0."""
    name = "{name}"
    slope: float = Float(2.0, low=1.0, high=3.0)

    def forward(self, z):
        return z * (1.0 + self.slope * (z > 0)).astype(z.dtype)

    def backward(self, da, z, a):
        return da * (1.0 + self.slope * (z > 0)).astype(z.dtype)

@hookimpl
def tunekit_activations():
    return [Bent]
'''
BENT_VALUES: dict[str, Scalar] = {"activation": "bent", "activation.bent.slope": 1.5}


@pytest.mark.parametrize("name", ["bent", "relu"])
def test_its_plugin_file_travels_with_it(train: Train, tmp_path: Path, name: str) -> None:
    file = tmp_path / "mine" / "bent.py"
    file.parent.mkdir()
    file.write_text(BENT.format(name=name))
    trained = train("texts", {"activation": name}, files=[PluginFile.read(file)])
    trained.model.save(tmp_path / "model")
    file.unlink()
    model = Model.load(tmp_path / "model")
    told = model.predict(trained.rows).columns
    expected = trained.model.predict(trained.rows).columns
    assert all((told[column] == expected[column]).all() for column in expected)
    assert str(tmp_path) not in (tmp_path / "model" / "model.json").read_text()
    (travelled,) = model.plugins
    assert travelled == PluginFile("bent.py", BENT.format(name=name))


def test_a_file_that_only_trains_stays_at_home(train: Train) -> None:
    files = [PluginFile("unused.py", BENT.format(name="bent"))]
    assert train(files=files).model.plugins == ()


def test_the_values_of_its_components_are_those_it_was_trained_with(
    train: Train, tmp_path: Path
) -> None:
    files = [PluginFile("bent.py", BENT.format(name="bent"))]
    train("texts", BENT_VALUES, files=files).model.save(tmp_path / "model")
    activation = Model.load(tmp_path / "model").architecture.activation
    assert activation.values() == {"slope": 1.5}


def test_an_object_of_a_program_cannot_be_saved(train: Train, tmp_path: Path) -> None:
    class Folded(Activation):
        name = "folded"

        def forward(self, z: Array) -> Array:
            return np.abs(z)

        def backward(self, da: Array, z: Array, a: Array) -> Array:
            return da * np.sign(z)

    registry = load(objects=[Folded], entry_points=False)
    trained = train("texts", {"activation": "folded"}, registry=registry)
    assert len(trained.model.predict(trained.rows)) == len(trained.test)
    with pytest.raises(PluginError, match="activation 'folded' is an object of a Python program"):
        trained.model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution that brings an activation."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "bent_rules.py").write_text(BENT.format(name="bent"))
    info = tmp_path / "bent_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bent-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tunekit]\nbent = bent_rules\n")
    monkeypatch.delitem(sys.modules, "bent_rules", raising=False)
    return info


def test_an_installed_plugin_is_named_with_its_version(
    train: Train, installed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained = train("texts", BENT_VALUES, registry=load())
    assert trained.model.distributions == {"bent-rules": "1.0"}
    trained.model.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").distributions == {"bent-rules": "1.0"}
    assert not caplog.records
    metadata = installed / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.0", "2.0"))
    with caplog.at_level(logging.WARNING):
        Model.load(tmp_path / "model")
    assert "comes from bent-rules 1.0, and 2.0 is installed" in caplog.text
    for file in installed.iterdir():
        file.unlink()
    installed.rmdir()
    with pytest.raises(PluginError, match=r"not installed; pip install 'bent-rules==1\.0'"):
        Model.load(tmp_path / "model")


def test_whatever_is_installed_is_not_in_the_way_of_what_comes_with_tunekit(
    train: Train, tmp_path: Path, installed: Path
) -> None:
    train().model.save(tmp_path / "model")
    (tmp_path / "bent_rules.py").write_text(BENT.format(name="tanh"))
    sys.modules.pop("bent_rules", None)
    assert Model.load(tmp_path / "model").distributions == {}


def test_a_plugin_file_that_fails_here_is_named(train: Train, tmp_path: Path) -> None:
    text = "import os\nif 'BROKEN' in os.environ:\n    import nowhere\n" + BENT.format(name="bent")
    file = PluginFile("bent.py", text)
    train("texts", BENT_VALUES, files=[file]).model.save(tmp_path / "model")
    sys.modules.pop(file.module_name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROKEN", "1")
        with pytest.raises(PluginError, match="nowhere") as failed:
            Model.load(tmp_path / "model")
    assert (failed.value.file, failed.value.line) == ("bent.py", 3)


def test_a_reader_finds_the_plugin_line_by_line(train: Train, tmp_path: Path) -> None:
    text = BENT.format(name="bent")
    train("texts", BENT_VALUES, files=[PluginFile("bent.py", text)]).model.save(tmp_path / "model")
    content: dict[str, Any] = json.loads((tmp_path / "model" / "model.json").read_text())
    assert content["plugins"] == [{"path": "bent.py", "text": text.splitlines(keepends=True)}]
