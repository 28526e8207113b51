"""Loading: what comes with tunekit, what is installed, and what the user names."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import pluggy

from tunekit import hookspecs
from tunekit.components import Component
from tunekit.errors import PluginError
from tunekit.plugins.failure import place, told
from tunekit.plugins.files import PluginFile, in_file, module_from, unique
from tunekit.plugins.objects import object_owner, packed
from tunekit.plugins.owner import BUILTIN, LeftOut, Owner
from tunekit.plugins.registry import Registry

ENTRY_POINT_GROUP = "tunekit"
DISABLED = "TUNEKIT_DISABLED"
"""The environment variable that names entry points to pass over, separated by commas."""

# Named as text and imported when asked for: these modules import the public names of tunekit,
# just as a stranger's plugin does.
BUILTIN_COMPONENTS = (
    "tunekit.builtin.optimizers.descent",
    "tunekit.builtin.optimizers.adaptive",
    "tunekit.builtin.optimizers.adam",
    "tunekit.builtin.optimizers.layerwise",
    "tunekit.builtin.activations.piecewise",
    "tunekit.builtin.activations.squashing",
    "tunekit.builtin.activations.exponential",
    "tunekit.builtin.activations.gated",
    "tunekit.builtin.activations.periodic",
    "tunekit.builtin.schedules",
    "tunekit.builtin.regularizers.weights",
    "tunekit.builtin.regularizers.noise",
    "tunekit.builtin.regularizers.targets",
    "tunekit.builtin.regularizers.gradients",
    "tunekit.builtin.regularizers.averaging",
    "tunekit.builtin.initializers",
    "tunekit.builtin.losses",
    "tunekit.builtin.metrics",
    "tunekit.builtin.datasets",
)
BUILTIN_OBSERVERS = ("tunekit.tracking.observer",)


def load(
    files: Iterable[str | Path | PluginFile] = (),
    *,
    objects: Iterable[object] = (),
    disabled: Iterable[str] = (),
    observers: bool = False,
    entry_points: bool = True,
) -> Registry:
    """Load the built-ins, the installed plugins and what the user named.

    Args:
        files: Single-file plugins, as paths or already read.
        objects: Component classes, and modules or objects with hook implementations.
        disabled: Names of entry points to pass over, besides those of ``TUNEKIT_DISABLED``.
        observers: Whether to load the built-in observers too (workers do not).
        entry_points: Whether to load installed plugins (entry points of the group ``tunekit``).

    Raises:
        PluginError: One of the files or objects cannot be used. A broken installed plugin is left
            out and named in `Registry.left_out`.
    """
    manager = pluggy.PluginManager("tunekit")
    manager.add_hookspecs(hookspecs)
    registry = Registry(manager, entry_points=entry_points)
    for name in BUILTIN_COMPONENTS + (BUILTIN_OBSERVERS if observers else ()):
        registry.register(importlib.import_module(name), BUILTIN)
    read = [file if isinstance(file, PluginFile) else PluginFile.read(file) for file in files]
    registry.files = tuple(unique(read))
    if entry_points:
        _load_installed(registry, {*disabled, *disabled_everywhere()})
    for file in registry.files:
        _load_file(registry, file)
    for plugin in objects:
        _load_object(registry, plugin)
    return registry


def disabled_everywhere() -> list[str]:
    """The names of entry points that ``TUNEKIT_DISABLED`` holds."""
    return [name.strip() for name in os.environ.get(DISABLED, "").split(",")]


def _load_file(registry: Registry, file: PluginFile) -> None:
    module = module_from(file)
    try:
        registry.register(module, Owner(file.path, file.digest, "file"))
    except (Exception, SystemExit) as error:
        raise in_file(error, file.path) from error


def _is_text_of(file: PluginFile, plugin: object) -> bool:
    """Whether an installed plugin is what a file brings, too: one plugin, named twice."""
    path = getattr(plugin, "__file__", None)
    if path is None:
        return False
    try:
        return Path(path).read_text(encoding="utf-8") == file.text
    except (OSError, UnicodeDecodeError):
        return False


def _load_object(registry: Registry, plugin: object) -> None:
    owner = object_owner(plugin)
    try:
        if isinstance(plugin, type) and issubclass(plugin, Component):
            registry.register_class(plugin, owner)
        elif not registry.manager.is_registered(plugin):
            registry.register(plugin, owner)
    except (Exception, SystemExit) as error:
        at = place(error)
        where = f" ({at})" if at and not isinstance(error, PluginError) else ""
        raise PluginError(f"{owner.name}: {told(error)}{where}") from error


def _load_installed(registry: Registry, disabled: set[str]) -> None:
    for entry_point, owner in _entry_points(registry.left_out):
        if entry_point.name in disabled:
            registry.disabled.append(owner)
            continue
        try:
            plugin = entry_point.load()
            if not any(_is_text_of(file, plugin) for file in registry.files):
                registry.register(plugin, owner)
        except (Exception, SystemExit) as error:
            # Somebody else's broken package must not take the command down.
            at = place(error, _code_of(entry_point))
            registry.left_out.append(LeftOut(owner, told(error), at))


def _entry_points(left_out: list[LeftOut]) -> list[tuple[EntryPoint, Owner]]:
    """All entry points with their owners, in an order that does not depend on the path's.

    Args:
        left_out: Takes in distributions whose entry points cannot be read.
    """
    try:
        found = list(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP))
    except Exception:  # one distribution's broken metadata spoils them all
        found = list(_readable(left_out))
    owned = [(entry_point, _owner(entry_point.dist, entry_point.name)) for entry_point in found]
    return sorted(owned, key=lambda pair: (pair[1].name, pair[1].entry_point))


def _readable(left_out: list[LeftOut]) -> Iterator[EntryPoint]:
    """The entry points of one distribution after the other, as far as they can be read."""
    seen = set()
    for distribution in importlib.metadata.distributions():
        try:
            if distribution.name not in seen:  # else it is hidden by one before it on the path
                yield from distribution.entry_points.select(group=ENTRY_POINT_GROUP)
            seen.add(distribution.name)
        except Exception as error:
            if ENTRY_POINT_GROUP in (distribution.read_text("entry_points.txt") or ""):
                reason = f"its entry points cannot be read: {told(error)}"
                left_out.append(LeftOut(_owner(distribution), reason))


def _owner(distribution: Distribution | None, entry_point: str = "") -> Owner:
    name = (distribution.name if distribution else None) or "a distribution without a name"
    version = (distribution.version if distribution else None) or ""
    return Owner(name, version, "distribution", entry_point)


def _code_of(entry_point: EntryPoint) -> Sequence[str]:
    """Where the plugin's own code lies."""
    try:
        spec = importlib.util.find_spec(entry_point.module.partition(".")[0])
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    return list(spec.submodule_search_locations or filter(None, [spec.origin]))


