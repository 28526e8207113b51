"""Asking and telling: an in-memory Optuna study that mirrors the record."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property

import optuna
from optuna.trial import FrozenTrial, TrialState

from tunekit.search.memory import Memory
from tunekit.search.samplers import (
    MAX_GRID,
    RUNG,
    QuasiRandom,
    distribution,
    grid,
    make_pruner,
    make_sampler,
    rungs,
    shuffled,
)
from tunekit.search.setting import Direction
from tunekit.space import Scalar
from tunekit.study.space import Parameter
from tunekit.study.study import Study

MAX_REPEATS = 10
"""After so many proposals in a row that were tried before, one is drawn at random."""
MAX_DRAWS = 100
"""After so many draws at random that were tried before, there is taken to be nothing else."""


@dataclass(frozen=True)
class Asked:
    """A configuration to try.

    Attributes:
        ask: The ask index: how many were asked for before, over all runs of the search.
        trial: Optuna's side of it.
        configuration: The full resolved configuration.
        repeats: The ask indices just before it whose configurations had been tried already.
    """

    ask: int
    trial: optuna.Trial
    configuration: dict[str, Scalar]
    repeats: tuple[int, ...] = ()


class Asker:
    """Chooses what to try next, from the record and what is still running.

    A trial's number in memory is its ask index. Where the record has a gap (a search was killed
    while that trial ran), the same index is asked for again. No configuration is asked for twice.

    Args:
        study: The study.
        recorded: The record's trials.
        directions: ``"maximize"`` or ``"minimize"`` for each objective.
        epochs: Epochs of the study's longest trial.
        advised: Configurations to try after those that the study names, before the defaults.
    """

    def __init__(
        self,
        study: Study,
        recorded: Sequence[FrozenTrial],
        directions: Sequence[Direction],
        epochs: int,
        advised: Sequence[Mapping[str, Scalar]] = (),
    ) -> None:
        self._study, self._longest = study, epochs
        self._searched = {parameter.name for parameter in study.space.searched}
        self._known = {_key(trial.user_attrs["configuration"]) for trial in recorded}
        planned = [*study.first, *advised]
        planned += grid(study) if study.sampler == "grid" else study.space.defaults()
        self._planned = (c for c in planned if _key(c) not in self._known)
        self._quasi = QuasiRandom(study.space, study.seed) if study.sampler == "qmc" else None
        self._first_quasi = len(planned)
        self._trials = Memory()
        self._memory = optuna.create_study(
            study_name=study.name,
            directions=list(directions),
            pruner=make_pruner(study, epochs),
            storage=self._trials,
        )
        self._gaps: list[int] = []
        self._next = 0
        self._mirror(recorded)

    def _mirror(self, recorded: Sequence[FrozenTrial]) -> None:
        """Take the recorded trials into memory."""
        by_ask: dict[int, FrozenTrial | None] = {}
        for trial in recorded:
            notes = trial.user_attrs["tunekit"]
            by_ask[notes["ask"]] = trial
            by_ask |= dict.fromkeys(notes.get("repeats", ()))
        for ask in range(max(by_ask, default=-1) + 1):
            known = by_ask.get(ask)
            if known is not None:
                self._memory.add_trial(self._mirrored(known, ask))
            elif ask in by_ask:
                self._memory.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))
            elif (fixed := next(self._planned, None)) is None and self._study.sampler == "grid":
                # A trial of another grid: this one has nothing to try in its place.
                self._memory.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))
            else:
                self._gaps.append(ask)
                self._enqueue(fixed or self._quasi_random(ask) or {})
            self._next = ask + 1

    def _mirrored(self, recorded: FrozenTrial, ask: int) -> FrozenTrial:
        """A recorded trial as it is in memory."""
        trial = copy.copy(recorded)
        trial.number = ask
        epochs = int(trial.user_attrs["configuration"]["epochs"])
        kept = {k: v for k, v in trial.system_attrs.items() if not k.startswith(RUNG)}
        trial.system_attrs = kept | rungs(self._study, epochs, self._longest, trial, self._memory)
        trial.user_attrs = {}  # curves and configurations stay in the record
        return trial

    def ask(self) -> Asked | None:
        """The next configuration, or None when all have been tried."""
        repeats: list[int] = []
        for ask, trial in self._proposals():
            with self._window():
                configuration = self._study.space.resolve(lambda p: _suggest(trial, p))  # noqa: B023
            key = _key(configuration)
            if key not in self._known:
                self._known.add(key)
                return Asked(ask, trial, configuration, tuple(repeats))
            # Samplers learn nothing from a failed trial; what they could learn they know already.
            self._memory.tell(trial, state=TrialState.FAIL)
            repeats.append(ask)
        return None

    def _window(self) -> AbstractContextManager[None]:
        """What TPE learns from; the others need all trials, or none."""
        if self._study.sampler != "tpe":
            return nullcontext()
        return self._trials.window(self._memory._study_id)

    def _proposals(self) -> Iterator[tuple[int, optuna.Trial]]:
        """What might be tried next, until something has not been tried yet."""
        while self._gaps:
            yield self._propose(self._gaps.pop(0))
        for planned in self._planned:
            yield self._propose_new(planned)
        if self._study.sampler == "grid":
            return
        for _ in range(MAX_REPEATS):
            yield self._propose_new(self._quasi_random(self._next))
        size = self._study.space.size()
        if size is None or size > MAX_GRID:
            for _ in range(MAX_DRAWS):
                yield self._propose_new(None, at_random=True)
            return
        for configuration in self._all:
            if _key(configuration) not in self._known:
                yield self._propose_new(configuration)

    @cached_property
    def _all(self) -> Iterator[dict[str, Scalar]]:
        """A small space's configurations in random order, each handed out once."""
        return iter(shuffled(self._study, MAX_GRID))

    def _propose_new(
        self, fixed: Mapping[str, Scalar] | None, *, at_random: bool = False
    ) -> tuple[int, optuna.Trial]:
        if fixed is not None:
            self._enqueue(fixed)
        self._next += 1
        return self._propose(self._next - 1, at_random=at_random)

    def _propose(self, ask: int, *, at_random: bool = False) -> tuple[int, optuna.Trial]:
        self._memory.sampler = make_sampler(self._study, ask, at_random=at_random)
        trial = self._memory.ask()
        assert trial.number == ask
        return ask, trial

    def _quasi_random(self, ask: int) -> Mapping[str, Scalar] | None:
        return None if self._quasi is None else self._quasi[max(0, ask - self._first_quasi)]

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

    def tell(
        self,
        asked: Asked,
        state: TrialState,
        values: Sequence[float] | None,
        violations: Mapping[str, float],
    ) -> FrozenTrial:
        """Finish a trial and return a copy of it for the record.

        Args:
            asked: The trial.
            state: How it ended.
            values: One for each objective, of a complete trial.
            violations: By how much it breaks each constraint, as far as that is known.
        """
        for constraint, violation in violations.items():
            asked.trial.set_constraint(constraint, violation)
        # A pruned trial's value is its last report: Optuna takes none besides.
        self._memory.tell(asked.trial, values if state == TrialState.COMPLETE else None, state)
        return copy.copy(self._memory.get_trials(deepcopy=False)[asked.ask])


def _key(configuration: Mapping[str, Scalar]) -> str:
    """What makes a configuration the same as another one."""
    return json.dumps(configuration, sort_keys=True)


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
