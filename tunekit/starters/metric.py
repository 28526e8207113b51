"""The start of a metric."""

import numpy as np

from tunekit import Array, Metric, hookimpl


class Starter(Metric):
    """Squared distance of the probabilities from the truth (Brier, 1950).

    Mean over the rows of ``sum over the classes (p - y)^2``, where `y` is 1 for the
    right class and else 0: from 0 (certain and right) to 2 (certain and wrong).
    """

    name = "starter"  # what a study calls it

    # What it can judge. A metric without this line claims every task.
    tasks = ("classification",)

    # What `score` gets as prediction: "labels" (classes), "probabilities" or "values".
    needs = "probabilities"

    # Which way the search goes. Without this line it would look for the worst network:
    # a metric is taken to be better when it is larger, as accuracy is.
    larger_is_better = False

    def score(self, target: Array, prediction: Array, weight: Array | None) -> float:
        """Score predictions on rows that training has not seen.

        `target` holds the index of the right class for each row, `prediction` has the
        shape (rows, classes), and `weight` has one number a row, or is None.
        """
        # In float64: means of many float32 numbers lose digits, and a search compares
        # close ones. The copy is ours to write into; `prediction` itself is not.
        distance = prediction.astype(np.float64)
        distance[np.arange(len(target)), target] -= 1

        # Rows count by their weight. np.average takes None for equal weights, and it
        # returns a numpy number, where a plain one is wanted.
        return float(np.average(np.sum(distance**2, axis=1), weights=weight))


@hookimpl
def tunekit_metrics() -> list[type[Metric]]:
    """Tell tunekit what this file brings; a class that is not listed stays unseen."""
    return [Starter]
