"""The command that predicts new rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tunekit.model import Model
from tunekit.search.recalled_study import recalled
from tunekit.search.setting import Setting
from tunekit.search.winner import key_of, winner
from tunekit.study.study import load_study
from tunekit.tracking.client import connect, quiet
from tunekit.tracking.model import keep_model

Command = Callable[..., Any]

ROWS = """\
id,sepal length (cm),sepal width (cm),petal length (cm),petal width (cm),y
a,5.1,3.5,1.4,0.2,setosa
b,6.7,3.0,5.2,2.3,virginica
c,6,2.7,,1.6,versicolor
"""


@pytest.fixture(scope="session")
def with_model(
    finished: tuple[Path, object], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A finished search whose best network is in MLflow and in a folder, and its address."""
    folder = tmp_path_factory.mktemp("with-model") / "here"
    shutil.copytree(finished[0], folder)
    text = (folder / "small.toml").read_text()
    (folder / "small.toml").write_text(f"{text}\n[mlflow]\nregister = 'flowers'\n")
    study, registry = load_study(folder / "small.toml")
    known = recalled(study)
    assert known is not None
    model = winner(Setting.of(study, registry), known[1])
    # MLflow knows places of artifacts by their absolute paths.
    model.save(folder / "network")
    (folder / "rows.csv").write_text(ROWS)
    return folder, keep_model(known[0], model, key_of(known[1]), register=study.register).uri


