"""A study has one search at a time: who comes second is told who is there."""

from __future__ import annotations

import errno
import fcntl
import getpass
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tunekit.errors import StudyError
from tunekit.search import lock
from tunekit.search.lock import held
from tunekit.study.study import Study, load_study

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

STUDY = """
[study]
name = {name!r}
storage = {storage!r}

[data]
source = "sklearn:iris"

[search]
optimizer = "adam"
activation = "relu"
"""

HOLDER = """
import sys
from tunekit.search.lock import held
from tunekit.study.study import load_study

with held(load_study(sys.argv[1])[0]):
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""

Named = Callable[..., Study]


@pytest.fixture
def named(tmp_path: Path) -> Named:
    def make(name: str = "digits", storage: str = "sqlite:///optuna.db") -> Study:
        path = tmp_path / "study.toml"
        path.write_text(STUDY.format(name=name, storage=storage))
        return load_study(path)[0]

    return make


@contextmanager
def held_elsewhere(study: Study) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the study until it is told, or killed."""
    command = [sys.executable, "-c", HOLDER, str(study.file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def hold(study: Study) -> None:
    with held(study) as now:
        now.check(lambda: True)


def locks(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.lock"))


def test_the_second_is_told_who_holds_the_study(named: Named) -> None:
    study = named()
    with held_elsewhere(study) as process, pytest.raises(StudyError) as caught:
        hold(study)
    assert caught.value.exit_code == 2
    assert caught.value.key == "study.name"
    assert re.fullmatch(
        rf"the study 'digits' is being searched by process {process.pid} of user "
        rf"{re.escape(getpass.getuser())} on {re.escape(socket.gethostname())} since "
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\. Wait until that search is done, .*",
        caught.value.message,
    )


def test_being_refused_does_not_disturb_who_holds_it(named: Named) -> None:
    study = named()
    with held_elsewhere(study) as process:
        for _ in range(2):
            with pytest.raises(StudyError, match=f"process {process.pid} "):
                hold(study)


def test_a_killed_search_holds_nothing(named: Named, tmp_path: Path) -> None:
    study = named()
    with held_elsewhere(study) as process:
        process.kill()
        hold(study)  # at once: no waiting for the process to be gone
    assert locks(tmp_path) == []


def test_nothing_is_left_in_the_folder(named: Named, tmp_path: Path) -> None:
    study = named()
    with held(study):
        assert locks(tmp_path) == ["optuna.db.digits.lock"]
    assert locks(tmp_path) == []
    with pytest.raises(KeyError), held(study):
        raise KeyError
    assert locks(tmp_path) == []
    hold(study)


def test_two_searches_in_one_process_are_two(named: Named) -> None:
    study = named()
    told: list[str] = []

    def second() -> None:
        try:
            hold(study)
        except StudyError as error:
            told.append(error.message)

    with held(study):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        with pytest.raises(StudyError, match="this very process"):
            hold(study)
    assert "is being searched by this very process" in told[0]


def test_of_many_that_come_and_go_only_one_is_in_at_a_time(
    named: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.0)
    study = named()
    inside = threading.Lock()
    turns: list[int] = []
    overlaps: list[int] = []

    def search(number: int) -> None:
        for _ in range(200):
            with suppress(StudyError), held(study):
                if not inside.acquire(blocking=False):
                    overlaps.append(number)
                    continue
                time.sleep(0.0001)
                inside.release()
                turns.append(number)

    threads = [threading.Thread(target=search, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlaps == []
    assert turns


def test_studies_of_one_database_do_not_exclude_each_other(named: Named) -> None:
    names = ["digits", "digits2", "a/b", "a_b", "größe", "../../up", "x" * 300, " ", "a\nb"]
    with held(named("first")):
        for name in names:
            hold(named(name))
    with held(named("a/b")):
        hold(named("a_b"))
        with pytest.raises(StudyError, match="the study 'a/b' is being searched"):
            hold(named("a/b"))


def test_one_name_in_two_databases_is_two_studies(named: Named) -> None:
    with held(named(storage="sqlite:///one.db")):
        hold(named(storage="sqlite:///two.db"))
        hold(named(storage="sqlite:///:memory:"))


def test_a_link_to_the_database_leads_to_the_same_study(named: Named, tmp_path: Path) -> None:
    (tmp_path / "real.db").touch()
    (tmp_path / "link.db").symlink_to("real.db")
    with (
        held(named(storage="sqlite:///real.db")),
        pytest.raises(StudyError, match="is being searched"),
    ):
        hold(named(storage="sqlite:///link.db"))


def test_a_missing_folder_is_left_to_the_record(named: Named, tmp_path: Path) -> None:
    hold(named(storage="sqlite:///nowhere/optuna.db"))
    assert not (tmp_path / "nowhere").exists()


def test_a_file_system_without_locks_is_no_obstacle(
    named: Named, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def without_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", without_locks)
    with caplog.at_level(logging.WARNING, "tunekit"):
        hold(named())
    assert "See that no second search runs on it" in caplog.text


def test_a_lock_file_of_somebody_else_is_no_obstacle(
    named: Named, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "optuna.db.digits.lock").mkdir()  # as good as one that may not be opened
    hold(named())
    assert "cannot be locked" in caplog.text


def test_a_file_without_a_readable_holder_is_told_all_the_same(
    named: Named, tmp_path: Path
) -> None:
    study = named()
    with held_elsewhere(study):
        (tmp_path / "optuna.db.digits.lock").write_text("")
        with pytest.raises(StudyError, match="searched by another process"):
            hold(study)


def test_other_databases_are_not_locked(named: Named, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "tunekit"):
        hold(named(storage="mysql+pymysql://ann@host/db"))
    assert "No lock is known" in caplog.text
