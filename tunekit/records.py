"""The plain types that hooks pass around: a table, a finished trial, a study, its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tunekit.components import Task
from tunekit.errors import DataError
from tunekit.space import Scalar

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Table:
    """A data set as it comes, before any split or preprocessing.

    Attributes:
        columns: One-dimensional arrays of equal length by name: numbers (NaN is missing) or
            objects and texts (categories; None and NaN are missing).
        target: Shape ``(rows,)`` or ``(rows, outputs)``: class labels of any type, numbers, or
            for several labels a matrix of 0 and 1.
        name: What to call it.
        task: What the target is for, or None to tell from its type: texts, booleans and few
            different whole numbers are classes, other numbers are values.
        weight: Weight of each row, or None.
    """

    columns: Mapping[str, npt.NDArray[Any]]
    target: npt.NDArray[Any]
    name: str = "data"
    task: Task | None = None
    weight: npt.NDArray[Any] | None = None

    @classmethod
    def from_matrix(
        cls,
        matrix: npt.NDArray[Any],
        target: npt.NDArray[Any],
        *,
        names: Sequence[str] | None = None,
        name: str = "data",
        task: Task | None = None,
    ) -> Table:
        """A table from a matrix of shape ``(rows, features)``.

        Raises:
            DataError: `matrix` has no columns, or `names` are not one for each, all different.
        """
        matrix = np.asarray(matrix)
        if matrix.ndim != 2:
            raise DataError(
                f"expected a matrix of shape (rows, features), got an array of shape {matrix.shape}"
            )
        names = names or [f"x{i}" for i in range(matrix.shape[1])]
        if len(set(map(str, names))) != matrix.shape[1]:
            raise DataError(
                f"expected {matrix.shape[1]} different names of columns, got {list(names)}"
            )
        columns = {str(key): matrix[:, i] for i, key in enumerate(names)}
        return cls(columns, np.asarray(target), name, task)


@dataclass(frozen=True)
class Fold:
    """Rows to train on and rows to validate on, preprocessed: what one training run sees.

    Attributes:
        x: Training inputs, shape ``(rows, features)``, of the study's dtype, finite.
        target: Training targets: class indices ``(rows,)`` (int64), labels ``(rows, labels)`` of
            0 and 1 (int64), or values ``(rows, outputs)`` in their own unit (float64).
        weight: Weight of each training row, or None.
        x_validation: Validation inputs; like `x`.
        target_validation: Validation targets; like `target`.
        weight_validation: Weight of each validation row, or None.
    """

    x: npt.NDArray[Any]
    target: npt.NDArray[Any]
    weight: npt.NDArray[Any] | None
    x_validation: npt.NDArray[Any]
    target_validation: npt.NDArray[Any]
    weight_validation: npt.NDArray[Any] | None


@dataclass(frozen=True)
class Problem:
    """A data set, split and preprocessed.

    Attributes:
        task: ``"classification"``, ``"multilabel"`` or ``"regression"``.
        folds: The validation folds; ``repeats`` times ``folds`` of them, in order.
        final: Trains on all rows that are not set aside; its "validation" rows are the test
            split, which nobody may look at before the search is over. There are none without a
            test split.
        outputs: Number of classes, of labels, or of value columns.
        classes: The class labels in the order of their indices, or the names of the labels, as
            texts; empty for regression.
        features: Names of the input columns after preprocessing.
        name: The data set's name.
        rows: Rows of the whole table.
        digest: First 16 hexadecimal digits of a SHA-256 over the table's content and the split.
        targets: Names of the columns to predict; ``y``, or ``y0``, ``y1``, ..., where they have
            none.
        labels: The classes as they were in the data, numbers as numbers, in the order of their
            indices; empty unless the task is classification.
        preprocessing: What turned columns into the inputs of `final`, in plain values; see
            `tunekit.data.preprocessing`.
    """

    task: Task
    folds: tuple[Fold, ...]
    final: Fold
    outputs: int
    classes: tuple[str, ...]
    features: tuple[str, ...]
    name: str
    rows: int
    digest: str
    targets: tuple[str, ...] = ()
    labels: tuple[Scalar, ...] = ()
    preprocessing: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_test(self) -> bool:
        """Whether a test split was set aside."""
        return len(self.final.x_validation) > 0


@dataclass(frozen=True)
class Curve:
    """Per-epoch measurements of one training run.

    Attributes:
        fold: Which validation fold (and repeat) the run belongs to, counted from 0.
        epochs: The epochs that were measured, counted from 1; 0 is the untrained network.
        metrics: Values by metric name (``"train_loss"``, ``"val_loss"``, ``"val_accuracy"``,
            ``"lr"``), each as long as `epochs`; NaN where nothing was measured.
    """

    fold: int
    epochs: tuple[int, ...]
    metrics: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Diagnosis:
    """What a training run suffered from, if anything.

    Attributes:
        verdict: A tag to filter by, such as ``"healthy"`` or ``"vanishing"``.
        words: One or two sentences for a person, with the figures behind them.
    """

    verdict: str
    words: str


@dataclass(frozen=True)
class Span:
    """A piece of training that one worker did without a pause.

    Attributes:
        worker: Who did it: the machine's name and the process id.
        started: Unix time in seconds.
        finished: Unix time in seconds.
        fold: Which fold it trained on.
        epoch: The epoch that it came to.
    """

    worker: str
    started: float
    finished: float
    fold: int
    epoch: int


@dataclass(frozen=True)
class FinishedTrial:
    """A trial, whole, as the record keeps it.

    Attributes:
        number: Its number in the record.
        ask: The ask index, from which its seeds derive.
        state: ``"complete"``, ``"pruned"`` or ``"failed"``.
        value: The objective; of a pruned trial its last report, or None.
        params: What the sampler chose, by qualified name.
        configuration: The full resolved configuration, fixed values included.
        curves: Per-epoch measurements, one for each fold that was trained.
        scores: The objective on each fold that was finished.
        started: Unix time in seconds.
        finished: Unix time in seconds.
        training_seconds: Time spent in training, summed over folds.
        reason: Why it was pruned or failed, in words; empty otherwise.
        diverged: Whether a loss or a weight stopped being finite.
        parameters: Number of trainable parameters, or None if the network was never built.
        provenance: Seeds, digests of data and plugins, versions, BLAS threads.
        diagnosis: What its training suffered from, or None if that was not looked at.
        measured: Other quantities of the study by name, means over folds: further metrics, those
            that constraints are about.
        violation: By how much it breaks the study's constraints: 0 if it keeps them all, else the
            sum of what each lacks, as a share of its bound.
        spans: Who trained what when.
        carried: Its number in the record that it was carried over from, or None.
        repeats: The ask indices just before its own at which something came up that had been
            tried already.
    """

    number: int
    ask: int
    state: State
    value: float | None
    params: Mapping[str, Scalar]
    configuration: Mapping[str, Scalar]
    curves: Sequence[Curve] = ()
    scores: tuple[float, ...] = ()
    started: float = 0.0
    finished: float = 0.0
    training_seconds: float = 0.0
    reason: str = ""
    diverged: bool = False
    parameters: int | None = None
    provenance: Mapping[str, Scalar] = field(default_factory=dict)
    diagnosis: Diagnosis | None = None
    measured: Mapping[str, float] = field(default_factory=dict)
    violation: float = 0.0
    spans: tuple[Span, ...] = ()
    carried: int | None = None
    repeats: tuple[int, ...] = ()


@dataclass(frozen=True)
class Objective:
    """What a study optimizes.

    Attributes:
        name: A metric, or ``"parameters"`` or ``"latency"``.
        larger_is_better: Its direction.
    """

    name: str
    larger_is_better: bool


@dataclass(frozen=True)
class Remark:
    """Something about a finished search that a person should know before believing it.

    Attributes:
        kind: A tag to filter by, such as ``"edge"`` or ``"gap"``.
        words: One or two sentences, with the figures behind them.
    """

    kind: str
    words: str


@dataclass(frozen=True)
class TestScore:
    """What the winner scores on the data that the search never saw.

    Attributes:
        metric: The metric's name.
        mean: Mean over the fresh seeds.
        spread: Standard deviation over the fresh seeds (0 for one seed).
        per_seed: One score for each fresh seed.
    """

    __test__ = False  # not a test class, whatever its name makes pytest think

    metric: str
    mean: float
    spread: float
    per_seed: tuple[float, ...]


@dataclass(frozen=True)
class Finalist:
    """One of the best configurations, trained again on fresh seeds.

    Attributes:
        number: The trial's number in the record.
        searched: Its objective during the search.
        scores: Validation scores of the fresh runs, one for each seed, averaged over folds.
        mean: Their mean, by which finalists are ranked.
        epochs: Epochs after which validation was best, one for each fresh run.
    """

    number: int
    searched: float
    scores: tuple[float, ...]
    mean: float
    epochs: tuple[int, ...] = ()


@dataclass(frozen=True)
class StudyInfo:
    """What an observer is told when a search starts or goes on.

    Attributes:
        name: The study's name.
        file: The study file's path, or None.
        folder: Where relative addresses are resolved.
        text: The study file's content.
        identity: Stays the same for as long as the record of this study exists.
        metric: The objective's name.
        larger_is_better: The objective's direction.
        space: The resolved space by qualified name, in words.
        trials: The record's planned total, or None.
        recorded: The trials that the record holds already.
        data: What the data are: name, rows, features, task, digest.
        tracking_uri: MLflow's tracking URI (always absolute).
        artifact_root: Where a new local store keeps artifacts, or None for the server's default.
        experiment: MLflow's experiment name.
        objectives: All that is optimized; the first one is `metric`.
        constraints: What a trial has to keep to, in words, such as ``"parameters < 50000"``.
        command: The command that runs this study again.
        notes: What a person should know when the search starts, one sentence each.
        earlier: The identities of records that this one took the place of.
    """

    name: str
    file: str | None
    folder: str
    text: str
    identity: str
    metric: str
    larger_is_better: bool
    space: Mapping[str, str]
    trials: int | None
    recorded: tuple[FinishedTrial, ...]
    data: Mapping[str, Scalar]
    tracking_uri: str
    artifact_root: str | None
    experiment: str
    objectives: tuple[Objective, ...] = ()
    constraints: tuple[str, ...] = ()
    command: str = ""
    notes: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyResult:
    """How a search ended.

    Attributes:
        status: ``"finished"``, ``"interrupted"`` or ``"failed"`` (no trial completed).
        best: The best trial, or None: the winner among the finalists where they were trained
            again, else the best objective.
        trials: All trials of the record.
        finalists: The best few, ranked by their fresh validation scores.
        test: The winner's score on the test split, or None.
        seconds: Wall time of this run of the search.
        training_seconds: Time that workers spent in training during this run.
        front: With several objectives, the trials that no other one beats in all of them, by the
            first objective; empty with one objective.
        remarks: What a person should know before believing it.
    """

    status: Literal["finished", "interrupted", "failed"]
    best: FinishedTrial | None
    trials: tuple[FinishedTrial, ...]
    finalists: tuple[Finalist, ...] = ()
    test: TestScore | None = None
    seconds: float = 0.0
    training_seconds: float = 0.0
    front: tuple[FinishedTrial, ...] = ()
    remarks: tuple[Remark, ...] = ()

    @property
    def why_failed(self) -> str:
        """Why no trial was completed, in words."""
        reasons = [trial.reason for trial in self.trials if trial.state == "failed"]
        if not reasons:
            refused = [t.reason for t in self.trials if t.violation > 0 and t.reason]
            also = f"; the first of {len(refused)}: {refused[0]}" if refused else ""
            return f"no trial was completed{also}"
        return f"all {len(reasons)} trials failed, the first one because: {reasons[0]}"


@dataclass(frozen=True)
class Importances:
    """What mattered in a search.

    Attributes:
        shares: Parts of 1 by qualified name, the largest first; 0 for a parameter that does not
            stand out from chance. All are 0 if none does.
        method: How they were computed, in a few words.
        words: What to make of them.
    """

    shares: Mapping[str, float]
    method: str
    words: str
