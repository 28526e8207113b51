"""What a new plugin is called: as a component, a class, a module and a distribution."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
import unicodedata
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

import tunekit
from tunekit.components import KINDS
from tunekit.errors import InputError, UnknownNameError, suggestion


@dataclass(frozen=True)
class Beginning:
    """A plugin that is about to be written.

    Attributes:
        kind: The kind of component.
        name: What studies call it, such as ``"my_rule"``.
    """

    kind: str
    name: str

    @property
    def class_name(self) -> str:
        """``MyRule``; what Python, tunekit or pytest would take for their own begins with My."""
        own = "".join(word.capitalize() for word in self.name.split("_"))
        taken = hasattr(builtins, own) or hasattr(tunekit, own) or own.startswith("Test")
        return f"My{own}" if taken else own

    @property
    def distribution(self) -> str:
        """What an installer calls it: ``tunekit-my-rule``."""
        return "-".join(["tunekit", *filter(None, self.name.split("_"))])

    @property
    def package_module(self) -> str:
        """What Python calls its module once it is installed: ``tunekit_my_rule``."""
        return f"tunekit_{self.name}"

    @property
    def spoken_kind(self) -> str:
        """The kind, as a sentence has it."""
        return "data set" if self.kind == "dataset" else self.kind

    @property
    def noun(self) -> str:
        """The kind with its article."""
        return f"{'an' if self.kind[0] in 'aeio' else 'a'} {self.spoken_kind}"


def begin(kind: str, name: str, *, own_file: bool) -> Beginning:
    """A plugin of that kind and name.

    Args:
        kind: One of `KINDS`.
        name: What studies are to call it.
        own_file: Whether its file is to have the same name.

    Raises:
        UnknownNameError: There is no such kind.
        InputError: It cannot be called so.
    """
    if kind not in KINDS:
        raise UnknownNameError(
            f"no kind of component is called {kind!r}. {suggestion(kind, KINDS)}"
        )
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise InputError(
            "a component's name has lower-case letters, digits and underscores, and begins with a "
            f"letter. Did you mean {_corrected(name)!r}?",
            key=name,
        )
    if keyword.iskeyword(name):
        raise InputError(f"this is a word of Python's own. Did you mean 'my_{name}'?", key=name)
    beginning = Beginning(kind, name)
    _refuse_taken(beginning)
    if own_file:
        _refuse_hiding(name)
    return beginning


def _corrected(name: str) -> str:
    """The nearest name that would do: ``my_rule`` for ``My-Rule``, ``MyRule`` and ``2 my rule``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", plain).lower()
    joined = re.sub(r"[^a-z0-9]+", "_", words).lstrip("_0123456789").rstrip("_")
    return f"my_{joined}" if keyword.iskeyword(joined) else joined or "my_rule"


def _refuse_taken(beginning: Beginning) -> None:
    from tunekit.plugins import environment_files, load

    kind, name = beginning.kind, beginning.name
    registry = load(optional=environment_files())
    owners = registry.contested.get((kind, name), [])
    if name in registry.names(kind):
        owners = [registry.owner(kind, name)]
    if owners:
        told = " and ".join(str(owner) for owner in owners)
        raise InputError(
            f"{beginning.noun} of this name is there already, from {told}; choose another name, "
            f"such as 'my_{name}'",
            key=name,
        )


def _refuse_hiding(name: str) -> None:
    """A file ``random.py`` would be imported in place of Python's own by programs beside it."""
    # The current folder is on the path of some programs only, and no reason to refuse its files.
    elsewhere = [folder for folder in sys.path if Path(folder).resolve() != Path.cwd()]
    found = PathFinder.find_spec(name, elsewhere)
    # A folder of that name counts as a module, too, but has no origin and cannot be hidden.
    if name in sys.stdlib_module_names or (found is not None and found.origin is not None):
        raise InputError(
            f"a file {name}.py would hide the Python module of that name from whatever runs in its "
            f"folder; choose another name, such as 'my_{name}'",
            key=name,
        )
