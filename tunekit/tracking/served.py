"""What MLflow runs to serve a network: this file lies in the model's folder, as it is.

It is never imported by tunekit. Where it runs there may be no tunekit but the part in the folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

# MLflow puts the folder's code first, where it would hide the rest of an installed tunekit.
_OWN = str(Path(__file__).parent / "code")
if _OWN in sys.path:
    sys.path.remove(_OWN)
    sys.path.append(_OWN)


class Served(PythonModel):
    """A network behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Load the network; MLflow calls this once."""
        from tunekit.model import Model

        self._model = Model.load(context.artifacts["network"])

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Predict rows.

        Args:
            context: Not used.
            model_input: Rows; MLflow has seen to it that only columns are absent that may be
                missing.
            params: There are none.

        Returns:
            A row for each: the prediction by the target's name and, of classes and labels, all
            probabilities.

        Raises:
            MlflowException: A column holds what it cannot hold; clients get it as their mistake.
        """
        from tunekit.errors import InputError

        frame = _frame(model_input)
        try:
            found = self._model.predict(_columns(frame, self._model.inputs))
        except InputError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        return pd.DataFrame(found.columns, index=frame.index)


def _frame(given: pd.DataFrame) -> pd.DataFrame:
    """Rows; MLflow takes JSON's columns of nothing but texts for one row of lists."""
    if len(given) == 1 and all(isinstance(value, list) for value in given.iloc[0]):
        return given.explode(list(given.columns), ignore_index=True)
    return given


def _columns(frame: pd.DataFrame, inputs: Iterable[str]) -> dict[str, Any]:
    """The columns that a network needs; those that a client left out hold no values."""
    missing = [None] * len(frame)
    return {name: frame[name].to_numpy() if name in frame else missing for name in inputs}


set_model(Served())
