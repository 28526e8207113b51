"""Observers hear what happens, and one that fails stops nobody."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tunekit import PluginError, hookimpl
from tunekit.plugins import load


class Listener:
    def __init__(self) -> None:
        self.heard: list[int] = []

    @hookimpl
    def tunekit_final_started(self, runs: int) -> None:
        self.heard.append(runs)


class Raiser:
    @hookimpl
    def tunekit_final_started(self) -> None:
        raise RuntimeError("no connection")


class TestObservers:
    def test_all_of_them_hear_what_happened(self) -> None:
        registry = load(entry_points=False)
        first, second = Listener(), Listener()
        registry.observe(first)
        registry.observe(second)
        registry.notify("tunekit_final_started", runs=3)
        assert first.heard == second.heard == [3]

    def test_one_that_raises_is_reported_once_and_stops_nobody(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        registry = load(entry_points=False)
        before, after = Listener(), Listener()
        for observer in (before, Raiser(), after):
            registry.observe(observer)
        with caplog.at_level(logging.WARNING, "tunekit"):
            registry.notify("tunekit_final_started", runs=3)
            registry.notify("tunekit_final_started", runs=4)
        assert before.heard == after.heard == [3, 4]
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "no connection" in caplog.text


class Noting:
    def __init__(self, heard: list[str], name: str) -> None:
        self.heard, self.name = heard, name


class Last(Noting):
    @hookimpl(trylast=True)
    def tunekit_final_started(self) -> None:
        self.heard.append("last")


class First(Noting):
    @hookimpl(tryfirst=True)
    def tunekit_final_started(self) -> None:
        self.heard.append("first")


class Wrapping:
    @hookimpl(wrapper=True)
    def tunekit_final_started(self) -> Iterator[None]:
        yield


def test_who_wants_to_be_first_is() -> None:
    registry, heard = load(entry_points=False), list[str]()
    registry.observe(First(heard, "a"))
    registry.observe(Last(heard, "b"))
    registry.notify("tunekit_final_started", runs=3)
    assert heard == ["first", "last"]


def test_a_hook_cannot_be_wrapped() -> None:
    with pytest.raises(PluginError, match="tunekit_final_started wraps a hook"):
        load(objects=[Wrapping()], entry_points=False)
