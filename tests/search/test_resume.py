"""A study file is edited and searched again: each kind of edit, and what happens."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import optuna
import pytest

from tunekit import FinishedTrial
from tunekit.errors import StudyError
from tunekit.search.record import Record
from tunekit.search.run import Search, run_search
from tunekit.search.setting import Setting
from tunekit.space import Scalar
from tunekit.study.study import load_study

STUDY = """
[study]
name = "resumed"
trials = 10
seed = 3
workers = 0
finalists = 1
final_seeds = 1

[data]
source = "sklearn:iris"
test = 0.2
validation = 0.3

[train]
epochs = 2
batch_size = [16, 32]
warmup = 0.0

[network]
depth = 1
width = { low = 4, high = 16 }

[search]
optimizer = ["adam", "mine"]
activation = ["relu", "tanh"]
regularizers = ["l2", "dropout"]

[space.optimizer.adam]
lr = { low = 1e-3, high = 1e-1 }

[sampler]
name = "random"

[plugins]
files = ["mine.py"]
"""

MINE = '''
from tunekit import Float, Optimizer, hookimpl

class Mine(Optimizer):
    """Against the gradient."""
    name = "mine"
    lr: float = Float(0.1, low=0.01, high=1.0, log=True)

    def direction(self, w, g, state, step):
        return g

@hookimpl
def tunekit_optimizers():
    return [Mine]
'''

Configuration = Mapping[str, Scalar]
Edit = tuple[str, str]


def search(folder: Path, *edits: Edit, fresh: bool = False) -> Search:
    """Edit the study file and search, without MLflow, which has tests of its own below."""
    setting = edited(folder, *edits)
    for module in list(setting.registry.manager.get_plugins()):
        if getattr(module, "__name__", "").startswith("tunekit.tracking"):
            setting.registry.manager.unregister(module)
    return run_search(setting, fresh=fresh)


def edited(folder: Path, *edits: Edit) -> Setting:
    path = folder / "resumed.toml"
    text = path.read_text()
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)
    return Setting.of(*load_study(path))


def told(trials: tuple[FinishedTrial, ...]) -> list[tuple[object, ...]]:
    """All of the trials that a continuation has to keep."""
    return [(t.state, t.value, t.curves, t.scores, t.started, t.finished, t.reason) for t in trials]


def names(folder: Path) -> list[str]:
    return sorted(optuna.get_all_study_names(f"sqlite:///{folder}/optuna.db"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Search]:
    """A finished search."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "resumed.toml").write_text(STUDY)
    (folder / "mine.py").write_text(MINE)
    return folder, search(folder)


@pytest.fixture
def before(base: tuple[Path, Search]) -> tuple[FinishedTrial, ...]:
    """Its trials."""
    return base[1].result.trials


@pytest.fixture
def folder(base: tuple[Path, Search], tmp_path: Path) -> Path:
    """A copy of its folder."""
    return Path(shutil.copytree(base[0], tmp_path, dirs_exist_ok=True))


MORE = ("trials = 10", "trials = 12")

SAME: dict[str, list[Edit]] = {
    "more trials": [],
    "a timeout": [("seed = 3", 'seed = 3\ntimeout = "1h"')],
    "more workers": [("workers = 0", "workers = 2")],
    "another sampler": [('name = "random"', 'name = "tpe"\nstartup_trials = 2')],
    "a pruner": [("[sampler]", '[pruner]\nname = "hyperband"\nmin_epochs = 1\n[sampler]')],
    "racing": [("[sampler]", "[pruner]\nracing = true\n[sampler]")],
    "more finalists": [("finalists = 1", "finalists = 3")],
    "choices in another order": [('["adam", "mine"]', '["mine", "adam"]')],
    "another default": [("batch_size = [16, 32]", "batch_size = [32, 16]")],
}


@pytest.mark.parametrize("edit", SAME)
def test_the_same_space_goes_on_in_the_same_record(
    folder: Path, before: tuple[FinishedTrial, ...], edit: str
) -> None:
    result = search(folder, MORE, *SAME[edit])
    assert told(result.result.trials[:10]) == told(before)
    assert [trial.number for trial in result.result.trials] == list(range(12))
    assert sorted(trial.ask for trial in result.result.trials) == list(range(12))
    assert names(folder) == ["resumed"]
    assert result.info.notes == ()


def test_fewer_trials_are_kept_and_none_is_added(
    folder: Path, before: tuple[FinishedTrial, ...]
) -> None:
    again = search(folder, ("trials = 10", "trials = 4"))
    assert told(again.result.trials) == told(before)
    assert again.seconds.training == 0


