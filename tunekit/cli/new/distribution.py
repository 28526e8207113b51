"""The files of a new distribution: the plugin, its tests, and what an installer wants to know."""

from __future__ import annotations

from tunekit import __version__
from tunekit.cli.new.names import Beginning
from tunekit.cli.new.source import first_study, plugin_module

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "0.1.0"
description = "The {spoken_kind} {name}, a plugin for tunekit."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["numpy>=2.0", "tunekit>={version}"]

[project.optional-dependencies]
dev = ["pytest>=8"]

# By this tunekit finds the plugin wherever it is installed: a name, and the module to import.
[project.entry-points.tunekit]
{name} = "{package_module}"

[tool.hatch.build.targets.wheel]
only-include = ["{package_module}.py"]

[tool.pytest.ini_options]
testpaths = ["tests"]
"""

TESTS = '''\
"""What studies may expect of {noun}, and that they find this one."""

from importlib.metadata import entry_points

from tunekit.testing import parametrize_with_checks

import {package_module}
from {package_module} import {class_name}


# Add components with other values: {class_name}(...). A check that has a reason to fail is named
# in expected_failures={{"check": "the reason"}}.
@parametrize_with_checks({class_name})
def test_conformance(component, check):
    check(component)


def test_tunekit_finds_it_once_it_is_installed():
    found = [*entry_points(group="tunekit", name="{name}")]
    assert found, "it is not installed: pip install -e ."
    assert found[0].load() is {package_module}
'''

README = """\
# {distribution}

The {spoken_kind} `{name}`, a plugin for tunekit.

Install it where tunekit is installed:

```console
$ pip install .
$ tunekit plugins {name}
```

Then every study can name it. This is a whole one, for `tunekit search STUDY.toml`:

```toml
{study}
```

To work on it, `pip install -e '.[dev]'`. Then `pytest` runs tunekit's conformance checks, and
`tunekit check {name}` tells more about them. `pip wheel --no-deps .` makes a wheel to hand on.
"""

GITIGNORE = """\
__pycache__/
.venv/
dist/
*.whl
"""


def distribution(beginning: Beginning) -> dict[str, str]:
    """The texts of all files, by their path in the distribution's folder."""
    facts = {
        "kind": beginning.kind,
        "name": beginning.name,
        "spoken_kind": beginning.spoken_kind,
        "noun": beginning.noun,
        "class_name": beginning.class_name,
        "distribution": beginning.distribution,
        "package_module": beginning.package_module,
        "version": __version__,
        "study": first_study(beginning),
    }
    return {
        f"{beginning.package_module}.py": plugin_module(beginning),
        f"tests/test_{beginning.name}.py": TESTS.format(**facts),
        "pyproject.toml": PYPROJECT.format(**facts),
        "README.md": README.format(**facts),
        ".gitignore": GITIGNORE,
    }
