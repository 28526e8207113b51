"""Who brought a component, and who was left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tunekit.plugins.failure import Place

Origin = Literal["tunekit", "distribution", "file", "object"]


@dataclass(frozen=True)
class Owner:
    """Who brought a component.

    Attributes:
        name: ``"tunekit"``, a distribution's name, a file's path, or an object's name.
        version: The distribution's version, or the digest of a file's or object's text.
        origin: Which of these it is.
        entry_point: The entry point's name, of a distribution.
    """

    name: str
    version: str
    origin: Origin = "distribution"
    entry_point: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()

    @property
    def in_full(self) -> str:
        """With the entry point's name, by which it can be disabled; of a file, its path alone."""
        if self.origin == "file":
            return self.name
        return f"{self} (entry point {self.entry_point})" if self.entry_point else str(self)


BUILTIN = Owner("tunekit", "built in", "tunekit")


@dataclass(frozen=True)
class LeftOut:
    """An installed plugin that could not be loaded.

    Attributes:
        owner: Its distribution and entry point.
        reason: Why, in one sentence.
        place: The line of the plugin that raised, where it can be had.
    """

    owner: Owner
    reason: str
    place: Place | None = None

    def __str__(self) -> str:
        where = f" ({self.place})" if self.place else ""
        return f"{self.owner.in_full}: {self.reason}{where}"
