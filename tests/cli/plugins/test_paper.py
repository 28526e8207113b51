"""Papers in docstrings."""

from __future__ import annotations

import pytest

from tunekit.cli.plugins.paper import in_brief, paper, without_paper


@pytest.mark.parametrize(
    ("doc", "text", "url"),
    [
        ("Mean (Ba, 15, arXiv:1412.6980).", "Ba, 15, arXiv:1412.6980", "arxiv.org/abs/1412.6980"),
        ("Old (Lee, 1998, arXiv:hep-th/9901001).", None, "arxiv.org/abs/hep-th/9901001"),
        ("A (Lee, 2001, doi:10.1000/a.b-1). B.", None, "doi.org/10.1000/a.b-1"),
        ("Rows (Jordan, 2024, kjordan.github.io/muon).", None, "kjordan.github.io/muon"),
        ("Steps (as in He et al., arXiv:1512.03385).", "He et al., arXiv:1512.03385", None),
        ("A wave (Ziyin, 2020).\n\n``z``, arXiv:2006.08195.", None, "arxiv.org/abs/2006.08195"),
        # An identifier that other authors stand beside is theirs.
        ("Divide (Hinton, 2012).\n\nCentred (Graves, 2013, arXiv:1308.0850).", "Hinton, 2012", ""),
        ("Momentum (Polyak, 1964) or not.", "Polyak, 1964", ""),
    ],
)  # fmt: skip
def test_the_paper_is_the_bracket_with_a_year(doc: str, text: str | None, url: str | None) -> None:
    found = paper(doc)
    assert found is not None
    if text is not None:
        assert found.text == text
    if url is not None:
        assert found.url == (f"https://{url}" if url else None)


@pytest.mark.parametrize("doc", ["", "The mean (macro F1).", "``f(2000)``", "Bounded (2000)."])
def test_other_brackets_are_no_papers(doc: str) -> None:
    assert paper(doc) is None


def test_an_identifier_is_not_said_twice() -> None:
    found = paper("Mean (Ba, 2015, arXiv:1412.6980).")
    assert found is not None
    assert found.in_words == "Ba, 2015"


def test_a_summary_without_its_paper_reads_well() -> None:
    assert without_paper("Momentum (Polyak, 1964) or `not` (Ba, 2015).") == "Momentum or not."


@pytest.mark.parametrize(
    ("room", "left"),
    [(40, "A ceiling. It is at six, and not above."), (30, "A ceiling."), (9, "A...")],
)
def test_a_summary_is_cut_after_a_sentence_or_a_word(room: int, left: str) -> None:
    assert in_brief("A ceiling (Lee, 2010). It is at six, and not above.", room) == left
