"""What the trainings suffered from, and what to do about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tunekit.records import FinishedTrial
from tunekit.report.facts import Facts
from tunekit.report.words import counted, listed, sentence, share

MEANINGS = {
    "exploding": (
        "The loss, the weights or the activations grew without bound.",
        "Lower the upper end of the learning rates, add a warm-up, or take a scaled initializer.",
    ),
    "dead": (
        "Many units give 0 for every row and learn nothing more.",
        "Try lower learning rates, or activations that are not flat, such as leaky_relu or gelu.",
    ),
    "saturated": (
        "Many units sit on the flat ends of their activation.",
        "Try a smaller initialization, normalization, or activations without flat ends.",
    ),
    "vanishing": (
        "Hardly any gradient reaches the first layers.",
        "Try fewer layers, normalization, residual connections or a scaled initializer.",
    ),
    "rate_too_large": (
        "The losses jump to and fro or rise.",
        "Lower the upper end of the learning rates, or search a schedule that decays.",
    ),
    "rate_too_small": (
        "The losses still fell when training ended.",
        "Raise the lower end of the learning rates, or train for more epochs.",
    ),
    "overfitting": (
        "Training went on to improve while validation got worse.",
        "Search regularizers, smaller networks, or stop earlier (patience).",
    ),
    "too_short": (
        "Ended, mostly by pruning, before anything could be told.",
        "",
    ),
    "healthy": ("Signals and gradients flow, and the losses fall together.", ""),
}
"""What a verdict means and what helps, for the whole of a study."""
EXAMPLES = 5
REASONS = 8


@dataclass(frozen=True)
class Verdict:
    """How often a verdict was given.

    Attributes:
        name: The verdict.
        count: How many trials got it.
        share: Their share.
        width: The bar's width, in percent.
        means: What it means.
        advice: What helps; empty where nothing needs to.
        trials: A few of these trials, the best first.
        example: The words on the best of them.
    """

    name: str
    count: int
    share: str
    width: str
    means: str
    advice: str
    trials: tuple[int, ...]
    example: str


@dataclass(frozen=True)
class Diagnoses:
    """How the trials fared.

    Attributes:
        words: How many ended in each way.
        verdicts: What the trainings suffered from, the most frequent first.
        reasons: Why trials failed: the reason, how often, and the first such trial.
    """

    words: str
    verdicts: tuple[Verdict, ...]
    reasons: tuple[tuple[str, int, int], ...]


def diagnoses(facts: Facts) -> Diagnoses:
    """How a study's trials fared."""
    judged: dict[str, list[FinishedTrial]] = {}
    for trial in facts.trials:
        if trial.diagnosis is not None:
            judged.setdefault(trial.diagnosis.verdict, []).append(trial)
    total = sum(len(trials) for trials in judged.values())
    order = sorted(judged, key=lambda verdict: -len(judged[verdict]))
    return Diagnoses(
        _words(facts),
        tuple(_verdict(facts, verdict, judged[verdict], total) for verdict in order),
        _reasons(facts),
    )


def _verdict(facts: Facts, name: str, trials: list[FinishedTrial], total: int) -> Verdict:
    trials = sorted(trials, key=lambda t: (t.state != "complete", facts.cost(t), t.number))
    means, advice = MEANINGS.get(name, ("", ""))
    diagnosis = trials[0].diagnosis
    return Verdict(
        name.replace("_", " "),
        len(trials),
        share(len(trials), total),
        f"{100 * len(trials) / total:.1f}",
        means,
        advice,
        tuple(trial.number for trial in trials[:EXAMPLES]),
        diagnosis.words if diagnosis is not None else "",
    )


def _words(facts: Facts) -> str:
    states = Counter(str(trial.state) for trial in facts.trials)
    told = [f"{states[state]:,} {words}" for state, words in _ENDS.items() if states[state]]
    said = [sentence(f"{counted(len(facts.trials), 'trial')}: {listed(told)}.")] if told else []
    if diverged := sum(trial.diverged for trial in facts.trials):
        said.append(
            f"{counted(diverged, 'trial')} diverged: a loss or a weight stopped being finite."
        )
    if carried := sum(trial.carried is not None for trial in facts.trials):
        said.append(f"{counted(carried, 'trial')} came from an earlier record of the study.")
    if broken := sum(trial.violation > 0 for trial in facts.trials):
        said.append(f"{counted(broken, 'trial')} broke a constraint.")
    return " ".join(said)


_ENDS = {"complete": "complete", "pruned": "pruned", "failed": "failed"}


def _reasons(facts: Facts) -> tuple[tuple[str, int, int], ...]:
    failed = [trial for trial in facts.trials if trial.state == "failed"]
    counts = Counter(trial.reason or "no reason was given" for trial in failed)
    return tuple(
        (reason, count, next(t.number for t in failed if (t.reason or reason) == reason))
        for reason, count in counts.most_common(REASONS)
    )
