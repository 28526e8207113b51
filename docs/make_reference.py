"""Make docs/reference.md from the signatures and docstrings of the code.

Run it: ``.venv/bin/python docs/make_reference.py``
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import tunekit
from tunekit import hookspecs, testing
from tunekit.components import KINDS, Component, LearnedActivation, Progress, Step
from tunekit.testing.check import CHECKS

PAGE = Path(__file__).parent / "reference.md"
COMMAND = ".venv/bin/python docs/make_reference.py"

HEAD = """\
# Plugin reference

All that a plugin may define and use. To write a first one, start with the [guide](guide.md); what
comes with tunekit is listed by `tunekit plugins`, and one of it with its source by
`tunekit plugins adam --source`.

This page is made from the code by `docs/make_reference.py`, and a test compares the two.

Names without a module are those of `tunekit`, as in `from tunekit import Optimizer, hookimpl`. An
`Array` is a numpy array, a `State` a dict of arrays and plain numbers by name, and a `Scalar` a
bool, an int, a float or a text.
"""

WAYS_IN = """\
| way | for | how |
|---|---|---|
| a file | an idea | `[plugins] files = ["my_rule.py"]` in the study (paths relative to it), \
`--plugin my_rule.py` on the command line (repeatable), or the environment variable \
`TUNEKIT_PLUGINS` (several are separated as in `PATH`) |
| a distribution | colleagues | an entry point in the group `tunekit`, which names a module (or an \
object) with hooks; `tunekit new KIND NAME --package` writes one |
| an object | notebooks and scripts | `tunekit.search_study("study.toml", plugins=[MyRule])`: \
component classes, modules or objects with hooks (observers, too), paths of files |

```toml
[project.entry-points.tunekit]
my_rule = "tunekit_my_rule"
```

All kinds of component work in all three ways, also in worker processes: a file travels as its text,
a class of a script or notebook whole, an installed module as its name.

**Names.** Within a kind each name belongs to one owner. A file or an object may replace what comes
with tunekit, since somebody named it on purpose. A file and its installed copy (the same text)
are one plugin. Any other two of one name are an error that names both owners;
nothing is renamed in silence.

**Leaving out.** `[plugins] disabled = ["my_rule"]` in a study, or `TUNEKIT_DISABLED=my_rule,other`
in the environment, pass over installed plugins, by the names of their entry points or
distributions.

**Failure.** An installed plugin that cannot be loaded is left out, as is a file that
`TUNEKIT_PLUGINS` names, and `tunekit plugins` says why. Only a study that needs it stops. What a
study or a command line names is an error if it cannot be used.

**Changes.** New trials join old ones only if the code is the same: that of a file, of an installed
module or package, of a class in a script or notebook with the values and functions that it uses.
What these import from elsewhere is not looked at.
"""

BRINGS = """\
```python
@hookimpl
def tunekit_optimizers():
    return [MyRule]
```
"""

OBSERVES = """\
```python
@hookimpl
def tunekit_trial_finished(trial):
    print(trial.number, trial.state, trial.value)
```

They are given the records below: frozen dataclasses, to be read.
"""

DECLARATIONS = """\
A typed field of a component is a hyperparameter: a number, a text, or true or false. After
`eps: float = 1e-8` it has a default and is not searched; the functions below also give it a range
to search and limits. `low` and `high` are what is searched unless a study says otherwise; `min` and
`max` are what is allowed at all.
"""

TESTING = """\
```python
from tunekit.testing import parametrize_with_checks

from my_rule import MyRule


@parametrize_with_checks(MyRule, MyRule(beta=0.5))
def test_conformance(component, check):
    check(component)
```

