from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tunekit.errors import StudyError
from tunekit.study.schema import Document, known_keys, tables, validated
from tunekit.study.source import Source

DATA = '[data]\nsource = "x.csv"\n'


def told(text: str) -> str:
    """What is said about a file: line, key and message."""
    with pytest.raises(StudyError) as caught:
        validated(tomllib.loads(text), Source(Path("/s.toml"), text))
    return str(caught.value).removeprefix("/s.toml:")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[studdy]\n", "3: studdy: unknown table. Did you mean 'study'?"),
        (
            "[zzz]\n",
            "3: zzz: unknown table. Known: data, mlflow, network, plugins, pruner, sampler, "
            "search, space, study, train.",
        ),
        ("[study]\ntrails = 5\n", "4: study.trails: unknown key. Did you mean 'trials'?"),
        ("[study]\nepochs = 5\n", "4: study.epochs: unknown key. Did you mean [train] epochs?"),
        (
            "[plugins]\nzzz = 5\n",
            "4: plugins.zzz: unknown key. Known: disabled, files.",
        ),
        (
            "[space.network]\ndepth = 5\n",
            "3: space.network: unknown key. Known: activation, initializer, loss, optimizer, "
            "regularizer, schedule.",
        ),
    ],
)
def test_unknown_tables_and_keys_lead_to_the_nearest(text: str, expected: str) -> None:
    assert told(DATA + text) == expected


def test_a_key_above_all_tables_leads_to_its_table() -> None:
    assert told("trials = 5\n" + DATA) == (
        "1: trials: a key outside of all tables. Did you mean [study] trials?"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[study]\nname = 5", "4: study.name: expected a text, got 5"),
        ('[study]\nname = ""', "4: study.name: expected a text that is not empty, got ''"),
        ('[study]\ntrials = "5"', "4: study.trials: expected a whole number, got '5'"),
        ("[study]\ntrials = 5.5", "4: study.trials: expected a whole number, got 5.5"),
        ("[study]\ntrials = true", "4: study.trials: expected a whole number, got True"),
        ("[study]\ntrials = 0", "4: study.trials: expected 1 or more, got 0"),
        ("[study]\nseed = -1", "4: study.seed: expected 0 or more, got -1"),
        ("[study]\nworkers = -1", "4: study.workers: expected 0 or more, got -1"),
        ("[study]\nfinalists = -1", "4: study.finalists: expected 0 or more, got -1"),
        ("[study]\nfinal_seeds = 0", "4: study.final_seeds: expected 1 or more, got 0"),
        ("[plugins]\nfiles = 'x.py'", "4: plugins.files: expected a list, got 'x.py'"),
        ("[plugins]\nfiles = ['x', 5]", "4: plugins.files[1]: expected a text, got 5"),
        (
            "[search]\nregularizers = 'l2'",
            "4: search.regularizers: expected a list, got 'l2'",
        ),
        (
            "[search]\nregularizers = { l2 = true }",
            "4: search.regularizers: expected a list, got {'l2': True}",
        ),
        (
            "[sampler]\nname = 'tpa'",
            "4: sampler.name: 'tpa' is not a choice. Did you mean 'tpe'?",
        ),
        (
            "[pruner]\nname = 'mean'",
            "4: pruner.name: 'mean' is not a choice. Did you mean 'median'?",
        ),
        ("[pruner]\nreduction_factor = 1", "4: pruner.reduction_factor: expected 2 or more, got 1"),
        ("[space]\noptimizer = 5", "4: space.optimizer: expected a table, got 5"),
        ("[space.optimizer]\nsgd = 5", "4: space.optimizer.sgd: expected a table, got 5"),
        ("study = 5", "3: study: expected a table, got 5"),
    ],
)
def test_wrong_types_and_values_are_told(text: str, expected: str) -> None:
    head = "" if text == "study = 5" else DATA
    tail = "" if head else "\n\n" + DATA
    line = expected if head else expected.replace("3:", "1:", 1)
    assert told(head + text + tail) == line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("test = 1.0", "3: data.test: expected less than 1, got 1.0"),
        ("test = -0.1", "3: data.test: expected 0 or more, got -0.1"),
        ("test = nan", "3: data.test: expected a finite number, got nan"),
        ("test = true", "3: data.test: expected a number, got True"),
        ("folds = 1", "3: data.folds: expected 2 or more, got 1"),
        ("validation = 0", "3: data.validation: expected more than 0, got 0"),
        ("validation = 1", "3: data.validation: expected less than 1, got 1"),
        ("weight = 5", "3: data.weight: expected a text, got 5"),
        ("weight = ''", "3: data.weight: expected a text that is not empty, got ''"),
        (
            "task = 'multi-label'",
            "3: data.task: 'multi-label' is not a choice. Did you mean 'multilabel'?",
        ),
        ("repeats = 0", "3: data.repeats: expected 1 or more, got 0"),
        (
            "task = 'clasification'",
            "3: data.task: 'clasification' is not a choice. Did you mean 'classification'?",
        ),
    ],
)
def test_wrong_splits_are_told(text: str, expected: str) -> None:
    assert told(DATA + text) == expected


def test_a_study_without_data_is_told_what_to_add() -> None:
    expected = (
        'data.source: the study names no data; give [data] a source, such as "sklearn:digits" or '
        '"houses.csv"'
    )
    assert told("") == " " + expected
    assert told("[data]\n") == "1: " + expected


def test_an_unknown_key_is_told_before_a_missing_one_and_the_rest_is_counted() -> None:
    assert told('[data]\nsorce = "x.csv"\n') == (
        "2: data.sorce: unknown key. Did you mean 'source'? (1 more problem in this study)"
    )
    assert told("[study]\ntrials = 0\nseed = -1\n[x]\n").endswith("(3 more problems in this study)")


def test_searchable_keys_take_values_lists_and_ranges_alike() -> None:
    text = DATA + "[train]\nepochs = [5, 9]\nbatch_size = { low = 1, high = 9 }\nwarmup = 0.1\n"
    document = validated(tomllib.loads(text), Source(Path("/s.toml"), text))
    assert document.train.epochs == [5, 9]
    assert document.train.batch_size == {"low": 1, "high": 9}
    assert document.train.warmup == 0.1


def test_a_number_of_any_size_is_refused_in_words() -> None:
    assert told(f"{DATA}test = {'1' * 400}").startswith("3: data.test: expected a number, got 1")


def test_every_key_is_described_for_editors() -> None:
    schema = Document.model_json_schema()
    described = {
        f"{table}.{key}"
        for table, reference in schema["properties"].items()
        for key, told in schema["$defs"][_definition(reference)]["properties"].items()
        if "description" in told
    }
    expected = {key for key in known_keys() if not key.startswith("space.")}
    assert expected <= described
    assert schema["$defs"]["TrainTable"]["properties"]["epochs"]["default"] == 40


def _definition(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def test_tables_list_their_keys() -> None:
    assert tables()["plugins"] == ["files", "disabled"]
    assert "train.epochs" in known_keys()
