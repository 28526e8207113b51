"""The start of a learning-rate schedule."""

from tunekit import Float, Progress, Schedule, hookimpl


class Starter(Schedule):
    """Hold the learning rate, then let it fall in a straight line.

    The factor is 1 while the fraction `f` of the run is below `hold`, then
    ``1 - (1 - floor) (f - hold) / (1 - hold)``.
    """

    name = "starter"  # what a study calls it

    # The hyperparameters: a default, the range that a search looks at, and the limits
    # beyond which a value makes no sense. They are shares, so that they suit long and
    # short runs.
    hold: float = Float(0.5, low=0.1, high=0.9, min=0.0, max=0.99)
    floor: float = Float(0.0, low=0.0, high=0.2, min=0.0, max=1.0)

    def factor(self, progress: Progress) -> float:
        """Say before every step what the optimizer's rate is multiplied with."""
        # A factor, usually from 0 to 1, and not a rate: the rate is the optimizer's,
        # and the schedule has to work with any. Warm-up is the study's ([train]
        # warmup).
        #
        # `fraction` goes from 0 to 1 over the run. Counting epochs or steps instead
        # would tie the schedule to one length: a search trains for 5 epochs here and
        # for 100 there.
        if progress.fraction < self.hold:
            return 1.0
        falling = (progress.fraction - self.hold) / (1 - self.hold)

        # Everything comes from `progress`. `self` remembers nothing, so that training
        # can stop and go on anywhere, and come to the same weights.
        return 1 - (1 - self.floor) * falling


@hookimpl
def tunekit_schedules() -> list[type[Schedule]]:
    """Tell tunekit what this file brings; a class that is not listed stays unseen."""
    return [Starter]