`tunekit check FILE_OR_NAME` runs the same checks from the command line.
"""

BRINGING = [name for name in vars(hookspecs) if re.fullmatch("tunekit_[a-z]+s", name)]
OBSERVING = [n for n in vars(hookspecs) if n.startswith("tunekit_") and n not in BRINGING]
DECLARING = (tunekit.Float, tunekit.Int, tunekit.Flag, tunekit.Choice)
RECORDS = (
    tunekit.StudyInfo,
    tunekit.FinishedTrial,
    tunekit.Curve,
    tunekit.Diagnosis,
    tunekit.StudyResult,
    tunekit.Finalist,
    tunekit.TestScore,
)
GIVEN: dict[str, list[type]] = {
    "optimizer": [Step],
    "schedule": [Progress],
    "dataset": [tunekit.Table],
}
"""What methods of a kind are given or return, shown with the kind."""


def reference() -> str:
    """The whole page."""
    _, bringing, observing = inspect.cleandoc(hookspecs.__doc__ or "").split("\n\n")
    sections = {
        "Three ways in": [WAYS_IN],
        "Hooks that bring components": [_text(bringing), BRINGS, *_hooks(BRINGING)],
        "Every component": [_class(Component)],
        "Hyperparameters": [DECLARATIONS, *_parts(DECLARING, _function)],
        **{_title(kind): _kind(kind) for kind in KINDS},
        "Hooks that observe": [_text(observing), OBSERVES, *_hooks(OBSERVING)],
        "What observers are given": _parts(RECORDS, _record),
        "A search from Python": [_function(tunekit.search_study)],
        "Checks": _testing(),
    }
    body = "".join(
        f"## {title}\n\n" + "\n\n".join(part.strip() for part in parts) + "\n\n"
        for title, parts in sections.items()
    )
    return f"{HEAD}\n{_contents(body)}\n{body.strip()}\n"


def _contents(body: str) -> str:
    """Links to all headings: one line a section."""
    contents = ""
    for level, title in re.findall(r"^(##+) (.*)$", body, re.MULTILINE):
        link = f"[{title}](#{title.lower().replace(' ', '-')})"
        separator = "" if level == "##" else ": " if contents.endswith("**") else ", "
        contents += f"\n- **{link}**" if level == "##" else f"{separator}{link}"
    return contents.lstrip() + "\n"


def _title(kind: str) -> str:
    return {"dataset": "Data set"}.get(kind, kind.capitalize())


def _parts(things: Iterable[Any], shown: Callable[[Any], str]) -> list[str]:
    return [f"### {thing.__name__}\n\n{shown(thing)}" for thing in things]


def _hooks(names: list[str]) -> list[str]:
    return _parts((getattr(hookspecs, name) for name in names), _function)


def _kind(kind: str) -> list[str]:
    """A kind of component, with what belongs to it."""
    parts = [f"Brought by the hook `tunekit_{_plural(kind)}`.", _class(KINDS[kind])]
    parts += _parts(GIVEN.get(kind, ()), _record)
    return parts + (_parts([LearnedActivation], _class) if kind == "activation" else [])


def _plural(kind: str) -> str:
    return "losses" if kind == "loss" else f"{kind}s"


def _class(cls: type[Component]) -> str:
    """A class that plugins derive from: its settings, its hyperparameters, its methods."""
    text, attributes = _parted(cls)
    parts = [text, *_settings(cls, attributes)]
    for name, method in methods(cls):
        parts.append(_method(name, method))
    return "\n".join(parts)


def _settings(cls: type[Component], meanings: dict[str, str]) -> Iterator[str]:
    rows = [
        (f"`{name}`", _allowed(wanted), f"`{getattr(cls, name)!r}`", meanings[name])
        for name, wanted in settings(cls).items()
    ]
    if rows:
        yield _table(("class attribute", "may be", "default", "what it says"), rows)
    own = [p for p in cls.hyperparameters().values() if p.name in vars(cls)]
    if own:
        rows = [
            (f"`{p.name}`", f"`{p.type.__name__}`", f"`{p.default!r}`", meanings[p.name])
            for p in own
        ]
        yield _table(("hyperparameter", "type", "default", "what it says"), rows)


def settings(cls: type[Component]) -> dict[str, Any]:
    """The class attributes that a class declares for its subclasses to set, with their types."""
    hints = typing.get_type_hints(cls)
    return {
        name: typing.get_args(hints[name])[0]
        for name in inspect.get_annotations(cls)
        if typing.get_origin(hints[name]) is ClassVar and name != "kind" and name[0] != "_"
    }


def methods(cls: type[Component]) -> list[tuple[str, Any]]:
    """The public methods that a class defines, in the order of the code."""
    return [
        (name, value)
        for name, value in vars(cls).items()
        if isinstance(value, (types.FunctionType, classmethod)) and name[0] != "_"
    ]


def _allowed(wanted: Any) -> str:
    if typing.get_origin(wanted) is Literal:
        return ", ".join(f'`"{value}"`' for value in typing.get_args(wanted))
    if typing.get_origin(wanted) is tuple:
        of = typing.get_args(wanted)[0]
        return "a tuple of texts" if of is str else f"a tuple of {_allowed(of)}"
    return {str: "a text", bool: "`True`, `False`", float: "a number"}[wanted]


def _method(name: str, method: Any) -> str:
    must = "; must be defined" if getattr(method, "__isabstractmethod__", False) else ""
    return f"**`{name}`**{must}\n\n{_function(method)}"


def _function(function: Any) -> str:
    """A signature and what the docstring says."""
    return f"```python\n{signature(function)}\n```\n\n{_text(inspect.getdoc(function) or '')}\n"


def signature(function: Any) -> str:
    """A function's first lines, as they stand in the code."""
    if isinstance(function, classmethod):
        return f"@classmethod\n{signature(function.__func__)}"
    parameters, returns = _parameters(function)
    name = function.__name__
    line = f"def {name}({', '.join(parameters)}) -> {returns}"
    if len(line) <= 92:
        return line
    return f"def {name}(\n" + "".join(f"    {p},\n" for p in parameters) + f") -> {returns}"


