"""What the shell offers when Tab is pressed, asked of real shells."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tunekit.components import KINDS
from tunekit.plugins import load
from tunekit.study.schema import known_keys

Offered = Callable[..., list[str]]

REGISTRY = load(entry_points=False)

NOISY = """\
import os, sys
print("noise on standard output")
sys.stderr.write("noise on standard error\\n")
raise RuntimeError("broken")
"""
ODD = '''\
from tunekit import Schedule, hookimpl


class Odd(Schedule):
    """Goes [from] "here" to [/there]: it's `x` for $1 (me, 2024)."""

    name = "oddest"

    def factor(self, progress):
        return 1.0


@hookimpl
def tunekit_schedules():
    return [Odd]
'''


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but ``tunekit`` in it."""
    folder = tmp_path_factory.mktemp("bin")
    path = folder / "tunekit"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nfrom tunekit.cli import main\n"
        'sys.argv[0] = "tunekit"\nmain()\n'
    )
    path.chmod(0o755)
    return folder


@pytest.fixture
def environment(command: Path, tmp_path: Path) -> dict[str, str]:
    """That of a person at a shell, who has a home of their own."""
    return os.environ | {"PATH": f"{command}:{os.environ['PATH']}", "HOME": str(tmp_path)}


def run(arguments: Sequence[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        arguments, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout


def script(shell: str, environment: dict[str, str], folder: Path) -> str:
    """The script that the command prints for a shell."""
    asked = environment | {"_TUNEKIT_COMPLETE": f"source_{shell}"}
    return run(["tunekit"], asked, folder)


@pytest.fixture
def offered(environment: dict[str, str], tmp_path: Path) -> Offered:
    """What bash offers for the last of these words."""
    (tmp_path / "complete.bash").write_text(script("bash", environment, tmp_path))

    def offered(*words: str, **more: str) -> list[str]:
        line = 'source complete.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        line += '_tunekit_completion tunekit; printf "%s\\n" "${COMPREPLY[@]}"'
        arguments = ["bash", "-c", line, "bash", "tunekit", *words]
        return run(arguments, environment | more, tmp_path).split("\n")[:-1]

    return offered


NOTHING = [""]


def test_commands_are_offered(offered: Offered) -> None:
    assert {"search", "plugins", "train"} <= set(offered(""))
    assert offered("plug") == ["plugins"]


def test_components_and_kinds_are_offered(offered: Offered) -> None:
    everything = offered("plugins", "")
    assert everything[: len(KINDS)] == list(KINDS)
    assert set(everything) >= {name for kind in KINDS for name in REGISTRY.names(kind)}
    assert offered("plugins", "adam") == ["adam", "adamax", "adamw"]
    assert offered("plugins", "optimizer.adam") == [
        *("optimizer.adam", "optimizer.adamax", "optimizer.adamw"),
    ]


def test_components_of_the_plugins_named_so_far_are_offered(
    offered: Offered, tmp_path: Path
) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    assert offered("plugins", "--plugin", "odd.py", "odd") == ["oddest"]
    assert offered("plugins", "odd", TUNEKIT_PLUGINS="odd.py") == ["oddest"]
    (tmp_path / "odd.py").write_text(ODD.replace("oddest", "adam"))
    # A name that is not enough is offered in full.
    assert offered("plugins", "--plugin", "odd.py", "schedule.a") == ["schedule.adam"]
    assert "adam" not in offered("plugins", "--plugin", "odd.py", "adam")


def test_keys_of_the_study_are_offered_for_set(offered: Offered) -> None:
    for command in ("search", "train"):
        assert offered(command, "x.toml", "--set", "study.tri") == ["study.trials="]
    assert offered("search", "x.toml", "--set", "") == [f"{key}=" for key in known_keys()]


@pytest.mark.parametrize(
    "words", [("search", ""), ("search", "stu"), ("train", "x.toml", "--plugin", "")]
)
def test_files_are_left_to_the_shell(words: tuple[str, ...], offered: Offered) -> None:
    assert offered(*words) == NOTHING


def test_the_kinds_are_offered_for_a_new_plugin(offered: Offered) -> None:
    assert offered("new", "") == list(KINDS)


def test_nonsense_is_answered_with_nothing(offered: Offered) -> None:
    assert offered("plugins", "--nonsense", "nonsens") == NOTHING


def test_a_broken_plugin_says_nothing(offered: Offered, tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(NOISY)
    assert offered("plugins", "lio", TUNEKIT_PLUGINS="noisy.py:gone.py") == ["lion"]
    assert offered("plugins", "--plugin", "noisy.py", "optimiz") == ["optimizer"]


def test_the_answer_comes_while_one_types(environment: dict[str, str], tmp_path: Path) -> None:
    asked = environment | {
        "_TUNEKIT_COMPLETE": "complete_bash",
        "COMP_WORDS": "tunekit\nplugins\nad",
        "COMP_CWORD": "2",
    }
    spent = []
    for _ in range(3):
        before = os.times().children_user
        assert "adam" in run(["tunekit"], asked, tmp_path).split()
        spent.append(os.times().children_user - before)
    # Processor time, to say the same on a busy machine; measured: 0.35 s.
    assert min(spent) < 1.0


def test_installing_writes_the_script_where_the_shell_reads_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / ".bashrc").write_text("# mine\n")
    done = subprocess.run(
        ["bash", "-c", "tunekit --install-completion; echo $?"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "0", done.stderr
    written = (tmp_path / ".bash_completions" / "tunekit.sh").read_text()
    assert "complete -o default -F _tunekit_completion tunekit" in written
    assert (tmp_path / ".bashrc").read_text().startswith("# mine\n\nsource ")


@pytest.mark.shells
def test_zsh_is_given_meanings_that_it_can_read(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    (tmp_path / "complete.zsh").write_text(script("zsh", environment, tmp_path))
    # A shell's own function shows what it would be asked to offer.
    line = 'compdef() {}; _arguments() { print -rl -- "$@" }; source complete.zsh; '
    line += "words=(tunekit plugins odde); CURRENT=3; _tunekit_completion"
    printed = run(["zsh", "-f", "-c", line], environment | {"TUNEKIT_PLUGINS": "odd.py"}, tmp_path)
    assert printed.startswith("*: :((")
    assert '"oddest":' in printed
    assert "(from)" in printed


@pytest.mark.shells
def test_fish_offers_components_with_their_meaning(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "complete.fish").write_text(script("fish", environment, tmp_path))
    line = "source complete.fish; complete -C 'tunekit plugins softp'"
    printed = run(["fish", "-N", "-c", line], environment, tmp_path)
    assert printed == "softplus\tA smooth rectifier. f(z) = log(1 + exp(z)).\n"
