"""SVG elements as safe markup."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape


def tag(name: str, *content: str | Markup, **attributes: str | float | None) -> Markup:
    """An element; texts are escaped.

    Args:
        name: The element's name.
        content: What is in it.
        attributes: Its attributes: a trailing underscore is dropped, others become hyphens, None
            leaves an attribute out.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not content:
        return Markup(f"<{name}{told}/>")
    inner = "".join(escape(part) for part in content)
    return Markup(f"<{name}{told}>{inner}</{name}>")


def joined(parts: Iterable[Markup]) -> Markup:
    """Several pieces of markup as one."""
    return Markup("").join(parts)


def digits(value: float) -> str:
    """A coordinate, to a hundredth."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def percent(fraction: float) -> str:
    """A fraction of the width."""
    return f"{digits(100 * fraction)}%"


def _value(value: str | float) -> str:
    return digits(value) if isinstance(value, (int, float)) else str(escape(value))
