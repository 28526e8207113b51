"""A kept network where there is nothing but what its requirements name."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tunekit
from tunekit.errors import InputError
from tunekit.model import Model
from tunekit.plugins import PluginFile
from tunekit.records import StudyInfo
from tunekit.tracking.client import quiet
from tunekit.tracking.folder import requirements
from tunekit.tracking.model import keep_model
from tunekit.tracking.projection import Projection

PLUGIN = '''
from pathlib import Path

import numpy as np
from tunekit import Activation, hookimpl

Path({marker!r}).touch()


class Bent(Activation):
    """A leaky bend."""

    name = "bent"

    def forward(self, z):
        return np.maximum(z, 0.1 * z)

    def backward(self, da, z, a):
        return np.where(z > 0, da, 0.1 * da)


@hookimpl
def tunekit_activations():
    return [Bent]
'''

PREDICT = """
import json, sys
import mlflow.pyfunc, pandas as pd

rows = json.load(open(sys.argv[2]))
frame = pd.DataFrame(rows, index=range(10, 10 + len(rows["rooms"])))
found = mlflow.pyfunc.load_model(sys.argv[1]).predict(frame)
import importlib.util, tunekit
told = {"index": list(found.index), "rows": found.to_dict("records"), "from": tunekit.__file__}
told["has_search"] = importlib.util.find_spec("tunekit.search") is not None
json.dump(told, sys.stdout)
"""

ROWS: dict[str, list[Any]] = {
    "size": [9.5, None, 12.0],
    "rooms": [1, 4, 5],
    "town": ["Oslo", None, "Bergen"],
}


def needed(requirements: list[str]) -> set[str]:
    """The distributions that pip would install for these, in an environment of their own."""
    found: set[tuple[str, str]] = set()
    asked = [(Requirement(line), "") for line in requirements]
    while asked:
        requirement, extra = asked.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in found:
                found.add((name, wanted))
                own = importlib.metadata.requires(name) or []
                asked += [(Requirement(line), wanted) for line in own]
    return {name for name, _ in found}


def link(distribution: str, packages: Path) -> None:
    """Make an installed distribution importable from another folder, and nothing beside it."""
    found = importlib.metadata.distribution(distribution)
    site = Path(str(found.locate_file("")))
    places = set()
    for file in found.files or []:
        if file.parts[0] in ("..", "__pycache__"):
            continue
        top = site / file.parts[0]
        # Several distributions may share a folder that is no package.
        is_shared = top.is_dir() and top.suffix == "" and not (top / "__init__.py").exists()
        places.add(file.parts[: 2 if is_shared else 1])
    for parts in places:
        place = packages.joinpath(*parts)
        place.parent.mkdir(exist_ok=True)
        if not place.exists():
            place.symlink_to(site.joinpath(*parts))


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    """The Python of an environment in which a network's requirements are, and what these need."""
    home = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    (packages,) = home.glob("lib/python*/site-packages")
    for name in needed(requirements(model)):
        link(name, packages)
    python = home / "bin" / "python"
    uvicorn = home / "bin" / "uvicorn"  # MLflow calls it by its name
    uvicorn.write_text(f"#!{python}\nfrom uvicorn.main import main\n\nmain()\n")
    uvicorn.chmod(0o755)
    return python


Answer = subprocess.CompletedProcess[str]


def variables(python: Path) -> dict[str, str]:
    """The environment's variables, without those of whoever runs the tests."""
    foreign = ("MLFLOW_", "PYTHON", "TUNEKIT_", "VIRTUAL_ENV")
    own = {name: os.environ[name] for name in os.environ if not name.startswith(foreign)}
    path = f"{python.parent}{os.pathsep}{own['PATH']}"
    return {**own, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}


Ask = Callable[..., Answer]


@pytest.fixture
def ask(bare: Path, tmp_path: Path) -> Ask:
    """Load the model in a folder, in the bare environment or another, and let it predict `ROWS`."""
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    (tmp_path / "empty").mkdir()

    def ask(folder: Path, python: Path = bare) -> Answer:
        return subprocess.run(
            [python, "-c", PREDICT, folder, tmp_path / "rows.json"],
            cwd=tmp_path / "empty",
            env=variables(python),
            capture_output=True,
            text=True,
            check=False,
        )

    return ask


@pytest.fixture
def kept(study: StudyInfo, trials: Callable[..., Any]) -> Callable[[Model], Path]:
    """Keep a network in MLflow, and copy its folder from there."""

    def keep(model: Model) -> Path:
        Projection(study).deliver(trials(1))
        keep_model(study, model, "trial 7")
        (found,) = Path(study.folder).glob("mlartifacts/models/m-*/artifacts")
        return Path(shutil.copytree(found, Path(study.folder) / "elsewhere"))

    return keep


def records(model: Model) -> list[dict[str, Any]]:
    """What the network itself says about `ROWS`."""
    found = model.predict(ROWS).columns
    return [
        {name: values[i].item() if name != "price" else values[i] for name, values in found.items()}
        for i in range(len(ROWS["rooms"]))
    ]


