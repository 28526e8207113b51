from __future__ import annotations

import json
from itertools import islice

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tunekit.space import Choices, Domain, Fixed, Interval, Scalar
from tunekit.study.space import Condition, Parameter, Space


def contains(domain: Domain, value: Scalar) -> bool:
    if isinstance(domain, Fixed):
        return value == domain.value
    if isinstance(domain, Choices):
        return value in domain.values
    assert isinstance(value, (int, float))
    is_whole = not domain.integer or isinstance(value, int)
    return is_whole and domain.low <= value <= domain.high and domain.nearest(value) == value


def assert_consistent(space: Space, configuration: dict[str, Scalar]) -> None:
    """Every value lies in its domain, and a parameter is there exactly when its condition holds."""
    for parameter in space.parameters:
        when = parameter.when
        is_active = when is None or configuration.get(when.name) == when.value
        assert (parameter.name in configuration) == is_active
        if is_active:
            assert contains(parameter.domain, configuration[parameter.name])
    assert list(configuration) == [p.name for p in space.parameters if p.name in configuration]


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    low, high = draw(st.integers(1, 6)), draw(st.integers(7, 12))
    if draw(st.booleans()):
        return Interval(low, high, integer=True, step=draw(st.sampled_from([None, 2, 5])))
    step = draw(st.sampled_from([None, 0.5]))
    log = step is None and draw(st.booleans())
    return Interval(float(low), float(high), log=log, step=step)


