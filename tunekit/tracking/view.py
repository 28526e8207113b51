"""Views of the MLflow UI that say what happened, and the links to them.

MLflow keeps a shared view as an experiment's tag and opens it by its key. The fields of a view's
state are internals of MLflow's page (seen with 3.17); a page that reads them differently shows its
own default instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunekit.components import KINDS
from tunekit.records import StudyInfo

MAIN_CHOICES = ("optimizer", "activation", "schedule")


@dataclass(frozen=True)
class Located:
    """Where MLflow shows a study; the links are what follows the server's address.

    Attributes:
        experiment_id: MLflow's experiment.
        run_id: The study's own run, the parent of its trials' runs.
    """

    experiment_id: str
    run_id: str

    @property
    def key(self) -> str:
        """The key of the view of the leading trials."""
        return f"tunekit-{self.run_id}"

    @property
    def table(self) -> str:
        """Link to the trials, best first."""
        return self._view(self.key)

    @property
    def curves(self) -> str:
        """Link to the curves of the leading trials."""
        return self._view(self.key) + "&compareRunsMode=CHART"

    @property
    def overview(self) -> str:
        """Link to the charts of all trials."""
        return self._view(f"{self.key}-all") + "&compareRunsMode=CHART"

    @property
    def run(self) -> str:
        """Link to the study's own run."""
        page = f"#/experiments/{self.experiment_id}/runs/{self.run_id}"
        return f"{page}?workflowType=machine_learning"

    def _view(self, key: str) -> str:
        page = f"#/experiments/{self.experiment_id}/runs"
        # Without the workflow type the page opens with the sidebar for language models.
        return f"{page}?viewStateShareKey={key}&workflowType=machine_learning"


def view_url(base: str, located: Located) -> str:
    """The address that opens the study's trials, best first, on the server at `base`."""
    return f"{base.rstrip('/')}/{located.table}"


def shared_views(study: StudyInfo, located: Located, created: int, updated: int) -> dict[str, str]:
    """The experiment's tags that hold the study's views.

    Args:
        study: The study.
        located: Its experiment and run.
        created: Unix time in milliseconds.
        updated: Unix time in milliseconds.
    """
    table = _table(study, located)
    leaders = table | _charts("FIRST_10_RUNS", _leader_charts(study))
    everything = table | _charts("SHOW_ALL", _overview_charts(study))
    states = {
        located.key: (f"{study.name}: leading trials", leaders),
        f"{located.key}-all": (f"{study.name}: all trials", everything),
    }
    return {
        f"mlflow.sharedViewState.{key}": json.dumps(
            {"name": name, "createdAt": created, "updatedAt": updated, "state": json.dumps(state)}
        )
        for key, (name, state) in states.items()
    }


def searched(study: StudyInfo) -> list[str]:
    """What the search chooses in every trial, the main choices first."""
    varied = [name for name, words in study.space.items() if _is_varied(words)]
    # A component's own hyperparameter (optimizer.adam.lr) exists only where it was chosen.
    common = [name for name in varied if not (name.count(".") > 1 and name.split(".")[0] in KINDS)]
    return sorted(common, key=lambda name: name not in MAIN_CHOICES)


def _is_varied(words: str) -> bool:
    return words.startswith("one of ") or " to " in words


def _table(study: StudyInfo, located: Located) -> dict[str, object]:
    choices = searched(study)
    choices += [name for name in MAIN_CHOICES if name in study.space and name not in choices]
    objective, state = "metrics.`objective`", "tags.`state`"
    params = [f"params.`{name}`" for name in choices[:3]]
    others = [f"metrics.`{other.name}`" for other in study.objectives[1:]]
    columns = [objective, *others, *params, state]
    return {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{located.run_id}'",
        "orderByKey": objective,
        "orderByAsc": not study.larger_is_better,
        "selectedColumns": columns,
        "columnOrder": columns,
        # Narrow enough for the state, which the page puts last, to be seen without scrolling.
        "columnWidths": {objective: 100} | dict.fromkeys([*params, state], 85),
    }


def _charts(
    shown: str, sections: Mapping[str, Sequence[Mapping[str, object]]]
) -> dict[str, object]:
    # MLflow's own section holds a chart of every metric: last, and closed.
    others = {"uuid": "m", "name": "Model metrics", "display": False, "isReordered": False}
    return {
        "runsHiddenMode": shown,
        "isAccordionReordered": True,
        "compareRunSections": [
            *(
                {"uuid": name, "name": name, "display": True, "isReordered": True}
                | {"columns": 2 if len(charts) > 1 else 1}
                for name, charts in sections.items()
            ),
            others,
        ],
        "compareRunCharts": [
            {"uuid": f"{name} {i}", "metricSectionId": name, **chart}
            for name, charts in sections.items()
            for i, chart in enumerate(charts, 1)
        ],
    }


def _leader_charts(study: StudyInfo) -> dict[str, list[dict[str, object]]]:
    # Without `lineSmoothness` 0 the page smooths curves and says nothing of it.
    charts: list[dict[str, object]] = [
        {"type": "LINE", "metricKey": metric, "lineSmoothness": 0}
        for metric in dict.fromkeys([f"val_{study.metric}", "val_loss", "train_loss"])
    ]
    return {"Leading trials": [*charts, {"type": "BAR", "metricKey": "objective"}]}


def _overview_charts(study: StudyInfo) -> dict[str, list[dict[str, object]]]:
    def scatter(across: str) -> dict[str, object]:
        return {
            "type": "SCATTER",
            "xaxis": {"key": across, "type": "METRIC"},
            "yaxis": {"key": "objective", "type": "METRIC"},
        }

    sections = {"Search": [scatter("trial_number"), scatter("training_seconds")]}
    if choices := searched(study):
        # The page drops a run that lacks one of the parameters: only what every trial has.
        parallel = {
            "type": "PARALLEL",
            "selectedParams": choices[:8],
            "selectedMetrics": ["objective"],
            "showAllRuns": True,
        }
        sections["Choices"] = [parallel]
    return sections
