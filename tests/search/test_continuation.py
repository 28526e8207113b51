"""What becomes of a recorded configuration in a changed space, and of a changed signature."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tunekit.search.continuation import Differences, UnfitError, in_short, nearest, refit
from tunekit.space import Choices, Domain, Fixed, Interval, Scalar
from tunekit.study.space import Condition, Parameter, Space

FLAG = Choices((False, True))


def parameter(name: str, domain: Domain, default: Scalar, when: str = "") -> Parameter:
    asked, _, value = when.partition("=")
    condition = Condition(asked, True if value == "true" else value) if when else None
    return Parameter(name, domain, default, condition)


def space(**changes: Parameter | None) -> Space:
    """A small space, with some parameters changed, added or taken out."""
    parameters: dict[str, Parameter | None] = {
        "optimizer": parameter("optimizer", Choices(("adam", "sgd")), "adam"),
        "adam_lr": parameter(
            "optimizer.adam.lr", Interval(1e-4, 0.1, log=True), 1e-3, "optimizer=adam"
        ),
        "sgd_lr": parameter("optimizer.sgd.lr", Interval(0.0, 1.0), 0.5, "optimizer=sgd"),
        "l2": parameter("regularizer.l2", FLAG, False),
        "l2_rate": parameter("regularizer.l2.rate", Interval(0, 1), 0.5, "regularizer.l2=true"),
        "dropout": parameter("regularizer.dropout", FLAG, False),
        "width": parameter("network.width", Interval(4, 16, integer=True), 8),
        "epochs": parameter("epochs", Fixed(4), 4),
        **changes,
    }
    return Space(tuple(p for p in parameters.values() if p is not None))


ADAM: dict[str, Scalar] = {
    "optimizer": "adam",
    "optimizer.adam.lr": 0.01,
    "regularizer.l2": True,
    "regularizer.l2.rate": 0.25,
    "regularizer.dropout": False,
    "network.width": 10,
    "epochs": 4,
}


def width(domain: Domain) -> Space:
    return space(width=parameter("network.width", domain, 8))


@pytest.mark.parametrize(
    "changed",
    [
        space(),
        width(Interval(2, 64, integer=True)),
        width(Interval(10, 12, integer=True)),
        width(Interval(4, 16, integer=True, log=True)),
        width(Interval(4, 16, integer=True, step=3)),
        width(Choices((8, 10))),
        width(Fixed(10)),
        space(optimizer=parameter("optimizer", Choices(("adam", "lion")), "adam"), sgd_lr=None),
        space(optimizer=parameter("optimizer", Fixed("adam"), "adam"), sgd_lr=None),
        space(epochs=parameter("epochs", Choices((2, 4)), 2)),
        space(dropout=None),
        space(width=parameter("network.width", Interval(4, 16, integer=True), 15)),
    ],
)
def test_what_is_in_the_changed_space_stays_what_it_was(changed: Space) -> None:
    kept = {name: ADAM[name] for name in refit(ADAM, changed)}
    assert refit(ADAM, changed) == kept
    assert not [name for name in ADAM.keys() - kept.keys() if ADAM[name] is not False]


def test_a_regularizer_that_the_space_had_not_was_off() -> None:
    more = space(noise=parameter("regularizer.noise", FLAG, False))
    assert refit(ADAM, more) == {**ADAM, "regularizer.noise": False}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (width(Interval(4, 9, integer=True)), r"network\.width = 10 is outside of 4 to 9"),
        (width(Interval(4, 16, integer=True, step=4)), r"network\.width = 10 is outside"),
        (width(Choices((8, 16))), r"network\.width = 10 is outside of one of 8, 16"),
        (width(Fixed(8)), r"network\.width was 10 and is fixed at 8"),
        (space(optimizer=parameter("optimizer", Choices(("lion", "sgd")), "sgd")), "= adam is"),
        (space(optimizer=parameter("optimizer", Fixed("sgd"), "sgd")), "optimizer was adam"),
        (space(epochs=parameter("epochs", Fixed(9), 9)), "epochs was 4 and is fixed at 9"),
        (space(l2=None, l2_rate=None), r"regularizer\.l2 is not in the space any more"),
        (space(width=None), r"network\.width is not in the space any more"),
        (space(depth=parameter("network.depth", Fixed(1), 1)), r"network\.depth is new"),
    ],
)
def test_what_is_not_in_the_changed_space_says_why(changed: Space, why: str) -> None:
    with pytest.raises(UnfitError, match=why):
        refit(ADAM, changed)


def test_a_switch_is_not_a_number() -> None:
    with pytest.raises(UnfitError):
        refit({**ADAM, "network.width": True}, width(Interval(0, 16, integer=True)))


def test_code_that_has_changed_is_other_code_for_those_who_used_it() -> None:
    for component in ("optimizer.adam", "regularizer.l2"):
        with pytest.raises(UnfitError, match=rf"the code of {component} has changed"):
            refit(ADAM, space(), frozenset({component}))
    unused = frozenset({"optimizer.sgd", "regularizer.dropout"})
    assert refit(ADAM, space(), unused) == ADAM


def reordered() -> Space:
    known = {p.name: p for p in space().parameters}
    order = [n for n in known if n != "regularizer.dropout"]
    order.insert(order.index("regularizer.l2"), "regularizer.dropout")
    return Space(tuple(known[name] for name in order))


def test_regularizers_in_another_order_matter_where_two_are_on() -> None:
    assert refit(ADAM, reordered()) == ADAM
    both = {**ADAM, "regularizer.dropout": True}
    assert refit(both, space()) == both
    with pytest.raises(UnfitError, match="the regularizers act in another order"):
        refit(both, reordered())


def test_the_nearest_configuration_keeps_what_it_can() -> None:
    smaller = space(
        width=parameter("network.width", Interval(2, 8, integer=True), 4),
        epochs=parameter("epochs", Fixed(9), 9),
        dropout=None,
    )
    assert nearest(ADAM, smaller) == {
        "optimizer": "adam",
        "optimizer.adam.lr": 0.01,
        "regularizer.l2": True,
        "regularizer.l2.rate": 0.25,
        "network.width": 8,
        "epochs": 9,
    }


def test_the_nearest_to_a_choice_that_is_gone_is_the_default() -> None:
    other = space(optimizer=parameter("optimizer", Choices(("lion", "sgd")), "sgd"))
    found = nearest(ADAM, other)
    assert found["optimizer"] == "sgd"
    assert found["optimizer.sgd.lr"] == 0.5
    assert nearest({**ADAM, "network.width": "wide"}, space())["network.width"] == 8


def signature(**changes: str | None) -> Mapping[str, str]:
    entries = {
        "space optimizer": "one of adam, sgd",
        "space (digest)": "12",
        "plugin optimizer.lion": "ab",
        "plugin metric.mine": "cd",
        "data (digest)": "34",
        "study.metric": "accuracy",
        "study.constraints": "none",
        **changes,
    }
    return {name.replace("__", " "): text for name, text in entries.items() if text is not None}


def test_equal_signatures_do_not_differ() -> None:
    assert Differences(signature(), signature()).changed == []


@pytest.mark.parametrize("name", ["data (digest)", "study.metric", "plugin metric.mine"])
def test_what_all_trials_must_share(name: str) -> None:
    differences = Differences(signature(), signature(**{name: "another"}))
    assert differences.exact == [name]
    assert differences.told([name]) == f"  {name}: was {signature()[name]}, is another"


@pytest.mark.parametrize("name", ["space optimizer", "space (digest)", "plugin optimizer.lion"])
def test_what_trials_may_differ_in(name: str) -> None:
    for changed in (signature(**{name: "another"}), signature(**{name: None})):
        differences = Differences(signature(), changed)
        assert differences.changed == [name]
        assert not differences.exact


def test_components_whose_code_changed_are_known_by_kind_and_name() -> None:
    changed = signature(**{"plugin optimizer.lion": "ef"})
    assert Differences(signature(), changed).changed_components == {"optimizer.lion"}


def test_an_older_record_that_did_not_say_its_constraints_had_none() -> None:
    older = signature(**{"study.constraints": None})
    assert not Differences(older, signature()).changed
    wanted = Differences(older, signature(**{"study.constraints": "parameters < 9"}))
    assert wanted.told(wanted.exact) == "  study.constraints: was none, is parameters < 9"


def test_trials_that_stay_behind_are_told_by_reason() -> None:
    unfit = [(number, "width is outside") for number in range(8)] + [(8, "dropout is new")]
    assert in_short(unfit) == (
        "width is outside (trials 0, 1, 2, 3, 4, 5, ...); dropout is new (trial 8)"
    )
    many = [(number, f"reason {number}") for number in range(5)]
    assert in_short(many).endswith("; 2 more for other reasons")
