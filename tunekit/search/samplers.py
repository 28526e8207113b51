"""Samplers and pruners by the names that a study file uses."""

from __future__ import annotations

import importlib.util
import math
import warnings
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from tunekit.errors import StudyError
from tunekit.records import Span
from tunekit.space import Choices, Interval, Scalar
from tunekit.study.space import Parameter, Space
from tunekit.study.study import Study

MAX_GRID = 100_000
"""The largest grid that is laid out; it would take more trials than anyone waits for."""
RUNG = "completed_rung_"
"""How Optuna's pruners begin the name of a note on a trial's score at a rung."""


def distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    """Optuna's name for a searched parameter's domain."""
    domain = parameter.domain
    if isinstance(domain, Choices):
        return optuna.distributions.CategoricalDistribution(domain.values)
    assert isinstance(domain, Interval)
    high = domain.high
    if domain.step is not None:
        # Optuna warns of a `high` that no step reaches.
        high = float(domain.nearest(domain.high))
    if domain.integer:
        return optuna.distributions.IntDistribution(
            int(domain.low), int(high), log=domain.log, step=int(domain.step or 1)
        )
    return optuna.distributions.FloatDistribution(
        domain.low, high, log=domain.log, step=domain.step
    )


def make_sampler(study: Study, ask: int, *, at_random: bool = False) -> optuna.samplers.BaseSampler:
    """The sampler for one ask.

    It is made anew each time from the study's seed and the ask index, so that a resumed search
    goes on as if it had not stopped; what it knows comes from the trials themselves.

    Args:
        study: The study.
        ask: The ask index.
        at_random: Whether to draw at random, whatever the study's sampler is.
    """
    seed = int(np.random.SeedSequence(study.seed, spawn_key=(ask,)).generate_state(1)[0])
    options: dict[str, Any] = dict(study.sampler_options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match "random" if at_random else study.sampler:
            case "tpe":
                # Without `group`, a space with conditions is sampled one parameter at a time.
                return optuna.samplers.TPESampler(
                    seed=seed,
                    multivariate=True,
                    group=True,
                    constant_liar=True,
                    n_startup_trials=options.get("startup_trials", 10),
                )
            case "cmaes":
                return optuna.samplers.CmaEsSampler(
                    seed=seed,
                    n_startup_trials=options.get("startup_trials", 1),
                    warn_independent_sampling=False,
                )
            case "gp":
                return optuna.samplers.GPSampler(
                    seed=seed, n_startup_trials=options.get("startup_trials", 10)
                )
            case _:
                return optuna.samplers.RandomSampler(seed=seed)


def _need_torch(study: Study) -> None:
    if importlib.util.find_spec("torch") is None:
        raise StudyError(
            'the Gaussian-process sampler needs PyTorch; install `tunekit[gp]`, or use "tpe"',
            file=study.file,
            key="sampler.name",
        )


def check(study: Study) -> None:
    """See that the sampler can be had, before anything is written.

    Raises:
        StudyError: It needs a package that is not there, or the grid is too large.
    """
    if study.sampler == "gp":
        _need_torch(study)
    if study.sampler == "grid":
        grid(study)


def grid(study: Study) -> list[dict[str, Scalar]]:
    """All configurations of a grid, in the random order in which they are tried.

    Raises:
        StudyError: The grid is too large.
    """
    points = int(study.sampler_options.get("points", 3))
    size = study.space.size(points)
    if size is None or size > MAX_GRID:
        raise StudyError(
            f"the grid has {size:,} configurations, more than {MAX_GRID:,}; fix some values, use "
            "fewer points, or another sampler",
            file=study.file,
            key="sampler.name",
        )
    return shuffled(study, points)


def shuffled(study: Study, points: int) -> list[dict[str, Scalar]]:
    """The space's grid with at most `points` values of each range, in random order.

    So a search that ends early has seen all of the space.
    """
    configurations = list(study.space.grid(points))
    order = np.random.default_rng(study.seed).permutation(len(configurations))
    return [configurations[i] for i in order]


class QuasiRandom:
    """A scrambled Sobol sequence over all searched parameters.

    Every parameter has a coordinate of its own, also where a condition switches it off. Optuna's
    own sampler assumes a space without conditions.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed
        self._axes = {parameter.name: i for i, parameter in enumerate(space.searched)}

    def __getitem__(self, ask: int) -> dict[str, Scalar]:
        """The configuration with this index."""
        from scipy.stats import qmc

        if not self._axes:
            return self._space.resolve(lambda parameter: parameter.default)
        sequence = qmc.Sobol(len(self._axes), rng=np.random.default_rng(self._seed))
        if ask:
            sequence.fast_forward(ask)
        point = sequence.random(1)[0]

        def choose(parameter: Parameter) -> Scalar:
            fraction = float(point[self._axes[parameter.name]])
            domain = parameter.domain
            if isinstance(domain, Choices):
                index = min(int(fraction * len(domain.values)), len(domain.values) - 1)
                return domain.values[index]
            assert isinstance(domain, Interval)
            values = _few(domain)
            return values[int(fraction * len(values))] if values else domain.at(fraction)

        return self._space.resolve(choose)


def _few(domain: Interval) -> list[Scalar]:
    """All values of a stepped interval on a linear scale, so that its ends get their full share."""
    step = domain.step or (1 if domain.integer else None)
    if step is None or domain.log:
        return []
    count = math.floor((domain.high - domain.low) / step + 1e-9) + 1
    return [domain.nearest(domain.low + i * step) for i in range(count)]


def make_pruner(study: Study, epochs: int) -> optuna.pruners.BasePruner:
    """The pruner of a study whose longest trials have this many epochs."""
    options: dict[str, Any] = dict(study.pruner_options)
    match study.pruner:
        case "median":
            return optuna.pruners.MedianPruner(
                n_startup_trials=options.get("startup_trials", 5),
                n_warmup_steps=options.get("warmup_epochs", 0),
            )
        case "successive_halving":
            return optuna.pruners.SuccessiveHalvingPruner(
                min_resource=min_epochs(study, epochs),
                reduction_factor=reduction_factor(study),
            )
        case "hyperband":
            return optuna.pruners.HyperbandPruner(
                min_resource=min_epochs(study, epochs),
                max_resource=epochs,
                reduction_factor=reduction_factor(study),
            )
        case _:
            return optuna.pruners.NopPruner()


def min_epochs(study: Study, epochs: int) -> int:
    """Epochs of the first rung: a ninth of the longest trial unless the study says otherwise."""
    return int(study.pruner_options.get("min_epochs", max(1, epochs // 9)))


def reduction_factor(study: Study) -> int:
    """Of the trials at a rung, one in so many goes on."""
    return int(study.pruner_options.get("reduction_factor", 3))


def stops(study: Study, epochs: int, longest: int) -> tuple[int, ...]:
    """The epochs of a trial at which its pruner may end it; the last one is its end.

    Between them a worker trains without asking.

    Args:
        study: Whose pruner it is.
        epochs: Epochs of this trial.
        longest: Epochs of the study's longest trial.
    """
    if study.pruner in ("successive_halving", "hyperband"):
        factor, rung, rungs = reduction_factor(study), min_epochs(study, longest), []
        while rung < epochs:
            rungs.append(rung)
            rung *= factor
        return (*rungs, epochs)
    if study.pruner == "median":
        first = int(study.pruner_options.get("warmup_epochs", 0)) + 1
        every = max(1, epochs // 10)
        return (*range(first, epochs, every), epochs)
    return (epochs,)


def rungs(
    study: Study, epochs: int, longest: int, trial: FrozenTrial, memory: optuna.Study
) -> dict[str, float]:
    """A finished trial's scores at the rungs that it came to, as its pruner notes them.

    They follow from its reports and today's pruner: those that were noted may be another
    pruner's, and trials that are carried over have none.

    Args:
        study: Whose pruner it is.
        epochs: Epochs of this trial.
        longest: Epochs of the study's longest trial.
        trial: The trial; its number is its ask index, from which its bracket follows.
        memory: The study in memory.
    """
    if study.pruner not in ("successive_halving", "hyperband"):
        return {}
    pruner, bracket = memory.pruner, 0
    if isinstance(pruner, optuna.pruners.HyperbandPruner):
        if not pruner._pruners:
            pruner._try_initialization(memory)
        bracket = pruner._get_bracket_id(memory, trial)
    factor = reduction_factor(study)
    rung_epoch = min_epochs(study, longest) * factor**bracket
    asked_at = stops(study, epochs, longest)
    kept = trial.user_attrs["tunekit"]
    if trial.state == TrialState.COMPLETE and len(kept["scores"]) == 1:
        # Nobody asks whether a trial that is over should go on. Old records have no spans.
        spans = [Span(*span).epoch for span in kept.get("spans", ())]
        end = max(spans or trial.intermediate_values, default=0)
        asked_at = tuple(stop for stop in asked_at if stop < end)
    noted: dict[str, float] = {}
    for stop in asked_at:
        # The last finite score: an epoch may have none.
        epoch = max((epoch for epoch in trial.intermediate_values if epoch <= stop), default=0)
        while rung_epoch <= epoch:
            noted[f"{RUNG}{len(noted)}"] = trial.intermediate_values[epoch]
            rung_epoch *= factor
    return noted
