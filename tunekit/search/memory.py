"""The trials in memory, of which a sampler may see a part."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

WINDOW = 800
"""How many finished trials a sampler learns from.

An ask of TPE takes 20 ms and 60 µs a trial: 80 ms at 1,000 trials, 650 ms at 10,000.
"""

BEST = 25
"""TPE models at most so many trials as the good ones, and all others as what to stay away from."""


class Memory(InMemoryStorage):
    """Optuna's storage in memory that can show its trials in part."""

    _shown: list[FrozenTrial] | None = None

    @contextmanager
    def window(self, study_id: int, most: int = WINDOW) -> Iterator[None]:
        """Show at most so many finished trials, and all that run.

        These are the best `BEST`, and of the others some at equal distances, the newest among
        them. Which they are follows from the trials alone, so that a resumed search goes on as if
        it had not stopped. With several objectives all are shown.
        """
        directions = self.get_study_directions(study_id)
        trials = super().get_all_trials(study_id, deepcopy=False)
        learned = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        if len(directions) == 1 and len(learned) > most:
            running = [t for t in trials if t.state == TrialState.RUNNING]
            self._shown = _telling(learned, directions[0], most) + running
        try:
            yield
        finally:
            self._shown = None

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The trials, or inside of `window` those that are shown."""
        if self._shown is None:
            return super().get_all_trials(study_id, deepcopy, states)
        return [trial for trial in self._shown if states is None or trial.state in states]


def _telling(
    trials: Sequence[FrozenTrial], direction: StudyDirection, most: int
) -> list[FrozenTrial]:
    """The trials that say most about where to go on, in their order."""
    sign = -1 if direction == StudyDirection.MAXIMIZE else 1

    def rank(index: int) -> tuple[float, int, float, int]:
        """As TPE ranks: by value, then pruned ones by how far they came, then broken constraints.

        The first entry is 0, 1, or 2 plus the violation.
        """
        trial = trials[index]
        violation = sum(max(0.0, by) for by in trial.constraints.values())
        if violation > 0:
            return 2 + violation, 0, 0.0, index
        if trial.state == TrialState.COMPLETE:
            assert trial.value is not None
            return 0, 0, sign * trial.value, index
        if not trial.intermediate_values:
            return 1, 1, 0.0, index
        epoch, score = max(trial.intermediate_values.items())
        return 1, -epoch, sign * score, index

    best = sorted(range(len(trials)), key=rank)[:BEST]
    others = sorted(set(range(len(trials))).difference(best))
    spread = np.linspace(0, len(others) - 1, most - BEST).astype(int)
    return [trials[index] for index in sorted([*best, *(others[i] for i in spread)])]
