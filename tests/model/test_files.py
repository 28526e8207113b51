"""A model's files: whole or not there, and never used when they are not what was saved."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tunekit.errors import InputError, WorkError
from tunekit.model import Model, files
from tunekit.plugins import PluginFile

if TYPE_CHECKING:
    from tests.model.conftest import Train, Trained

CANARY = """
from pathlib import Path
from tunekit import Activation, hookimpl

Path({where!r}).write_text("run")

class Sharp(Activation):
    name = "sharp"

    def forward(self, z):
        return abs(z)

    def backward(self, da, z, a):
        return da * (2.0 * (z > 0) - 1.0).astype(z.dtype)

@hookimpl
def tunekit_activations():
    return [Sharp]
"""


@pytest.fixture
def saved(plain: Trained, tmp_path: Path) -> Path:
    """A saved model."""
    plain.model.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def canary(train: Train, tmp_path: Path) -> tuple[Path, Path]:
    """A saved model with a plugin file, and what that file writes when it is run."""
    sung = tmp_path / "sung"
    file = PluginFile(str(tmp_path / "canary.py"), CANARY.format(where=str(sung)))
    train("texts", {"activation": "sharp"}, files=[file]).model.save(tmp_path / "model")
    sung.unlink()
    # As in a new process, where the file has not been run.
    del sys.modules[file.module_name]
    return tmp_path / "model", sung


def sign(folder: Path, content: dict[str, Any], arrays: bytes | None = None) -> None:
    """Write a model with digests that are right, as somebody with bad intentions would."""
    if arrays is not None:
        (folder / files.ARRAYS).write_bytes(arrays)
        content["digests"][files.ARRAYS] = hashlib.sha256(arrays).hexdigest()
    content["digests"].pop(files.CONTENT, None)
    content["digests"][files.CONTENT] = files._digest(content)
    (folder / files.CONTENT).write_text(json.dumps(content))


def content_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / files.CONTENT).read_text())
    return content


def npz(**arrays: Any) -> bytes:
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    return packed.getvalue()


@pytest.mark.parametrize("name", [files.CONTENT, files.ARRAYS])
@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "gone", "a folder"])
def test_a_damaged_model_is_refused_by_file_and_nothing_of_it_is_run(
    canary: tuple[Path, Path], name: str, damage: str
) -> None:
    folder, sung = canary
    file = folder / name
    whole = file.read_bytes()
    if damage in ("gone", "a folder"):
        file.unlink()
    if damage == "a folder":
        file.mkdir()
    damaged: list[bytes | None] = [None]
    if damage == "cut":
        damaged = [whole[:end] for end in range(1, len(whole) - 1, max(1, len(whole) // 40))]
    elif damage == "flipped":
        steps = range(0, len(whole), max(1, len(whole) // 150))
        damaged = [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in steps]
    elif damage == "empty":
        damaged = [b""]
    for content in damaged:
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(InputError) as refused:
            Model.load(folder)
        assert refused.value.file == str(file)
        assert not sung.exists()
    if damage in ("cut", "flipped", "empty"):
        file.write_bytes(whole)
        Model.load(folder)
        assert sung.exists()


def test_arrays_of_another_model_are_refused(saved: Path, train: Train, tmp_path: Path) -> None:
    train("texts", {"epochs": 2}).model.save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / files.ARRAYS, saved)
    with pytest.raises(InputError, match="not what was saved: it was cut or changed"):
        Model.load(saved)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "not a model that tunekit saved"),
        ('{"format": "pickle"}', "not a model that tunekit saved"),
        ('{"format": "tunekit model", "version": 2}', "format 2, and this tunekit reads 1"),
        ('{"format": "tunekit model", "version": 1}', "digests are missing"),
        ('{"format": NaN}', "NaN is no number"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_a_foreign_file_is_refused(saved: Path, text: str, told: str) -> None:
    (saved / files.CONTENT).write_text(text)
    with pytest.raises(InputError, match=told):
        Model.load(saved)


def test_an_array_of_objects_is_never_unpickled(saved: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "boom"),)

    bomb = np.array([Bomb()], dtype=object)
    sign(saved, content_of(saved), npz(parameters=bomb, statistics=bomb))
    with pytest.raises(InputError, match="does not hold arrays of numbers"):
        Model.load(saved)
    sign(saved, content_of(saved), pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="does not hold arrays of numbers"):
        Model.load(saved)
    assert not (tmp_path / "boom").exists()


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.pop(name) and None


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def changed(content: dict[str, Any]) -> None:
        *outer, last = path.split(".")
        for key in outer:
            content = content[int(key) if key.isdigit() else key]  # type: ignore[index]
        content[last] = value

    return changed


@pytest.mark.parametrize(
    "edit",
    [
        *(without(name) for name in ("task", "labels", "network", "components", "preprocessing")),
        change("network.sizes", [5, 6, 3]),
        change("network.sizes", []),
        change("network.sizes", "many"),
        change("network.sizes", [6, -6, 3]),
        change("network.normalization", "batch"),
        change("components", []),
        change("components.0.name", "no_such_thing"),
        change("components.0.values", {"alpha": 1.0}),
        change("components.0.kind", "dataset"),
        change("labels", ["low", "mid"]),
        change("preprocessing.columns", []),
        change("plugins", [{"path": "x.py", "text": ["1 / 0\n"]}]),
    ],
)
def test_content_that_does_not_fit_together_is_told_as_such(
    saved: Path, edit: Callable[[dict[str, Any]], None]
) -> None:
    content = content_of(saved)
    edit(content)
    sign(saved, content)
    with pytest.raises(InputError):
        Model.load(saved)


@pytest.mark.parametrize(
    "arrays",
    [
        {"parameters": np.zeros(3, "float32")},
        {"parameters": np.zeros((1, 2), "float32")},
        {"parameters": None},
        {"statistics": np.zeros(4, "float32")},
        {"target_mean": np.zeros(7)},
        {"target_scale": np.zeros(1, "float32")},
        {"more": np.zeros(1)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    plain: Trained, saved: Path, arrays: dict[str, Any]
) -> None:
    changed = {**plain.model._arrays(), **arrays}
    kept = {name: array for name, array in changed.items() if array is not None}
    sign(saved, content_of(saved), npz(**kept))
    with pytest.raises(InputError, match="does not fit together"):
        Model.load(saved)


@pytest.mark.parametrize("type_", ["int64", "float16", "<U4", "complex64", ">f4"])
def test_parameters_of_another_type_are_refused(plain: Trained, saved: Path, type_: str) -> None:
    arrays = plain.model._arrays()
    for name in ("parameters", "statistics"):
        arrays[name] = arrays[name].astype(type_)
    sign(saved, content_of(saved), npz(**arrays))
    with pytest.raises(InputError, match="does not fit together"):
        Model.load(saved)


@pytest.mark.parametrize("there", ["nothing", "a file"])
def test_where_there_is_no_model_it_says_what_was_expected(tmp_path: Path, there: str) -> None:
    if there == "a file":
        (tmp_path / "model").write_text("")
    with pytest.raises(InputError, match=r"expected a model's folder, with model\.json and"):
        Model.load(tmp_path / "model")


def test_it_is_saved_into_a_new_or_an_empty_folder_only(plain: Trained, tmp_path: Path) -> None:
    plain.model.save(tmp_path / "new" / "model")
    (tmp_path / "empty").mkdir()
    plain.model.save(tmp_path / "empty")
    before = (tmp_path / "empty" / files.CONTENT).stat()
    with pytest.raises(InputError, match="a folder that is not empty already"):
        plain.model.save(tmp_path / "empty")
    assert (tmp_path / "empty" / files.CONTENT).stat() == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="there is a file already"):
        plain.model.save(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "new"]


def test_what_cannot_be_written_leaves_nothing_behind(
    plain: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WorkError, match="cannot be written: No space left on device"):
        plain.model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_any_characters_comes_back(saved: Path, plain: Trained, tmp_path: Path) -> None:
    odd = dataclasses.replace(plain.model, name="Größe 数 \ud800 \x00")
    odd.save(tmp_path / "odd")
    assert Model.load(tmp_path / "odd").name == odd.name
    assert "Größe 数" in (tmp_path / "odd" / files.CONTENT).read_text("utf-8", "replace")
