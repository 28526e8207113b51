"""What all components are: frozen dataclasses whose fields are their hyperparameters."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from abc import ABC
from collections.abc import Callable
from typing import Any, ClassVar, Literal, dataclass_transform

import numpy.typing as npt

from tunekit.components.settings import check_settings
from tunekit.errors import HyperparameterError, PluginError, suggestion
from tunekit.space import Declaration, Hyperparameter, Scalar

Array = npt.NDArray[Any]
"""A numpy array of any dtype."""
State = dict[str, Any]
"""What an optimizer remembers of a block: arrays and plain numbers by name."""
Task = Literal["classification", "multilabel", "regression"]


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Component(ABC):  # noqa: B024 (the kinds are abstract, each in its own methods)
    """Base of all kinds. Subclass a kind, not this.

    Attributes:
        name: What studies call it: lower-case letters, digits and underscores, a letter first.
            Every component needs one.
        tasks: The tasks that it makes sense for; a study of another task refuses it.
    """

    kind: ClassVar[str] = ""
    name: ClassVar[str] = ""
    tasks: ClassVar[tuple[Task, ...]] = ("classification", "multilabel", "regression")
    _hyperparameters: ClassVar[dict[str, Hyperparameter]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        check_settings(cls)
        if "__init__" in vars(cls):
            raise PluginError(
                f"{cls.__name__} defines __init__; its typed fields are its hyperparameters, and "
                "what follows from them is a property"
            )
        declared = _declare(cls)
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        cls._hyperparameters = {**cls._hyperparameters, **declared}
        _refuse_unknown_arguments(cls)
        cls.__setattr__ = _refuse_memory  # type: ignore[assignment]

    def __post_init__(self) -> None:
        for hyperparameter in self._hyperparameters.values():
            value = getattr(self, hyperparameter.name)
            try:
                value = hyperparameter.check(value)
            except HyperparameterError as error:
                key = f"{self.kind}.{self.name}.{hyperparameter.name}"
                raise HyperparameterError(error.message, key=key) from None
            object.__setattr__(self, hyperparameter.name, value)

    @classmethod
    def hyperparameters(cls) -> dict[str, Hyperparameter]:
        """The declared hyperparameters by name, in the order of their declaration."""
        return dict(cls._hyperparameters)

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        # A dataclass without a docstring of its own is given its signature as one.
        text = inspect.cleandoc(cls.__doc__ or "")
        return "" if text.startswith(f"{cls.__name__}(") else text.partition("\n")[0]

    def values(self) -> dict[str, Scalar]:
        """The hyperparameters' values by name."""
        return {name: getattr(self, name) for name in self._hyperparameters}


def _declare(cls: type[Component]) -> dict[str, Hyperparameter]:
    """Turn the declarations in a class body into dataclass fields."""
    annotations = inspect.get_annotations(cls)
    declared = {}
    for name, value in list(vars(cls).items()):
        if isinstance(value, Declaration):
            if name not in annotations:
                raise PluginError(
                    f"{cls.__name__}.{name} has a range but no type; "
                    f"write `{name}: {value.type.__name__} = ...`"
                )
            declared[name] = _within_inherited_limits(value.named(name), cls)
            setattr(cls, name, value.default)
        elif name in annotations and not _is_class_variable(annotations[name]):
            if type(value) not in (bool, int, float, str):
                raise PluginError(
                    f"{cls.__name__}.{name} = {value!r}: a hyperparameter is a bool, an int, "
                    "a float or a text"
                )
            # `eps: float = 1` means the real number.
            type_ = float if annotations[name] in (float, "float") else type(value)
            declared[name] = Hyperparameter(name, type_, type_(value))
        elif name in cls._hyperparameters:
            raise PluginError(
                f"{cls.__name__}.{name} = {value!r} would change no hyperparameter without its "
                f"type; write `{name}: {cls._hyperparameters[name].type.__name__} = {value!r}`"
            )
        if name in declared:
            _check_default(declared[name], cls)
    for name, annotation in annotations.items():
        if name not in vars(cls) and not _is_class_variable(annotation):
            raise PluginError(f"{cls.__name__}.{name} has no default")
    return declared


def _check_default(own: Hyperparameter, cls: type[Component]) -> None:
    """A default outside the limits is the author's mistake, told at once."""
    try:
        own.check(own.default)
    except HyperparameterError as error:
        key = f"{cls.__name__}.{own.name}"
        raise HyperparameterError(f"its default: {error.message}", key=key) from None


def _within_inherited_limits(own: Hyperparameter, cls: type[Component]) -> Hyperparameter:
    """A redeclared hyperparameter (every rule has its own `lr`) keeps the inherited limits."""
    inherited = cls._hyperparameters.get(own.name)
    if inherited is None:
        if callable(getattr(super(cls, cls), own.name, None)):
            raise PluginError(f"{cls.__name__}.{own.name} is a method, so it names no field")
        return own
    if inherited.type is not own.type:
        raise PluginError(
            f"{cls.__name__}.{own.name} is a {own.type.__name__}; expected a "
            f"{inherited.type.__name__}, as in {cls.__mro__[1].__name__}"
        )
    return dataclasses.replace(
        own,
        min=inherited.min if own.min is None else own.min,
        max=inherited.max if own.max is None else own.max,
    )


def _is_class_variable(annotation: object) -> bool:
    if isinstance(annotation, str):
        return annotation.startswith(("ClassVar", "typing.ClassVar"))
    return annotation is ClassVar or typing.get_origin(annotation) is ClassVar


def _refuse_memory(self: Component, name: str, value: object) -> None:
    """Say where a component may remember something, when it tries to do so in itself."""
    raise dataclasses.FrozenInstanceError(
        f"cannot assign to {type(self).__name__}.{name}: one object serves all of a run, so it "
        "remembers nothing; what changes belongs into `state`"
    )


def _refuse_unknown_arguments(cls: type[Component]) -> None:
    """Make a misspelt hyperparameter an error that names the nearest one."""
    generated: Callable[..., None] = cls.__init__

    def __init__(self: Component, **values: Scalar) -> None:  # noqa: N807
        for name in values:
            if name not in self._hyperparameters:
                raise HyperparameterError(
                    f"no such hyperparameter. {suggestion(name, self._hyperparameters)}",
                    key=f"{self.kind}.{self.name}.{name}",
                )
        generated(self, **values)

    __init__.__signature__ = inspect.signature(generated)  # type: ignore[attr-defined]
    cls.__init__ = __init__  # type: ignore[assignment]
