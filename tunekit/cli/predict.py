"""``tunekit predict``: what a network says about new rows."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunekit.cli.options import Json, Set
from tunekit.cli.output import plain, print_json
from tunekit.cli.whole import written_whole
from tunekit.errors import DataError, InputError

if TYPE_CHECKING:
    import pandas as pd

    from tunekit.model import Model

ENDINGS = (".csv", ".parquet", ".json")


def command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model's folder, models:/NAME/VERSION, models:/m-..., runs:/RUN/model, or a "
            "study file, whose best network it is.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="The rows: a .csv or .parquet file.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where predictions go: a .csv, .parquet or .json file.  "
            "[default: CSV on standard output]",
            show_default=False,
        ),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="MLflow's address, for models:/ and runs:/.  "
            "[default: MLFLOW_TRACKING_URI, or mlflow.db in this folder]",
            show_default=False,
        ),
    ] = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Predict new rows with a network that a search found.

    There is one line for each row, in the same order: the prediction and, of classes and labels,
    all probabilities. Columns that the network does not need, such as the target, may be there.
    """
    from tunekit.data.sources import read_rows

    _check_output(output, data)
    network = _open(model, tracking_uri, set_ or ())
    rows = read_rows(data)
    try:
        found = network.predict(rows)
    except DataError as error:
        raise DataError(error.message, file=str(data), key=error.key) from None
    frame = _frame(found.columns)
    if output is not None:
        _save(frame, output)
    if as_json:
        records = frame.to_dict("records") if output is None else None
        told = {"model": model, "rows": len(frame), "output": output and str(output)}
        print_json({**told, "predictions": records})
    elif output is None:
        frame.to_csv(sys.stdout, index=False)
    else:
        count = "1 row" if len(frame) == 1 else f"{len(frame)} rows"
        sys.stdout.write(f"Predictions: {output} ({count})\n")


def _check_output(output: Path | None, data: Path) -> None:
    """See that predictions can go where the person said, before anything is loaded.

    Raises:
        InputError: They cannot.
    """
    if output is None:
        return
    key = f"-o {output}"
    if output.suffix.lower() not in ENDINGS:
        found = f"ends in {output.suffix!r}" if output.suffix else "has no ending"
        raise InputError(f"the file's name {found}; expected .csv, .parquet or .json", key=key)
    if output.is_dir():
        raise InputError("this is a folder; expected a file's name", key=key)
    if not output.parent.is_dir():
        raise InputError(f"there is no folder {output.parent}; make it first", key=key)
    if output.exists() and data.exists() and output.samefile(data):
        raise InputError("this is the file with the rows; expected another one", key=key)


def _open(model: str, tracking_uri: str | None, set_: Sequence[str]) -> Model:
    """The network that was named."""
    from tunekit.model import Model

    is_study = model.lower().endswith(".toml")
    is_address = model.startswith(("models:", "runs:"))
    if set_ and not is_study:
        raise InputError("--set is for a study file", key="--set")
    if tracking_uri is not None and not is_address:
        hint = "; for a study: --set mlflow.tracking_uri=..." if is_study else ""
        raise InputError(f"this is for models:/ and runs:/{hint}", key="--tracking-uri")
    if not is_study and not is_address:
        return Model.load(_folder(model))
    from tunekit.tracking.fetch import fetch, fetch_best

    with tempfile.TemporaryDirectory(prefix="tunekit-") as scratch:
        folder = Path(scratch)
        if is_study:
            from tunekit.search.recall import identity_of
            from tunekit.study.places import places_of

            at = places_of(model, set_)
            # Others may have studies of the same name there; without a record it is the newest.
            identity = identity_of(at.storage, at.name)
            network = fetch_best(at.name, at.experiment, at.tracking_uri, folder, identity)
        else:
            network = fetch(model, _tracking_uri(tracking_uri), folder)
        try:
            return Model.load(network)
        except InputError as error:
            # Nobody knows the passing folder.
            file = f"{model} ({Path(error.file).name})" if error.file else model
            raise type(error)(error.message, file=file, key=error.key, line=error.line) from error


def _folder(model: str) -> Path:
    """A network's own folder, or the one within a folder of MLflow's."""
    from tunekit.tracking.folder import NETWORK

    path = Path(model)
    if not path.exists():
        raise InputError(
            f"there is no folder {model!r}; expected a model's folder, models:/NAME/VERSION, "
            "models:/m-..., runs:/RUN/model, or a study file"
        )
    within = path / NETWORK
    return within if (path / "MLmodel").is_file() and within.is_dir() else path


def _tracking_uri(given: str | None) -> str:
    from tunekit.study.addresses import absolute, shown

    address = given or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if "://" not in address and not address.startswith("databricks"):
        message = (
            'expected an address such as "sqlite:///mlflow.db" or "http://localhost:5000", '
            f"got {shown(address)}"
        )
        raise InputError(message, key="--tracking-uri" if given else "MLFLOW_TRACKING_URI")
    return absolute(address, Path.cwd())


def _frame(columns: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(columns)
    # Else a file has other digits than what MLflow answers.
    return frame.astype(dict.fromkeys(frame.select_dtypes("float32"), "float64"))


def _save(frame: pd.DataFrame, path: Path) -> None:
    """Write predictions whole or not at all.

    Raises:
        InputError: The file cannot be written.
    """
    with written_whole(path) as passing:
        match path.suffix.lower():
            case ".csv":
                frame.to_csv(passing, index=False)
            case ".parquet":
                frame.to_parquet(passing, index=False)
            case _:
                text = json.dumps(plain(frame.to_dict("records")), indent=2, ensure_ascii=False)
                passing.write_text(text + "\n", encoding="utf-8")
