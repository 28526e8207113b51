from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

DATA = '[data]\nsource = "sklearn:digits"\n'

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("TUNEKIT_PLUGINS", raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a study file; ``[data]`` comes first unless `data` is empty."""

    def write(text: str = "", *, data: str = DATA, name: str = "study.toml") -> Path:
        path = tmp_path / name
        path.write_text(data + text, encoding="utf-8")
        return path

    return write
