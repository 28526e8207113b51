"""MLflow's folder of a network: its two files, the code that serves it, and what both need."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version as version_of
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import tunekit
from tunekit.data.preprocessing import Categorical, Numeric
from tunekit.model import Model
from tunekit.model.files import CONTENT

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

NETWORK = "artifacts/network"
"""Where the network itself is in MLflow's folder; all else there is for MLflow."""

CODE = (
    "__init__.py",
    "errors.py",
    "space.py",
    "components",
    "records.py",
    "hookspecs.py",
    "plugins",
    "builtin",
    "data",
    "nn",
    "model",
)
"""The part of tunekit that a network needs to predict."""

REQUIRED = ("mlflow", "numpy", "pandas", "pluggy")


def digest_of(folder: Path) -> str:
    """The digest that a saved network has of all its content."""
    saved = json.loads((folder / CONTENT).read_text(encoding="utf-8", errors="surrogatepass"))
    return str(saved["digests"][CONTENT])


def write_folder(model: Model, saved: Path, folder: Path, logged: LoggedModel) -> None:
    """Write MLflow's folder: the network, the code that serves it, and what both need.

    Args:
        model: The network.
        saved: Where it is saved.
        folder: A new folder.
        logged: What MLflow knows it as.
    """
    from mlflow.models import Model as Description
    from mlflow.pyfunc import save_model

    code = saved.with_name("tunekit")
    _copy_code(code)
    # A copy, since MLflow notes the path.
    served = shutil.copy(Path(__file__).with_name("served.py"), saved.parent)
    save_model(
        folder,
        mlflow_model=Description(
            artifact_path=logged.artifact_location,
            model_uuid=logged.model_id,
            run_id=logged.source_run_id,
            model_id=logged.model_id,
        ),
        python_model=str(served),
        code_paths=[str(code)],
        artifacts={PurePosixPath(NETWORK).name: str(saved)},
        signature=_signature(model),
        input_example=_frame(model.example),
        pip_requirements=requirements(model),
        metadata=_metadata(model, digest_of(saved)),
        # Else a lock file that happens to lie in the current folder would be kept, and believed.
        uv_project_path=str(saved),
    )


def _copy_code(target: Path) -> None:
    source = Path(tunekit.__file__).parent
    target.mkdir()
    for name in CODE:
        if name.endswith(".py"):
            shutil.copyfile(source / name, target / name)
        else:
            shutil.copytree(
                source / name, target / name, ignore=shutil.ignore_patterns("__pycache__")
            )


def _signature(model: Model) -> ModelSignature:
    """Columns by name.

    Inputs are of any type: MLflow would refuse whole numbers, flags and dates for a column of
    numbers, and a column of missing values for one of texts, all of which the network takes. What
    it does not take it refuses itself, and says which row it is in.
    """
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types.schema import AnyType, ColSpec, Schema, TensorSpec

    any_type = AnyType()  # type: ignore[no-untyped-call]
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(any_type, column.name, required=not may_be_missing(column))
        for column in model.preprocessing.columns
    ]
    answer = infer_signature(_frame(model.predict(model.example).columns)).inputs
    return ModelSignature(Schema(inputs), answer)


def may_be_missing(column: Numeric | Categorical) -> bool:
    """Whether values were missing in the training rows, so that the network knows of it."""
    return column.indicator if isinstance(column, Numeric) else column.missing


def _frame(columns: Mapping[str, object]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns)


def requirements(model: Model) -> list[str]:
    """What a network needs to be served, in the versions that are here."""
    needed = {name: version_of(name) for name in REQUIRED} | model.distributions
    return [f"{name}=={version}" for name, version in needed.items()]


def _metadata(model: Model, digest: str) -> dict[str, object]:
    return {
        "tunekit": {
            **model.provenance,
            "task": model.task,
            "targets": list(model.targets),
            "inputs": dict(model.inputs),
            "digest": digest,
        }
    }
