"""Observers hear what happens, and one that fails stops nobody."""

from __future__ import annotations

import logging

import pytest

from tunekit import hookimpl
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
