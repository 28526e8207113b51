"""The record: finished trials in a standard Optuna storage, each written once, whole."""

from __future__ import annotations

import dataclasses
import datetime
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
import sqlalchemy.exc
from optuna.trial import FrozenTrial, TrialState

from tunekit.errors import StudyError, WorkError
from tunekit.plugins import Owner, PluginFile
from tunekit.records import Curve, Diagnosis, FinishedTrial, Span, State
from tunekit.search.recall import FILES, OWNERS
from tunekit.search.setting import Direction
from tunekit.study.addresses import sqlite_file
from tunekit.study.study import Study

STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}

# Optuna's own notes on a trial that nobody needs once it is finished.
_PASSING_NOTES = ("tpe:",)


class Record:
    """The finished trials of one study.

    Args:
        study: The study.
        fresh: Whether to put an existing record aside under a dated name and start over.

    Raises:
        StudyError: The storage cannot be opened, or holds trials of another space.
    """

    def __init__(self, study: Study, *, fresh: bool = False) -> None:
        self._study = study
        self._url = study.storage
        self._optuna: optuna.Study | None = None
        try:
            self._storage = optuna.storages.RDBStorage(study.storage)
            names = set(optuna.get_all_study_names(self._storage))
            if fresh and study.name in names:
                self._put_aside()
                names.remove(study.name)
            if study.name in names:
                self._optuna = optuna.load_study(study_name=study.name, storage=self._storage)
        except (sqlalchemy.exc.SQLAlchemyError, ImportError, RuntimeError, ValueError) as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> StudyError:
        return StudyError(
            f"cannot open the record of trials at {redacted(self._url)}: {_told(error)}. Move it "
            "away, or name another place",
            file=self._study.file,
            key="study.storage",
        )

    def _put_aside(self) -> None:
        now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")
        name = self._study.name
        optuna.copy_study(
            from_study_name=name,
            from_storage=self._storage,
            to_storage=self._storage,
            to_study_name=f"{name} (until {now})",
        )
        optuna.delete_study(study_name=name, storage=self._storage)

    def check(
        self, direction: Direction, signature: Mapping[str, str], files: Sequence[PluginFile] = ()
    ) -> None:
        """Create the study's record, or see that its trials can be joined by new ones.

        Args:
            direction: ``"maximize"`` or ``"minimize"``.
            signature: All that makes trials comparable: the space, the data, the metric.
            files: Single-file plugins, whose text is kept so that a trial can be trained again.

        Raises:
            StudyError: The existing trials were made under another signature.
        """
        if self._optuna is not None and not self._optuna.get_trials(deepcopy=False):
            # Nothing to protect: an earlier start was given up before its first trial.
            optuna.delete_study(study_name=self._study.name, storage=self._storage)
            self._optuna = None
        if self._optuna is None:
            self._optuna = optuna.create_study(
                study_name=self._study.name, storage=self._storage, direction=direction
            )
            self._optuna.set_user_attr("tunekit:identity", uuid.uuid4().hex)
            self._optuna.set_user_attr(
                FILES, [{"path": file.path, "text": file.text} for file in files]
            )
            self._optuna.set_user_attr("tunekit:signature", dict(signature))
            return
        recorded = self._optuna.user_attrs.get("tunekit:signature")
        if recorded is None:
            raise StudyError(
                f"{redacted(self._url)} holds a study {self._study.name!r} that tunekit did not "
                "make; give this one another name",
                file=self._study.file,
                key="study.name",
            )
        changes = [
            f"  {key}: was {recorded.get(key, 'not there')}, is {signature.get(key, 'not there')}"
            for key in sorted({*recorded, *signature})
            if recorded.get(key) != signature.get(key)
        ]
        if changes:
            raise StudyError(
                f"the record holds {len(self.trials())} trials of {self._study.name!r} that new "
                "ones could not be compared with:\n"
                + "\n".join(changes)
                + "\nUndo the change, give the study another name, or start over with --fresh "
                "(the old trials are kept under a dated name).",
                file=self._study.file,
            )

    def remember(self, owners: Mapping[str, Owner]) -> None:
        """Keep who brought the components that did not come with tunekit, for `recalled`."""
        kept = {name: dataclasses.asdict(owner) for name, owner in owners.items()}
        if self.optuna.user_attrs.get(OWNERS, {}) != kept:
            self.optuna.set_user_attr(OWNERS, kept)

    @classmethod
    def existing(cls, study: Study) -> Record | None:
        """The record of a study, or None if there is none; nothing is created.

        Raises:
            StudyError: The storage cannot be opened.
        """
        file = sqlite_file(study.storage)
        if file is not None and not file.exists():
            return None
        record = cls(study)
        return record if record._optuna is not None else None

    @property
    def optuna(self) -> optuna.Study:
        """Optuna's view of the record."""
        assert self._optuna is not None, "check() comes first"
        return self._optuna

    @property
    def signature(self) -> dict[str, str]:
        """What makes the recorded trials comparable, in words."""
        return dict(self.optuna.user_attrs["tunekit:signature"])

    @property
    def identity(self) -> str:
        """What stays the same for as long as this record exists."""
        return str(self.optuna.user_attrs["tunekit:identity"])

    def frozen(self) -> list[FrozenTrial]:
        """The recorded trials as Optuna has them."""
        trials = self.optuna.get_trials(deepcopy=False)
        return [trial for trial in trials if "tunekit" in trial.user_attrs]

    def trials(self) -> list[FinishedTrial]:
        """The recorded trials."""
        return [finished(trial) for trial in self.frozen()]

    def add(self, trial: FrozenTrial) -> FinishedTrial:
        """Write a finished trial and return it with its number.

        Raises:
            WorkError: The storage does not take it.
        """
        trial.system_attrs = {
            key: value
            for key, value in trial.system_attrs.items()
            if not key.startswith(_PASSING_NOTES)
        }
        try:
            study_id = self._storage.get_study_id_from_name(self._study.name)
            trial_id = self._storage.create_new_trial(study_id, template_trial=trial)
            trial.number = self._storage.get_trial_number_from_id(trial_id)
        except (optuna.exceptions.OptunaError, sqlalchemy.exc.SQLAlchemyError, KeyError) as error:
            raise WorkError(
                f"cannot write to the record at {redacted(self._url)}: {_told(error)}. What was "
                "written before is kept; the same command goes on."
            ) from None
        return finished(trial)

    def plugin_files(self) -> tuple[PluginFile, ...]:
        """The single-file plugins that the trials were trained with."""
        return tuple(PluginFile(**kept) for kept in self.optuna.user_attrs[FILES])

    def final(self) -> dict[str, Any] | None:
        """The stored final ranking and test score, or None."""
        stored = self.optuna.user_attrs.get("tunekit:final")
        return dict(stored) if stored else None

    def set_final(self, final: Mapping[str, Any]) -> None:
        """Store the final ranking and test score."""
        self.optuna.set_user_attr("tunekit:final", dict(final))


