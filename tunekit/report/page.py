"""The page: the sections of a report, written down by one template."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib.resources import files

import jinja2
from markupsafe import Markup

from tunekit import __version__
from tunekit.records import Importances, StudyInfo, StudyResult
from tunekit.report.facts import Facts, outcome
from tunekit.report.figures import curves, history, parallel, slices, timeline
from tunekit.report.sections.diagnoses import diagnoses
from tunekit.report.sections.headline import headline
from tunekit.report.sections.leaderboard import leaderboard
from tunekit.report.sections.mattered import mattered
from tunekit.report.sections.repeat import repeat
from tunekit.report.words import configuration, marked, number


def page(info: StudyInfo, result: StudyResult, importances: Importances | None = None) -> str:
    """A report on a study as one HTML page that needs nothing else.

    Args:
        info: The study.
        result: How its search ended, or where it stands.
        importances: What mattered, or None where that is not known.

    Returns:
        The page's text: styles, figures and a small script are in it, nothing is fetched.
    """
    facts = Facts(info, result, importances)
    script = _asset("page.js")
    return _template().render(
        info=info,
        result=result,
        facts=facts,
        headline=headline(facts),
        leaderboard=leaderboard(facts),
        mattered=mattered(facts),
        history=history.draw(facts),
        parallel=parallel.draw(facts),
        curves=curves.draw(facts),
        slices=slices.draw(facts),
        diagnoses=diagnoses(facts),
        timeline=timeline.draw(facts),
        repeat=repeat(facts),
        tips=_tips(facts),
        style=_asset("page.css"),
        script=script,
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        version=__version__,
    )


def _tips(facts: Facts) -> dict[int, list[str]]:
    """What is shown of a trial under the pointer: title, value and configuration."""
    tips = {}
    for trial in facts.trials:
        ended = "the winner" if facts.css(trial) == "winner" else outcome(trial)
        value = trial.reason if trial.value is None else number(trial.value)
        if trial.state == "pruned" and trial.value is not None:
            value = f"last report {value}"
        words = configuration(trial.configuration)
        tips[trial.number] = [f"trial {trial.number}, {ended}", value, words]
    return tips


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,  # names of studies and components, and reasons, are anybody's text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["marked"] = marked
    return environment.from_string(str(_asset("page.html")))


def _asset(name: str) -> Markup:
    return Markup(files("tunekit.report").joinpath("assets", name).read_text(encoding="utf-8"))
