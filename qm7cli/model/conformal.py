"""Intervals that hold the true energy of 90% of molecules: split conformal prediction, scaled by the spread.

What a model has not been trained on tells how wrong it is. With the errors e_i and the spreads s_i over draws of its n
held-out molecules, the score of each is ``|e_i| / (s_i + s0)``, and a new molecule has the interval

    energy +- q (s + s0),        q = the ceil(level (n + 1))-th smallest score,

which holds its true energy with a probability of `level` (0.9) or more if it comes from where the held-out molecules
come from (exchangeability), whatever the network and the errors are. It promises nothing outside of the domain.

The constant s0 is `BASE` times the median of the s_i. Spreads alone (s0 = 0) say little about errors: a molecule whose
draws happen to agree would have next to no interval. Scaled by a fit of |e_i| to s_i and to the molecule's score in the
applicability domain instead, 90% intervals of QM7's five folds are not narrower on average (0 to 2% wider).

Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005; Papadopoulos et al., ECML 2002; Lei et al.,
JASA 113:1094, 2018 (section 5.2, locally weighted).
"""

import math
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error

LEVEL: Final = 0.9  # of molecules whose true energy is to be inside, unless another is asked for
LEVELS: Final = (0.5, 0.99)  # the lowest and the highest that may be
BASE: Final = 3.0  # s0 in median spreads
ROUNDING: Final = 1e-4  # kcal/mol; a smaller spread is that of float32, which has seven digits of an energy


class Interval(NamedTuple):
    """Half widths ``q (base + slope * spread)`` of a model's intervals; q is the quantile of the level asked for."""

    scores: NDArray[np.float64]  # of the held-out molecules, in order, (molecules,); kcal/mol if the slope is 0
    base: float  # kcal/mol; 1 if the slope is 0
    slope: float  # 1, or 0 if the held-out molecules had no spread but rounding

    @classmethod
    def of(cls, errors: NDArray[np.float64], spreads: NDArray[np.float64] | None) -> Self:
        """Return the interval calibrated on held-out molecules, by errors and spreads over draws, (molecules,) each."""
        typical = 0.0 if spreads is None or not len(spreads) else float(np.median(spreads))
        if spreads is None or not typical > ROUNDING:
            return cls(np.sort(np.abs(errors)), 1.0, 0.0)
        return cls(np.sort(np.abs(errors) / (spreads + BASE * typical)), BASE * typical, 1.0)

    def quantile(self, level: float = LEVEL) -> float | None:
        """Return q; None if the held-out molecules are too few, as 8 are for 0.9. Raises QM7Error if none can be."""
        if not LEVELS[0] <= level <= LEVELS[1]:
            raise QM7Error(f"the level is {level:g}; it should be {LEVELS[0]} to {LEVELS[1]}")
        rank = math.ceil(round((len(self.scores) + 1) * level, 9))
        return float(self.scores[rank - 1]) if rank <= len(self.scores) else None

    def half_widths(self, spreads: NDArray[np.float64] | None, level: float = LEVEL) -> NDArray[np.float64] | None:
        """Return the half widths for spreads, (molecules,) kcal/mol, one for all, (1,), where None; None as for q."""
        q = self.quantile(level)
        return None if q is None else q * self.base + q * self.slope * (np.zeros(1) if spreads is None else spreads)


def rank_correlation(errors: NDArray[np.float64], spreads: NDArray[np.float64] | None) -> float | None:
    """Return Spearman's rank correlation of the sizes of errors and spreads, (molecules,); None if either has none."""
    from scipy.stats import spearmanr  # noqa: PLC0415 - slow to import

    sizes = np.abs(errors)
    return None if spreads is None or not np.ptp(sizes) or not np.ptp(spreads) else float(spearmanr(sizes, spreads)[0])
