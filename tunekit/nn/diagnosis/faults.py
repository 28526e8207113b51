"""The faults that a run's measurements can show, each looked for by one function.

All limits lie between what sound networks and faulty ones show on several data sets, see
``tests/benchmarks/diagnosis.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tunekit.nn.diagnosis.history import History, finite, first, late
from tunekit.records import Diagnosis

Check = Callable[[History], Diagnosis | None]
"""Looks for one fault."""

GROWTH = 10.0
"""Activations that grow this much from the first hidden layer to the last explode.

A scaled initializer keeps the ratio near 1 at any depth (Glorot and Bengio, 2010; He et al.,
arXiv:1502.01852); sound networks show 0.8 to 1.2, unscaled weights 100 and more.
"""
SHRINKAGE = 0.01
"""Activations that shrink to this share from the first hidden layer to the last vanish."""
VANISHED = 0.01
"""A hidden layer's gradient norm this small beside the output layer's has vanished.

Sound networks show 0.1 to 3, sigmoid networks of eight layers 1e-5 to 3e-3.
"""
MOST = 0.5
"""A layer of which more than this share is dead or saturated does not do its work.

Sound relu networks lose up to 0.4 of a layer's units, sound tanh networks saturate up to 0.47.
"""
OVERSHOT = 2.0
"""A first epoch whose mean loss is this multiple of the untrained network's went the wrong way.

Dropout, and validation rows on which the untrained network does better, make it up to 1.6.
"""
SWING = 0.04
"""Movement of the losses to and fro, in untrained losses an epoch, that is an oscillation.

Sound runs show 0.03 at most; where a rate is too large, it is 0.04 to 2 unless units died of it.
"""
FALLING = 0.08
"""Share of the validation loss's fall that comes in the last quarter of a run that is too slow.

A steady fall brings 0.25 there, an exponential one over two of its time constants 0.1, over five
0.02. From an untrained loss far above a constant prediction's, a constant loss is the whole.
"""
STEADY = 0.75
"""More than this share of the epochs of that quarter lower a loss that still falls."""
SLOW = 0.4
NEAR = 0.02  # of the scale: as good as the lowest loss
"""A rate that was too small leaves at least this loss, in constant losses."""
MEMORIZED = 0.4
"""Gap between validation and training loss, in constant losses, of a network that overfits.

