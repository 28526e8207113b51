"""How trials ended can be asked for in MLflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tunekit.records import Diagnosis, FinishedTrial, StudyInfo
from tunekit.tracking.client import connect, find_runs, quiet
from tunekit.tracking.projection import Projection

Trial = Callable[..., FinishedTrial]


@pytest.fixture
def found(study: StudyInfo, trial: Trial) -> Callable[[str], set[int]]:
    """The numbers of the trials that a filter finds."""
    vanishing = Diagnosis("vanishing", "Gradients shrink.")
    trials = [
        trial(0),
        replace(trial(1), diagnosis=vanishing),
        replace(trial(2), diverged=True),
        replace(trial(3), violation=0.5),
        trial(4, "pruned"),
        replace(trial(5, "failed"), diverged=False),
    ]
    Projection(study).deliver(trials)

    def search(query: str) -> set[int]:
        with quiet():
            client = connect(study.tracking_uri)
            experiment = client.get_experiment_by_name(study.experiment)
            assert experiment is not None
            runs = find_runs(client, experiment.experiment_id, query)
            return {int(run.data.tags["tunekit.trial"]) for run in runs}

    return search


def test_filters_find_how_trials_ended(found: Callable[[str], set[int]]) -> None:
    assert found("tags.state = 'complete'") == {0, 1, 2, 3}
    assert found("tags.state = 'pruned'") == {4}
    assert found("attributes.status = 'FAILED'") == found("tags.state = 'failed'") == {5}
    assert found("tags.reason LIKE '%NaN%'") == {5}
    assert found("tags.diverged = 'true'") == {2}
    assert found("tags.feasible = 'false'") == {3}
    assert found("tags.diagnosis = 'vanishing'") == {1}
    assert found("params.optimizer = 'adam' and tags.state = 'complete'") == {1}
    assert found("metrics.learning_rate < 0.01 and metrics.trial_number > 3") <= {4, 5}


def test_every_trial_has_the_axes(found: Callable[[str], set[int]]) -> None:
    for metric in ("trial_number", "learning_rate", "epochs_trained", "training_seconds"):
        assert found(f"metrics.{metric} >= 0") == set(range(6))
