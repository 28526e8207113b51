"""All components that are there, found by name, and the observers to call."""

from __future__ import annotations

import difflib
import inspect
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, cast

import pluggy

from tunekit.components import KINDS, Component
from tunekit.errors import PluginError, UnknownNameError, suggestion
from tunekit.plugins.digests import class_digest
from tunekit.plugins.files import PluginFile
from tunekit.plugins.hooks import COMPONENT_HOOKS, implementations
from tunekit.plugins.objects import object_owner
from tunekit.plugins.owner import LeftOut, Owner

logger = logging.getLogger("tunekit")
C = TypeVar("C", bound=Component)
Key = tuple[str, str]
"""A kind and a name."""
SHORT = 5  # letters of a name in which a slip changes a large part


@dataclass
class Registry:
    """All components that are there, and the hooks to call.

    Attributes:
        files: The single-file plugins that were loaded.
        left_out: Installed plugins that could not be loaded.
        disabled: The entry points that were passed over on demand.
        entry_points: Whether installed plugins were loaded.
        contested: Names that several installed plugins (or tunekit itself) claim, with all who
            do; none of them gets it.
        replaced: Built-ins in whose place a file or an object of the same name was taken.
        recall: Says in a sentence who brought a component that is not there any more, if known.
    """

    manager: pluggy.PluginManager
    files: tuple[PluginFile, ...] = ()
    entry_points: bool = True
    left_out: list[LeftOut] = field(default_factory=list)
    disabled: list[Owner] = field(default_factory=list)
    contested: dict[Key, list[Owner]] = field(default_factory=dict)
    replaced: list[Key] = field(default_factory=list)
    recall: Callable[[str, str], str | None] = lambda kind, name: None
    _components: dict[Key, type[Component]] = field(default_factory=dict)
    _owners: dict[Key, Owner] = field(default_factory=dict)
    _told: set[tuple[str, str]] = field(default_factory=set)

    def notify(self, hook: str, **happened: object) -> None:
        """Tell all observers; one that raises is reported once and does not stop the others."""
        # The last in pluggy's list is called first.
        for implementation in reversed(getattr(self.manager.hook, hook).get_hookimpls()):
            wanted = {name: happened[name] for name in implementation.argnames}
            try:
                implementation.function(**wanted)
            except (Exception, SystemExit) as error:
                if (implementation.plugin_name, hook) not in self._told:
                    self._told.add((implementation.plugin_name, hook))
                    logger.warning(
                        "the observer %s failed in %s: %s: %s",
                        implementation.plugin_name,
                        hook,
                        type(error).__name__,
                        error,
                    )

    def names(self, kind: str) -> list[str]:
        """The names of one kind, sorted."""
        return sorted(name for of_kind, name in self._components if of_kind == kind)

    def find(self, kind: type[C], name: str) -> type[C]:
        """The component class of that kind and name.

        Raises:
            UnknownNameError: There is none; the message names the nearest, and who may have it.
            PluginError: Several plugins claim the name.
        """
        key = (kind.kind, name)
        if key in self.contested:
            raise PluginError(self._contest(key))
        found = self._components.get(key)
        if found is None:
            # Whoever had it before needs no list of others.
            is_known = self.recall(*key) is not None
            hint = "" if is_known else f" {suggestion(name, self.names(kind.kind))}"
            raise UnknownNameError(
                f"no {kind.kind} is called {name!r}.{hint}{self.who_may_have(*key)}"
            )
        return cast("type[C]", found)

    def owner(self, kind: str, name: str) -> Owner:
        """Who brought that component."""
        return self._owners[kind, name]

    def digest(self, kind: str, name: str) -> str:
        """Of the code of that component, wherever it came from; the same code has the same."""
        owner = self._owners[kind, name]
        return (
            owner.version if owner.origin == "file" else class_digest(self._components[kind, name])
        )

    def brought_by(self, origin: str) -> list[tuple[type[Component], Owner]]:
        """The components of one origin, with their owners."""
        return [
            (self._components[key], owner)
            for key, owner in self._owners.items()
            if owner.origin == origin
        ]

    def observe(self, observer: object) -> None:
        """Register an object (or module) whose hook implementations observe the search."""
        self.manager.register(observer, name=self._plugin_name(object_owner(observer)))

    def register(self, plugin: object, owner: Owner) -> None:
        """Take in a module or object and the components it brings.

        Raises:
            PluginError: It implements no hook, an unknown hook, or brings what cannot be used.
                Nothing of it stays.
        """

        def brought() -> list[type[Component]]:
            classes = []
            for implementation in implementations(self.manager, plugin):
                if implementation.hook in COMPONENT_HOOKS:
                    found = implementation.function()
                    classes += _checked_list(implementation.hook, found)
            self.manager.register(plugin, name=self._plugin_name(owner))
            return classes

        self._take_in(brought, owner)

    def register_class(self, cls: type[Component], owner: Owner) -> None:
        """Take in a component that comes without a hook.

        Raises:
            PluginError: It cannot be used.
        """
        self._take_in(lambda: [cls], owner)

    def _take_in(self, brought: Callable[[], list[type[Component]]], owner: Owner) -> None:
        """Add all that a plugin brings, or nothing."""
        before = dict(self._components), dict(self._owners), dict(self.contested)
        plugins = self.manager.get_plugins()
        try:
            for cls in brought():
                self._add(cls, owner)
        except BaseException:
            for plugin in self.manager.get_plugins() - plugins:
                self.manager.unregister(plugin)
            self._components, self._owners, self.contested = before
            raise

    def _add(self, cls: type[Component], owner: Owner) -> None:
        _check_class(cls)
        key = (cls.kind, cls.name)
        others = self.contested.get(key) or [
            other for other in (self._owners.get(key),) if other is not None
        ]
        if self._components.get(key) is cls:
            return  # named twice, as an object and by the plugin that brings it
        if owner in others:
            raise PluginError(f"it brings two {plural(cls.kind)} that are called {cls.name!r}")
        # A file or an object is named by the user, so it may replace what comes with tunekit.
        is_named = owner.origin in ("file", "object")
        if others and not (is_named and [other.origin for other in others] == ["tunekit"]):
            if is_named:
                raise PluginError(self._contest(key, [*others, owner]))
            self.contested[key] = [*others, owner]
            self._components.pop(key, None)
            self._owners.pop(key, None)
            return
        if others:
            self.replaced.append(key)
        self._components[key], self._owners[key] = cls, owner

    def _contest(self, key: Key, owners: list[Owner] | None = None) -> str:
        kind, name = key
        owners = owners or self.contested[key]
        told = ", ".join(f"one of {owner.in_full}" for owner in owners)
        points = [owner.entry_point for owner in owners if owner.entry_point]
        way_out = ""
        if points:
            # Two distributions may have named their entry points alike.
            last = next(owner for owner in reversed(owners) if owner.entry_point)
            label = last.entry_point if points.count(last.entry_point) == 1 else last.name
            way_out = f', or disable one: [plugins] disabled = ["{label}"]'
        several = f"{_number(len(owners))} {plural(kind)}"
        return f"{several} are called {name!r}: {told}; rename one{way_out}"

    def who_may_have(self, kind: str, name: str) -> str:
        """Sentences about who may bring a component that is not there, or nothing."""
        sentences = [self.recall(kind, name) or ""]
        if self.left_out:
            sentences.append(f"Left out was {'; '.join(map(str, self.left_out))}.")
        if self.disabled:
            owners = "; ".join(owner.in_full for owner in self.disabled)
            sentences.append(f"Disabled is {owners}.")
        if not any(sentences) and not self._is_slip(kind, name):
            sentences = [
                "If a plugin brings it, install that, or name its file in [plugins] files."
            ]
        return "".join(f" {sentence}" for sentence in sentences if sentence)

    def _is_slip(self, kind: str, name: str) -> bool:
        """Whether a name differs by a slip of the finger from one that is there."""
        cutoff = 0.6 if len(name) < SHORT else 0.8
        near = difflib.get_close_matches(name.lower(), self.names(kind), n=1, cutoff=cutoff)
        return bool(near) and abs(len(near[0]) - len(name)) <= 1

    def _plugin_name(self, owner: Owner) -> str:
        """What an observer is called in warnings; pluggy wants it to be unique."""
        name, count = owner.in_full, 1
        while self.manager.has_plugin(name):
            count += 1
            name = f"{owner.in_full} ({count})"
        return name


def _checked_list(hook: str, brought: object) -> list[type[Component]]:
    """What a hook returned, if it is a list of classes of the hook's kind."""
    base = KINDS[COMPONENT_HOOKS[hook]]
    if not isinstance(brought, (list, tuple)):
        raise PluginError(f"{hook} must return a list, got {brought!r}")
    for cls in brought:
        if not (isinstance(cls, type) and issubclass(cls, base)):
            raise PluginError(
                f"{hook} must return a list of {base.__name__} classes, but it holds {cls!r}"
            )
    return list(brought)


def _check_class(cls: type[Component]) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", cls.name):
        raise PluginError(
            f"{cls.__name__} has the name {cls.name!r}; expected lower-case letters, digits "
            'and underscores, such as name = "my_rule"'
        )
    if inspect.isabstract(cls):
        missing = " and ".join(sorted(cls.__abstractmethods__))
        raise PluginError(f"{cls.__name__} does not define {missing}")


def plural(kind: str) -> str:
    """Several of a kind."""
    return "losses" if kind == "loss" else f"{kind}s"


def _number(count: int) -> str:
    return {2: "two", 3: "three"}.get(count, str(count))