def _parameters(function: Callable[..., Any]) -> tuple[list[str], str]:
    found = inspect.signature(function)
    shown: list[str] = []
    for parameter in found.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not any(p[0] == "*" for p in shown):
            shown.append("*")
        text = "*" * (parameter.kind is parameter.VAR_POSITIONAL) + parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {parameter.annotation}"
        if parameter.default is not parameter.empty:
            text += f" = {parameter.default!r}"
        shown.append(text)
    return shown, str(found.return_annotation)


def _record(cls: type[Any]) -> str:
    """A dataclass that is passed around."""
    text, meanings = _parted(cls)
    rows = []
    for field in dataclasses.fields(cls):
        default = "" if field.default is dataclasses.MISSING else f"`{field.default!r}`"
        if field.default_factory is not dataclasses.MISSING:
            default = f"`{field.default_factory()!r}`"
        rows.append((f"`{field.name}`", f"`{field.type}`", default, meanings[field.name]))
    with_defaults = any(row[2] for row in rows)
    parts = [
        text,
        _table(("attribute", "type", "default", "what it says"), rows)
        if with_defaults
        else _table(("attribute", "type", "what it says"), [(a, b, d) for a, b, _, d in rows]),
    ]
    for name, value in vars(cls).items():
        if name[0] != "_" and isinstance(value, classmethod):
            parts.append(f"**`{cls.__name__}.{name}`**\n\n{_function(value)}")
        elif name[0] != "_" and isinstance(value, property):
            parts.append(f"`{name}`: {_text(inspect.getdoc(value) or '')}\n")
    return "\n".join(parts)


def _testing() -> list[str]:
    """The functions of `tunekit.testing`, and all checks."""
    public = [getattr(testing, name) for name in testing.__all__]
    classes = [thing for thing in public if isinstance(thing, type)]
    parts = [(inspect.getdoc(testing) or "").partition("\n\n")[0], TESTING]
    parts += _parts((thing for thing in public if thing not in classes), _function)
    parts += _parts(filter(dataclasses.is_dataclass, classes), _record)
    parts += _parts(
        (cls for cls in classes if not dataclasses.is_dataclass(cls)),
        lambda cls: _text(inspect.getdoc(cls) or ""),
    )
    for kind in ("", *KINDS):
        title = f"Checks of {_plural(_title(kind).lower())}" if kind else "Checks of everything"
        rows = [(f"`{c.name}`", _inline(c.summary)) for c in CHECKS if c.kind == kind]
        parts.append(f"### {title}\n\n" + _table(("check", "what it says"), rows))
    return [*parts, "A check that makes no sense for a component is left out."]


def _parted(cls: type[Any]) -> tuple[str, dict[str, str]]:
    """A class's docstring, parted into its text and what it says of each attribute."""
    before, _, after = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")
    attributes = {name: _inline(text) for name, text in _entries(after)}
    return _text(before) + "\n", attributes


def _entries(section: str) -> list[tuple[str, str]]:
    """Names and texts of a docstring's section."""
    section = textwrap.dedent(section)
    entries = re.findall(r"^\*?(\w+): (.*(?:\n[ ]+.*|\n(?=\n))*)", section, re.MULTILINE)
    return [(name, " ".join(text.split())) for name, text in entries]


def _text(docstring: str) -> str:
    """A docstring as Markdown."""
    parts = re.split(r"^(Args|Returns|Raises|Attributes):\n", docstring, flags=re.MULTILINE)
    shown = [_paragraphs(parts[0])]
    for title, section in zip(parts[1::2], parts[2::2], strict=True):
        if title == "Returns":
            shown.append(f"Returns: {_inline(' '.join(section.split()))}")
            continue
        entries = "\n".join(f"- `{name}`: {_inline(text)}" for name, text in _entries(section))
        shown.append(f"Raises:\n\n{entries}" if title == "Raises" else entries)
    return "\n\n".join(filter(None, shown))


def _paragraphs(text: str) -> str:
    """Paragraphs as they are, and indented ones as code."""
    shown = []
    for part in re.split(r"\n\n(?=\S)", text.strip()):
        words, *code = re.split(r"\n\n(?=    )", part, maxsplit=1)
        shown.append(_inline(words))
        if code:
            example = textwrap.dedent(code[0]).strip()
            if re.search(r"^(class|def) ", example, re.MULTILINE):
                # Two empty lines around definitions, as the formatter wants them on a page, too.
                example = re.sub(r"\n\n(?=\S)", "\n\n\n", example)
            shown.append(f"```python\n{example}\n```")
    return "\n\n".join(filter(None, shown))


def _inline(text: str) -> str:
    return text.replace("``", "`")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in escaped)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
