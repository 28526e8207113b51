"""Records of many trials, filled in bulk: what ``scale.py`` measures on.

Every trial is like one that was really trained: its curves are those of a real trial times noise,
its configuration is drawn from the study's own space, and its value is better the nearer the
configuration is to the default one. The rows are inserted many trials at a time; `check_alike`
sees that they are the rows that adding a trial writes.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import sqlalchemy
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial

from tunekit.search.record import Record
from tunekit.search.samplers import distribution
from tunekit.search.setting import Setting
from tunekit.space import Choices, Interval, Scalar
from tunekit.study.space import Parameter, Space
from tunekit.study.study import load_study

DIGITS = Path(__file__).parents[2] / "examples" / "digits.toml"
AT_ONCE = 200
NOISE = 1e-3

Rows = dict[str, list[dict[str, Any]]]


def setting_of(path: Path, *set_: str, mlflow: bool = False) -> Setting:
    """A study with its data, unless wanted without MLflow."""
    study, registry = load_study(path, set_=set_)
    if not mlflow:
        for module in list(registry.manager.get_plugins()):
            if getattr(module, "__name__", "").startswith("tunekit.tracking"):
                registry.manager.unregister(module)
    return Setting.of(study, registry)


@dataclass
class Likeness:
    """Makes trials like a real one.

    Attributes:
        space: Where configurations are drawn from.
        real: A trial from a record.
    """

    space: Space
    real: FrozenTrial

    def trials(self, first: int, count: int) -> Iterator[FrozenTrial]:
        """The trials with these numbers; each is a function of its number."""
        for number in range(first, first + count):
            yield self.trial(number, np.random.default_rng(number))

    def trial(self, number: int, rng: np.random.Generator) -> FrozenTrial:
        """One trial."""
        params: dict[str, Scalar] = {}
        distances = []

        def choose(parameter: Parameter) -> Scalar:
            value, distance = _draw(parameter, rng)
            params[parameter.name] = value
            distances.append(distance)
            return value

        configuration = self.space.resolve(choose)
        domains = {p.name: distribution(p) for p in self.space.searched if p.name in params}
        trial = copy.copy(self.real)
        trial.number = number
        trial.params, trial.distributions = params, domains
        trial.system_attrs = {}
        trial.value = 1 - float(np.mean(distances)) + NOISE * float(rng.normal())
        steps = list(trial.intermediate_values)
        reports = _noisy(list(trial.intermediate_values.values()), rng)
        trial.intermediate_values = dict(zip(steps, reports, strict=True))
        trial.user_attrs = {
            **trial.user_attrs,
            "configuration": configuration,
            "curves": [
                curve | {"metrics": {k: _noisy(v, rng) for k, v in curve["metrics"].items()}}
                for curve in trial.user_attrs["curves"]
            ],
            "tunekit": trial.user_attrs["tunekit"] | {"ask": number},
        }
        return trial


def _draw(parameter: Parameter, rng: np.random.Generator) -> tuple[Scalar, float]:
    """A random value and how far it is from the default, from 0 to 1."""
    domain = parameter.domain
    if isinstance(domain, Choices):
        value = domain.values[int(rng.integers(len(domain.values)))]
        return value, float(value != parameter.default)
    assert isinstance(domain, Interval)
    fraction = float(rng.random())
    return domain.at(fraction), abs(fraction - 0.5)


def _noisy(values: Sequence[float | None], rng: np.random.Generator) -> list[Any]:
    known = np.array([np.nan if value is None else value for value in values])
    changed = known * (1 + NOISE * rng.normal(size=len(known)))
    return [None if np.isnan(value) else value for value in changed.tolist()]


def fill(record: Record, likeness: Likeness, first: int, count: int) -> None:
    """Add trials to a record that has `first` of them."""
    storage = record.optuna._storage._backend  # type: ignore[attr-defined]
    study_id = record.optuna._study_id
    with storage.engine.begin() as connection:
        (last,) = connection.execute(sqlalchemy.text("select max(trial_id) from trials")).one()
    trial_id = last or 0
    for start in range(first, first + count, AT_ONCE):
        rows: Rows = {}
        for trial in likeness.trials(start, min(AT_ONCE, first + count - start)):
            trial_id += 1
            for table, row in _rows(trial, trial_id, study_id):
                rows.setdefault(table, []).append(row)
        with storage.engine.begin() as connection:
            for table, these in rows.items():
                connection.execute(models.BaseModel.metadata.tables[table].insert(), these)
    if storage.engine.name == "postgresql":
        with storage.engine.begin() as connection:
            # Rows with numbers of their own do not move the sequence that gives the next number.
            query = "select setval('trials_trial_id_seq', (select max(trial_id) from trials))"
            connection.execute(sqlalchemy.text(query))


def _rows(trial: FrozenTrial, trial_id: int, study_id: int) -> Iterator[tuple[str, dict[str, Any]]]:
    assert trial.datetime_start is not None
    assert trial.datetime_complete is not None
    assert trial.value is not None
    own = {"trial_id": trial_id}
    yield (
        "trials",
        own
        | {
            "number": trial.number,
            "study_id": study_id,
            "state": trial.state,
            "datetime_start": _utc(trial.datetime_start),
            "datetime_complete": _utc(trial.datetime_complete),
        },
    )
    value, kind = models.TrialValueModel.value_to_stored_repr(trial.value)
    yield "trial_values", own | {"objective": 0, "value": value, "value_type": kind}
    for name, chosen in trial.params.items():
        domain = trial.distributions[name]
        yield (
            "trial_params",
            own
            | {
                "param_name": name,
                "param_value": domain.to_internal_repr(chosen),
                "distribution_json": distribution_to_json(domain),
            },
        )
    for table, notes in (
        ("trial_user_attributes", trial.user_attrs),
        ("trial_system_attributes", trial.system_attrs),
    ):
        for key, note in notes.items():
            yield table, own | {"key": key, "value_json": json.dumps(note)}
    for step, report in trial.intermediate_values.items():
        stored = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(report)
        yield (
            "trial_intermediate_values",
            own
            | {
                "step": step,
                "intermediate_value": stored[0],
                "intermediate_value_type": stored[1],
            },
        )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def check_alike(record: Record, likeness: Likeness) -> None:
    """Stop unless filling in bulk and adding write the same rows into this empty record."""
    fill(record, likeness, 0, 3)
    for trial in likeness.trials(0, 3):
        record.add(trial)
    storage = record.optuna._storage._backend  # type: ignore[attr-defined]
    tables = models.BaseModel.metadata.tables
    with storage.engine.begin() as connection:
        for name in (name for name in tables if name.startswith("trial")):
            columns = [
                column
                for column in tables[name].columns
                if not column.primary_key and column.name not in ("trial_id", "number")
            ]
            query = sqlalchemy.select(*columns).order_by(*tables[name].primary_key.columns)
            rows = [tuple(row) for row in connection.execute(query)]
            half = len(rows) // 2
            if sorted(map(repr, rows[:half])) != sorted(map(repr, rows[half:])):
                raise SystemExit(f"{name}: rows filled in bulk are not like rows that were added")
    optuna.delete_study(study_name=record.optuna.study_name, storage=storage)
