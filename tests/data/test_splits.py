from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.data.options import DataOptions
from tunekit.data.splits import split_rows
from tunekit.data.targets import Target
from tunekit.errors import DataError


def classes(*counts: int) -> Target:
    """So many rows of each class, in a fixed disorder."""
    values = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    names = tuple(f"class {i}" for i in range(len(counts)))
    return Target("classification", np.arange(len(values)), values, names)


def values(rows: int) -> Target:
    return Target("regression", np.arange(rows), np.arange(rows, dtype=float)[:, None])


def options(**given: Any) -> DataOptions:
    return DataOptions("data.csv", **given)


def error(target: Target, **given: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        split_rows(target, options(**given), 0)
    return caught.value


TARGETS = st.one_of(
    st.integers(40, 120).map(values),
    st.lists(st.integers(12, 40), min_size=2, max_size=4).map(lambda counts: classes(*counts)),
)
OPTIONS = st.builds(
    options,
    test=st.sampled_from([0.0, 0.2, 0.4]),
    folds=st.sampled_from([None, 2, 5]),
    repeats=st.integers(1, 3),
)


@settings(deadline=None)
@given(TARGETS, OPTIONS, st.integers(0, 2**32))
def test_every_row_is_in_the_test_split_or_in_each_fold_once(
    target: Target, chosen: DataOptions, seed: int
) -> None:
    split = split_rows(target, chosen, seed)
    everything = np.arange(len(target.values))
    assert np.array_equal(np.sort(np.concatenate([split.rest, split.test])), everything)
    for train, held in split.folds:
        assert np.array_equal(np.sort(np.concatenate([train, held])), split.rest)
    assert len(split.folds) == (chosen.folds or 1) * chosen.repeats


@settings(deadline=None)
@given(TARGETS, st.integers(2, 5), st.integers(0, 99))
def test_the_folds_of_a_repeat_validate_on_every_row_once(
    target: Target, folds: int, seed: int
) -> None:
    split = split_rows(target, options(folds=folds, repeats=2), seed)
    for repeat in (split.folds[:folds], split.folds[folds:]):
        held = np.concatenate([held for _, held in repeat])
        assert np.array_equal(np.sort(held), split.rest)


@settings(deadline=None)
@given(TARGETS, OPTIONS, st.integers(0, 2**32))
def test_options_and_seed_alone_decide_the_split(
    target: Target, chosen: DataOptions, seed: int
) -> None:
    first = split_rows(target, chosen, seed)
    np.random.default_rng().random()
    again = split_rows(target, chosen, seed)
    assert np.array_equal(first.test, again.test)
    for (train, held), (train_again, held_again) in zip(first.folds, again.folds, strict=True):
        assert np.array_equal(train, train_again)
        assert np.array_equal(held, held_again)


def test_another_seed_gives_another_split() -> None:
    first, other = (split_rows(values(100), options(folds=4), seed) for seed in (0, 1))
    assert not np.array_equal(first.test, other.test)
    assert not np.array_equal(first.folds[0][1], other.folds[0][1])


def test_the_test_split_does_not_depend_on_how_the_rest_is_split() -> None:
    tests = [
        split_rows(classes(50, 30), options(**given), 3).test
        for given in ({"folds": 5}, {"validation": 0.5}, {"folds": 2, "repeats": 4})
    ]
    assert all(np.array_equal(test, tests[0]) for test in tests)


def test_more_repeats_keep_the_first_and_add_different_ones() -> None:
    one, three = (split_rows(values(60), options(folds=3, repeats=n), 0) for n in (1, 3))
    held_one, held_three = ([held.tolist() for _, held in s.folds] for s in (one, three))
    assert held_three[:3] == held_one
    assert len({tuple(held) for held in held_three}) == 9


def test_rows_are_shuffled_before_they_are_split() -> None:
    split = split_rows(values(100), options(folds=5), 0)
    for part in (split.test, *(held for _, held in split.folds)):
        assert np.ptp(part) > len(part)


@pytest.mark.parametrize("given", [{"folds": 5}, {"validation": 0.25}])
def test_classes_have_the_same_shares_everywhere(given: dict[str, Any]) -> None:
    target = classes(100, 60, 40)
    split = split_rows(target, options(**given), 0)
    for part in (split.rest, split.test, *(rows for fold in split.folds for rows in fold)):
        shares = np.bincount(target.values[part]) / len(part)
        np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.02)


def test_shares_are_of_all_rows_and_of_the_rest() -> None:
    split = split_rows(values(100), options(test=0.2, validation=0.5), 0)
    assert (len(split.test), *map(len, split.folds[0])) == (20, 40, 40)


def test_a_quarter_of_the_rest_validates_when_nothing_is_said() -> None:
    (fold,) = split_rows(values(100), options(), 0).folds
    assert tuple(map(len, fold)) == (60, 20)


def test_without_a_test_split_all_rows_are_the_rest() -> None:
    split = split_rows(values(30), options(test=0.0), 0)
    assert len(split.test) == 0
    assert len(split.rest) == 30


def test_a_class_with_fewer_rows_than_folds_is_an_error() -> None:
    found = error(classes(50, 4), folds=5)
    assert found.key == "data.folds"
    assert "'class 1' has 3 rows here; expected at least 5, one for each of 5 folds" in str(found)


def test_a_class_with_one_row_is_an_error() -> None:
    found = error(classes(50, 1))
    assert found.key == "data.test"
    assert "'class 1' has 1 row here; expected at least 2" in str(found)


def test_a_class_that_no_training_row_has_is_an_error() -> None:
    # With two rows of the rare class, most of the rows held out take both.
    found = error(classes(30, 2), test=0.0, validation=0.9)
    assert found.key == "data.validation"
    assert "'class 1' has 0 rows here" in str(found)


@pytest.mark.parametrize(
    ("target", "given", "key", "message"),
    [
        (values(6), {}, "data.test", "0.2 of 6 rows makes 1, and 5 stay; expected at least 2"),
        (values(8), {"folds": 5}, "data.folds", "6 rows are too few for 5 folds"),
        (values(8), {"validation": 0.9}, "data.validation", "0.9 of 6 rows makes 5, and 1 stay"),
        (classes(3, 3, 3), {}, "data.test", "expected at least 3 in each part (one of each class)"),
    ],
)
def test_too_few_rows_are_an_error(
    target: Target, given: dict[str, Any], key: str, message: str
) -> None:
    found = error(target, **given)
    assert found.key == key
    assert message in str(found)
