"""Configurations that a study file asks to be tried first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tunekit.errors import StudyError
from tunekit.space import Scalar
from tunekit.study.study import load_study

Write = Callable[..., Path]

SEARCH = """
[train]
batch_size = [16, 32]

[network]
width = { low = 4, high = 64 }

[search]
optimizer = ["adam", "sgd"]
regularizers = ["dropout"]

"""


def first(path: Path, *set_: str) -> tuple[dict[str, Scalar], ...]:
    return load_study(path, set_=set_)[0].first


def test_what_is_left_out_has_its_default(write: Write) -> None:
    study, _ = load_study(write(SEARCH + '[[study.first]]\noptimizer = "sgd"\n'))
    (found,) = study.first
    defaults = {parameter.name: parameter.default for parameter in study.space.parameters}
    assert found["optimizer"] == "sgd"
    assert all(found[name] == defaults[name] for name in found if name != "optimizer")
    assert "optimizer.adam.lr" not in found


@pytest.mark.parametrize(
    "table",
    [
        "optimizer.sgd.lr = 0.05\ntrain.batch_size = 32\nnetwork.width = 7",
        '"optimizer.sgd.lr" = 0.05\nbatch_size = 32\n"network.width" = 7',
        'optimizer = "sgd"\n"optimizer.sgd.lr" = 0.05\nbatch_size = 32\nnetwork = { width = 7 }',
    ],
)
def test_names_are_written_with_dots_quoted_or_as_tables(write: Write, table: str) -> None:
    (found,) = first(write(f"{SEARCH}[[study.first]]\n{table}\n"))
    assert found["optimizer"] == "sgd"
    assert (found["optimizer.sgd.lr"], found["batch_size"], found["network.width"]) == (0.05, 32, 7)


def test_a_hyperparameter_says_that_its_regularizer_is_on(write: Write) -> None:
    (found,) = first(write(SEARCH + "[[study.first]]\nregularizer.dropout.rate = 0.2\n"))
    assert found["regularizer.dropout"] is True


def test_they_keep_their_order_and_may_come_from_the_command_line(write: Write) -> None:
    both = 'study.first = [{ network.width = 5 }, { "network.width" = 6, optimizer = "sgd" }]'
    found = first(write(SEARCH), both)
    assert [(c["network.width"], c["optimizer"]) for c in found] == [(5, "adam"), (6, "sgd")]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("network.widht = 5", "no parameter 'network.widht'. Did you mean 'network.width'?"),
        ("network.width = 65", "network.width = 65 is outside of the space; expected 4 to 64"),
        ("network.width = 5.5", "network.width = 5.5 is outside"),
        ("batch_size = true", "batch_size = True is outside"),
        ("network.width = [5]", r"network.width = \[5\] is outside"),
        ("epochs = 3", "epochs = 3 is outside of the space"),
        (
            'optimizer = "adam"\n"optimizer.sgd.lr" = 0.05',
            "optimizer.sgd.lr is asked for only where optimizer is 'sgd', and here it is 'adam'",
        ),
        (
            "optimizer.sgd.lr = 0.05\noptimizer.adam.lr = 0.05",
            "is asked for only where optimizer is",
        ),
        (
            '"regularizer.dropout" = false\n"regularizer.dropout.rate" = 0.2',
            "only where regularizer.dropout is True, and here it is False",
        ),
    ],
)
def test_what_is_not_in_the_space_is_told(write: Write, table: str, words: str) -> None:
    path = write(f"{SEARCH}[[study.first]]\n\n[[study.first]]\n{table}\n")
    with pytest.raises(StudyError, match=words) as error:
        load_study(path)
    assert error.value.key == "study.first[1]"
    assert error.value.line is not None
