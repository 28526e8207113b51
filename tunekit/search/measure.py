"""What else is known of a trained network: further metrics, its size, its speed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

from tunekit.components import Array, Metric
from tunekit.nn.network import Network
from tunekit.nn.recipe import Recipe
from tunekit.nn.run import Run, layout_of
from tunekit.nn.training import scores_on, trained
from tunekit.plugins import Registry
from tunekit.records import Fold, Problem
from tunekit.space import Scalar
from tunekit.study.constraints import LATENCY, PARAMETERS

REPEATS = 200
"""Predictions whose time is taken."""
BUDGET = 0.05
"""Seconds after which no further time is taken."""


def measure(
    run: Run, names: Sequence[str], registry: Registry, rows: Fold | None = None
) -> dict[str, float]:
    """The quantities with these names, of the network that the run's score belongs to.

    Args:
        run: A run that has ended. That of one that diverged is its untrained network.
        names: Metrics, `PARAMETERS` or `LATENCY`.
        registry: Where metrics are looked up.
        rows: Whose validation rows the metrics are about; the run's own if left out.

    Raises:
        UnknownNameError: A metric is not there.
        ComponentError: A metric returned something unusable.
    """
    rows = rows or run.fold
    found = {name: QUANTITIES[name](run) for name in names if name in QUANTITIES}
    metrics = [registry.find(Metric, name)() for name in names if name not in QUANTITIES]
    if metrics:
        x, target, weight = rows.x_validation, rows.target_validation, rows.weight_validation
        scores = scores_on(run, metrics, x, target, weight)
        found |= {metric.name: score for metric, score in zip(metrics, scores, strict=True)}
    return {name: found[name] for name in names}


def parameters_of(
    configuration: Mapping[str, Scalar], registry: Registry, problem: Problem, metric: str
) -> int:
    """How many trained numbers a configuration's network has at most; nothing is trained.

    Folds may differ: columns that are constant in a fold's training rows are dropped there.

    Args:
        configuration: Values by qualified name.
        registry: Where components are looked up.
        problem: The data.
        metric: The objective's name.
    """
    recipe = Recipe.of(configuration, registry, metric)
    folds = (*problem.folds, problem.final)
    return max(layout_of(recipe, fold, problem.outputs).size for fold in folds)


def latency_of(run: Run) -> float:
    """Milliseconds that the run's network takes for one row: the median of some repeats.

    The only quantity that is not repeatable to the bit: it depends on the machine and on what
    else runs there. Measured: medians of 4 to 180 microseconds, in several processes on two busy
    cores, lay within 6% of each other, mostly within 2%; a median needs no warm-up, since it
    passes over the first calls, which take ten times as long.
    """
    network, row = trained(run), run.fold.x_validation[:1]
    return seconds_for(network, row) * 1e3


def seconds_for(network: Network, x: Array) -> float:
    """Median time of an inference; whoever calls keeps to one BLAS thread."""
    times, end = list[float](), time.perf_counter() + BUDGET
    while len(times) < REPEATS:
        begin = time.perf_counter()
        network.infer(x)
        finished = time.perf_counter()
        times.append(finished - begin)
        if finished > end:
            break
    return statistics.median(times)


QUANTITIES = {PARAMETERS: lambda run: float(run.parameters), LATENCY: latency_of}
