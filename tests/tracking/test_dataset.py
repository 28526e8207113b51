"""What MLflow is told of the data."""

from __future__ import annotations

import json
from dataclasses import replace

from tunekit.records import StudyInfo
from tunekit.space import Scalar
from tunekit.tracking.client import connect, quiet
from tunekit.tracking.dataset import dataset_input, in_words, page

DATA: dict[str, Scalar] = {
    "name": "digits",
    "task": "classification",
    "rows": 1797,
    "outputs": 10,
    "digest": "0a1b",
}


def test_the_data_are_an_input_of_the_run_once(study: StudyInfo) -> None:
    study = replace(study, data=DATA)
    with quiet():
        client = connect(study.tracking_uri)
        run = client.create_run(client.create_experiment("digits")).info.run_id
        for _ in range(2):
            put = dataset_input(study)
            assert put is not None
            client.log_inputs(run, [put])
        inputs = client.get_run(run).inputs

    assert inputs is not None
    [found] = inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == ("digits", "0a1b")
    assert json.loads(found.dataset.profile or "") == {
        "task": "classification",
        "rows": 1797,
        "outputs": 10,
    }
    assert [(tag.key, tag.value) for tag in found.tags] == [("mlflow.data.context", "search")]


def test_without_a_digest_there_is_no_input(study: StudyInfo) -> None:
    assert dataset_input(replace(study, data={"name": "digits"})) is None


def test_the_data_in_a_sentence(study: StudyInfo) -> None:
    assert in_words(replace(study, data=DATA)) == "Data: digits, 1,797 rows, 10 classes."
    assert in_words(replace(study, data={})) == ""


def test_the_page_has_all_that_is_known(study: StudyInfo) -> None:
    lines = page(replace(study, data={**DATA, "source": "a|b.csv"})).splitlines()

    assert lines[0] == "# digits"
    assert {"| rows | 1797 |", "| digest | 0a1b |", r"| source | a\|b.csv |"} <= set(lines)
