"""The class attributes of a kind, such as an optimizer's `scope`: what they may be."""

from __future__ import annotations

import functools
import inspect
import typing
from typing import Any, Literal

from tunekit.errors import PluginError, suggestion
from tunekit.space import Declaration

_WORDS = {str: "a text", bool: "True or False", float: "a number"}


def check_settings(cls: type) -> None:
    """Refuse settings that mean nothing; they would be passed over in silence.

    Raises:
        PluginError: One has a value that its kind does not know.
    """
    kind = next(base for base in cls.__mro__ if base.__module__.startswith("tunekit.components."))
    if kind is cls:
        return
    for name, wanted in _settings(kind).items():
        value = inspect.getattr_static(cls, name)
        # What is computed, or declared as a hyperparameter, is known only of an instance.
        if isinstance(value, Declaration) and wanted is not float:
            raise PluginError(
                f"{cls.__name__}.{name} is a setting and no hyperparameter; name the field "
                "otherwise"
            )
        is_known = not (hasattr(value, "__get__") or isinstance(value, Declaration))
        if is_known and not _fits(value, wanted):
            raise PluginError(f"{cls.__name__}.{name} = {_told(value, wanted)}")


@functools.cache
def _settings(kind: type) -> dict[str, Any]:
    """The types of a kind's class variables."""
    hints = typing.get_type_hints(kind)
    variables = {n: h for n, h in hints.items() if typing.get_origin(h) is typing.ClassVar}
    return {n: typing.get_args(h)[0] for n, h in variables.items() if not n.startswith("_")}


def _fits(value: object, wanted: Any) -> bool:
    if typing.get_origin(wanted) is Literal:
        return value in typing.get_args(wanted)
    if typing.get_origin(wanted) is tuple:
        of = typing.get_args(wanted)[0]
        return isinstance(value, tuple) and all(_fits(item, of) for item in value)
    return isinstance(value, (float, int) if wanted is float else wanted)


def _told(value: object, wanted: Any) -> str:
    """What was found, and what was expected."""
    if typing.get_origin(wanted) is Literal:
        hint = suggestion(str(value), map(str, typing.get_args(wanted)))
        return f"{value!r} is not a choice. {hint}"
    if typing.get_origin(wanted) is not tuple:
        return f"{value!r}; expected {_WORDS[wanted]}"
    if isinstance(value, str):
        return f"{value!r} is a text; expected a tuple, ({value!r},)"
    of = typing.get_args(wanted)[0]
    if isinstance(value, tuple):
        wrong = next(item for item in value if not _fits(item, of))
        return f"{value!r}: {_told(wrong, of)}"
    return f"{value!r}; expected a tuple of texts"
