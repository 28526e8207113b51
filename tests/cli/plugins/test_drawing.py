"""Activations and schedules, drawn in the terminal and as pictures."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tunekit.cli.plugins import plot
from tunekit.cli.plugins.curve import Curve, curve
from tunekit.cli.plugins.drawing import draw
from tunekit.components import KINDS, Component
from tunekit.errors import ComponentError
from tunekit.plugins import load

Command = Callable[..., subprocess.CompletedProcess[str]]

REGISTRY = load(entry_points=False)
DRAWN = [(kind, n) for kind in ("activation", "schedule") for n in REGISTRY.names(kind)]

BROKEN = """\
import numpy as np
from tunekit import Activation, Schedule, hookimpl


class Broken(Activation):
    name = "broken"

    def forward(self, z):
        {forward}

    def backward(self, da, z, a):
        return da


class Crooked(Schedule):
    name = "crooked"

    def factor(self, progress):
        {factor}


@hookimpl
def tunekit_activations():
    return [Broken]


@hookimpl
def tunekit_schedules():
    return [Crooked]
"""


def component(kind: str, name: str) -> type[Component]:
    return REGISTRY.find(KINDS[kind], name)


def drawn(kind: str, name: str, made_of: plot.Letters = plot.PLAIN) -> list[str]:
    return [line.plain for line in plot.lines(curve(component(kind, name)), made_of)]


@pytest.mark.parametrize(("kind", "name"), DRAWN, ids=".".join)
def test_every_activation_and_schedule_is_drawn(kind: str, name: str, tmp_path: Path) -> None:
    found = curve(component(kind, name))
    assert found.x.shape == found.y.shape
    lines = list(plot.lines(found, plot.BRAILLE))
    assert max(len(line) for line in lines) <= 70
    draw(found, name, kind, "").savefig(tmp_path / "drawn.svg")


def test_an_activation_is_drawn_with_its_derivative() -> None:
    assert drawn("activation", "relu") == [
        "        *** f(z)   ... its derivative",
        "      4+                                                         ***",
        "       |                                                       ***",
        "       |                                                     ***",
        "      3+                                                   ***",
        "       |                                                 ***",
        "       |                                               ***",
        "       |                                             ***",
        "      2+                                          ****",
        "       |                                        ***",
        "       |                                      ***",
        "      1+                              ......***.....................",
        "       |                              .   ***",
        "       |                              . ***",
        "      0+*********************************",
        "       ++------+-------+------+-------+------+-------+------+------+",
        "       -4     -3      -2     -1       0      1       2      3      4",
        "                                     z",
    ]


def test_the_derivative_is_the_one_of_the_function() -> None:
    found = curve(component("activation", "gelu"))
    assert found.derivative is not None
    np.testing.assert_allclose(np.gradient(found.y, found.x), found.derivative, atol=1e-2)


def test_a_schedule_runs_over_the_whole_run_from_0_on() -> None:
    found = curve(component("schedule", "cosine"))
    assert (found.x[0], found.y[0]) == (0, 1)
    assert found.x[-1] == pytest.approx(1, abs=2e-3)
    np.testing.assert_allclose(found.y, (1 + np.cos(np.pi * found.x)) / 2)
    [*_, bottom, axis, _, _] = drawn("schedule", "step")
    assert bottom.startswith("      0+")
    assert axis.startswith("       ++-----------+")


def test_a_schedule_that_looks_at_validation_is_told_of_a_plateau() -> None:
    found = curve(component("schedule", "plateau"))
    assert found.note.startswith("Here validation improves in the first 40%")
    # A patience of a tenth of the run, and then an epoch more.
    assert found.x[np.flatnonzero(found.y < 1)[0]] == pytest.approx(0.51)
    assert found.y[-1] < 0.1
    assert curve(component("schedule", "cosine")).note == ""


def test_a_level_line_is_drawn() -> None:
    level = Curve(np.linspace(-1, 1, 50), np.full(50, 7.0), np.zeros(50), "z", "f")
    assert list(plot.lines(level, plot.BRAILLE))
    level = Curve(np.linspace(0, 1, 50), np.zeros(50), None, "z", "f")
    assert list(plot.lines(level, plot.BRAILLE))


@pytest.mark.parametrize(
    ("low", "high"), [(-4, 4), (0, 1), (-0.17, 4), (1e-9, 3e-9), (-1e20, 1e20)]
)
def test_ticks_are_few_and_round(low: float, high: float) -> None:
    found = plot.ticks(low, high, 5)
    assert 2 <= len(found) <= 6
    assert low - 1e-6 * abs(low) <= found[0] <= found[-1] <= high + 1e-6 * abs(high)
    steps = np.diff(found)
    np.testing.assert_allclose(steps, steps[0])
    assert f"{steps[0]:e}"[0] in "125"


@pytest.mark.parametrize(
    ("encoding", "made_of"),
    [("utf-8", plot.BRAILLE), ("latin-1", plot.PLAIN), ("ascii", plot.PLAIN), (None, plot.PLAIN)],
)
def test_a_terminal_without_braille_gets_plain_letters(
    encoding: str | None, made_of: plot.Letters
) -> None:
    assert plot.letters(encoding) is made_of


def test_the_page_of_a_terminal_without_braille(
    launch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = launch("plugins", "relu", cwd=tmp_path)
    assert "\n".join(drawn("activation", "relu")) in done.stdout


def test_json_has_the_curve_in_detail_only(tunekit: Command) -> None:
    [relu] = json.loads(tunekit("plugins", "relu", "--json").stdout)["components"]
    assert set(relu["curve"]) == {"x", "y", "derivative"}
    assert (relu["curve"]["x"][0], relu["curve"]["y"][-1]) == (-4, 4)
    [linear] = json.loads(tunekit("plugins", "schedule.linear", "--json").stdout)["components"]
    assert set(linear["curve"]) == {"x", "y"}
    listed = json.loads(tunekit("plugins", "activation", "--json").stdout)["components"]
    assert not any("curve" in entry for entry in listed)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("return z[0, 7]", "IndexError: index 7 is out of bounds for"),
        ("return None", "forward gives None, expected one of shape (401, 1)"),
        ("return z.sum()", "forward gives np.float64("),
        ("return z[:, 0]", "forward gives an array of shape (401,), expected one of"),
        ("return np.log(z)", "forward gives nan at z = -4"),
        ("return z * 1j", "forward gives complex128, expected real numbers"),
        ("raise SystemExit(3)", "SystemExit: 3 (b.py, line 9)"),
    ],
)
def test_a_formula_that_fails_is_told_in_a_line(
    code: str, told: str, tunekit: Command, tmp_path: Path
) -> None:
    (tmp_path / "b.py").write_text(BROKEN.format(forward=code, factor="return 1.0"))
    told = f"activation broken cannot be drawn: {told}"
    done = tunekit("plugins", "broken", "--plugin", "b.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if line.startswith(told)]
    done = tunekit("plugins", "broken", "--plugin", "b.py", "-o", "b.svg")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {told}")
    [shown] = json.loads(tunekit("plugins", "broken", "--plugin", "b.py", "--json").stdout)[
        "components"
    ]
    assert shown["curve"] is None
    assert shown["error"].startswith(told)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("return '1'", "factor gives '1' at step 0 of 1000, expected a finite number"),
        ("return float('inf')", "factor gives inf at step 0 of 1000, expected a finite number"),
        ("return 1 / progress.step", "ZeroDivisionError: division by zero (b.py, line 19)"),
    ],
)
def test_a_schedule_that_fails_is_told_in_a_line(code: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "b.py").write_text(BROKEN.format(forward="return z", factor=code))
    crooked = load([tmp_path / "b.py"]).find(KINDS["schedule"], "crooked")
    with pytest.raises(ComponentError) as raised:
        curve(crooked)
    assert raised.value.message == f"schedule crooked cannot be drawn: {told}"


@pytest.mark.parametrize(
    ("form", "begins"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_a_picture_is_written(form: str, begins: bytes, tunekit: Command, tmp_path: Path) -> None:
    done = tunekit("plugins", "gelu", "-o", f"gelu.{form}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"Picture: gelu.{form}\n")
    assert (tmp_path / f"gelu.{form}").read_bytes().startswith(begins)


def test_json_names_the_picture(tunekit: Command) -> None:
    done = tunekit("plugins", "gelu", "-o", "gelu.svg", "--json")
    assert json.loads(done.stdout)["picture"] == "gelu.svg"


def test_nothing_in_a_picture_overlaps_however_long_the_name() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    name, summary = "a_very_long_name_" * 12, "A summary with $f(z)$ that goes on. " * 12
    figure = draw(
        curve(component("schedule", "plateau")), name, "activation, from " + name, summary
    )
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    boxes = [text.get_window_extent() for text in figure.texts]
    axes = figure.axes[0].get_tightbbox()
    assert axes is not None
    boxes.append(axes)
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("adam", "-o", "x.svg"), "'adam' is an optimizer and cannot be drawn"),
        (("relu", "-o", "x.jpg"), "the picture's name ends in '.jpg'"),
        (("relu", "-o", "gone/x.svg"), "there is no folder gone"),
    ],
)
def test_what_cannot_be_drawn_is_told(
    arguments: tuple[str, ...], told: str, tunekit: Command
) -> None:
    done = tunekit("plugins", *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_of_two_that_could_be_drawn_one_must_be_named(tunekit: Command, tmp_path: Path) -> None:
    both = BROKEN.format(forward="return z", factor="return 1.0").replace("crooked", "broken")
    (tmp_path / "b.py").write_text(both)
    done = tunekit("plugins", "broken", "--plugin", "b.py", "-o", "b.svg")
    assert done.returncode == 2
    assert "activation.broken and schedule.broken can both be drawn; say which" in done.stderr
    done = tunekit("plugins", "schedule.broken", "--plugin", "b.py", "-o", "b.svg")
    assert done.returncode == 0
