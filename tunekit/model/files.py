"""A model's two files: ``network.npz`` for its arrays, ``model.json`` for everything else.

Each has its SHA-256 in ``model.json``, so that what was cut or changed is told before anything of
it is used. The digests guard against accidents: whoever can write to the folder can write new ones.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tunekit.components import Array
from tunekit.errors import InputError, WorkError

CONTENT, ARRAYS = "model.json", "network.npz"
FORMAT = "tunekit model"
VERSION = 1


def write(folder: Path, content: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write a model into a new folder, whole or not at all.

    Args:
        folder: Where; it is made, with those above it. It may be there if it is empty.
        content: Values that JSON can hold.
        arrays: Arrays of numbers by name.

    Raises:
        InputError: The folder is there and not empty, or a file is in its place.
        WorkError: The files cannot be written.
    """
    folder = folder.resolve()
    _see_that_it_is_free(folder)
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    signed = {
        "format": FORMAT,
        "version": VERSION,
        **content,
        "digests": {ARRAYS: hashlib.sha256(packed.getvalue()).hexdigest()},
    }
    signed["digests"][CONTENT] = _digest(signed)
    text = json.dumps(signed, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    unfinished = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    try:
        unfinished.mkdir(parents=True)
        (unfinished / ARRAYS).write_bytes(packed.getvalue())
        # A category may hold what is not valid Unicode.
        (unfinished / CONTENT).write_bytes(text.encode("utf-8", "surrogatepass"))
        if folder.is_dir():
            folder.rmdir()
        unfinished.rename(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WorkError(f"the model cannot be written: {reason}", file=str(folder)) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _see_that_it_is_free(folder: Path) -> None:
    is_folder = folder.is_dir()
    if any(folder.iterdir()) if is_folder else folder.exists():
        what = "a folder that is not empty" if is_folder else "a file"
        raise InputError(
            f"there is {what} already; expected a new or an empty folder", file=str(folder)
        )


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """What `write` wrote: the content and the arrays. Nothing of it is run.

    Raises:
        InputError: There is no model, or it is not whole, or it has been changed.
    """
    if not folder.is_dir():
        what = "this is a file" if folder.exists() else "there is no such folder"
        raise InputError(
            f"{what}; expected a model's folder, with {CONTENT} and {ARRAYS}", file=str(folder)
        )
    content = _content(folder / CONTENT)
    return content, _arrays(folder / ARRAYS, content["digests"][ARRAYS])


def unreadable(file: Path, reason: str) -> InputError:
    """The error for a file that is not as it was saved."""
    return InputError(f"this model cannot be used: {reason}", file=str(file))


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"this file is not there; a model's folder has {CONTENT} and {ARRAYS}", file=str(file)
        ) from None
    except OSError as error:
        raise unreadable(file, f"it cannot be read: {error.strerror or error}") from error


def _content(file: Path) -> dict[str, Any]:
    try:
        text = _bytes(file).decode("utf-8", "surrogatepass")
        content = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise unreadable(file, f"it is not valid JSON, or not whole ({error})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise unreadable(file, "it is not a model that tunekit saved")
    if content.get("version") != VERSION:
        raise unreadable(
            file,
            f"it has the format {content.get('version')!r}, and this tunekit reads {VERSION}; use "
            "the version that saved it, or a newer one",
        )
    digests = content.get("digests")
    if not isinstance(digests, dict) or digests.keys() != {ARRAYS, CONTENT}:
        raise unreadable(file, "its digests are missing")
    _check(file, str(digests.pop(CONTENT)), _digest(content))
    return content


def _arrays(file: Path, digest: str) -> dict[str, Array]:
    packed = _bytes(file)
    _check(file, digest, hashlib.sha256(packed).hexdigest())
    try:
        with zipfile.ZipFile(io.BytesIO(packed)):
            pass  # else numpy may take it for something else
        with np.load(io.BytesIO(packed), allow_pickle=False) as opened:
            return {name: opened[name] for name in opened.files}
    except (ValueError, OSError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
        raise unreadable(file, f"it does not hold arrays of numbers ({error})") from None


def _check(file: Path, expected: str, found: str) -> None:
    if found != expected:
        raise unreadable(
            file,
            "it is not what was saved: it was cut or changed since "
            f"(SHA-256 {found[:16]}..., expected {expected[:16]}...)",
        )


def _digest(content: Mapping[str, Any]) -> str:
    """The SHA-256 of values, whatever the layout of the text."""
    exact = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(exact.encode()).hexdigest()


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
