"""What a person should know before believing a search's result, the most important first."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tunekit.components import KINDS
from tunekit.records import Finalist, FinishedTrial, Remark, StudyResult
from tunekit.search.basis import Basis
from tunekit.search.edges import edges
from tunekit.space import Choices, Interval, Scalar, show
from tunekit.study.constraints import broken
from tunekit.study.space import Space

MOST = 6
"""More remarks than these nobody reads."""
STANDARD_ERRORS = 2.0
"""How many of them a gap has to have. Validation and test rows are both counted, and sharing the
difficulty of rows makes scores part less than that: 0 to 1.3 % of simulated honest studies of 60
trials are told of a gap, with 30 to 2,000 test rows."""
DIVERGED = 0.2
FAILED = 0.1
CONSTRAINED = 0.5
"""The share of trials from which on it is worth a remark."""
NEARLY_ALL = 0.85
ENOUGH_TRIALS = 20
"""With fewer, one choice may have nearly all trials by chance."""
PER_PARAMETER = 3
"""Complete and pruned trials for each searched parameter, below which they are few."""


def remarks(space: Space, result: StudyResult, basis: Basis) -> tuple[Remark, ...]:
    """What to know before believing a result.

    Args:
        space: The study's space.
        result: How the search ended.
        basis: What its scores rest on.

    Returns:
        At most six remarks, the most important first. Their kinds: ``"infeasible"``, ``"gap"``,
        ``"failed"``, ``"diverged"``, ``"constrained"``, ``"few"``, ``"edge"``, ``"short"``,
        ``"tie"``, ``"one_component"`` and ``"optimism"``.
    """
    checks: dict[str, Callable[[Space, StudyResult, Basis], str]] = {
        "infeasible": _infeasible,
        "gap": _gap,
        "failed": _failed,
        "diverged": _diverged,
        "constrained": _constrained,
        "few": _few,
        "edge": _edge,
        "short": _short,
        "tie": _tie,
        "one_component": _one_component,
        "optimism": _optimism,
    }
    found = [Remark(kind, check(space, result, basis)) for kind, check in checks.items()]
    return tuple(remark for remark in found if remark.words)[:MOST]


def _infeasible(space: Space, result: StudyResult, basis: Basis) -> str:
    """The winner breaks constraints, which it does only where nothing keeps them."""
    best = result.best
    if best is None or best.violation == 0:
        return ""
    known = basis.quantities(best)
    told = [
        f"{constraint.words} (it has {_amount(known[constraint.quantity])})"
        for constraint in broken(basis.constraints, known)
    ]
    return (
        f"No trial keeps all constraints. Trial {best.number}, one of those that break them "
        f"least, breaks {_listed(told)}. Loosen what cannot be had, or search elsewhere."
    )


def _constrained(space: Space, result: StudyResult, basis: Basis) -> str:
    """Most of the search went where constraints are broken."""
    apart = [trial for trial in result.trials if trial.violation > 0]
    if len(apart) < max(3, CONSTRAINED * len(result.trials)) or len(apart) == len(result.trials):
        return ""
    most = Counter(
        constraint.words
        for trial in apart
        for constraint in broken(basis.constraints, basis.quantities(trial))
    ).most_common(1)
    told = "".join(f", {_times(count, len(apart))} {words}" for words, count in most)
    return (
        f"{_share(len(apart), len(result.trials))} trials break a constraint{told}. Ranges that "
        "leave out what breaks it leave more trials for the rest."
    )


def _gap(space: Space, result: StudyResult, basis: Basis) -> str:
    winner, test = _winner(result), result.test
    if winner is None or test is None or result.best is None:
        return ""
    gap = basis.worse(winner.mean, test.mean)
    about = (winner.mean + test.mean) / 2
    spread = max(_spread(result.finalists), test.spread)
    chance = STANDARD_ERRORS * basis.gap_by_chance(
        about, result.best.scores, spread, len(test.per_seed)
    )
    if gap <= chance:
        return ""
    return (
        f"Trial {winner.number} had a {basis.metric} of {winner.searched:.4g} in the search and "
        f"{winner.mean:.4g} on fresh seeds, but has {test.mean:.4g} on the {basis.test_rows:,} "
        f"test rows. Chance explains a gap of about {chance:.2g}, not {gap:.2g}. Believe the test "
        "score, and look for rows that belong together (the same person, place or day) on both "
        "sides of a validation split, or for too many trials on few validation rows."
    )


def _optimism(space: Space, result: StudyResult, basis: Basis) -> str:
    """The best of many noisy values is lucky."""
    if not result.finalists:
        return ""
    better = max if basis.larger_is_better else min
    first = better(result.finalists, key=lambda finalist: finalist.searched)
    shrunk = basis.worse(first.searched, first.mean)
    spread, seeds = _spread(result.finalists), len(first.scores)
    if seeds < 2 or shrunk <= STANDARD_ERRORS * spread * math.sqrt(1 + 1 / seeds):
        return ""
    whose = "The finalists'" if basis.constraints else "The search's"
    return (
        f"{whose} best {basis.metric}, {first.searched:.4g} of trial {first.number}, became "
        f"{first.mean:.4g} on fresh seeds. That much was luck: the best of "
        f"{len(_sound(result))} complete trials. Quote the test score instead."
    )


def _failed(space: Space, result: StudyResult, basis: Basis) -> str:
    failed = [trial for trial in result.trials if trial.state == "failed"]
    if len(failed) < max(2, FAILED * len(result.trials)):
        return ""
    (reason, count), *_ = Counter(trial.reason for trial in failed).most_common(1)
    told = f"{_share(len(failed), len(result.trials))} trials failed"
    return _sentence(f"{told}, {_times(count, len(failed))} because: {_shortened(reason)}")


def _diverged(space: Space, result: StudyResult, basis: Basis) -> str:
    diverged = [trial for trial in result.trials if trial.diverged]
    if len(diverged) < max(3, DIVERGED * len(result.trials)):
        return ""
    words = f"{_share(len(diverged), len(result.trials))} trials diverged"
    (optimizer, count), *_ = Counter(
        str(trial.configuration["optimizer"]) for trial in diverged
    ).most_common(1)
    key = f"optimizer.{optimizer}.lr"
    rates = [float(t.configuration[key]) for t in diverged if key in t.configuration]
    words += f", {_times(count, len(diverged))} with {optimizer}"
    if rates:
        words += f" at learning rates of {show(_figures(min(rates)))} and more"
    ranges = {parameter.name: parameter.domain for parameter in space.searched}
    if isinstance(ranges.get(key), Interval):
        return f"{words}. A lower `high` of {key} leaves more trials for rates that work."
    return f"{words}. A lower learning rate helps, or a warm-up."


def _few(space: Space, result: StudyResult, basis: Basis) -> str:
    complete = len([t for t in result.trials if t.state == "complete"])
    # What was not even trained had no chance to be pruned too early.
    pruned = len([t for t in result.trials if t.state == "pruned" and not _is_refused(t)])
    size = space.size()
    if result.best is None or (size is not None and complete + pruned >= size):
        return ""
    if complete < 5 and pruned > 2 * complete:
        return (
            f"Only {_count(complete, 'trial')} of {complete + pruned} ran to the end; the others "
            "were pruned on what they had by then. More trials, or a pruner that starts later, "
            "make the choice surer."
        )
    parameters = len(result.best.params)
    if complete + pruned >= PER_PARAMETER * parameters:
        return ""
    what = "trained trial" if any(map(_is_refused, result.trials)) else "trial"
    are = "is" if complete + pruned == 1 else "are"
    return (
        f"{_count(complete + pruned, what)} {are} few for {parameters} searched parameters: more "
        "are likely to find something better. Raise `--trials`, or fix some values."
    )


def _edge(space: Space, result: StudyResult, basis: Basis) -> str:
    if result.best is None:
        return ""
    found = edges(space, _sound(result), result.best, basis)
    if not found:
        return ""
    alone = f"By {basis.metric} alone: " if basis.objectives > 1 else ""
    return f"{alone}{'; '.join(found)}."


def _short(space: Space, result: StudyResult, basis: Basis) -> str:
    best = result.best
    if best is None or not best.curves:
        return ""
    planned = int(best.configuration["epochs"])
    curves = [
        curve.metrics.get(f"val_{basis.metric}", ())
        for curve in best.curves
        if curve.epochs[-1] == planned
    ]
    # Stopped early or pruned, or longer trials were tried and did not win.
    if len(curves) < len(best.curves) or planned < max(basis.longest, 8):
        return ""
    mean = np.mean(np.array(curves, np.float64), axis=0)
    if len(mean) != planned + 1 or not np.isfinite(mean).all():
        return ""
    better = mean if basis.larger_is_better else -mean
    last, before = np.array_split(better[1:], 8)[-1], np.array_split(better[1:], 8)[-3]
    gain, total = last.mean() - before.mean(), better[1:].max() - better[0]
    steps = np.diff(better[len(better) // 2 :])
    noise = np.std(steps - steps.mean()) / math.sqrt(len(last))
    is_rising = gain > 3 * noise and gain > 0.02 * total
    if not is_rising or better.argmax() < 0.9 * planned:
        return ""
    return (
        f"Trial {best.number} was still getting better when its {planned} epochs ended: "
        f"validation {basis.metric} went from {mean[-1 - planned // 4]:.4g} to {mean[-1]:.4g} in "
        f"the last {planned // 4}. Train longer with a larger `epochs`."
    )


def _tie(space: Space, result: StudyResult, basis: Basis) -> str:
    """Finalists whose fresh scores overlap with the winner's."""
    winner = _winner(result)
    if winner is None or len(winner.scores) < 2:
        return ""
    own = (min(winner.scores), max(winner.scores))
    tied = [f for f in result.finalists[1:] if max(f.scores) >= own[0] and min(f.scores) <= own[1]]
    if not tied:
        return ""
    sizes = {
        trial.number: trial.parameters
        for trial in result.trials
        if trial.number in {f.number for f in (winner, *tied)} and trial.parameters is not None
    }
    numbers = _listed([str(f.number) for f in (winner, *tied)])
    apart = f"told apart by {basis.metric}" if basis.objectives > 1 else "told apart"
    words = (
        f"Trials {numbers} cannot be {apart}: their scores on fresh seeds overlap "
        f"({_listed([f'{f.mean:.4g}' for f in (winner, *tied)])} in the mean)"
    )
    if len(sizes) <= len(tied) or len(set(sizes.values())) == 1:
        return f"{words}."
    smallest = min(sizes, key=lambda number: (sizes[number], number))
    return f"{words}. The smallest, trial {smallest}, has {sizes[smallest]:,} parameters."


