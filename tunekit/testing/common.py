"""What every component promises, of whatever kind."""

from __future__ import annotations

from tunekit.components import Component
from tunekit.errors import TunekitError
from tunekit.plugins import told
from tunekit.space import Choices, Interval, Scalar, show
from tunekit.testing.check import CheckFailure, check


@check()
def summary(component: Component) -> None:
    """Its docstring says what it does."""
    if not type(component).summary():
        raise CheckFailure(
            expected="a docstring, whose first line stands beside the name in listings",
            found="none",
            likely=f"`class {type(component).__name__}` begins without one; say what it does, and "
            "name the paper in brackets",
        )


@check()
def defaults(component: Component) -> None:
    """Defaults lie in search ranges that can be had."""
    cls = type(component)
    for hyperparameter in cls.hyperparameters().values():
        domain, name = hyperparameter.search, hyperparameter.name
        values: tuple[Scalar, ...] = ()
        if isinstance(domain, Interval):
            _expect_inside(name, float(hyperparameter.default), domain)
            values = (domain.at(0.0), domain.at(0.5), domain.at(1.0))
        elif isinstance(domain, Choices):
            values = domain.values
        for value in values:
            try:
                cls(**{name: value})
            except (Exception, SystemExit) as error:
                raise CheckFailure(
                    expected=f"{cls.__name__}({name}={show(value)}) can be made, as this value is "
                    "in the search range",
                    found=error.message if isinstance(error, TunekitError) else told(error),
                    likely="a limit (`min`, `max`) or `__post_init__` refuses what the search "
                    "range offers",
                ) from error


def _expect_inside(name: str, default: float, interval: Interval) -> None:
    if not interval.low <= default <= interval.high:
        raise CheckFailure(
            expected=f"the default of `{name}` in its search range, {interval}",
            found=show(default),
            likely="a search tries the default first; widen the range, or change the default",
        )
