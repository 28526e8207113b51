"""Where a component's formula was published, as its docstring has it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_YEAR = r"\b(?:18|19|20)\d\d\b"
_ARXIV = re.compile(r"arXiv:\s*(\d{4}\.\d{4,5}|[a-z-]+/\d{7})", re.IGNORECASE)
_DOI = re.compile(r"\b(10\.\d{4,9}/[^\s,;)\]]*[^\s,;.)\]])")
_ADDRESS = re.compile(r"\b(?:https?://)?((?:[\w-]+\.)+[a-z]{2,}/[^\s,;)\]]*[^\s,;.)\]])")
_BRACKET = re.compile(rf"\((?=[^()]*(?:{_YEAR}|arXiv:|doi:))([^()]*[A-Za-z][^()]*)\)")


@dataclass(frozen=True)
class Paper:
    """A publication.

    Attributes:
        text: Authors and year, or whatever the docstring gives.
        url: Its address, where the docstring has an identifier.
    """

    text: str
    url: str | None

    @property
    def in_words(self) -> str:
        """The text without an identifier that the address holds anyway."""
        identifier = r",?\s*(?:arXiv:|doi:|https?://)[^\s,;)]+"
        return re.sub(identifier, "", self.text, flags=re.IGNORECASE).strip(" ,") or self.text


def paper(doc: str) -> Paper | None:
    """The first bracket of a docstring that names a year or an identifier."""
    words = " ".join(re.sub(r"``.*?``", "", doc, flags=re.DOTALL).split())
    bracket = _BRACKET.search(words)
    if bracket is None:
        return None
    text = re.sub(r"^(?:as in|after|see|following) ", "", bracket[1])
    # An identifier elsewhere counts where no other authors stand beside it.
    alone = _BRACKET.sub(lambda other: other[0] if _ARXIV.fullmatch(other[1]) else "", words)
    return Paper(text, address(text) or address(alone))


def address(text: str) -> str | None:
    """The address of the first identifier in a text: of arXiv, a DOI, or an address itself."""
    if found := _ARXIV.search(text):
        return f"https://arxiv.org/abs/{found[1]}"
    if found := _DOI.search(text):
        return f"https://doi.org/{found[1]}"
    if found := _ADDRESS.search(text):
        return f"https://{found[1]}"
    return None


def without_paper(summary: str) -> str:
    """A summary without its bracket and its marks of code, for where there is little room."""
    words = " ".join(_BRACKET.sub("", summary).replace("`", "").split())
    return re.sub(r"\s+([.:;,])", r"\1", words)


def in_brief(summary: str, room: int) -> str:
    """Of a summary without its bracket what fits: all, the first sentence, or its beginning."""
    words = without_paper(summary)
    if len(words) <= room:
        return words
    sentence = words.partition(". ")[0] + "."
    if len(sentence) <= room:
        return sentence
    return words[: room - 3].rpartition(" ")[0].rstrip(" ,;:.") + "..."
