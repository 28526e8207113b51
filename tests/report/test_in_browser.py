"""The page in a real browser: figures are drawn, nothing is fetched, nothing goes wrong."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from tunekit.records import Importances
from tunekit.report.page import page

pytestmark = pytest.mark.browser
Make = Callable[..., Any]
Chromium = Callable[..., subprocess.CompletedProcess[str]]

PAPER = {"light": "#fdfcfa", "dark": "#15181c"}
BLUE = {"light": "#0072b2", "dark": "#56b4e9"}
ORANGE = {"light": "#d55e00", "dark": "#f5a142"}


@pytest.fixture
def chromium(tmp_path: Path) -> Chromium:
    """Run Chromium on the report in `tmp_path`; what scripts complain about is on its stderr."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path is not None

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        usual = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        usual += ["--enable-logging=stderr", "--virtual-time-budget=2000"]
        usual += ["--host-resolver-rules=MAP * ~NOTFOUND"]  # the browser's own requests, too
        usual += [f"--user-data-dir={tmp_path / 'profile'}"]
        return subprocess.run(
            [path, *usual, *options, (tmp_path / "report.html").as_uri()],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )

    return run


@pytest.fixture
def written(
    tmp_path: Path, info: Make, result: Make, trials: Make, importances: Importances
) -> Path:
    path = tmp_path / "report.html"
    path.write_text(page(info(), result(trials(40)), importances), encoding="utf-8")
    return path


def complaints(log: str) -> list[str]:
    return [line for line in log.splitlines() if "CONSOLE" in line]


def test_scripts_run_to_their_end_and_nothing_is_fetched(chromium: Chromium, written: Path) -> None:
    done = chromium("--dump-dom")
    assert complaints(done.stderr) == []
    assert done.stdout.count(">Copy</button>") == 3  # the last thing that the script adds


def test_what_would_be_fetched_is_refused_and_complained_about(
    chromium: Chromium, written: Path
) -> None:
    html = written.read_text(encoding="utf-8")
    written.write_text(html.replace("</main>", '<img src="http://127.0.0.1:9/x.png"></main>'))
    [complaint] = complaints(chromium("--dump-dom").stderr)
    assert "Content Security Policy" in complaint


def share(picture: Any, colour: str) -> float:
    """The share of a picture's pixels that have a colour."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return float(np.mean(np.all(np.abs(picture[..., :3] - wanted) < 0.02, axis=-1)))


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 500)])
def test_figures_are_drawn_at_any_width_in_light_and_dark(
    scheme: str, width: int, chromium: Chromium, written: Path, tmp_path: Path
) -> None:
    html = written.read_text(encoding="utf-8")

    def seen(style: str) -> Any:
        only = "header, section:not(#search) { display: none }"
        written.write_text(html.replace("<main>", f"<main><style>{only} {style}</style>"))
        picture = tmp_path / "page.png"
        dark = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
        chromium(*dark, f"--window-size={width},2500", f"--screenshot={picture}")
        return imread(picture)

    whole, without = seen(""), seen("svg { visibility: hidden }")
    assert share(whole, PAPER[scheme]) > 0.5
    for colour in (BLUE[scheme], ORANGE[scheme]):
        assert share(whole, colour) > 1.5 * share(without, colour)
