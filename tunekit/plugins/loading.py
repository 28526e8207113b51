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
from tunekit.plugins.failure import Place, is_request, place, told
from tunekit.plugins.files import PluginFile, in_file, module_from, unique
from tunekit.plugins.objects import object_owner, packed
from tunekit.plugins.owner import BUILTIN, LeftOut, Owner
from tunekit.plugins.registry import Registry

ENTRY_POINT_GROUP = "tunekit"
NAMELESS = "a distribution without a name"
DISABLED = "TUNEKIT_DISABLED"
"""The environment variable that names what to pass over, separated by commas."""

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
    optional: Iterable[str] = (),
    objects: Iterable[object] = (),
    disabled: Iterable[str] = (),
    observers: bool = False,
    entry_points: bool = True,
) -> Registry:
    """Load the built-ins, the installed plugins and what the user named.

    Args:
        files: Single-file plugins, as paths or already read.
        optional: Paths of further files, which are left out if they cannot be used.
        objects: Component classes, and modules or objects with hook implementations.
        disabled: Names of entry points or distributions to pass over, besides those of
            ``TUNEKIT_DISABLED``.
        observers: Whether to load the built-in observers too (workers do not).
        entry_points: Whether to load installed plugins (entry points of the group ``tunekit``).

    Raises:
        PluginError: One of the files or objects cannot be used. Broken installed plugins and
            optional files are left out and named in `Registry.left_out`.
    """
    manager = pluggy.PluginManager("tunekit")
    manager.add_hookspecs(hookspecs)
    registry = Registry(manager, entry_points=entry_points)
    for name in BUILTIN_COMPONENTS + (BUILTIN_OBSERVERS if observers else ()):
        registry.register(importlib.import_module(name), BUILTIN)
    read = [file if isinstance(file, PluginFile) else PluginFile.read(file) for file in files]
    registry.files = tuple(unique([*read, *_readable_files(optional, registry.left_out)]))
    if entry_points:
        _load_installed(registry, {*disabled, *disabled_everywhere()})
    for file in registry.files:
        _load_file(registry, file, is_optional=file not in read)
    for plugin in objects:
        _load_object(registry, plugin)
    return registry


def disabled_everywhere() -> list[str]:
    """The names that ``TUNEKIT_DISABLED`` holds."""
    return [name.strip() for name in os.environ.get(DISABLED, "").split(",")]


def _readable_files(paths: Iterable[str], left_out: list[LeftOut]) -> Iterator[PluginFile]:
    for path in paths:
        try:
            yield PluginFile.read(path)
        except PluginError as error:
            left_out.append(LeftOut(Owner(path, "", "file"), error.message))


def _load_file(registry: Registry, file: PluginFile, *, is_optional: bool) -> None:
    owner = Owner(file.path, file.digest, "file")
    try:
        registry.register(module_from(file), owner)
    except BaseException as error:
        if is_request(error):
            raise
        refused = in_file(error, file.path)
        if not is_optional:
            raise refused from error
        at = Place(file.path, refused.line) if refused.line is not None else None
        registry.left_out.append(LeftOut(owner, refused.message, at))
        registry.files = tuple(other for other in registry.files if other is not file)


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
    except BaseException as error:
        if is_request(error):
            raise
        at = place(error)
        where = f" ({at})" if at and not isinstance(error, PluginError) else ""
        raise PluginError(f"{owner.name}: {told(error)}{where}") from error


def _load_installed(registry: Registry, disabled: set[str]) -> None:
    for entry_point, owner in _entry_points(registry.left_out):
        if {owner.entry_point, owner.name} & disabled:
            registry.disabled.append(owner)
            continue
        try:
            plugin = _loaded(entry_point)
            is_there = registry.manager.is_registered(plugin)
            if not (is_there or any(_is_text_of(file, plugin) for file in registry.files)):
                registry.register(_module_or_object(plugin), owner)
        except BaseException as error:
            # Somebody else's broken package must not take the command down.
            if is_request(error):
                raise
            code = _code_of(entry_point)
            at = place(error, code) if code else None
            reason = told(error) + _too_new(entry_point.dist)
            registry.left_out.append(LeftOut(owner, reason, at))


def _loaded(entry_point: EntryPoint) -> object:
    if not entry_point.pattern.match(entry_point.value):
        raise PluginError(
            f"its entry point is {entry_point.value!r}; expected a module, as in "
            'my_rules = "my_rules"'
        )
    return entry_point.load()


def _module_or_object(plugin: object) -> object:
    if isinstance(plugin, type):
        raise PluginError(
            f"its entry point names the class {plugin.__name__}; expected a module with hooks, as "
            'in my_rules = "my_rules", or an object'
        )
    return plugin


def _too_new(distribution: Distribution | None) -> str:
    """That a distribution was made for another tunekit, if it says so."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in (distribution.requires if distribution else None) or ():
        try:
            needs = Requirement(text)
        except InvalidRequirement:
            continue
        version = importlib.metadata.version("tunekit")
        if needs.name == "tunekit" and version not in needs.specifier:
            return f". It was made for {text}, and this is tunekit {version}"
    return ""


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
    seen: set[str | None] = set()
    for distribution in importlib.metadata.distributions():
        try:
            name: str | None = distribution.name  # None where the metadata are missing
            if name is None or name not in seen:  # else it is hidden by one before it on the path
                yield from distribution.entry_points.select(group=ENTRY_POINT_GROUP)
            seen.add(name)
        except Exception as error:
            reason = f"its entry points cannot be read: {told(error)}"
            left_out.append(LeftOut(_owner(distribution), reason))


def _owner(distribution: Distribution | None, entry_point: str = "") -> Owner:
    try:
        name = (distribution.name if distribution else None) or NAMELESS
        version = (distribution.version if distribution else None) or ""
    except Exception:
        name, version = NAMELESS, ""
    return Owner(name, version, "distribution", entry_point)


def _code_of(entry_point: EntryPoint) -> Sequence[str]:
    """Where the plugin's own code lies."""
    try:
        spec = importlib.util.find_spec(entry_point.module.partition(".")[0])
    except Exception:
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