def _told(error: Exception) -> str:
    """The first line of a database error, without SQLAlchemy's wrapping."""
    cause = error.__cause__ or error
    return str(getattr(cause, "orig", None) or cause).partition("\n")[0]


def redacted(url: str) -> str:
    """A storage address without its password."""
    try:
        return sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return "an address that SQLAlchemy cannot read"


def notes(trial: FinishedTrial) -> dict[str, Any]:
    """What a trial has beyond Optuna's own fields, as its user attributes."""
    return {
        "configuration": dict(trial.configuration),
        "curves": [
            {
                "fold": curve.fold,
                "epochs": list(curve.epochs),
                "metrics": {
                    # JSON has no NaN.
                    name: [value if math.isfinite(value) else None for value in values]
                    for name, values in curve.metrics.items()
                },
            }
            for curve in trial.curves
        ],
        "tunekit": {
            "ask": trial.ask,
            "scores": list(trial.scores),
            "started": trial.started,
            "finished": trial.finished,
            "training_seconds": trial.training_seconds,
            "reason": trial.reason,
            "diverged": trial.diverged,
            "parameters": trial.parameters,
            "provenance": dict(trial.provenance),
            "diagnosis": dataclasses.asdict(trial.diagnosis) if trial.diagnosis else None,
            "measured": dict(trial.measured),
            "violation": trial.violation,
            "spans": [list(dataclasses.astuple(span)) for span in trial.spans],
            "carried": trial.carried,
        },
    }


def finished(trial: FrozenTrial) -> FinishedTrial:
    """A recorded trial, from Optuna's fields and the notes."""
    kept = trial.user_attrs["tunekit"]
    curves = tuple(
        Curve(
            curve["fold"],
            tuple(curve["epochs"]),
            {
                name: tuple(math.nan if value is None else value for value in values)
                for name, values in curve["metrics"].items()
            },
        )
        for curve in trial.user_attrs["curves"]
    )
    return FinishedTrial(
        number=trial.number,
        ask=kept["ask"],
        state=STATES[trial.state],
        value=trial.value,
        params=trial.params,
        configuration=trial.user_attrs["configuration"],
        curves=curves,
        scores=tuple(kept["scores"]),
        started=kept["started"],
        finished=kept["finished"],
        training_seconds=kept["training_seconds"],
        reason=kept["reason"],
        diverged=kept["diverged"],
        parameters=kept["parameters"],
        provenance=kept["provenance"],
        diagnosis=Diagnosis(**kept["diagnosis"]) if kept.get("diagnosis") else None,
        measured=kept.get("measured", {}),
        violation=kept.get("violation", 0.0),
        spans=tuple(Span(*span) for span in kept.get("spans", ())),
        carried=kept.get("carried"),
    )


def optuna_state(state: State) -> TrialState:
    """Optuna's name of a state."""
    return next(known for known, name in STATES.items() if name == state)
