"""What all distributions have in common."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tunekit
from tunekit import testing
from tunekit.study.study import load_study

PLUGINS = Path(__file__).parents[2] / "plugins"
PUBLIC = {"tunekit": tunekit.__all__, "tunekit.testing": testing.__all__}


def test_project_says_what_it_is_and_needs(project: dict[str, Any], folder: Path) -> None:
    assert project["name"] == folder.name
    assert project["version"] == "0.1.0"
    assert project["description"]
    assert project["license"] == "MIT"
    assert project["readme"] == "README.md"
    assert project["requires-python"] == ">=3.11"
    assert project["dependencies"] == ["numpy>=2.0", "tunekit>=0.1"]
    assert any(need.startswith("pytest") for need in project["optional-dependencies"]["test"])


def test_entry_point_names_the_one_module(project: dict[str, Any], module: Path) -> None:
    assert list(project["entry-points"]) == ["tunekit"]
    assert list(project["entry-points"]["tunekit"].values()) == [module.stem]
    assert list(module.parent.glob("*.py")) == [module]


def test_has_tests_that_run_the_conformance_checks(folder: Path) -> None:
    tests = list(folder.glob("tests/test_*.py"))
    assert tests
    assert any("@parametrize_with_checks(" in test.read_text() for test in tests)


def test_uses_only_public_names(module: Path) -> None:
    for name, names in imports(module):
        if name.partition(".")[0] == "tunekit":
            assert name in PUBLIC, f"{module} imports {name}"
            assert set(names) <= set(PUBLIC[name]), f"{module} imports {names} from {name}"


def test_imports_only_what_it_depends_on(module: Path, project: dict[str, Any]) -> None:
    needs = {re.split(r"[^\w-]", need)[0] for need in project["dependencies"]}
    imported = {name.partition(".")[0] for name, _ in imports(module)}
    assert imported - set(sys.stdlib_module_names) <= needs


def test_readme_has_a_study_that_can_name_all_it_brings(
    folder: Path, module: Path, components: set[tuple[str, str]], tmp_path: Path
) -> None:
    text = (folder / "README.md").read_text()
    studies = [block for block in blocks(text, "toml") if "[search]" in block]
    named = set()
    for block in studies:
        (tmp_path / "study.toml").write_text(block)
        load_study(tmp_path / "study.toml", plugins=[str(module)])
        for key, value in tomllib.loads(block)["search"].items():
            values = value if isinstance(value, list) else [value]
            named |= {(key.removesuffix("s"), name) for name in values}
    assert components <= named


def test_readme_links_the_papers(folder: Path) -> None:
    assert "(https://arxiv.org/abs/" in (folder / "README.md").read_text()


def test_is_listed_in_the_index_with_all_it_brings(
    folder: Path, components: set[tuple[str, str]]
) -> None:
    (row,) = re.findall(rf"^\| \[{folder.name}\]\(.*$", (PLUGINS / "README.md").read_text(), re.M)
    assert all(f"`{name}`" in row for _, name in components)


def test_index_lists_nothing_else() -> None:
    listed = re.findall(r"^\| \[.*?\]\((.*?)\) \|", (PLUGINS / "README.md").read_text(), re.M)
    assert listed == sorted(path.parent.name for path in PLUGINS.glob("*/pyproject.toml"))


def imports(file: Path) -> Iterator[tuple[str, list[str]]]:
    """The modules that a file imports, and the names it takes from each."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", [alias.name for alias in node.names]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
