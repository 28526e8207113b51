"""Numbers, times and configurations in words."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tunekit.report import words


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.97861, "0.9786"),
        (52.976, "52.98"),
        (0.97, "0.9700"),
        (7000.0, "7,000"),
        (1234.5, "1,234"),
        (-0.5, "\N{MINUS SIGN}0.5000"),
        (0.0, "0"),
        (1.234e-7, "1.23e\N{MINUS SIGN}07"),
        (4.7e9, "4.70e+09"),
        (None, "\N{EN DASH}"),
        (math.nan, "\N{EN DASH}"),
    ],
)
def test_numbers_have_the_figures_that_mean_something(value: float | None, written: str) -> None:
    assert words.number(value) == written


@pytest.mark.parametrize(
    ("mean", "spread", "written"),
    [
        (0.97861, 0.00701, "0.9786 ± 0.0070"),
        (54.4973, 6.3, "54.5 ± 6.3"),
        (1234.5, 120.0, "1,234 ± 120"),
        (0.97861, 0.0, "0.9786"),
        (0.97861, math.nan, "0.9786"),
        (0.5, 0.0998, "0.50 ± 0.10"),
    ],
)
def test_a_mean_has_as_many_decimals_as_its_spread_allows(
    mean: float, spread: float, written: str
) -> None:
    assert words.with_spread(mean, spread) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.04, "40 ms"),
        (4.21, "4.2 s"),
        (59.97, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_times_are_told_in_fitting_units(seconds: float, written: str) -> None:
    assert words.duration(seconds) == written


@pytest.mark.parametrize(
    ("part", "whole", "written"),
    [(0, 9, "0%"), (1, 900, "<1%"), (1, 3, "33%"), (899, 900, ">99%"), (9, 9, "100%")],
)
def test_shares_are_neither_made_nothing_nor_all(part: int, whole: int, written: str) -> None:
    assert words.share(part, whole) == written


@pytest.mark.parametrize(
    ("changes", "short", "told"),
    [
        ({}, "adam lr=0.0018, relu, 2x64, batch 32", "2 hidden layers of 64 relu units"),
        ({"network.depth": 0}, "adam lr=0.0018, relu, linear, batch 32", "no hidden layer"),
        (
            {"network.normalization": "batch", "network.residual": True, "regularizer.l2": True},
            "adam lr=0.0018, relu, 2x64 batch-norm, residual, batch 32, +l2",
            "2 hidden layers of 64 relu units (batch-norm, residual), batches of 32, with l2",
        ),
        (
            {"network.hidden": "32-16", "schedule": "cosine"},
            "adam lr=0.0018, relu, cosine, 32-16, batch 32",
            "schedule cosine, 2 hidden layers of 32 and 16 relu units",
        ),
        ({"network.hidden": "none"}, "adam lr=0.0018, relu, linear, batch 32", "no hidden layer"),
    ],
)
def test_a_configuration_is_told_in_short_and_at_length(
    changes: dict[str, Any], short: str, told: str
) -> None:
    configuration = {
        "optimizer": "adam",
        "optimizer.adam.lr": 0.00176,
        "activation": "relu",
        "schedule": "constant",
        "network.depth": 2,
        "network.width": 64,
        "batch_size": 32,
        **changes,
    }
    assert words.configuration(configuration) == short
    assert words.described(configuration).startswith("adam at learning rate 0.0018, ")
    assert told in words.described(configuration)


def test_backticks_become_code_and_all_else_stays_text() -> None:
    assert words.marked("Raise `--trials` <b>") == "Raise <code>--trials</code> &lt;b&gt;"
