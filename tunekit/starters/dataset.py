"""The start of a data set."""

import numpy as np

from tunekit import Dataset, Int, Table, hookimpl


class Starter(Dataset):
    """Which apples are ripe: made-up measurements, and their variety.

    An apple of weight `w` and firmness `f` is ripe if
    ``(w - 150) / 25 - 2 (f - usual)`` plus some noise is above 0, where `usual` is what
    its variety has.
    """

    # What a study calls it, in [data] source. A CSV or Parquet file needs no plugin: a
    # study names the file itself.
    name = "starter"
    tasks = ("classification",)

    # Settings. They have no range to search: what is compared has to see the same data.
    rows: int = Int(600, min=20)
    seed: int = Int(0, min=0)

    def load(self) -> Table:
        """Return the whole table; tunekit splits it."""
        # The same rows at every call: a trial can then be repeated, and no row that was
        # set aside for the test comes back into training. So the seed is fixed.
        rng = np.random.default_rng(self.seed)

        weight = rng.normal(150, 25, self.rows)
        firmness = rng.normal(7, 1, self.rows)
        usual = {"gala": 6.5, "boskoop": 7.5, "fuji": 7.0}
        variety = rng.choice(list(usual), self.rows)

        ripeness = (weight - 150) / 25 - 2 * (firmness - [usual[v] for v in variety])
        ripe = ripeness + rng.normal(0, 0.5, self.rows) > 0

        # NaN is a missing value; some apples have not been measured.
        firmness[rng.random(self.rows) < 0.05] = np.nan

        # The columns are raw: texts stay texts, and nothing is scaled or filled in.
        # tunekit does that from the training rows alone; doing it here would let the
        # test rows leak in.
        return Table(
            columns={"weight": weight, "firmness": firmness, "variety": variety},
            target=np.where(ripe, "ripe", "unripe"),
            name=self.name,
            task="classification",  # or "regression", or "multilabel"
        )


@hookimpl
def tunekit_datasets() -> list[type[Dataset]]:
    """Tell tunekit what this file brings; a class that is not listed stays unseen."""
    return [Starter]
