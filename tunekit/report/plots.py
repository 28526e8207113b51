"""The report's figures as pictures of their own, for places that show no page."""

from __future__ import annotations

import functools
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from importlib.resources import files

from tunekit.records import Importances, StudyInfo, StudyResult
from tunekit.report.facts import Facts
from tunekit.report.figures import curves, history, parallel
from tunekit.report.figures.figure import Figure

WIDTH = 720.0
MARGIN = 10
KEYS = 26
"""Height of the line that says what the marks mean; all are in pixels."""


def plots(
    info: StudyInfo, result: StudyResult, importances: Importances | None = None
) -> dict[str, str]:
    """The figures that say most about a search, as SVG that needs nothing else.

    Args:
        info: The study.
        result: How its search ended, or where it stands.
        importances: What mattered, or None where that is not known.

    Returns:
        SVG by file name: ``history.svg``, ``curves.svg`` and ``parallel.svg``, as far as there is
        something to draw.
    """
    facts = Facts(info, result, importances)
    drawn = {"history": history, "curves": curves, "parallel": parallel}
    figures = {name: figure.draw(facts) for name, figure in drawn.items()}
    return {f"{name}.svg": _alone(figure) for name, figure in figures.items() if figure}


def _alone(figure: Figure) -> str:
    """A figure outside of its page: padding, styles, shapes and the meaning of marks go with it."""
    frame = ET.fromstring(figure.drawing)
    above, right, below, left, *least = map(float, re.findall(r"([\d.]+)px", frame.attrib["style"]))
    [drawing] = frame
    width = max([WIDTH, *least])
    height = KEYS + above + float(drawing.attrib["height"]) + below
    drawing.attrib |= {"x": f"{left:g}", "y": f"{KEYS + above:g}", "overflow": "visible"}
    drawing.attrib["width"] = f"{width - left - right:g}"
    picture = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"{-MARGIN} 0 {width + 2 * MARGIN:g} {height:g}",
            # Without these MLflow's page shows nothing.
            "width": f"{width + 2 * MARGIN:g}",
            "height": f"{height:g}",
            "font-family": "sans-serif",
        },
    )
    ET.SubElement(picture, "style").text = _style()
    ground = {"x": f"{-MARGIN}", "width": "100%", "height": "100%", "fill": "var(--paper)"}
    ET.SubElement(picture, "rect", ground)
    picture.append(ET.fromstring(_shapes()))
    picture.extend(_meanings(figure))
    picture.append(drawing)
    return ET.tostring(picture, encoding="unicode")


def _meanings(figure: Figure) -> Iterator[ET.Element]:
    """What the marks mean, in a line above the figure."""
    x = 0.0
    for css, words in figure.keys:
        is_line = css == "best" or "stroke" in css
        size = {"x": f"{x:g}", "y": "12", "width": "16", "height": "3"}
        dot = {"cx": f"{x + 11:g}", "cy": "13.5", "r": "4.5"}
        colour = {"class": css, "style": "fill: var(--c, var(--ink))"}
        yield ET.Element("rect", size | colour) if is_line else ET.Element("circle", dot | colour)
        text = ET.Element("text", {"x": f"{x + 21:g}", "y": "18"})
        text.text = words
        yield text
        x += 40 + 6.2 * len(words)


@functools.cache
def _style() -> str:
    # Without the dark colours: the picture's frame is another page's, and light.
    css = _asset("page.css")
    return re.sub(r"@media[^{]*\{\s*:root\s*\{[^}]*\}\s*\}", "", css)


@functools.cache
def _shapes() -> str:
    [shapes] = re.findall(r"<defs>.*?</defs>", _asset("page.html"), re.DOTALL)
    return str(shapes)


def _asset(name: str) -> str:
    return files("tunekit.report").joinpath("assets", name).read_text(encoding="utf-8")
