"""A trained network with its preprocessing: a thing of its own, to save, load and predict with.

It needs numpy and pluggy only.
"""

from __future__ import annotations

from tunekit.model.model import Model
from tunekit.model.predictions import Predictions

__all__ = ["Model", "Predictions"]
