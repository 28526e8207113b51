"""What becomes of recorded trials in a study that has changed since."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from tunekit.components import KINDS
from tunekit.search.samplers import distribution
from tunekit.space import Choices, Fixed, Scalar, show
from tunekit.study.space import Parameter, Space

EXACT = ("data", "study.", "plugin metric", "plugin loss")
"""How entries of a signature start that all trials must share, whatever their configurations."""
UNSAID = {"study.constraints": "none"}
"""What entries stand for in the records of versions that did not write them yet."""


class UnfitError(Exception):
    """A trial cannot be joined by trials of the changed study; says why."""


@dataclass(frozen=True)
class Differences:
    """How a study differs from what its record was made with.

    Attributes:
        recorded: The record's signature.
        current: The study's.
    """

    recorded: Mapping[str, str]
    current: Mapping[str, str]

    @property
    def changed(self) -> list[str]:
        """The entries that differ."""
        names = sorted({*self.recorded, *self.current})
        return [name for name in names if _entry(self.recorded, name) != _entry(self.current, name)]

    @property
    def exact(self) -> list[str]:
        """Those of them that no trial survives."""
        return [name for name in self.changed if name.startswith(EXACT)]

    def told(self, names: Iterable[str]) -> str:
        """What was and what is, a line for each entry."""
        return "\n".join(
            f"  {name}: was {_entry(self.recorded, name)}, is {_entry(self.current, name)}"
            for name in names
        )

    @property
    def changed_components(self) -> frozenset[str]:
        """Components by kind and name whose code is another one."""
        return frozenset(
            name.removeprefix("plugin ") for name in self.changed if name.startswith("plugin ")
        )


def _entry(signature: Mapping[str, str], name: str) -> str:
    return signature.get(name, UNSAID.get(name, "not there"))


def refit(
    configuration: Mapping[str, Scalar],
    space: Space,
    changed_components: frozenset[str] = frozenset(),
) -> dict[str, Scalar]:
    """A recorded configuration as one of the changed space.

    A regularizer that the space had not is one that was off.

    Args:
        configuration: What was trained.
        space: The changed space.
        changed_components: Components by kind and name whose code is another one.

    Raises:
        UnfitError: It is not in the space, or was trained with other code.
    """
    # First of all, since another optimizer, say, has other hyperparameters.
    for parameter in space.parameters:
        value = configuration.get(parameter.name)
        if isinstance(parameter.domain, Fixed) and value not in (None, parameter.domain.value):
            is_ = show(parameter.domain.value)
            raise UnfitError(f"{parameter.name} was {show(value)} and is fixed at {is_}")

    def choose(parameter: Parameter) -> Scalar:
        value = _value(configuration, parameter)
        if not parameter.takes(value):
            raise UnfitError(f"{parameter.name} = {show(value)} is outside of {parameter.domain}")
        return value

    fitted = space.resolve(choose)
    by_name = {parameter.name: parameter for parameter in space.parameters}
    for name in fitted:
        _value(configuration, by_name[name])
    for name, value in configuration.items():
        if name not in fitted and value is not False:
            raise UnfitError(f"{name} is not in the space any more")
    if _switched_on(configuration) != _switched_on(fitted):
        raise UnfitError("the regularizers act in another order")
    for component in components_of(configuration):
        if component in changed_components:
            raise UnfitError(f"the code of {component} has changed")
    return fitted


def carried(
    trial: FrozenTrial, space: Space, changed_components: frozenset[str] = frozenset()
) -> FrozenTrial:
    """A recorded trial as one of a changed study.

    It keeps its ask index: random draws follow from that, and must not be drawn once more.

    Args:
        trial: As it was recorded.
        space: The changed study's space.
        changed_components: Components whose code is another one.

    Raises:
        UnfitError: It cannot be joined by trials of that study.
    """
    attrs = trial.user_attrs
    configuration = refit(attrs["configuration"], space, changed_components)
    notes = {**attrs["tunekit"], "carried": trial.number}
    searched = {p.name: p for p in space.searched if p.name in configuration}
    joined = copy.copy(trial)
    joined.params = {name: configuration[name] for name in searched}
    joined.distributions = {name: distribution(p) for name, p in searched.items()}
    joined.user_attrs = {**attrs, "configuration": configuration, "tunekit": notes}
    # Constraints stay; scores at rungs are found anew for the pruner, brackets by the ask index.
    joined.system_attrs = {
        k: v for k, v in trial.system_attrs.items() if k.startswith("constraints")
    }
    return joined


def nearest(configuration: Mapping[str, Scalar], space: Space) -> dict[str, Scalar]:
    """The configuration of a space that is most like another space's, defaults elsewhere."""

    def choose(parameter: Parameter) -> Scalar:
        value = configuration.get(parameter.name, parameter.default)
        if isinstance(parameter.domain, Choices) and not parameter.takes(value):
            return parameter.default
        is_number = not isinstance(value, (bool, str))
        if isinstance(parameter.domain, Choices) or is_number:
            return parameter.domain.nearest(value)
        return parameter.default

    return space.resolve(choose)


def components_of(configuration: Mapping[str, Scalar]) -> list[str]:
    """The components that a configuration uses, by kind and name."""
    chosen = [f"{kind}.{configuration[kind]}" for kind in KINDS if kind in configuration]
    return chosen + _switched_on(configuration)


def _switched_on(configuration: Mapping[str, Scalar]) -> list[str]:
    """The regularizers that are on, in the order in which they act."""
    return [
        name
        for name, value in configuration.items()
        if name.startswith("regularizer.") and name.count(".") == 1 and value is True
    ]


def _value(configuration: Mapping[str, Scalar], parameter: Parameter) -> Scalar:
    if parameter.name in configuration:
        return configuration[parameter.name]
    if parameter.domain == Choices((False, True)) and parameter.name.startswith("regularizer."):
        return False
    raise UnfitError(f"{parameter.name} is new")


def in_short(unfit: Sequence[tuple[int, str]], most: int = 3) -> str:
    """Trials that were left behind, by the reason why."""
    by_reason: dict[str, list[int]] = {}
    for number, reason in unfit:
        by_reason.setdefault(reason, []).append(number)
    ordered = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    told = [
        f"{reason} (trial{'s' if len(numbers) > 1 else ''} "
        f"{', '.join(map(str, numbers[:6]))}{', ...' if len(numbers) > 6 else ''})"
        for reason, numbers in ordered[:most]
    ]
    if len(ordered) > most:
        told.append(f"{sum(len(n) for _, n in ordered[most:])} more for other reasons")
    return "; ".join(told)
