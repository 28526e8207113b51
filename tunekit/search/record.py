"""The record: finished trials in a standard Optuna storage, each written once, whole."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
import sqlalchemy
from optuna.trial import FrozenTrial

from tunekit.errors import StudyError, WorkError
from tunekit.plugins import Owner, PluginFile
from tunekit.records import FinishedTrial
from tunekit.search import rows
from tunekit.search.continuation import Differences, UnfitError, carried, in_short, nearest
from tunekit.search.database import cause, opening, patiently, redacted, storage_at
from tunekit.search.lock import Hold
from tunekit.search.notes import RecordedCurves, finished
from tunekit.search.recall import FILES, IDENTITY, OWNERS
from tunekit.search.setting import Direction
from tunekit.space import Scalar
from tunekit.study.addresses import sqlite_file
from tunekit.study.study import Study

SIGNATURE = "tunekit:signature"
FINAL = "tunekit:final"
FINAL_RUNS = "tunekit:final_runs"
ABOUT = "tunekit:about"
ENDED = "tunekit:ended"
ADVISED = "tunekit:advised"
OPENED = "tunekit:opened"
FILLING = "tunekit:filling"

# Optuna's own notes on a trial that nobody needs once it is finished.
_PASSING_NOTES = ("tpe:",)


class Record:
    """The finished trials of one study.

    Args:
        study: The study.
        fresh: Whether to put an existing record aside under a dated name and start over.
        hold: What keeps others from writing to it; None for a record that is only read.

    Attributes:
        notes: What a person should know of how the record was opened, one sentence each.
        is_new: Whether `open` made it.

    Raises:
        StudyError: The storage cannot be opened.
    """

    def __init__(self, study: Study, *, fresh: bool = False, hold: Hold | None = None) -> None:
        self._study, self._hold = study, hold
        self._url = study.storage
        self._optuna: optuna.Study | None = None
        self._read: list[FrozenTrial] | None = None  # for the start, which asks several times
        self._count = 0  # of the trials that this process has seen or written
        self._opened: list[list[str | float]] = []
        self.notes: list[str] = []
        self.is_new = False
        with opening(study):
            self._storage = storage_at(study.storage)
            names = set(optuna.get_all_study_names(self._storage))
            if fresh and study.name in names:
                put_aside = optuna.load_study(study_name=study.name, storage=self._storage)
                self._opened = list(put_aside.user_attrs.get(OPENED, []))
                self._rename({study.name: self._dated()})
                names.remove(study.name)
            if study.name in names:
                self._optuna = optuna.load_study(study_name=study.name, storage=self._storage)

    def _dated(self) -> str:
        now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")
        return f"{self._study.name} (until {now})"

    def _rename(self, names: Mapping[str, str]) -> None:
        """Give studies other names, all at once or, when that is interrupted, none of them."""
        change = sqlalchemy.text("UPDATE studies SET study_name = :new WHERE study_name = :old")
        with self._storage.engine.begin() as connection:
            for old, new in names.items():
                connection.execute(change, {"old": old, "new": new})

    def open(
        self,
        directions: Sequence[Direction],
        signature: Mapping[str, str],
        files: Sequence[PluginFile] = (),
    ) -> None:
        """Create the study's record, or see that its trials can be joined by new ones.

        Where the space has changed, the trials that are still in it are carried over, and the
        record as it was is kept under a dated name.

        Args:
            directions: ``"maximize"`` or ``"minimize"``, one for each objective.
            signature: All that makes trials comparable: the space, the data, the metric.
            files: Single-file plugins, whose text is kept so that a trial can be trained again.

        Raises:
            StudyError: The existing trials cannot be joined by those of this study.
        """
        identity = uuid.uuid4().hex
        if self._optuna is not None and self._is_empty:
            # Nothing to protect: an earlier start was given up before its first trial. MLflow may
            # know of it.
            identity = self._optuna.user_attrs.get(IDENTITY, identity)
            self._opened = list(self._optuna.user_attrs.get(OPENED, []))
            optuna.delete_study(study_name=self._study.name, storage=self._storage)
            self._optuna = None
        if self._optuna is None:
            name = self._study.name
            self._optuna = self._create(name, identity, directions, signature, files)
            self.is_new = True
            return
        recorded = self._optuna.user_attrs.get(SIGNATURE)
        if recorded is None:
            raise StudyError(
                f"{redacted(self._url)} holds a study {self._study.name!r} that tunekit did not "
                "make; give this one another name",
                file=self._study.file,
                key="study.name",
            )
        differences = Differences(recorded, signature)
        if differences.exact:
            raise self._cannot_join("\n".join(self._told(differences)))
        if differences.changed:
            self._continue(directions, signature, files, differences)
        self._count = rows.count(self._storage, self.optuna._study_id)

    @property
    def _is_empty(self) -> bool:
        has_trials = rows.count(self._storage, self.optuna._study_id)
        return not has_trials or bool(self.optuna.user_attrs.get(FILLING))

    def _create(
        self,
        name: str,
        identity: str,
        directions: Sequence[Direction],
        signature: Mapping[str, str],
        files: Sequence[PluginFile],
    ) -> optuna.Study:
        created = optuna.create_study(
            study_name=name, storage=self._storage, directions=list(directions)
        )
        created.set_user_attr(IDENTITY, identity)
        created.set_user_attr(FILES, [{"path": file.path, "text": file.text} for file in files])
        created.set_user_attr(SIGNATURE, dict(signature))
        created.set_user_attr(OPENED, self._opened)
        return created

    def _told(self, differences: Differences) -> list[str]:
        """The differences that no trial survives; for the data, what the file says of them."""
        was = (self.about or {}).get("split")
        now = self._study.data.model_dump(exclude_none=True)
        lines = [differences.told([name]) for name in differences.exact]
        if was is not None and "data (digest)" in differences.exact:
            lines += [
                f"  data.{key}: was {was.get(key, 'not there')}, is {now.get(key, 'not there')}"
                for key in sorted({*was, *now})
                if was.get(key) != now.get(key)
            ]
        return lines

    def discard(self) -> None:
        """Remove the study from the storage."""
        optuna.delete_study(study_name=self._study.name, storage=self._storage)
        self._optuna = None

    def _cannot_join(self, differences: str) -> StudyError:
        return StudyError(
            f"the record holds {len(self.frozen())} trials of {self._study.name!r} that new "
            f"ones could not be compared with:\n{differences}\n"
            "Undo the change, give the study another name, or start over with --fresh (the old "
            "trials are kept under a dated name).",
            file=self._study.file,
        )

    def _continue(
        self,
        directions: Sequence[Direction],
        signature: Mapping[str, str],
        files: Sequence[PluginFile],
        differences: Differences,
    ) -> None:
        """Open a record of the changed study that starts with the trials that are still in it."""
        old = self.frozen(with_curves=True)
        fitting: list[FrozenTrial] = []
        unfit: list[tuple[int, str]] = []
        for trial in old:
            try:
                fitting.append(carried(trial, self._study.space, differences.changed_components))
            except UnfitError as error:
                unfit.append((trial.number, str(error)))
        if not fitting:
            words = [name for name in differences.changed if "digest" not in name]
            raise self._cannot_join(f"{differences.told(words)}\n  {in_short(unfit)}")
        name, dated = self._study.name, self._dated()
        # A name that a killed continuation may have left behind; nothing reads it.
        unfinished = f"{name} (being continued)"
        if unfinished in optuna.get_all_study_names(self._storage):
            optuna.delete_study(study_name=unfinished, storage=self._storage)
        # The same trials under the same numbers: for MLflow it is the study that it was.
        identity = uuid.uuid4().hex if unfit else self.identity
        self._opened = list(self.optuna.user_attrs.get(OPENED, []))
        opened = self._create(unfinished, identity, directions, signature, files)
        for trial in fitting:
            rows.write(self._storage, opened._study_id, trial)
        opened.set_user_attr(ADVISED, [nearest(c, self._study.space) for c in self.advised])
        if not unfit:
            for key in (FINAL, ENDED):
                opened.set_user_attr(key, self.optuna.user_attrs.get(key))
        self._rename({name: dated, unfinished: name})
        self._read = None
        self._optuna = optuna.load_study(study_name=name, storage=self._storage)
        left = f" Left behind: {in_short(unfit)}." if unfit else ""
        self.notes.append(
            f"the space has changed: {len(fitting)} of {len(old)} trials go on, and all "
            f"{len(old)} are kept as {dated!r}.{left}"
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
        assert self._optuna is not None, "open() comes first"
        return self._optuna

    def names(self) -> list[str]:
        """All studies in the storage."""
        return optuna.get_all_study_names(self._storage)

    @property
    def earlier(self) -> tuple[str, ...]:
        """The identities of the records that this one took the place of."""
        past = [name for name in self.names() if name.startswith(f"{self._study.name} (until ")]
        studies = [optuna.load_study(study_name=name, storage=self._storage) for name in past]
        known = [str(study.user_attrs.get(IDENTITY)) for study in studies]
        return tuple(identity for identity in known if identity != self.identity)

    @property
    def is_ours(self) -> bool:
        """Whether tunekit made it."""
        return SIGNATURE in self.optuna.user_attrs

    @property
    def signature(self) -> dict[str, str]:
        """What makes the recorded trials comparable, in words."""
        return dict(self.optuna.user_attrs[SIGNATURE])

    @property
    def identity(self) -> str:
        """What stays the same for as long as this record exists."""
        return str(self.optuna.user_attrs[IDENTITY])

    def frozen(self, *, with_curves: bool = False) -> list[FrozenTrial]:
        """The recorded trials as Optuna has them, without their curves unless these are wanted."""
        if with_curves or self._read is None:
            trials = rows.read(self._storage, self.optuna._study_id, with_curves=with_curves)
            ours = [trial for trial in trials if "tunekit" in trial.user_attrs]
            if with_curves:
                return ours
            self._read = ours
        return self._read

    def trials(self) -> list[FinishedTrial]:
        """The recorded trials."""
        return [self._finished(trial) for trial in self.frozen()]

    def _finished(self, trial: FrozenTrial) -> FinishedTrial:
        return finished(trial, RecordedCurves(self._storage, trial._trial_id))

    def add(self, trial: FrozenTrial) -> FinishedTrial:
        """Write a finished trial and return it with its number.

        Raises:
            StudyError: Another search has the study, or had it, since its server was away.
            WorkError: The storage does not take it.
        """
        trial.system_attrs = {
            key: value
            for key, value in trial.system_attrs.items()
            if not key.startswith(_PASSING_NOTES)
        }
        attempts = itertools.count()
        self._read = None

        def check() -> None:
            if self._hold is not None:
                self._hold.check(lambda: self._is_unchanged(trial))

        def write() -> FrozenTrial:
            if next(attempts):
                check()
                # After a lost connection: only the answer may be lost, not the trial.
                if (written := self._written(trial)) is not None:
                    return written
            return rows.write(self._storage, self.optuna._study_id, trial)

        with self._writing():
            check()
            written = patiently(self._url, write)
        self._count += 1
        return self._finished(written)

    def _is_unchanged(self, trial: FrozenTrial) -> bool:
        """Whether nobody else wrote or replaced the record; `trial` may be in it already."""
        study_id = self.optuna._study_id
        if self._storage.get_study_id_from_name(self._study.name) != study_id:
            return False
        known = self._count + (self._written(trial) is not None)
        return rows.count(self._storage, study_id) == known

    def take(self, trial: FrozenTrial) -> None:
        """Write a trial of another record."""
        self._read = None
        with self._writing():
            rows.write(self._storage, self.optuna._study_id, trial)
        self._count += 1

    def _written(self, trial: FrozenTrial) -> FrozenTrial | None:
        """The trial as the record has it; another search's has the ask, but not the moment."""

        def which(one: FrozenTrial) -> tuple[object, object]:
            kept = one.user_attrs.get("tunekit", {})
            return kept.get("ask"), kept.get("started")

        recorded = rows.read(self._storage, self.optuna._study_id)
        return next((other for other in recorded if which(other) == which(trial)), None)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (optuna.exceptions.OptunaError, sqlalchemy.exc.SQLAlchemyError, KeyError) as error:
            raise WorkError(
                f"cannot write to the record at {redacted(self._url)}: {cause(error)}. What was "
                "written before is kept; the same command goes on."
            ) from None

    def plugin_files(self) -> tuple[PluginFile, ...]:
        """The single-file plugins that the trials were trained with."""
        return tuple(PluginFile(**kept) for kept in self.optuna.user_attrs[FILES])

    def final(self) -> dict[str, Any] | None:
        """The stored final ranking and test score, or None."""
        return self._kept(FINAL)

    def set_final(self, final: Mapping[str, Any]) -> None:
        """Store the final ranking and test score."""
        self._keep(FINAL, final)

    @property
    def final_runs(self) -> dict[str, Any]:
        """What a final that was not finished has trained already."""
        return self._kept(FINAL_RUNS) or {}

    def set_final_runs(self, runs: Mapping[str, Any]) -> None:
        """Store what the final has trained so far."""
        self._keep(FINAL_RUNS, runs)

    @property
    def about(self) -> dict[str, Any] | None:
        """What the study was when it was searched last, or None."""
        return self._kept(ABOUT)

    def set_about(self, about: Mapping[str, Any]) -> None:
        """Store what the study is."""
        if self.about != about:
            self._keep(ABOUT, about)

    @property
    def ended(self) -> dict[str, Any] | None:
        """How the last search ended, or None."""
        return self._kept(ENDED)

    def set_ended(self, ended: Mapping[str, Any]) -> None:
        """Store how the search ended."""
        self._keep(ENDED, ended)

    def opened(self, split: str) -> list[float]:
        """The test scores that were seen so far, continuations and ``--fresh`` included.

        Args:
            split: The digest of the data and their split.
        """
        entries = self.optuna.user_attrs.get(OPENED, [])
        return [float(score) for digest, score, *_ in entries if digest == split]

    def note_opening(self, split: str, score: float, seen: Sequence[float]) -> None:
        """Remember that the test split was opened, and what came out.

        Args:
            split: The digest of the data and their split.
            score: The test score.
            seen: What tells it apart; the same network's same score, seen again, is nothing new.
        """
        entries, entry = self.optuna.user_attrs.get(OPENED, []), [split, score, list(seen)]
        if entry not in entries:
            with self._writing():
                self.optuna.set_user_attr(OPENED, [*entries, entry])

    @property
    def advised(self) -> list[dict[str, Scalar]]:
        """Configurations that a warm start advises to try first."""
        return list(self.optuna.user_attrs.get(ADVISED, []))

    def advise(self, configurations: Sequence[Mapping[str, Scalar]]) -> None:
        """Store configurations to try first."""
        with self._writing():
            self.optuna.set_user_attr(ADVISED, [dict(c) for c in configurations])

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Until the end, the record counts as empty: what a kill leaves half done is done anew."""
        with self._writing():
            self.optuna.set_user_attr(FILLING, True)
        yield
        with self._writing():
            self.optuna.set_user_attr(FILLING, False)

    def _kept(self, key: str) -> dict[str, Any] | None:
        stored = self.optuna.user_attrs.get(key)
        return dict(stored) if stored else None

    def _keep(self, key: str, value: Mapping[str, Any]) -> None:
        with self._writing():
            patiently(self._url, lambda: self.optuna.set_user_attr(key, dict(value)))
