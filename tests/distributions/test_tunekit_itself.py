"""What tunekit's own wheel and source distribution hold beside ``plugins/``."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
Build = Callable[[Path], Path]


def test_wheel_holds_the_package_alone(build: Build) -> None:
    names = zipfile.ZipFile(build(ROOT)).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"tunekit"}


def test_source_distribution_leaves_other_distributions_out(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory"]
    subprocess.run([*command, tmp_path], cwd=ROOT, check=True, capture_output=True)
    (file,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        paths = [name.partition("/")[2] for name in archive.getnames()]
    assert "tunekit/plugins/__init__.py" in paths
    assert not [path for path in paths if path.startswith("plugins/")]
