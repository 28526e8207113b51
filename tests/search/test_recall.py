"""Who brought a component that is gone, as the record tells it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunekit.errors import StudyError
from tunekit.plugins import Owner
from tunekit.search.recall import recalled
from tunekit.search.record import Record
from tunekit.search.setting import Setting
from tunekit.study.study import load_study

Make = Callable[..., Setting]


@pytest.fixture
def remember(make: Make, tmp_path: Path) -> Any:
    """Make a record that has an optimizer of some owner, and try the study without that owner."""

    def remember_owner(owner: Owner) -> str:
        setting = make()
        record = Record(setting.study)
        record.open(setting.directions, setting.signature())
        record.remember({"optimizer.lab_soap": owner})
        with pytest.raises(StudyError) as caught:
            load_study(
                tmp_path / "small.toml", set_=["search.optimizer=lab_soap"], recalled=recalled
            )
        return caught.value.message

    return remember_owner


def test_a_distribution_that_is_not_installed(remember: Any) -> None:
    assert remember(Owner("lab-rules", "0.1.0")).endswith(
        "The trials in the record had it from lab-rules 0.1.0, which is not installed; "
        "pip install lab-rules."
    )


def test_a_distribution_that_does_not_bring_it_any_more(remember: Any) -> None:
    assert remember(Owner("numpy", "0.1.0")).endswith("is installed now and does not bring it.")


def test_a_file(remember: Any) -> None:
    assert remember(Owner("lab/soap.py", "abc", "file")).endswith(
        "had it from lab/soap.py; name that file in [plugins] files, or with --plugin."
    )


def test_an_object(remember: Any) -> None:
    assert remember(Owner("lab.Soap", "", "object")).endswith(
        "had it from lab.Soap, an object of a Python program; pass it again."
    )


def test_without_a_record_nothing_is_said(make: Make, tmp_path: Path) -> None:
    storage = make().study.storage
    assert recalled(storage, "small", "optimizer", "lab_soap") is None
    assert not (tmp_path / "optuna.db").exists()


def test_what_the_record_does_not_know_is_not_said(make: Make) -> None:
    setting = make()
    Record(setting.study).open(setting.directions, setting.signature())
    assert recalled(setting.study.storage, "small", "optimizer", "lab_soap") is None


def test_a_record_that_cannot_be_read_is_not_what_is_told(tmp_path: Path) -> None:
    (tmp_path / "optuna.db").write_text("no database")
    storage = f"sqlite:///{tmp_path}/optuna.db"
    assert recalled(storage, "small", "optimizer", "lab_soap") is None


def test_the_newest_owner_is_remembered(make: Make) -> None:
    setting = make()
    record = Record(setting.study)
    record.open(setting.directions, setting.signature())
    for folder in ("old", "new"):
        record.remember({"optimizer.lab_soap": Owner(f"{folder}/soap.py", "abc", "file")})
    told = recalled(setting.study.storage, "small", "optimizer", "lab_soap")
    assert told is not None
    assert "new/soap.py" in told
