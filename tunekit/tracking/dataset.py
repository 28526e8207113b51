"""The study's data: as MLflow's own input of a run, and in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tunekit.records import StudyInfo
from tunekit.space import show

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

PAGE = "data.md"
LONGEST_DIGEST = 36
OUTPUTS = {"classification": "classes", "multilabel": "labels", "regression": "targets"}


def dataset_input(study: StudyInfo) -> DatasetInput | None:
    """What the study learns from, or None where that is not known.

    MLflow holds a data set once for each name and digest, and logging it again changes nothing.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = dict(study.data)
    name, digest = data.pop("name", None), data.pop("digest", None)
    if not name or not digest:
        return None
    source = json.dumps({"source": str(data.pop("source", name))})
    dataset = Dataset(
        str(name)[:500],
        str(digest)[:LONGEST_DIGEST],
        "tunekit",
        source,
        profile=json.dumps(data),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "search")])


def in_words(study: StudyInfo) -> str:
    """The data in a sentence; empty where nothing is known of them."""
    data = study.data
    counts = {"rows": "rows", "features": "features", "folds": "validation folds"}
    counts["outputs"] = OUTPUTS.get(str(data.get("task")), "outputs")
    told = [
        f"{data[key]:,} {words if data[key] != 1 else words.removesuffix('s')}"
        for key, words in counts.items()
        if key in data
    ]
    return f"Data: {', '.join([str(data.get('name', study.name)), *told])}." if told else ""


def page(study: StudyInfo) -> str:
    """All that is known of the data, in Markdown."""
    known = {name: show(value).replace("|", "\\|") for name, value in study.data.items()}
    title = f"# {known.pop('name', study.name)}"
    rows = [f"| {name} | {value} |" for name, value in known.items()]
    return "\n".join([title, "", "| | |", "| --- | --- |", *rows, ""])