ALL: dict[str, list[Edit]] = {
    "a wider range": [("high = 16", "high = 32")],
    "a range on a logarithmic scale": [("high = 16", "high = 16, log = true")],
    "a fixed number as a list": [("epochs = 2", "epochs = [2, 3]")],
    "a fixed number as a range": [("warmup = 0.0", "warmup = { low = 0.0, high = 0.2 }")],
    "an added optimizer": [('["adam", "mine"]', '["adam", "mine", "sgd"]')],
    "an added number": [("batch_size = [16, 32]", "batch_size = [8, 16, 32]")],
    "an added regularizer": [('["l2", "dropout"]', '["l2", "dropout", "l1"]')],
}

SOME: dict[str, tuple[list[Edit], Callable[[Configuration], object]]] = {
    "a narrower range": ([("high = 16", "high = 10")], lambda c: float(c["network.width"]) <= 10),
    "a range with a step": (
        [("high = 16", "high = 16, step = 2")],
        lambda c: float(c["network.width"]) % 2 == 0,
    ),
    "a range as a list": (
        [("{ low = 4, high = 16 }", "[8, 10, 12, 14, 16]")],
        lambda c: c["network.width"] in (8, 10, 12, 14, 16),
    ),
    "a removed optimizer": (
        [('["adam", "mine"]', '"mine"'), ("[space.optimizer.adam]\nlr = {", "#{")],
        lambda c: c["optimizer"] == "mine",
    ),
    "a fixed hyperparameter": (
        [("lr = { low = 1e-3, high = 1e-1 }", "lr = 0.001")],
        lambda c: c.get("optimizer.adam.lr") in (None, 0.001),
    ),
    "a list that is fixed": ([("[16, 32]", "16")], lambda c: c["batch_size"] == 16),
    "a removed regularizer": ([('["l2", ', "[")], lambda c: not c["regularizer.l2"]),
    "regularizers in another order": (
        [('["l2", "dropout"]', '["dropout", "l2"]')],
        lambda c: not (c["regularizer.l2"] and c["regularizer.dropout"]),
    ),
    "all of it at once": (
        [
            ('["adam", "mine"]', '["sgd", "mine", "adam"]'),
            ("high = 16", "high = 64, log = true"),
            ('["l2", "dropout"]', '["dropout"]'),
            ("seed = 3", 'seed = 3\ntimeout = "1h"'),
        ],
        lambda c: not c["regularizer.l2"],
    ),
}


@pytest.mark.parametrize("edit", [*ALL, *SOME])
def test_a_changed_space_goes_on_with_the_trials_that_are_in_it(
    folder: Path, before: tuple[FinishedTrial, ...], edit: str
) -> None:
    edits, fits = SOME[edit] if edit in SOME else (ALL[edit], lambda c: True)
    fitting = tuple(trial for trial in before if fits(trial.configuration))
    assert (len(fitting) == 10) == (edit in ALL)
    assert len(fitting) > 1
    total = len(fitting) + 2
    found = search(folder, *edits, ("trials = 10", f"trials = {total}"))
    trials = found.result.trials
    assert told(trials[: len(fitting)]) == told(fitting)
    assert [trial.carried for trial in trials] == [t.number for t in fitting] + [None, None]
    assert [trial.ask for trial in trials[:-2]] == [trial.ask for trial in fitting]
    assert len({trial.ask for trial in trials}) == total
    space = found.setting.study.space
    assert all(set(space.describe()) >= trial.configuration.keys() for trial in trials)
    (note,) = found.info.notes
    assert note.startswith(f"the space has changed: {len(fitting)} of 10 trials go on, and all 10")
    assert ("(trial" in note) == (edit in SOME)
    new, old = names(folder)
    assert new == "resumed"
    kept = optuna.load_study(study_name=old, storage=f"sqlite:///{folder}/optuna.db")
    assert [trial.value for trial in kept.trials] == [trial.value for trial in before]
    # Carried trials are as good as any: the next start finds nothing to do, nor to say.
    again = search(folder)
    assert told(again.result.trials) == told(trials)
    assert again.seconds.training == 0
    assert again.result.test == found.result.test
    assert again.info.notes == ()


def test_nothing_is_trained_again_where_all_trials_go_on(
    folder: Path, base: tuple[Path, Search]
) -> None:
    found = search(folder, *ALL["a wider range"])
    assert found.seconds.training == 0
    assert found.result.test == base[1].result.test
    assert found.info.identity == base[1].info.identity


