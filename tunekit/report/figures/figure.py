"""A figure: a drawing and what is seen in it."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """A figure of the report.

    Attributes:
        drawing: The drawing as HTML.
        caption: What is seen, in a sentence or two.
        keys: What the marks mean: pairs of a mark's class and its meaning.
    """

    drawing: Markup
    caption: str
    keys: tuple[tuple[str, str], ...] = ()
