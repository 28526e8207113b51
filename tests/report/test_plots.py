"""The figures as pictures of their own."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

from tunekit.records import FinishedTrial, Importances
from tunekit.report.plots import plots

Trials = Callable[[int], tuple[FinishedTrial, ...]]
Make = Callable[..., Any]
SVG = "{http://www.w3.org/2000/svg}"


def test_each_picture_needs_nothing_else(
    info: Make, result: Make, trials: Trials, importances: Importances
) -> None:
    drawn = plots(info(), result(trials(40)), importances)

    assert list(drawn) == ["history.svg", "curves.svg", "parallel.svg"]
    for text in drawn.values():
        picture = ET.fromstring(text)
        assert picture.tag == f"{SVG}svg"
        assert {"width", "height", "viewBox"} <= set(picture.attrib)  # or MLflow shows nothing
        shapes = {element.attrib.get("id") for element in picture.iter()}
        used = {use.attrib["href"].removeprefix("#") for use in picture.iter(f"{SVG}use")}
        assert used <= shapes
        assert "--paper:" in text
        assert "prefers-color-scheme" not in text
        assert "url(" not in text


def test_the_meaning_of_marks_is_told(info: Make, result: Make, trials: Trials) -> None:
    picture = ET.fromstring(plots(info(), result(trials(40)))["history.svg"])

    words = [text.text for text in picture.findall(f"{SVG}text")]
    assert words[0] == "best so far"
    assert "the winner" in words


def test_what_is_not_there_is_not_drawn(info: Make, result: Make) -> None:
    assert plots(info(), result(())) == {}