def test_it_predicts_where_there_is_no_tunekit(
    kept: Callable[[Model], Path], ask: Ask, bare: Path, model: Model
) -> None:
    for name in ("tunekit", "optuna", "typer"):
        spec = f"import importlib.util as u; raise SystemExit(u.find_spec({name!r}) is not None)"
        subprocess.run([bare, "-c", spec], cwd="/", check=True)
    folder = kept(model)
    done = ask(folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["from"] == str(folder / "code" / "tunekit" / "__init__.py")
    assert found["rows"] == records(model)
    assert found["index"] == [10, 11, 12]


def test_an_installed_tunekit_is_used_and_stays_whole(
    kept: Callable[[Model], Path], ask: Ask, model: Model
) -> None:
    done = ask(kept(model), Path(sys.executable))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["from"] == tunekit.__file__
    assert found["has_search"]
    assert found["rows"] == records(model)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that the plugin makes whenever it is run."""
    return tmp_path / "plugin-was-run"


@pytest.fixture
def plugged(kept: Callable[[Model], Path], train: Callable[..., Model], marker: Path) -> Path:
    """The folder of a network whose activation is a plugin's."""
    file = PluginFile("bent.py", PLUGIN.format(marker=str(marker)))
    folder = kept(train(files=[file], activation="bent"))
    marker.unlink()
    return folder


def test_a_plugin_of_its_own_is_served(plugged: Path, ask: Ask, marker: Path) -> None:
    done = ask(plugged)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == records(Model.load(plugged / "artifacts" / "network"))
    assert marker.exists()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def changed(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def with_other_code(file: Path) -> None:
    text = file.read_text()
    assert "0.1" in text
    file.write_text(text.replace("0.1", "0.2"))


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("network.npz", cut),
        ("network.npz", changed),
        ("network.npz", Path.unlink),
        ("model.json", cut),
        ("model.json", with_other_code),
        ("model.json", Path.unlink),
    ],
)
def test_a_network_that_is_not_whole_is_told_and_nothing_of_it_is_run(
    plugged: Path,
    marker: Path,
    name: str,
    spoil: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    file = plugged / "artifacts" / "network" / name
    spoil(file)
    with quiet():
        from mlflow.pyfunc import load_model

        with pytest.raises(InputError) as caught:
            load_model(str(plugged))
    assert caught.value.file == str(file)
    assert not marker.exists()


def test_columns_of_texts_may_come_as_lists(
    kept: Callable[[Model], Path],
    train: Callable[..., Model],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    model = train(only=["town"])
    with quiet():
        from mlflow.pyfunc import load_model

        found: Any = load_model(str(kept(model))).predict({"town": ["Oslo", "Lima"]})
    assert (
        found["price"].tolist()
        == model.predict({"town": ["Oslo", "Lima"]}).values["price"].tolist()
    )
    assert found.index.tolist() == [0, 1]


@pytest.fixture
def server(
    kept: Callable[[Model], Path], bare: Path, model: Model, tmp_path: Path
) -> Iterator[str]:
    """The address of ``mlflow models serve``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [str(bare), "-m", "mlflow", "models", "serve", "--model-uri", str(kept(model))]
    log = (tmp_path / "log.txt").open("w")
    with (
        log,
        subprocess.Popen(
            [*command, "--env-manager", "local", "--host", "127.0.0.1", "--port", port],
            cwd=tmp_path,
            env=variables(bare),
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        base = f"http://127.0.0.1:{port}"
        try:
            wait_for(base, process, tmp_path / "log.txt")
            yield base
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def wait_for(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + 120
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < give_up, log.read_text()
        try:
            urllib.request.urlopen(f"{base}/ping", timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return


def post(base: str, body: object) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{base}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_it_answers_requests_as_the_network_does(server: str, model: Model) -> None:
    rows = [dict(zip(ROWS, values, strict=True)) for values in zip(*ROWS.values(), strict=True)]
    split = {"columns": list(ROWS), "data": [list(row.values()) for row in rows]}
    for body in ({"dataframe_split": split}, {"dataframe_records": rows}, {"inputs": ROWS}):
        assert post(server, body) == (200, {"predictions": records(model)})
    # What may be missing may be left out, and there may be more.
    short = {"dataframe_records": [{"rooms": 4, "colour": "red"}]}
    status, answer = post(server, short)
    expected = model.predict({"size": [None], "rooms": [4], "town": [None]}).values["price"]
    assert (status, answer["predictions"][0]["price"]) == (200, expected[0])
    # A client is told what it got wrong.
    status, answer = post(server, {"dataframe_records": [{"rooms": 1}, {"rooms": "two"}]})
    assert status == 400
    assert "column 'rooms', row 2: holds 'two'; expected numbers" in answer["message"]
    status, answer = post(server, {"dataframe_records": [{"size": 1.5}]})
    assert status == 400
    assert "missing inputs ['rooms']" in answer["message"]
