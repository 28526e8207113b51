"""Views of the MLflow UI that say what happened, and the links to them.

MLflow keeps a shared view as an experiment's tag and opens it by its key. The fields of a view's
state are internals of MLflow's page (seen with 3.17); a page that reads them differently shows its
own default instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunekit.records import StudyInfo
from tunekit.tracking import choices
from tunekit.tracking.colours import legend

REPORT = "report.html"
"""The report's name among the artifacts of the study's run."""


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
        """Link to the charts of all completed trials."""
        return self._view(f"{self.key}-all") + "&compareRunsMode=CHART"

    @property
    def run(self) -> str:
        """Link to the study's own run."""
        return self._page("")

    @property
    def progress(self) -> str:
        """Link to the study's own curves: every objective, and the best so far, by trial."""
        return self._page("/model-metrics")

    @property
    def report(self) -> str:
        """Link to the report, which has all trials in its plots."""
        return self._page(f"/artifacts/{REPORT}")

    def _page(self, part: str) -> str:
        page = f"#/experiments/{self.experiment_id}/runs/{self.run_id}{part}"
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
    leaders = table | _charts("FIRST_20_RUNS", _leader_charts(study))
    # A diverged trial stands for an untrained network: it would press all others to one edge.
    trained = f"{table['searchFilter']} and tags.state = 'complete' and tags.diverged IS NULL"
    overview = table | _charts("SHOW_ALL", _overview_charts(study)) | {"searchFilter": trained}
    states = {
        located.key: (f"{study.name}: leading trials", leaders),
        f"{located.key}-all": (f"{study.name}: completed trials", overview),
    }
    return {
        f"mlflow.sharedViewState.{key}": json.dumps(
            {"name": name, "createdAt": created, "updatedAt": updated, "state": json.dumps(state)}
        )
        for key, (name, state) in states.items()
    }


def _table(study: StudyInfo, located: Located) -> dict[str, object]:
    main = [name for name in choices.MAIN if name in study.space]
    chosen = dict.fromkeys([*choices.searched(study), *main])
    objective, state = "metrics.`objective`", "tags.`state`"
    params = [f"params.`{name}`" for name in list(chosen)[:3]]
    others = [f"metrics.`{other.name}`" for other in study.objectives[1:]]
    # The page's own columns; wide by default, and always there.
    widths = {"attributes.`Run Name`": 125, "runDateAndNestInfo": 110}
    widths |= {objective: 95} | dict.fromkeys([*params, state], 82)
    columns = [objective, *others, *params, state, "tags.`diagnosis`"]
    return {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{located.run_id}'",
        "orderByKey": objective,
        "orderByAsc": not study.larger_is_better,
        "selectedColumns": columns,
        "columnOrder": [*list(widths)[:2], *columns],
        # Narrow enough for the state to be seen beside the panel that MLflow opens on the right.
        "columnWidths": widths,
    }


def _charts(
    shown: str, sections: Mapping[str, Sequence[Mapping[str, object]]]
) -> dict[str, object]:
    # MLflow's own section holds a chart of every metric: last, and closed.
    others = {"uuid": "m", "name": "Model metrics", "display": False, "isReordered": False}
    return {
        "runsHiddenMode": shown,
        # The list takes half of the page beside the panel that MLflow opens; a click brings it.
        "runListHidden": True,
        "isAccordionReordered": True,
        "compareRunSections": [
            *(
                {"uuid": name, "name": name, "display": True, "isReordered": True}
                | {"columns": min(len(charts), 3), "cardHeight": 290}
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


def _curve(metric: str, scale: str = "linear") -> dict[str, object]:
    # Without `lineSmoothness` 0 the page smooths curves and says nothing of it.
    chart = {"type": "LINE", "metricKey": metric, "lineSmoothness": 0}
    return chart | {"displayPoints": False, "scaleType": scale}


def _objective_by(metric: str) -> dict[str, object]:
    return {
        "type": "SCATTER",
        "xaxis": {"key": metric, "type": "METRIC"},
        "yaxis": {"key": "objective", "type": "METRIC"},
    }


def _leader_charts(study: StudyInfo) -> dict[str, list[dict[str, object]]]:
    scales = {f"val_{study.metric}": "linear", "val_loss": "log", "train_loss": "log"}
    first, *others = (_curve(metric, scale) for metric, scale in scales.items())
    scatters = [_objective_by("trial_number"), _objective_by("log10_learning_rate")]
    return {legend(study) or "Leading trials": [first, *scatters, *others]}


def _overview_charts(study: StudyInfo) -> dict[str, list[dict[str, object]]]:
    across = ("trial_number", "log10_learning_rate", "training_seconds")
    sections = {legend(study) or "Completed trials": [_objective_by(metric) for metric in across]}
    if common := choices.searched(study):
        # The page drops a run that lacks one of the parameters: only what every trial has.
        parallel = {
            "type": "PARALLEL",
            "selectedParams": common[:6],
            "selectedMetrics": ["log10_learning_rate", "objective"],
            "showAllRuns": True,
        }
        sections["Choices"] = [parallel]
    return sections
