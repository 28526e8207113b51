"""Learning-rate schedules. All lengths are shares of the run, so they hold for any run length.

Below, `f` is ``progress.fraction``, which runs from 0 towards 1.
"""

from __future__ import annotations

import math

from tunekit import Float, Int, Progress, Schedule, hookimpl


class Constant(Schedule):
    """The same learning rate all the way: ``1``."""

    name = "constant"

    def factor(self, progress: Progress) -> float:
        return 1.0


class StepDecay(Schedule):
    """Drop the learning rate at regular intervals (as in He et al., arXiv:1512.03385).

    The run is cut into ``drops + 1`` equal stretches; in the k-th, counted from 0, the factor is
    ``decay^k``.
    """

    name = "step"
    drops: int = Int(2, low=1, high=5, min=0)
    decay: float = Float(0.1, low=0.1, high=0.7, min=0.0, max=1.0)

    def factor(self, progress: Progress) -> float:
        # In whole numbers: 49 * (1 / 49) is below 1, and would drop a step late.
        stretch = progress.step * (self.drops + 1) // progress.steps
        return self.decay ** min(stretch, self.drops)


class Exponential(Schedule):
    """Shrink the learning rate by the same ratio each step: ``final^f``."""

    name = "exponential"
    final: float = Float(0.01, low=1e-3, high=0.5, log=True, min=0.0, max=1.0)

    def factor(self, progress: Progress) -> float:
        return float(self.final**progress.fraction)


class Cosine(Schedule):
    """Half a cosine from 1 down to `floor` (Loshchilov and Hutter, arXiv:1608.03983).

    ``floor + (1 - floor) (1 + cos(pi f)) / 2``, without restarts.
    """

    name = "cosine"
    floor: float = Float(0.0, low=0.0, high=0.2, min=0.0, max=1.0)

    def factor(self, progress: Progress) -> float:
        return _glide(1.0, self.floor, progress.fraction)


class WarmupCosine(Schedule):
    """A linear warm-up (Goyal et al., arXiv:1706.02677), then half a cosine down to `floor`.

    The warm-up takes the share `warmup` of the run, ``W = warmup * steps``; before step ``s < W``
    the factor is ``(s + 1) / (W + 1)``, so that the first step is not lost.
    """

    name = "warmup_cosine"
    warmup: float = Float(0.1, low=0.01, high=0.3, min=0.0, max=0.99)
    floor: float = Float(0.0, low=0.0, high=0.2, min=0.0, max=1.0)

    def factor(self, progress: Progress) -> float:
        rising = self.warmup * progress.steps
        if progress.step < rising:
            return (progress.step + 1) / (rising + 1)
        return _glide(1.0, self.floor, (progress.fraction - self.warmup) / (1 - self.warmup))


class OneCycle(Schedule):
    """Up to the peak and down to almost nothing (Smith and Topin, arXiv:1708.07120).

    The optimizer's learning rate is the peak. The factor glides along half a cosine from
    ``1 / start_divisor`` up to 1, over the share `warmup` of the run, and along another down to
    ``1 / (start_divisor * final_divisor)``.
    """

    name = "one_cycle"
    warmup: float = Float(0.3, low=0.1, high=0.5, min=0.0, max=0.99)
    start_divisor: float = Float(25.0, low=5.0, high=50.0, log=True, min=1.0)
    final_divisor: float = Float(1e4, min=1.0)

    def factor(self, progress: Progress) -> float:
        start = 1 / self.start_divisor
        if progress.fraction < self.warmup:
            return _glide(start, 1.0, progress.fraction / self.warmup)
        falling = (progress.fraction - self.warmup) / (1 - self.warmup)
        return _glide(1.0, start / self.final_divisor, falling)


def _glide(begin: float, end: float, fraction: float) -> float:
    """Half a cosine from `begin` to `end`; beyond the ends it stays there."""
    fraction = min(max(fraction, 0.0), 1.0)
    weight = (1 + math.cos(math.pi * fraction)) / 2
    return weight * begin + (1 - weight) * end


@hookimpl
def tunekit_schedules() -> list[type[Schedule]]:
    """Bring the built-in schedules."""
    return [Constant, StepDecay, Exponential, Cosine, WarmupCosine, OneCycle]