@pytest.fixture
def here(with_model: tuple[Path, str], tunekit: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of that search, where commands run."""
    monkeypatch.chdir(with_model[0])
    return with_model[0]


@pytest.fixture
def logged(with_model: tuple[Path, str]) -> Any:
    """What MLflow knows of the network."""
    folder, address = with_model
    with quiet():
        client = connect(f"sqlite:///{folder / 'mlflow.db'}")
        return client.get_logged_model(address.removeprefix("models:/"))


@pytest.fixture
def expected(here: Path) -> str:
    """What the network itself says, as CSV."""
    found = Model.load(here / "network").predict(pd.read_csv(here / "rows.csv"))  # type: ignore[arg-type]
    frame = pd.DataFrame(found.columns)
    return str(frame.astype(dict.fromkeys(frame.columns[1:], "float64")).to_csv(index=False))


def test_a_folder_predicts_row_by_row(tunekit: Command, here: Path, expected: str) -> None:
    done = tunekit("predict", "network", "rows.csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == expected
    head, *rows = done.stdout.splitlines()
    classes = ("setosa", "versicolor", "virginica")
    assert head.split(",") == ["y", *(f"probability of {name}" for name in classes)]
    assert len(rows) == 3


def test_networks_come_from_mlflow_by_any_of_its_addresses(
    tunekit: Command, here: Path, expected: str, logged: Any
) -> None:
    with quiet():
        client = connect(f"sqlite:///{here / 'mlflow.db'}")
        client.set_registered_model_alias("flowers", "best", "1")
    registered = ("models:/flowers/1", "models:/flowers@best")
    own = (f"models:/{logged.model_id}", f"runs:/{logged.source_run_id}/model")
    for name in (*registered, *own, "small.toml", logged.artifact_location):
        done = tunekit("predict", name, "rows.csv")
        assert (done.returncode, done.stdout) == (0, expected), done.stderr


def test_the_store_is_that_of_the_option_or_the_environment(
    tunekit: Command, here: Path, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copy(here / "rows.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    asked = ("predict", "models:/flowers/1", "rows.csv")
    store = f"sqlite:///{here / 'mlflow.db'}"
    assert tunekit(*asked, "--tracking-uri", store).stdout == expected
    done = tunekit(*asked)
    assert done.returncode == 2
    assert "there is no MLflow store" in done.stderr
    assert not (tmp_path / "mlflow.db").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    assert tunekit(*asked).stdout == expected


def test_predictions_go_to_a_file_of_the_asked_format(
    tunekit: Command, here: Path, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "expected.csv").write_text(expected)
    frame = pd.read_csv(tmp_path / "expected.csv")
    pd.read_csv(here / "rows.csv").to_parquet(tmp_path / "rows.parquet")
    for ending in ("csv", "parquet", "json"):
        out = tmp_path / f"out.{ending}"
        done = tunekit("predict", "network", str(tmp_path / "rows.parquet"), "-o", str(out))
        assert (done.returncode, done.stdout) == (0, f"Predictions: {out} (3 rows)\n")
        read: Any = getattr(pd, f"read_{ending}")
        pd.testing.assert_frame_equal(read(out), frame, check_dtype=False)
    told = json.loads(tunekit("predict", "network", "rows.csv", "--json").stdout)
    assert told == {
        "model": "network",
        "rows": 3,
        "output": None,
        "predictions": json.loads((tmp_path / "out.json").read_text()),
    }


def test_what_is_wrong_with_the_rows_names_file_column_and_row(
    tunekit: Command, here: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "new.csv"
    rows.write_text(ROWS.replace("6.7", "wide"))
    done = tunekit("predict", "network", str(rows))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {rows}: column 'sepal length (cm)', row 2: holds 'wide'; expected numbers, as in "
        "the training rows\n"
    )
    rows.write_text(ROWS.replace("petal width", "petal widht"))
    done = tunekit("predict", "network", str(rows), "--json")
    error = json.loads(done.stdout)["error"]
    assert (error["file"], error["key"]) == (str(rows), "column 'petal width (cm)'")
    assert "Did you mean 'petal widht (cm)'?" in error["message"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("netwrok", "rows.csv"), "there is no folder 'netwrok'; expected a model's folder,"),
        (("network", "row.csv"), "there is no file 'row.csv' in '.'. Did you mean 'rows.csv'?"),
        (("models:/flower/1", "rows.csv"), "no registered model 'flower'. Did you mean 'flowers'?"),
        (("models:/flowers/7", "rows.csv"), "'flowers' has no version 7 there. Known: 1."),
        (("models:/flowers@no", "rows.csv"), "'flowers' has no alias 'no' there."),
        (("models:/m-" + 32 * "0", "rows.csv"), "has no such model"),
        (("runs:/0123/model", "rows.csv"), "has no such run"),
        (("models:flowers", "rows.csv"), "models:flowers: expected models:/NAME/VERSION,"),
        (("network", "rows.csv", "-o", "out.xlsx"), "-o out.xlsx: the file's name ends in '.xlsx'"),
        (("network", "rows.csv", "-o", "no/o.csv"), "-o no/o.csv: there is no folder no;"),
        (("network", "rows.csv", "-o", "rows.csv"), "this is the file with the rows"),
        (("network", "rows.csv", "--set", "study.name=x"), "--set: --set is for a study file"),
        (("network", "rows.csv", "--tracking-uri", "sqlite:///x"), "is for models:/ and runs:/"),
        (("models:/a/1", "rows.csv", "--tracking-uri", "x"), 'expected an address such as "sqlite'),
        (("small.toml", "rows.csv", "--set", "study.name=other"), "no model of 'other' yet"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    tunekit: Command, here: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = tunekit("predict", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_files_that_were_changed_in_mlflow_are_told(
    tunekit: Command, here: Path, logged: Any, tmp_path: Path
) -> None:
    folder = Path(logged.artifact_location, "artifacts", "network")
    kept = shutil.copytree(folder, tmp_path / "kept")
    try:
        (folder / "network.npz").write_bytes(b"PK" + bytes(100))
        done = tunekit("predict", "models:/flowers/1", "rows.csv")
        assert done.returncode == 2
        assert "error: models:/flowers/1 (network.npz): this model cannot be used" in done.stderr
        # Another network, whole in itself: the database knows which one was logged.
        model = Model.load(here / "network")
        other = tmp_path / "other"
        Model(**{**vars(model), "name": "another"}).save(other)
        shutil.copytree(other, folder, dirs_exist_ok=True)
        done = tunekit("predict", "models:/flowers/1", "rows.csv")
        assert done.returncode == 2
        assert "models:/flowers/1: this is not the network that was logged" in done.stderr
    finally:
        shutil.copytree(kept, folder, dirs_exist_ok=True)


def test_a_model_that_is_not_tunekits_is_told(tunekit: Command, here: Path) -> None:
    with quiet():
        client = connect(f"sqlite:///{here / 'mlflow.db'}")
        strange = client.create_logged_model("0", name="strange")
    done = tunekit("predict", f"models:/{strange.model_id}", "rows.csv")
    assert done.returncode == 2
    assert "this is not a model that tunekit logged" in done.stderr
