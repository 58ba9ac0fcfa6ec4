"""Intervals that hold the true energy of 90% of molecules: split conformal prediction, scaled by the spread.

What a model has not been trained on tells how wrong it is. With the errors e_i and the spreads s_i over draws of its n
held-out molecules, the score of each is ``|e_i| / (s_i + s0)``, and a new molecule has the interval

    energy +- q (s + s0),        q = the ceil(0.9 (n + 1))-th smallest score,

which holds its true energy with a probability of 90% or more if it comes from where the held-out molecules come from
(exchangeability), whatever the network and the errors are. It promises nothing for a molecule outside of the domain.

The constant s0 is `BASE` times the median of the s_i. Spreads alone (s0 = 0) say little about errors: a molecule whose
draws happen to agree would have next to no interval.

Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005; Papadopoulos et al., ECML 2002; Lei et al.,
JASA 113:1094, 2018 (section 5.2, locally weighted).
"""

import math
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

LEVEL: Final = 0.9  # of molecules whose true energy is to be inside
BASE: Final = 3.0  # s0 in median spreads
ROUNDING: Final = 1e-4  # kcal/mol; a smaller spread is that of float32, which has seven digits of an energy


class Interval(NamedTuple):
    """Half widths ``base + slope * spread`` of a model's intervals, for energies averaged over its number of draws."""

    base: float  # kcal/mol
    slope: float  # 0 if the held-out molecules had no spread but rounding

    @classmethod
    def of(cls, errors: NDArray[np.float64], spreads: NDArray[np.float64] | None) -> Self | None:
        """Return the interval calibrated on held-out molecules; None if there are too few, fewer than 9.

        `errors` are predicted minus true energies (molecules,), kcal/mol, `spreads` sample standard deviations over
        draws, likewise, or None for a single draw.
        """
        rank = math.ceil((len(errors) + 1) * LEVEL)
        if rank > len(errors):
            return None
        typical = 0.0 if spreads is None else float(np.median(spreads))
        if spreads is None or not typical > ROUNDING:
            return cls(float(np.sort(np.abs(errors))[rank - 1]), 0.0)
        constant = BASE * typical
        quantile = float(np.sort(np.abs(errors) / (spreads + constant))[rank - 1])
        return cls(quantile * constant, quantile)

    def half_widths(self, spreads: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Return the half widths, kcal/mol, for spreads (molecules,), kcal/mol; one, (1,), for all where None."""
        return self.base + self.slope * (np.zeros(1) if spreads is None else spreads)


def rank_correlation(errors: NDArray[np.float64], spreads: NDArray[np.float64] | None) -> float | None:
    """Return Spearman's rank correlation of the sizes of errors and spreads, (molecules,); None if either has none."""
    from scipy.stats import spearmanr  # noqa: PLC0415 - slow to import

    sizes = np.abs(errors)
    return None if spreads is None or not np.ptp(sizes) or not np.ptp(spreads) else float(spearmanr(sizes, spreads)[0])