names = st.lists(st.sampled_from("abcde"), min_size=2, max_size=4, unique=True)
domains = st.one_of(
    st.sampled_from([Fixed("a"), Fixed(1.5), Fixed(True)]),
    names.map(lambda values: Choices(tuple(sorted(values)))),
    st.just(Choices((False, True))),
    intervals(),
)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Conditions refer to any earlier parameter that is fixed or a choice."""
    parameters: list[Parameter] = []
    for i in range(draw(st.integers(0, 6))):
        domain = draw(domains)
        when = None
        parents = [p for p in parameters if not isinstance(p.domain, Interval)]
        is_conditional: bool = draw(st.booleans())
        if parents and is_conditional:
            parent: Parameter = draw(st.sampled_from(parents))
            values = parent.domain.values if isinstance(parent.domain, Choices) else ()
            when = Condition(parent.name, draw(st.sampled_from([*values, "a", True])))
        cycle: tuple[Scalar, ...] = ()
        if isinstance(domain, Choices) and when is None:
            cycle = tuple(draw(st.permutations(domain.values)))
        default = cycle[0] if cycle else domain.nearest(5)
        parameters.append(Parameter(f"p{i}", domain, default, when, cycle))
    return Space(tuple(parameters))


@given(spaces(), st.data())
def test_a_resolved_configuration_keeps_to_domains_and_conditions(
    space: Space, data: st.DataObject
) -> None:
    asked: list[Parameter] = []

    def choose(parameter: Parameter) -> Scalar:
        asked.append(parameter)
        domain = parameter.domain
        assert not isinstance(domain, Fixed)
        if isinstance(domain, Choices):
            return data.draw(st.sampled_from(domain.values))
        return domain.at(data.draw(st.floats(0, 1)))

    configuration = space.resolve(choose)

    assert_consistent(space, configuration)
    assert set(asked) <= set(space.searched)
    assert len(asked) == len(set(asked))


@given(spaces())
def test_default_configurations_cover_every_listed_value_without_repetition(space: Space) -> None:
    defaults = space.defaults()
    for configuration in defaults:
        assert_consistent(space, configuration)
    assert len({json.dumps(c) for c in defaults}) == len(defaults)
    assert defaults[0] == space.resolve(lambda parameter: parameter.default)
    for parameter in space.parameters:
        if parameter.cycle:
            tried = [configuration[parameter.name] for configuration in defaults]
            assert tried[: len(parameter.cycle)] == list(parameter.cycle)
            assert len(defaults) >= len(parameter.cycle)


@given(spaces(), st.integers(1, 4))
def test_the_grid_is_the_whole_tree_once(space: Space, points: int) -> None:
    size = space.size(points)
    assert size is not None
    assume(size <= 2000)
    grid = list(islice(space.grid(points), 2001))
    for configuration in grid:
        assert_consistent(space, configuration)
    assert len(grid) == size
    assert len({json.dumps(c) for c in grid}) == size


def test_the_grid_takes_all_values_of_short_ranges_and_some_of_long_ones() -> None:
    whole = Parameter("whole", Interval(1, 8, integer=True, log=True), 1)
    stepped = Parameter("stepped", Interval(0.0, 0.45, step=0.2), 0.0)
    long = Parameter("long", Interval(1.0, 100.0, log=True), 1.0)

    def column(parameter: Parameter, points: int) -> list[Scalar]:
        return [c[parameter.name] for c in Space((parameter,)).grid(points)]

    assert column(whole, 8) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert column(whole, 2) == [1, 8]
    assert column(stepped, 5) == pytest.approx([0.0, 0.2, 0.4])
    assert column(long, 3) == pytest.approx([1, 10, 100])


def test_a_space_has_a_size_unless_a_range_has_no_end_of_values() -> None:
    kind = Parameter("kind", Choices(("a", "b")), "a")
    only_a = Condition("kind", "a")
    whole = Parameter("a.n", Interval(1, 5, integer=True), 1, only_a)
    real = Parameter("a.x", Interval(0.0, 1.0), 0.5, only_a)
    never = Parameter("c.x", Interval(0.0, 1.0), 0.5, Condition("kind", "c"))
    assert Space(()).size() == 1
    assert Space((kind, whole)).size() == 5 + 1
    assert Space((kind, whole, real)).size() is None
    assert Space((kind, whole, real)).size(3) == 3 * 3 + 1
    assert Space((kind, never)).size() == 2


def test_a_large_space_is_counted_exactly_without_listing_it() -> None:
    wide = tuple(Parameter(f"p{i}", Interval(1, 10**9, integer=True), 1) for i in range(9))
    assert Space(wide).size() == 10**81


def test_the_first_of_two_lists_of_different_length_starts_again() -> None:
    long = Parameter("long", Choices((1, 2, 3)), 3, None, (3, 1, 2))
    short = Parameter("short", Choices((False, True)), False, None, (False, True))
    assert Space((long, short)).defaults() == [
        {"long": 3, "short": False},
        {"long": 1, "short": True},
        {"long": 2, "short": False},
    ]


def test_description_names_every_parameter() -> None:
    space = Space(
        (
            Parameter("lr", Interval(1e-3, 1.0, log=True), 0.1),
            Parameter("eps", Fixed(1e-8), 1e-8),
        )
    )
    assert space.describe() == {"lr": "0.001 to 1, log scale", "eps": "1e-08"}


def test_the_signature_tells_names_domains_and_conditions_apart() -> None:
    kind = Parameter("kind", Choices(("a", "b")), "a", None, ("a", "b"))
    lr = Parameter("lr", Interval(1e-3, 1.0, log=True), 0.1, Condition("kind", "a"))
    base = Space((kind, lr)).signature()
    others = [
        Space((kind,)),
        Space((kind, Parameter("rate", lr.domain, 0.1, lr.when))),
        Space((kind, Parameter("lr", Interval(1e-3, 1.0), 0.1, lr.when))),
        Space((kind, Parameter("lr", lr.domain, 0.1, Condition("kind", "b")))),
        Space((kind, Parameter("lr", lr.domain, 0.1))),
        Space((Parameter("kind", Choices(("a", "c")), "a"), lr)),
    ]
    assert len({base, *(space.signature() for space in others)}) == len(others) + 1
    # What is tried first is no part of it.
    other_order = Parameter("kind", Choices(("a", "b")), "b", None, ("b", "a"))
    assert Space((other_order, lr)).signature() == base
    assert json.loads(base)[1]["when"] == {"name": "kind", "value": "a"}
