from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tunekit.errors import StudyError
from tunekit.study.source import Source, assign, line_of, read

TEXT = '''\
top = 1   # [not.a.table]
note = """
[fake]
depth = 3
"""

[search]   # chosen
optimizer = [
  "sgd",   # "]"
  ["nested"],
]
activation = '[relu]'

[ space . optimizer . "sgd" ]
lr.low = 1e-3
nesterov = true

[network]
depth = { low = 1, high = 3 }
"width" = 5
'''


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("top", 1),
        ("note", 2),
        ("search", 7),
        ("search.optimizer", 8),
        ("search.optimizer[1]", 8),
        ("search.activation", 12),
        ("search.schedule", 7),
        ("space.optimizer.sgd", 14),
        ("space.optimizer.sgd.lr.low", 15),
        ("space.optimizer.sgd.nesterov", 16),
        ("network.depth", 19),
        ("network.depth.high", 19),
        ("network.width", 20),
        ("fake", None),
        ("fake.depth", None),
    ],
)
def test_the_line_of_a_key_or_of_the_table_around_it(key: str, line: int | None) -> None:
    tomllib.loads(TEXT)
    assert line_of(key, TEXT) == line


def refused(path: Path) -> StudyError:
    with pytest.raises(StudyError) as caught:
        read(path)
    return caught.value


def test_a_missing_file_leads_to_the_nearest_one(tmp_path: Path) -> None:
    missing = tmp_path / "digit.toml"
    assert (
        refused(missing).message == "there is no such file, and no other .toml file in its folder"
    )
    (tmp_path / "digits.toml").touch()
    assert refused(missing).message == "there is no such file. Did you mean 'digits.toml'?"
    assert refused(missing).file == str(missing)
    elsewhere = refused(tmp_path / "nowhere" / "digits.toml")
    assert elsewhere.message == "there is no such file; its folder does not exist either"


def test_a_folder_and_binary_content_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path).message == "cannot read this file: Is a directory"
    binary = tmp_path / "x.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert refused(binary).message == "this file is not text in UTF-8"


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nb 2\n", 2), ('a = 1\n\nb = "open', 3), ("a = 1\na = 2\n", 2), ("x = [", 1)],
)
def test_what_is_not_toml_is_told_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    error = refused(path)
    assert error.message.startswith("this is not valid TOML: ")
    assert "(at" not in error.message
    assert error.line == line
    assert error.file == str(path)


def test_absurd_toml_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    for text in ("x = " + "[" * 100_000, "x = " + "1" * 5000):
        path.write_text(text)
        assert refused(path).message.startswith("this is not valid TOML: ")


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\n[b]\r\nc = 2\r\n")
    source, content = read(path)
    assert content == {"a": 1, "b": {"c": 2}}
    assert line_of("b.c", source.text) == 3


KNOWN = ["study.trials", "study.name", "train.epochs", "network.depth", "search.optimizer"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.epochs=5", {"train": {"epochs": 5}}),
        ("train.epochs = [5, 10]", {"train": {"epochs": [5, 10]}}),
        ("search.optimizer=sgd", {"search": {"optimizer": "sgd"}}),
        ('search.optimizer="sgd"', {"search": {"optimizer": "sgd"}}),
        ("search.optimizer=['sgd', 'adam']", {"search": {"optimizer": ["sgd", "adam"]}}),
        ("study.name=a = b", {"study": {"name": "a = b"}}),
        ("study.name=1\nx = 2", {"study": {"name": "1\nx = 2"}}),
        ("study.name=", {"study": {"name": ""}}),
        ("network.depth.low=2", {"network": {"depth": {"low": 2}}}),
        (
            "space.optimizer.sgd.lr.low=1e-3",
            {"space": {"optimizer": {"sgd": {"lr": {"low": 1e-3}}}}},
        ),
    ],
)
def test_an_assignment_puts_a_toml_value_or_a_bare_text(
    text: str, expected: dict[str, Any]
) -> None:
    content: dict[str, Any] = {}
    assign(content, [text], KNOWN)
    assert content == expected


def test_assignments_change_single_bounds_and_later_ones_win() -> None:
    content: dict[str, Any] = {"network": {"depth": {"low": 1, "high": 3}}}
    options = assign(content, ["network.depth.high=4", "network.depth.high=5"], KNOWN)
    assert content == {"network": {"depth": {"low": 1, "high": 5}}}
    assert options == {"network.depth.high": "--set"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("train.epochs", "--set: expected KEY=VALUE, got 'train.epochs'"),
        ("=5", "--set: expected KEY=VALUE, got '=5'"),
        (
            "train.epohs=5",
            "--set: train.epohs: there is no such key. Did you mean 'train.epochs'?",
        ),
        ("epochs=5", "--set: epochs: there is no such key. Did you mean 'train.epochs'?"),
        (
            "train.epochs.low=5",
            "--set: train.epochs.low: the study file gives train.epochs = 40, which has no keys "
            "inside; set train.epochs itself",
        ),
    ],
)
def test_a_wrong_assignment_is_told(text: str, told: str) -> None:
    with pytest.raises(StudyError) as caught:
        assign({"train": {"epochs": 40}}, [text], KNOWN)
    assert str(caught.value) == told


def test_an_error_names_the_option_that_gave_the_key_or_the_line() -> None:
    source = Source(Path("/s/x.toml"), TEXT, {"network.depth.low": "--set"})
    assert str(source.error("no", "network.depth.low")) == "--set: network.depth.low: no"
    assert str(source.error("no", "network.depth")) == "--set: network.depth: no"
    assert str(source.error("no", "network.width")) == "/s/x.toml:20: network.width: no"
    assert str(source.error("no", None)) == "/s/x.toml: no"