def test_an_edit_that_is_undone_goes_on_with_what_was_tried_meanwhile(folder: Path) -> None:
    wide = search(folder, ("high = 16", "high = 32"), MORE).result.trials
    back = search(folder, ("high = 32", "high = 16")).result.trials
    carried = [trial for trial in back if trial.carried is not None]
    assert [t.value for t in carried] == [
        t.value for t in wide if float(t.configuration["network.width"]) <= 16
    ]
    assert len(names(folder)) == 3


def test_an_added_optimizer_is_tried_at_its_defaults_next(folder: Path) -> None:
    edits = [("files = [", 'files = ["other.py", '), ('["adam", "mine"]', '["adam", "mine", "o"]')]
    (folder / "other.py").write_text(MINE.replace("Mine", "Other").replace('"mine"', '"o"'))
    found = search(folder, *edits, MORE)
    added = found.result.trials[10]
    assert added.configuration["optimizer"] == "o"
    assert added.configuration["optimizer.o.lr"] == 0.1
    assert {t.configuration["optimizer"] for t in found.result.trials[:10]} == {"adam", "mine"}


def test_trials_of_a_plugin_whose_code_has_changed_stay_behind(
    folder: Path, before: tuple[FinishedTrial, ...]
) -> None:
    (folder / "mine.py").write_text(MINE.replace("return g\n", "return 2 * g\n"))
    others = tuple(trial for trial in before if trial.configuration["optimizer"] == "adam")
    assert 0 < len(others) < 10
    found = search(folder)
    trials = found.result.trials
    assert told(trials[: len(others)]) == told(others)
    assert "he code of optimizer.mine has changed (trials 1, " in found.info.notes[0]
    # Where a trial stayed behind its place is free, and its configuration may come again.
    again = trials[len(others)]
    assert again.configuration == before[again.ask].configuration
    # What is trained again later is trained with the code that was current then.
    record = Record(found.setting.study)
    assert "2 * g" in record.plugin_files()[0].text


def test_a_plugin_file_may_move(folder: Path, before: tuple[FinishedTrial, ...]) -> None:
    (folder / "rules").mkdir()
    (folder / "mine.py").rename(folder / "rules" / "ours.py")
    found = search(folder, ('"mine.py"', '"rules/ours.py"'), MORE)
    assert told(found.result.trials[:10]) == told(before)
    assert found.info.notes == ()


REFUSED: dict[str, tuple[list[Edit], str]] = {
    "another metric": (
        [("seed = 3", 'seed = 3\nmetric = "log_loss"')],
        r"study\.metric: was accuracy, is log_loss",
    ),
    "another seed": ([("seed = 3", "seed = 4")], r"study\.seed: was 3, is 4"),
    "other data": ([("sklearn:iris", "sklearn:wine")], "data"),
    "another test share": ([("test = 0.2", "test = 0.3")], "data"),
    "folds": ([("validation = 0.3", "folds = 3")], "data"),
    "a constraint": (
        [("seed = 3", 'seed = 3\nconstraints = ["parameters < 90"]')],
        r"study\.constraints: was none, is parameters < 90",
    ),
    "more metrics": (
        [("seed = 3", 'seed = 3\nmetric = ["accuracy", "parameters"]')],
        r"study\.metric: was accuracy, is accuracy, parameters",
    ),
    "other epochs": ([("epochs = 2", "epochs = 3")], r"epochs: was 2, is 3\n.*fixed at 3 \(trial"),
    "layers by their units": (
        [("depth = 1", 'hidden = ["8", "16"]'), ("width = {", "#")],
        r"network\.hidden: was not there, is one of 16, 8",
    ),
}


@pytest.mark.parametrize("edit", REFUSED)
def test_what_cannot_be_compared_is_refused_before_anything_is_trained(
    folder: Path, before: tuple[FinishedTrial, ...], edit: str
) -> None:
    edits, why = REFUSED[edit]
    with pytest.raises(StudyError, match=rf"(?s)10 trials of 'resumed'.*{why}") as refused:
        search(folder, *edits)
    assert "give the study another name, or start over with --fresh" in str(refused.value)
    record = Record(edited(folder).study)
    assert told(tuple(record.trials())) == told(before)
    assert names(folder) == ["resumed"]
    # The way out.
    fresh = search(folder, ("trials = 10", "trials = 1"), fresh=True)
    assert [trial.carried for trial in fresh.result.trials] == [None]
    new, old = names(folder)
    assert (new, len(Record(fresh.setting.study).trials())) == ("resumed", 1)
    kept = optuna.load_study(study_name=old, storage=f"sqlite:///{folder}/optuna.db")
    assert [trial.value for trial in kept.trials] == [trial.value for trial in before]
