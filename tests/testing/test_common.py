"""What is checked of every component: its defaults, and that worker processes get it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunekit import (
    Activation,
    Component,
    Dataset,
    Float,
    Metric,
    Progress,
    Schedule,
    Table,
)
from tunekit.builtin.losses import SquaredError
from tunekit.components import KINDS
from tunekit.plugins import load
from tunekit.testing import CheckFailure, examine
from tunekit.testing.common import defaults, summary
from tunekit.testing.worker import worker

Array = NDArray[Any]

REGISTRY = load(entry_points=False)
ONE_OF_EACH = [REGISTRY.find(KINDS[kind], REGISTRY.names(kind)[0]) for kind in KINDS]


class Linear(Activation):
    """A slope."""

    name = "linear_here"
    slope: float = Float(1.5, low=1.0, high=2.0, min=0.0)

    def forward(self, z: Array) -> Array:
        return z * self.slope

    def backward(self, da: Array, z: Array, a: Array) -> Array:
        return da * self.slope


# Declared ranges.


def test_a_default_outside_its_range_is_named_with_the_range() -> None:
    class Outside(Linear):
        slope: float = Float(5.0, low=1.0, high=2.0)

    with pytest.raises(CheckFailure) as caught:
        defaults(Outside)
    assert caught.value.found == "5"
    assert caught.value.expected == "the default of `slope` in its search range, 1 to 2"


def test_a_value_in_the_range_that_cannot_be_had_is_named() -> None:
    class Picky(Linear):
        def __post_init__(self) -> None:
            super().__post_init__()
            if self.slope > 1.7:
                raise ValueError("too steep")

    with pytest.raises(CheckFailure) as caught:
        defaults(Picky)
    assert "Picky(slope=2)" in caught.value.expected
    assert caught.value.found == "ValueError: too steep"


def test_a_component_without_a_docstring_is_asked_for_one() -> None:
    class Silent(Linear):
        pass

    summary(Linear)
    with pytest.raises(CheckFailure, match="`class Silent` begins without one"):
        summary(Silent)


# Worker processes.


@pytest.mark.parametrize("cls", ONE_OF_EACH, ids=lambda cls: cls.kind)
def test_a_component_of_any_kind_trains_in_a_worker(cls: type[Component]) -> None:
    assert worker(cls) is None


def test_it_is_the_component_with_its_values_that_is_trained() -> None:
    # A slope of 0 lets nothing through, so that this one says what it is.
    assert worker(Linear(slope=0.0)) is None
    assert worker(Linear()) is None


def test_a_class_that_is_made_in_a_function_travels() -> None:
    class Local(Linear):
        name = "local"

    assert worker(Local) is None


def test_a_class_that_holds_what_only_this_process_has_does_not() -> None:
    lock = threading.Lock()

    class Locked(Linear):
        name = "locked"

        def forward(self, z: Array) -> Array:
            with lock:
                return super().forward(z)

    with pytest.raises(CheckFailure) as caught:
        worker(Locked)
    assert "Locked cannot be sent to worker processes" in caught.value.found
    assert "cannot pickle '_thread.lock' object" in caught.value.found


def test_a_plugin_file_travels_as_text_whatever_it_holds(tmp_path: Path) -> None:
    (tmp_path / "locked.py").write_text(
        textwrap.dedent("""
            import threading
            from tunekit import Schedule, hookimpl

            LOCK = threading.Lock()

            class Locked(Schedule):
                name = "locked"

                def factor(self, progress):
                    with LOCK:
                        return 0.5

            @hookimpl
            def tunekit_schedules():
                return [Locked]
        """)
    )
    registry = load([tmp_path / "locked.py"])
    assert worker(registry.find(Schedule, "locked")) is None


@pytest.mark.parametrize("by", ["script", "input"])
def test_a_class_of_a_script_or_an_interactive_session_travels(by: str, tmp_path: Path) -> None:
    program = textwrap.dedent("""
        from tunekit import Schedule
        from tunekit.testing.worker import worker

        HALF = 0.5

        class Half(Schedule):
            name = "half"

            def factor(self, progress):
                return HALF

        if __name__ == "__main__":
            print("came to", worker(Half))
    """)
    (tmp_path / "script.py").write_text(program)
    arguments, given = (["script.py"], "") if by == "script" else (["-"], program)
    done = subprocess.run(
        [sys.executable, *arguments],
        input=given,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("came to None\n", "")


def test_what_a_worker_computes_otherwise_is_noticed() -> None:
    here = os.getpid()

    class ByProcess(Linear):
        name = "by_process"

        def forward(self, z: Array) -> Array:
            return z if os.getpid() == here else z * 2

    with pytest.raises(CheckFailure) as caught:
        worker(ByProcess)
    assert caught.value.found == "other weights after an epoch"


def test_what_cannot_be_repeated_here_is_not_compared() -> None:
    class Random(Linear):
        name = "random"

        def forward(self, z: Array) -> Array:
            return z * float(np.random.random())  # noqa: NPY002

    assert worker(Random) == "not judged: two equal calls already differ"


def test_a_formula_that_raises_is_another_checks_matter() -> None:
    class Raises(Linear):
        name = "raises"

        def forward(self, z: Array) -> Array:
            raise ArithmeticError("no")

    note = worker(Raises)
    assert note is not None
    assert note.startswith("it does not train, neither there nor here: ArithmeticError: no")


def test_a_worker_that_cannot_load_it_says_why() -> None:
    class Elsewhere:
        def __reduce__(self) -> Any:
            return (_refuse, (os.getpid(),))

    something = Elsewhere()

    class Needy(Dataset):
        name = "needy"

        def load(self) -> Table:
            raise AssertionError(something)

    with pytest.raises(CheckFailure) as caught:
        worker(Needy)
    assert "worker processes cannot start: OSError: not on this machine" in caught.value.found
    assert worker(Linear) is None  # the next one gets a worker of its own


def _refuse(process: int) -> None:
    if os.getpid() != process:
        raise OSError("not on this machine")


def test_a_name_that_studies_cannot_use_is_told() -> None:
    class Capital(Linear):
        name = "Capital Letters"

    with pytest.raises(CheckFailure, match="expected lower-case letters") as caught:
        worker(Capital)
    assert caught.value.likely.startswith("the `name` of the class")


def test_an_installed_copy_of_the_same_name_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "older_copy.py").write_text(
        textwrap.dedent("""
            from tunekit import Schedule, hookimpl

            class Half(Schedule):
                name = "half_here"

                def factor(self, progress):
                    return 0.4

            @hookimpl
            def tunekit_schedules():
                return [Half]
        """)
    )
    info = tmp_path / "older_copy-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: older-copy\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[tunekit]\nolder = older_copy\n")
    assert "half_here" in load().names("schedule")

    class Half(Schedule):
        name = "half_here"

        def factor(self, progress: Progress) -> float:
            return 0.5

    assert worker(Half) is None


def test_a_score_that_another_process_computes_otherwise_is_noticed() -> None:
    here = os.getpid()

    class ByProcess(Metric):
        name = "by_process"
        tasks = ("classification",)
        needs = "labels"

        def score(self, target: Array, prediction: Array, weight: Array | None) -> float:
            share = float(np.average(target == prediction, weights=weight))
            return share if os.getpid() == here else share / 2

    with pytest.raises(CheckFailure, match=r"a score of 0\.\d+, and 0\.\d+ here"):
        worker(ByProcess)


# What is raised.


class Lost(Metric):
    """Looks a name up that is not there."""

    name = "lost"
    tasks = ("classification",)
    needs = "labels"

    def score(self, target: Array, prediction: Array, weight: Array | None) -> float:
        values: dict[str, float] = {}
        return values["accuracy"]


def test_slots_are_not_blamed_where_there_are_none() -> None:
    failures = [finding.failure for finding in examine(Lost) if finding.failure is not None]
    assert "KeyError: 'accuracy' (test_common.py, line " in failures[0].found
    assert not any("slots" in failure.likely for failure in failures)


def test_what_a_check_raises_itself_is_not_called_a_slip_in_the_formula() -> None:
    class Mute(SquaredError):  # noqa: N818 (no exception)
        name = "mute"

        def predict(self, output: Array) -> Array:
            return None  # type: ignore[return-value]

    failures = {f.check.name: f.failure for f in examine(Mute) if f.failure is not None}
    assert "(in the check itself: losses.py, line " in failures["right_answer"].found
    assert "the mistake is in tunekit" in failures["right_answer"].likely
    assert failures["predictions"].likely == "a `return` is missing"