It says which part of the training loss's fall does not hold for other rows.
"""

UNMOVED = 1e-7
"""A step that changes no layer's weights by more than this share is lost in float32's rounding."""

SCALE_ADVICE = (
    "An initializer scaled to the layers' widths (he_normal, xavier_normal) or normalization "
    "fights it."
)
RATE_ADVICE = "A lower learning rate fights it; a warm-up or gradient clipping may do."


def growth(history: History) -> str:
    """How activations grow through the untrained network, in words, if they do."""
    scales = [first(scale) for scale in history.layers("activation_scale")]
    if len(scales) < 2 or not scales[-1] > GROWTH * scales[0]:
        return ""
    return (
        f"In the untrained network the activations grow from {scales[0]:.2g} in layer 1 to "
        f"{scales[-1]:.2g} in layer {len(scales)}, and the gradients with them."
    )


def _exploding(history: History) -> Diagnosis | None:
    words = growth(history)
    return Diagnosis("exploding", f"{words} {SCALE_ADVICE}") if words else None


def _dead_before(history: History) -> Diagnosis | None:
    shares = history.layers("dead")
    layer, share = _largest([min(first(share), late(share)) for share in shares])
    if not share > MOST:
        return None
    return Diagnosis(
        "dead",
        f"{share:.0%} of layer {layer}'s units are dead from the start: their slope is flat on "
        "every row, so no gradient reaches their weights. Other initial weights and biases, or an "
        "activation that is flat nowhere (leaky_relu, elu), fight it.",
    )


def _saturated_before(history: History) -> Diagnosis | None:
    layer, share = _largest([first(share) for share in history.layers("saturated")])
    if not share > MOST:
        return None
    return Diagnosis(
        "saturated",
        f"Layer {layer} is saturated from the start: {share:.0%} of its activations lie where the "
        f"curve is flat and lets hardly any gradient through. {SCALE_ADVICE}",
    )


def _vanishing_before(history: History) -> Diagnosis | None:
    scales = [first(scale) for scale in history.layers("activation_scale")]
    if len(scales) < 2 or not scales[-1] <= SHRINKAGE * scales[0] or not history.is_stuck:
        return None
    return Diagnosis(
        "vanishing",
        f"In the untrained network the activations shrink from {scales[0]:.2g} in layer 1 to "
        f"{scales[-1]:.2g} in layer {len(scales)}, so that neither the signal nor the gradient "
        f"comes through. {SCALE_ADVICE}",
    )


def _ruined(history: History) -> Diagnosis | None:
    # Any rise counts as a sign of long steps here, for units do not go bad by themselves.
    if not (history.went_up(overshoot=1.0) or history.swing > SWING):
        return None
    for name, what in (
        ("saturated", "activations were driven into saturation"),
        ("dead", "units died"),
    ):
        layer, share = _largest([late(share) for share in history.layers(name)])
        if share > MOST:
            return Diagnosis(
                "rate_too_large",
                f"{share:.0%} of layer {layer}'s {what} in training: the steps are too long. "
                f"{_course(history)} {RATE_ADVICE}",
            )
    return None


def _course(history: History) -> str:
    trained = finite(history.train_loss[1:])
    levels = (history.untrained_loss, trained[0], trained.min(), late(history.train_loss))
    untrained, early, lowest, end = (history.loss_as_recorded(level) for level in levels)
    return (
        f"The loss was {untrained:.2g} before the first step; the training loss was {early:.2g} "
        f"in the first epoch, {lowest:.2g} at its lowest and {end:.2g} in the end."
    )


def _dead(history: History) -> Diagnosis | None:
    layer, share = _largest([late(share) for share in history.layers("dead")])
    if not share > MOST:
        return None
    return Diagnosis(
        "dead",
        f"{share:.0%} of layer {layer}'s units died in training: their slope is flat on every "
        "row, so no gradient reaches their weights. A lower learning rate, a weaker penalty or an "
        "activation that is flat nowhere (leaky_relu, elu) fights it.",
    )


def _saturated(history: History) -> Diagnosis | None:
    layer, share = _largest([late(share) for share in history.layers("saturated")])
    if not share > MOST or not history.is_stuck:
        return None
    return Diagnosis(
        "saturated",
        f"Layer {layer} has saturated: {share:.0%} of its activations lie where the curve is flat "
        "and lets hardly any gradient through. A lower learning rate, weight decay or "
        "normalization fights it.",
    )


def _vanishing(history: History) -> Diagnosis | None:
    norms = [late(norm) for norm in history.layers("gradient_norm")]
    if len(norms) < 2 or not history.is_stuck:
        return None
    *hidden, output = norms
    least = min(hidden)
    if not least <= VANISHED * output:
        return None
    layer = hidden.index(least) + 1
    ratio = "0, as in all others"
    if output:
        share = np.format_float_scientific(least / output, precision=0, trim="-", exp_digits=1)
        ratio = f"{share} of the output layer's"
    return Diagnosis(
        "vanishing",
        f"The gradient at layer {layer} is {ratio}, so the first layers hardly learn. An "
        "activation with a steeper slope (relu, tanh), normalization or fewer layers fight it.",
    )


def _unmoved(history: History) -> Diagnosis | None:
    ratios = [finite(ratio) for ratio in history.layers("update_ratio")]
    largest = max((float(ratio.max()) for ratio in ratios if len(ratio)), default=np.inf)
    if not largest <= UNMOVED:
        return None
    return Diagnosis(
        "rate_too_small",
        f"Nothing moved: no step changed a layer's weights by more than {largest:.0e} of their "
        "size. The learning rate is 0, or too small to change anything.",
    )


def _rate_too_large(history: History) -> Diagnosis | None:
    if history.is_short:
        return None
    if history.swing > SWING:
        return Diagnosis(
            "rate_too_large",
            f"The losses oscillate: they move to and fro by {_times(history.swing)} the untrained "
            f"loss an epoch. {RATE_ADVICE}",
        )
    is_lost = history.is_stuck or late(history.val_loss) > history.untrained_loss
    if history.went_up(OVERSHOT) and is_lost:
        return Diagnosis("rate_too_large", f"{_course(history)} {RATE_ADVICE}")
    return None


def _rate_too_small(history: History) -> Diagnosis | None:
    loss, quarter = history.val_loss, history.last_quarter()
    if history.is_short or history.is_cut or len(quarter) < 2:
        return None
    fall, whole = quarter[0] - quarter[-1], loss[0] - loss[-1]
    is_falling = fall > FALLING * min(whole, history.scale) and fall > 0
    is_steady = (np.diff(quarter) < 0).mean() > STEADY
    # A loss that was lower before is on its way back from where too long steps have led.
    is_lowest = loss[-1] - finite(loss).min() < NEAR * history.scale
    if not (is_falling and is_steady and is_lowest and loss[-1] > SLOW * history.scale):
        return None
    begin, end = (history.loss_as_recorded(level) for level in (loss[0], loss[-1]))
    return Diagnosis(
        "rate_too_small",
        f"The validation loss still falls at the end: {fall / whole:.0%} of its fall from "
        f"{begin:.4g} to {end:.4g} came in the last quarter of the training. A higher learning "
        "rate gets there sooner; so do more epochs.",
    )


def _overfitting(history: History) -> Diagnosis | None:
    validation, training = history.val_loss[1:], late(history.train_loss)
    gap = late(history.val_loss) - training
    if history.is_short or not gap > MEMORIZED * history.scale:
        return None
    best = int(np.nanargmin(validation))
    lowest, end, training = (
        history.loss_as_recorded(level) for level in (validation[best], validation[-1], training)
    )
    return Diagnosis(
        "overfitting",
        f"The training loss fell to {training:.2g}, but the validation loss is {end:.2g}, after "
        f"{lowest:.2g} in epoch {best + 1}: the network learns its rows by heart. Early stopping "
        "(patience), weight decay, dropout, a smaller network or more data fight it.",
    )


def _times(share: float) -> str:
    """A share in words: a percentage, or how often."""
    return f"{share:.0%} of" if share < 2 else f"{share:.0f} times"


def _largest(shares: Sequence[float]) -> tuple[int, float]:
    """The layer, counted from 1, with the largest share, and that share; (0, 0) without any."""
    share = max(shares, default=0.0)
    return (shares.index(share) + 1 if shares else 0), share


FAULTS: tuple[Check, ...] = (
    _exploding,
    _dead_before,
    _saturated_before,
    _vanishing_before,
    _ruined,
    _dead,
    _saturated,
    _vanishing,
    _unmoved,
    _rate_too_large,
    _rate_too_small,
    _overfitting,
)
"""All faults in order of precedence."""
