"""Asking and telling: an in-memory Optuna study that mirrors the record."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from tunekit.search.samplers import (
    QuasiRandom,
    distribution,
    given_in_advance,
    make_pruner,
    make_sampler,
)
from tunekit.search.setting import Direction
from tunekit.space import Scalar
from tunekit.study.space import Parameter
from tunekit.study.study import Study


@dataclass(frozen=True)
class Asked:
    """A configuration to try.

    Attributes:
        ask: The ask index: how many were asked for before, over all runs of the search.
        trial: Optuna's side of it.
        configuration: The full resolved configuration.
    """

    ask: int
    trial: optuna.Trial
    configuration: dict[str, Scalar]


class Asker:
    """Chooses what to try next, from the record and what is still running.

    A trial's number in memory is its ask index. Where the record has a gap (a search was killed
    while that trial ran), the same index is asked for again.

    Args:
        study: The study.
        recorded: The record's trials.
        direction: ``"maximize"`` or ``"minimize"``.
        epochs: Epochs of the study's longest trial.
    """

    def __init__(
        self, study: Study, recorded: Sequence[FrozenTrial], direction: Direction, epochs: int
    ) -> None:
        self._study = study
        self._given = given_in_advance(study)
        self._defaults = [] if study.sampler == "grid" else study.space.defaults()
        self._searched = {parameter.name for parameter in study.space.searched}
        self._memory = optuna.create_study(
            study_name=study.name, direction=direction, pruner=make_pruner(study, epochs)
        )
        by_ask = {trial.user_attrs["tunekit"]["ask"]: trial for trial in recorded}
        self._next = max(by_ask, default=-1) + 1
        self._gaps = []
        for ask in range(self._next):
            if ask in by_ask:
                known = copy.copy(by_ask[ask])
                known.user_attrs = {}  # curves and configurations stay in the record
                self._memory.add_trial(known)
            else:
                self._gaps.append(ask)
                self._enqueue(self._fixed(ask) or {})

    def ask(self) -> Asked | None:
        """The next configuration, or None when the sampler has no more."""
        if self._gaps:
            ask = self._gaps.pop(0)
        else:
            ask = self._next
            fixed = self._fixed(ask)
            if fixed is None and self._study.sampler == "grid":
                return None
            self._next += 1
            if fixed is not None:
                self._enqueue(fixed)
        self._memory.sampler = make_sampler(self._study, ask)
        trial = self._memory.ask()
        assert trial.number == ask
        configuration = self._study.space.resolve(lambda parameter: _suggest(trial, parameter))
        return Asked(ask, trial, configuration)

    def _fixed(self, ask: int) -> Mapping[str, Scalar] | None:
        """What is tried at this ask index whatever the sampler would say."""
        if ask < len(self._defaults):
            return self._defaults[ask]
        if isinstance(self._given, QuasiRandom):
            return self._given[ask - len(self._defaults)]
        if self._given is not None and ask < len(self._given):
            return self._given[ask]
        return None

    def _enqueue(self, fixed: Mapping[str, Scalar]) -> None:
        searched = {name: value for name, value in fixed.items() if name in self._searched}
        self._memory.add_trial(
            optuna.trial.create_trial(
                state=TrialState.WAITING, system_attrs={"fixed_params": searched}
            )
        )

    def report(self, asked: Asked, scores: Mapping[int, float]) -> None:
        """Report validation scores by epoch."""
        for epoch, score in scores.items():
            asked.trial.report(score, epoch)

    def should_prune(self, asked: Asked) -> bool:
        """Whether the pruner would end the trial after what was reported last."""
        return asked.trial.should_prune()

    def tell(self, asked: Asked, state: TrialState, value: float | None) -> FrozenTrial:
        """Finish a trial and return a copy of it for the record."""
        # A pruned trial's value is its last report: Optuna takes none besides.
        self._memory.tell(asked.trial, value if state == TrialState.COMPLETE else None, state)
        return copy.copy(self._memory.get_trials(deepcopy=False)[asked.ask])


def _suggest(trial: optuna.Trial, parameter: Parameter) -> Scalar:
    domain = distribution(parameter)
    if isinstance(domain, optuna.distributions.CategoricalDistribution):
        chosen: Scalar = trial.suggest_categorical(parameter.name, domain.choices)  # type: ignore[assignment]
        return chosen
    if isinstance(domain, optuna.distributions.IntDistribution):
        return trial.suggest_int(
            parameter.name, domain.low, domain.high, step=domain.step, log=domain.log
        )
    assert isinstance(domain, optuna.distributions.FloatDistribution)
    return trial.suggest_float(
        parameter.name, domain.low, domain.high, step=domain.step, log=domain.log
    )
