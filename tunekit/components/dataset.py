"""Named data."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tunekit.components.base import Component

if TYPE_CHECKING:
    from tunekit.records import Table


class Dataset(Component):
    """A named data set, which a study has by `[data] source = "its_name"`."""

    kind: ClassVar[str] = "dataset"

    @abstractmethod
    def load(self) -> Table:
        """The whole table; tunekit splits it, fills gaps and scales numbers.

        It is called once by every command that needs the data, never in a worker, and has to give
        the same table each time: a search goes on with it, and a trial is trained again on it.
        """
        raise NotImplementedError
