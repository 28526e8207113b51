"""The containers, as far as a machine without Docker can tell."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "mlflow"
TEXT = (FOLDER / "compose.yaml").read_text()
EXAMPLE = (FOLDER / ".env.example").read_text()
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
SECRETS = {"PGPASSWORD", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY"}


def services() -> Any:
    return yaml.safe_load(TEXT)["services"]


def test_the_server_gets_all_that_the_script_wants() -> None:
    found = re.search(r"^for name in ([^;]*);", (FOLDER / "serve.sh").read_text(), re.MULTILINE)
    assert found is not None
    wanted = set(found[1].replace("\\", "").split())
    assert wanted | {"PGPASSWORD"} <= set(services()["mlflow"]["environment"])
    assert 'CMD ["/server/serve.sh"]' in DOCKERFILE
    assert "command" not in services()["mlflow"]


def test_what_it_asks_for_is_in_the_example() -> None:
    asked = set(re.findall(r"\$\{(\w+)", TEXT))
    offered = set(re.findall(r"^(?:# )?(\w+)='", EXAMPLE, re.MULTILINE))
    assert asked <= offered
    assert set(re.findall(r"^(\w+)='change-me'", EXAMPLE, re.MULTILINE)) == SECRETS


def test_no_secret_is_in_the_file() -> None:
    for service in services().values():
        for name, value in service["environment"].items():
            if "PASSWORD" in name or "SECRET" in name:
                assert re.fullmatch(r"\$\{\w+(:\?[^}]*)?\}", value)


def test_versions_are_pinned_and_ours() -> None:
    assert re.fullmatch(r"postgres:\d+\.\d+-\w+", services()["postgres"]["image"])
    assert re.search(r"^FROM python:\d+\.\d+\.\d+-", DOCKERFILE, re.MULTILINE)
    installed = [Requirement(text) for text in re.findall(r"'(\S+==\S+)'", DOCKERFILE)]
    assert {one.name: one.extras for one in installed} == {
        "mlflow": {"auth"},
        "psycopg": {"binary"},
    }
    project = (ROOT / "pyproject.toml").read_text()
    found = re.search(r'^    "(mlflow[<>=][^"]*)"', project, re.MULTILINE)
    assert found is not None
    (version,) = (next(iter(one.specifier)).version for one in installed if one.name == "mlflow")
    assert version in Requirement(found[1]).specifier
    assert services()["mlflow"]["image"].endswith(f":{version}")


def test_nothing_runs_as_root_and_others_reach_nothing_unless_told() -> None:
    assert services()["postgres"]["user"] == "postgres"
    assert re.search(r"^USER mlflow$", DOCKERFILE, re.MULTILINE)
    assert "ports" not in services()["postgres"]
    assert services()["mlflow"]["ports"] == ["${MLFLOW_PUBLISH:-127.0.0.1:5000}:5000"]
    assert all("healthcheck" in service for service in services().values())


def test_a_shell_reads_the_example_too(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-euc", '. "$0"; printf %s "$PGUSER"', str(FOLDER / ".env.example")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "mlflow"


def test_git_passes_the_passwords_over() -> None:
    done = subprocess.run(
        ["git", "check-ignore", "-q", "mlflow/.env"], cwd=ROOT, check=False, capture_output=True
    )
    if done.returncode == 128:
        pytest.skip("not a git work tree")
    assert done.returncode == 0


def test_docker_understands_it() -> None:
    compose = ["docker", "compose"]
    if (
        shutil.which("docker") is None
        or subprocess.run([*compose, "version"], check=False, capture_output=True).returncode
    ):
        pytest.skip("needs docker compose")
    subprocess.run([*compose, "--env-file", ".env.example", "config", "-q"], cwd=FOLDER, check=True)
