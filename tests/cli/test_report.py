"""``tunekit report``: a page on a real search."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_the_page_lies_beside_the_study_file_and_in_mlflow(
    tunekit: Command, searched: Path, finished: tuple[Path, object]
) -> None:
    before = {path.name for path in searched.iterdir()}
    done = tunekit("report", "small.toml")
    page = searched / "small.html"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"Report: {page}\n", "")
    text = page.read_text(encoding="utf-8")
    assert "4 trials over" in text
    assert "Honest: rows that the search never saw" in text
    assert "tunekit search small.toml" in text
    # The store was copied and still knows where its artifacts are.
    [kept] = finished[0].glob("mlartifacts/**/report.html")
    assert kept.read_text(encoding="utf-8") == text
    assert {path.name for path in searched.iterdir()} - before == {"small.html"}


def test_the_data_are_not_needed(
    tunekit: Command, searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunekit.data.prepare.prepare", None)
    monkeypatch.setattr("tunekit.data.sources.load_table", None)
    assert tunekit("report", "small.toml").returncode == 0


def test_it_goes_where_the_person_says(tunekit: Command, searched: Path) -> None:
    (searched / "page.html").write_text("an earlier one")
    done = tunekit("report", "small.toml", "-o", "page.html")
    assert (done.returncode, done.stdout) == (0, "Report: page.html\n")
    assert "<!DOCTYPE html>" in (searched / "page.html").read_text(encoding="utf-8")


def test_without_mlflow_the_file_is_written_and_a_warning_says_so(
    tunekit: Command, searched: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (searched / "mlflow.db").unlink()
    done = tunekit("report", "small.toml")
    assert done.returncode == 0
    assert (searched / "small.html").exists()
    assert not (searched / "mlflow.db").exists()
    assert "does not know this search of 'small'" in caplog.text
    assert "The report is in the file only." in caplog.text


def test_a_study_that_was_not_searched_is_told(tunekit: Command, small: Path) -> None:
    done = tunekit("report", "small.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "run `tunekit search small.toml` first" in done.stderr
    assert [path.name for path in small.parent.iterdir()] == ["small.toml"]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("page.pdf", "the page's name ends in '.pdf'; expected .html"),
        ("page", "the page's name has no ending; expected .html"),
        ("gone/page.html", "there is no folder gone; make it first"),
        (".html", "has no ending"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_anything_is_done(
    output: str, said: str, tunekit: Command, small: Path
) -> None:
    done = tunekit("report", "small.toml", "-o", output)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_folder_is_no_place_for_a_page(tunekit: Command, small: Path) -> None:
    (small.parent / "page.html").mkdir()
    done = tunekit("report", "small.toml", "-o", "page.html")
    assert done.returncode == 2
    assert "this is a folder" in done.stderr


def test_a_name_that_is_no_file_name_still_makes_one(tunekit: Command, searched: Path) -> None:
    done = tunekit("search", "small.toml", "--set", "study.name=two words/x", "--trials", "1")
    assert done.returncode == 0
    done = tunekit("report", "small.toml", "--set", "study.name=two words/x")
    assert (done.returncode, done.stderr) == (0, "")
    assert (searched / "two-words-x.html").exists()
