from __future__ import annotations

from pathlib import Path

import pytest

from tunekit.study.addresses import absolute, sqlite_file


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("sqlite:///x.db", "sqlite:////studies/x.db"),
        ("sqlite:///../x.db", "sqlite:////x.db"),
        ("sqlite:///a/x.db?timeout=9", "sqlite:////studies/a/x.db?timeout=9"),
        ("sqlite+pysqlite:///x.db", "sqlite+pysqlite:////studies/x.db"),
        ("sqlite:////elsewhere/x.db", "sqlite:////elsewhere/x.db"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql://me:secret@host/x", "postgresql://me:secret@host/x"),
        ("http://localhost:5000", "http://localhost:5000"),
    ],
)
def test_relative_sqlite_files_lie_in_the_folder(address: str, expected: str) -> None:
    assert absolute(address, Path("/studies")) == expected


def test_the_file_of_a_sqlite_address() -> None:
    assert sqlite_file("sqlite:////studies/x.db?timeout=9") == Path("/studies/x.db")
    assert sqlite_file("sqlite:///:memory:") is None
    assert sqlite_file("https://host/x.db") is None
