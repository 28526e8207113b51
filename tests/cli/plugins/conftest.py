"""Plugins that are files, and distributions as an installer leaves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

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
WATCH = '''\
from tunekit import hookimpl


@hookimpl
def tunekit_trial_finished(trial):
    """Observe."""
'''
Install = Callable[..., None]


@pytest.fixture(autouse=True)
def _nothing_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNEKIT_DISABLED", raising=False)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A plugin file that brings the activation ``mine``."""
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Where distributions are installed."""
    path = tmp_path / "site"
    path.mkdir()
    return path


@pytest.fixture
def install(site: Path) -> Install:
    """Leave a module and its metadata with an entry point."""

    def install(name: str, text: str = MINE) -> None:
        (site / f"{name}.py").write_text(text)
        metadata = site / f"tunekit_{name}-0.3.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: tunekit-{name}\nVersion: 0.3\n"
        )
        (metadata / "entry_points.txt").write_text(f"[tunekit]\n{name} = {name}\n")

    return install


@pytest.fixture
def watch(tmp_path: Path) -> Path:
    """A plugin file that brings no component, but observes."""
    path = tmp_path / "watch.py"
    path.write_text(WATCH)
    return path
