"""A curve as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tunekit.cli.picture import GRADIENT, INK, PAPER, QUIET, VALUE, fitted, place, save
from tunekit.cli.plugins import facts
from tunekit.cli.plugins.curve import Curve, curve, is_drawn
from tunekit.cli.plugins.lookup import Key, find
from tunekit.cli.plugins.paper import without_paper
from tunekit.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tunekit.plugins import Registry

SIZE = (7.5, 4.6)  # inches
LINE = 7.0  # inches of a line of the title
TITLE, TEXT = 13.0, 9.5  # points


def written(registry: Registry, found: Sequence[Key], output: Path) -> Path:
    """Draw the one component that can be drawn.

    Args:
        registry: Where they are.
        found: The components that a name means.
        output: Where the picture goes.

    Raises:
        InputError: None of them, or more than one, can be drawn, or not to that file.
        ComponentError: Its formula fails.
    """
    drawable = [key for key in found if is_drawn(find(registry, *key))]
    if not drawable:
        raise InputError(
            f"{found[0][1]!r} is {_article(found[0][0])} and cannot be drawn; activations and "
            "schedules can",
            key=f"-o {output}",
        )
    if len(drawable) > 1:
        names = " and ".join(".".join(key) for key in drawable)
        raise InputError(f"{names} can both be drawn; say which", key=f"-o {output}")
    [key] = drawable
    path = place(output, output, key[1])
    cls = find(registry, *key)
    about = f"{cls.kind}, from {facts.owner_in_words(registry.owner(*key))}"
    save(draw(curve(cls), cls.name, about, without_paper(cls.summary())), path)
    return path


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def draw(drawn: Curve, name: str, about: str, summary: str) -> Figure:
    """The curve with its name and summary above it."""
    from matplotlib.figure import Figure

    title = fitted(name, LINE, TITLE, weight="bold", lines=2)
    below = [*fitted(about, LINE, TEXT, lines=2), *fitted(summary, LINE, TEXT, lines=2)]
    below += fitted(drawn.note, LINE, TEXT, lines=2)
    head = 0.24 * len(title) + 0.19 * len(below) + 0.45  # inches above the axes
    width, height = SIZE[0], SIZE[1] + head
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    axes = figure.add_axes((0.8 / width, 0.6 / height, (width - 1.1) / width, 4.0 / height))
    top = height - 0.28
    for line in title:
        figure.text(
            0.3 / width, top / height, line, size=TITLE, weight="bold", color=INK, va="center",
            parse_math=False,
        )  # fmt: skip
        top -= 0.24
    for line in below:
        figure.text(
            0.3 / width, top / height, line, size=TEXT, color=QUIET, va="center", parse_math=False
        )
        top -= 0.19
    _plot(axes, drawn)
    return figure


def _plot(axes: Axes, drawn: Curve) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(True, color="#eaeef2", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)
    axes.set_xlabel(drawn.x_name, color=INK)
    if drawn.derivative is None:
        axes.set_ylabel(drawn.y_name, color=INK)
        axes.plot(
            [*drawn.x, 1.0], [*drawn.y, drawn.y[-1]], color=VALUE, linewidth=2,
            drawstyle="steps-post",
        )  # fmt: skip
        axes.set_xlim(0, 1)
        low, high = min(0.0, float(drawn.y.min())), float(drawn.y.max())
        axes.set_ylim(low, high + 0.05 * (high - low or 1.0))
        return
    axes.axhline(0, color="#d0d7de", linewidth=1)
    axes.axvline(0, color="#d0d7de", linewidth=1)
    axes.plot(drawn.x, drawn.derivative, color=GRADIENT, linewidth=1.6, linestyle=(0, (4, 2)))
    axes.plot(drawn.x, drawn.y, color=VALUE, linewidth=2)
    lines = axes.get_lines()
    axes.set_xlim(drawn.x[0], drawn.x[-1])
    axes.legend(
        [lines[-1], lines[-2]], [drawn.y_name, "its derivative"], frameon=False, loc="lower right",
        bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2, labelcolor=INK, fontsize=TEXT,
    )  # fmt: skip
