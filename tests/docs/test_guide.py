"""Pages do what they say: every file in them is written, every command in them is run."""

from __future__ import annotations

import os
import re
import shlex
import signal
import site
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tunekit import InputError, Optimizer
from tunekit.plugins import PluginFile, load
from tunekit.testing import CheckFailure, checks_for

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "guide.md"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: What stands behind the opening fence.
        file: The file that it is about: a line in bold type above it.
        text: What stands between the fences.
        line: The line of its first line, counted from 1.
    """

    language: str
    file: str | None
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    fenced = re.compile(r"(?:^\*\*(\S+)\*\*\n\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for found in fenced.finditer(page):
        line = page.count("\n", 0, found.start(3)) + 1
        yield Block(found[2], found[1], found[3], line)


@dataclass(frozen=True)
class Command:
    """A command of a console block: what is typed, and what is shown below."""

    words: str
    shown: str
    line: int


def commands(block: Block) -> Iterator[Command]:
    """The commands of a console block, in order."""
    # A line that ends with a backslash goes on in the next.
    typed = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
    for found in typed.finditer(block.text):
        line = block.line + block.text.count("\n", 0, found.start())
        yield Command(found[1].replace("\\\n", ""), found[2], line)


SCORE = r"([+-]?\b\d\.\d{4}\b)"
"""Numbers of four decimals are scores; other processors round their sums in other ways."""


def agrees(shown: str, printed: str) -> bool:
    """Whether a page shows what is printed.

    ``...`` stands for anything, white space for any white space, and a score for one that differs
    by 0.02 or less.
    """
    pieces = [_pattern(piece) for piece in shown.split("...")]
    pieces[0] = rf"\A\s*{pieces[0]}"
    pieces[-1] = rf"{pieces[-1]}\s*\Z"
    place = 0
    scores: list[str] = []
    for piece in pieces:
        found = re.compile(piece).search(printed, place)
        if found is None:
            return False
        place = found.end()
        scores += found.groups()
    expected = re.findall(SCORE, shown)
    return all(abs(float(a) - float(b)) <= 0.02 for a, b in zip(expected, scores, strict=True))


def _pattern(piece: str) -> str:
    return r"\s+".join(
        "".join(SCORE if i % 2 else re.escape(part) for i, part in enumerate(re.split(SCORE, word)))
        for word in piece.split()
    )


class Reader:
    """Does what the page says, in a folder and an environment of its own."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder, self.variables = folder, variables
        self.code = 0

    def follow(self, page: Path) -> None:
        """Go through a page, from the first block to the last."""
        self.page = page.name
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.language == "console":
                for command in commands(block):
                    self.enter(command)
            elif block.language == "diff":
                self.edit(block)
            elif block.file is not None:
                (self.folder / block.file).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                cell = block
            elif block.language == "text":
                self.enter(Command("python -", block.text, block.line), typed=cell.text)
        assert self.code == 0

    def edit(self, block: Block) -> None:
        """Replace the lines with a minus by those with a plus."""
        lines = block.text.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in "- ")
        new = "".join(line[1:] for line in lines if line[0] in "+ ")
        file = self.folder / str(block.file)
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{self.page}:{block.line}: this is not in {block.file} once"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def enter(self, command: Command, typed: str = "") -> None:
        """Run a command and compare what it prints with what is shown."""
        if command.words == "echo $?":
            printed, self.code = f"{self.code}\n", 0
        else:
            assert self.code == 0, f"{self.page}:{command.line}: exit code {self.code} before this"
            printed, self.code = self.run(command, typed)
        if not agrees(command.shown, printed):
            pytest.fail(
                f"{self.page}:{command.line}: $ {command.words}\n\nshown:\n{command.shown}\n"
                f"printed (exit code {self.code}):\n{printed}",
                pytrace=False,
            )

    def run(self, command: Command, typed: str) -> tuple[str, int]:
        """What a command prints, and its exit code; ``^C`` interrupts it."""
        process = subprocess.Popen(
            shlex.split(command.words),
            cwd=self.folder,
            env=self.variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        before, interrupt, _ = command.shown.partition("^C\n")
        printed = ""
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(typed)
            process.stdin.close()
            if interrupt:
                last = before.splitlines(keepends=True)[-1]
                while not printed.endswith(last):
                    line = process.stdout.readline()
                    assert line, printed
                    printed += line
                process.send_signal(signal.SIGINT)
                printed += interrupt
            printed += process.stdout.read()
        return printed, process.returncode


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which tunekit is installed, and into which the guide may install.

    What is there already is borrowed from the environment that runs the tests, so that nothing is
    downloaded.
    """
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    programs = home / "bin"
    script = "import sys, sysconfig; sys.stdout.write(sysconfig.get_path('purelib'))"
    own = subprocess.run(
        [programs / "python", "-c", script], capture_output=True, text=True, check=True
    ).stdout
    borrow = "; ".join(f"site.addsitedir({path!r})" for path in site.getsitepackages())
    Path(own, "borrowed.pth").write_text(f"import site; {borrow}\n")
    for program in ("pip", "pytest", "tunekit"):
        starter = f"import runpy; runpy.run_module({program!r}, run_name='__main__')"
        (programs / program).write_text(f"#!{programs / 'python'}\n{starter}\n")
        (programs / program).chmod(0o755)
    foreign = ("COLUMNS", "MLFLOW_", "PIP_", "PYTEST_", "PYTHON", "TUNEKIT_", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in os.environ if not name.startswith(foreign)}
    return kept | {
        "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_NO_INDEX": "1",
    }


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("one\n...\nfour\n", "one\ntwo\nthree\nfour\n"),
        ("in ... s\n", "in 1.5 s\n"),
        ("a  0.9573 +0.0028\n", "a  0.9601 -0.0010\n"),
        ("", ""),
    ],
)
def test_what_agrees_with_the_page(shown: str, printed: str) -> None:
    assert agrees(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("one\n", "one\ntwo\n"),
        ("two\n", "one\ntwo\n"),
        ("one\n...\nfour\n", "one\ntwo\n"),
        ("17 checks\n", "18 checks\n"),
        ("a  0.9573\n", "a  0.9301\n"),
        ("a  0.957\n", "a  0.958\n"),
    ],
)
def test_what_does_not_agree_with_the_page(shown: str, printed: str) -> None:
    assert not agrees(shown, printed)


@pytest.mark.parametrize("page", ["guide.md", "search.md", "models.md"])
def test_a_page_does_what_it_says(tmp_path: Path, variables: dict[str, str], page: str) -> None:
    Reader(tmp_path, variables).follow(DOCS / page)


MISTAKES = {
    "`g *= 0.5`": ("        m = ", "        g *= 0.5\n        m = "),
    "`np.sqrt(2.0) * np.abs(g)`": ("np.abs(g)", "np.sqrt(2.0) * np.abs(g)"),
    "`self.m = m`": ('state["m"], state["a"] = m, a', "self.m = m"),
    "`m / np.linalg.norm(m)`": ("m / (a + self.eps)", "m / np.linalg.norm(m)"),
    "`step.lr * m / (a + self.eps)`": ("m / (a", "step.lr * m / (a"),
    "`m / a`": ("m / (a + self.eps)", "m / a"),
    '`state["a"] = a` forgotten': ('state["m"], state["a"] = m, a', 'state["m"] = m'),
    "`@hookimpl` forgotten": ("@hookimpl\n", ""),
    '`slots = ("m")`': ('("m", "a")', '("m")'),
    "`lr = Float(...)`": ("lr: float =", "lr ="),
    "`def directoin`": ("def direction", "def directoin"),
    "`Agree(beat=0.5)`": ("@hookimpl\n", "Agree(beat=0.5)\n\n\n@hookimpl\n"),
}
"""What the table of mistakes has in its first column, as a change of ``agree.py``."""


def _mistakes() -> list[tuple[str, str]]:
    table = GUIDE.read_text(encoding="utf-8").partition("| mistake |")[2]
    return re.findall(r"^\| (`.*?) \| (.*) \|$", table, re.MULTILINE)


def _agree() -> str:
    """The guide's optimizer, in the end."""
    first, second = [b for b in blocks(GUIDE.read_text(encoding="utf-8")) if b.file == "agree.py"]
    wrong, right = second.text.splitlines()
    return first.text.replace(wrong[1:], right[1:])


def test_every_mistake_of_the_table_is_made() -> None:
    assert [mistake for mistake, _ in _mistakes()] == list(MISTAKES)


@pytest.mark.parametrize(("mistake", "told"), _mistakes())
def test_tunekit_says_of_a_mistake_what_the_guide_says(mistake: str, told: str) -> None:
    old, new = MISTAKES[mistake]
    file = PluginFile("agree.py", _agree().replace(old, new, 1))
    check, colon, words = told.partition(": ")
    words = words.partition(" (what")[0]
    if not (colon and check.startswith("`")):
        with pytest.raises(InputError, match=re.escape(told)):
            load([file], entry_points=False)
        return
    component = load([file], entry_points=False).find(Optimizer, "agree")
    (wanted,) = [c for c in checks_for(component) if f"`{c.name}`" == check]
    with pytest.raises(CheckFailure) as failure:
        wanted(component)
    assert words in str(failure.value)
