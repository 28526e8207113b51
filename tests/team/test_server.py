"""What the team's server lets nobody do by mistake, and what it shows to nobody."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy

if TYPE_CHECKING:
    from tests.team.conftest import Team

SCRIPT = Path(__file__).parents[2] / "mlflow" / "serve.sh"
WHOLE = {
    "PGHOST": "127.0.0.1",
    "PGUSER": "mlflow",
    "PGDATABASE": "mlflow",
    "MLFLOW_ARTIFACTS_DESTINATION": "artifacts",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "long enough, not known",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "some key",
}


def refused(**changes: str | None) -> str:
    """What the script says when it does not start."""
    given = {"PATH": os.environ["PATH"], **WHOLE, **changes}
    told = {name: value for name, value in given.items() if value is not None}
    done = subprocess.run([SCRIPT], env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("name", list(WHOLE))
def test_it_does_not_start_without_a_setting(name: str, value: str | None) -> None:
    assert f"set {name}" in refused(**{name: value})


@pytest.mark.parametrize(
    "name", ["PGPASSWORD", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY"]
)
def test_it_does_not_start_with_the_secrets_of_the_example(name: str) -> None:
    assert f"{name} is still the example's" in refused(**{name: "change-me"})


@pytest.mark.parametrize("password", ["password1234", "sesame"])
def test_it_does_not_start_with_a_bad_password(password: str) -> None:
    said = refused(MLFLOW_AUTH_ADMIN_PASSWORD=password)
    assert "MLFLOW_AUTH_ADMIN_PASSWORD is" in said
    assert password not in said


@pytest.mark.postgresql
class TestRunning:
    """The server, as it runs."""

    def test_only_the_right_password_is_let_in(self, team: Team) -> None:
        path = "/api/2.0/mlflow/experiments/get?experiment_id=0"
        assert team.ask(path) == 200
        assert team.ask(path, password="password1234") == 401
        assert team.ask(path, password="") == 401
        assert team.ask("/", password="wrong") == 401

    def test_it_answers_to_its_own_names_only(self, team: Team) -> None:
        assert team.ask("/", Host="team.example") == 200
        assert team.ask("/", Host="elsewhere.example") == 403

    def test_only_its_own_pages_may_change_something(self, team: Team) -> None:
        path = "/ajax-api/2.0/mlflow/experiments/search"
        assert team.ask(path, b'{"max_results": 1}', Origin="https://team.example") == 200
        assert team.ask(path, b'{"max_results": 1}', Origin="https://elsewhere.example") == 403

    def test_users_and_runs_are_in_postgresql(self, team: Team, postgresql: dict[str, str]) -> None:
        at = sqlalchemy.URL.create(
            "postgresql+psycopg",
            postgresql["PGUSER"],
            postgresql["PGPASSWORD"],
            postgresql["PGHOST"],
            int(postgresql["PGPORT"]),
            "mlflow",
        )
        tables = sqlalchemy.inspect(sqlalchemy.create_engine(at, poolclass=sqlalchemy.NullPool))
        assert {"users", "runs"} <= set(tables.get_table_names())
        files = [path for path in team.log.parent.rglob("*") if path.is_file()]
        assert not [path for path in files if path.suffix == ".db"]

    def test_its_passwords_are_in_no_command_line_and_no_log(self, team: Team) -> None:
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
        assert any(
            b"mlflow" in line and team.settings["MLFLOW_PORT"].encode() in line for line in lines
        )
        shown = b"".join(lines) + team.log.read_bytes()
        assert b"Zebra7391" not in shown