def _one_component(space: Space, result: StudyResult, basis: Basis) -> str:
    total = len(result.trials)
    if total < ENOUGH_TRIALS:
        return ""
    told = []
    for parameter in space.searched:
        domain = parameter.domain
        if not isinstance(domain, Choices) or parameter.name.partition(".")[0] not in KINDS:
            continue
        if parameter.when is not None:
            continue
        counts = Counter(_chosen(result.trials, parameter.name))
        value, most = counts.most_common(1)[0]
        if most >= NEARLY_ALL * total:
            rest = [(other, counts[other]) for other in domain.values if other != value]
            few = _listed([f"{show(other)} {count}" for other, count in rest])
            told.append(f"{parameter.name} = {show(value)} got {most} of {total} trials ({few})")
    if not told:
        return ""
    return (
        f"{'; '.join(told)}. The search settled early: so few trials with the others say little "
        "against them."
    )


def _chosen(trials: Iterable[FinishedTrial], name: str) -> list[Scalar]:
    return [trial.configuration[name] for trial in trials if name in trial.configuration]


def _winner(result: StudyResult) -> Finalist | None:
    return next(iter(result.finalists), None)


def _spread(finalists: Sequence[Finalist]) -> float:
    """The standard deviation over fresh seeds, pooled over the finalists."""
    variances = [statistics.variance(f.scores) for f in finalists if len(f.scores) > 1]
    return math.sqrt(statistics.fmean(variances)) if variances else 0.0


def _sound(result: StudyResult) -> list[FinishedTrial]:
    """The complete trials that did not diverge, and keep the constraints if any does."""
    sound = [
        trial
        for trial in result.trials
        if trial.state == "complete" and not trial.diverged and trial.value is not None
    ]
    return [trial for trial in sound if trial.violation == 0] or sound


def _is_refused(trial: FinishedTrial) -> bool:
    """Whether it was never trained, since its size breaks a constraint."""
    return trial.state == "pruned" and trial.violation > 0 and not trial.curves


def _share(count: int, total: int) -> str:
    return f"{count} of {total} ({count / total:.0%})"


def _times(count: int, total: int) -> str:
    return "all" if count == total else f"{count} of them"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _amount(number: float) -> str:
    return f"{number:,.0f}" if number.is_integer() else f"{number:.4g}"


def _figures(number: float) -> float:
    return float(f"{number:.2g}")


def _shortened(reason: str) -> str:
    first = reason.partition("\n")[0]
    return first if len(first) <= 160 else f"{first[:159]}…"


def _sentence(words: str) -> str:
    return words if words.endswith((".", "…", "!", "?")) else f"{words}."