@dataclass(frozen=True)
class Packed:
    """What a worker loads to have the components that the coordinator has.

    Attributes:
        files: Single-file plugins, as text.
        classes: Components that came as objects, with their owners, pickled.
        disabled: Entry points to pass over.
        entry_points: Whether to load installed plugins.
    """

    files: tuple[PluginFile, ...] = ()
    classes: bytes = b""
    disabled: tuple[str, ...] = ()
    entry_points: bool = True

    @classmethod
    def of(cls, registry: Registry) -> Packed:
        """All that a registry has loaded.

        Raises:
            PluginError: An object cannot travel.
        """
        components = registry.brought_by("object")
        try:
            classes = packed(components) if components else b""
        except Exception as error:
            names = ", ".join(component.__qualname__ for component, _ in components)
            raise PluginError(
                f"{names} cannot be sent to worker processes: {told(error)}. Use workers = 0, or "
                "put it into a file of its own"
            ) from error
        disabled = tuple(owner.entry_point for owner in registry.disabled)
        return cls(registry.files, classes, disabled, registry.entry_points)

    def load(self) -> Registry:
        """The registry, in a worker.

        Raises:
            PluginError: Something cannot be loaded here.
        """
        registry = load(self.files, disabled=self.disabled, entry_points=self.entry_points)
        for component, owner in pickle.loads(self.classes) if self.classes else ():
            registry.register_class(component, owner)
        return registry
