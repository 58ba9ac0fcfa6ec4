"""Pairs of folds, and the mean difference of their errors with a 95% interval.

A pair is two folds with the same test molecules. Its difference is the first fold's test MAE minus the reference's.
Pairs of one test set, those of different seeds, are averaged first: they say nothing of other training sets.

The *corrected resampled t-test* takes the mean over F test sets to have the variance ``(1/F + n_test/n_train) s^2``,
where s^2 is the sample variance of their differences: their training sets overlap (Nadeau & Bengio, Machine Learning
52:239, 2003, section 3; for repeated splits Bouckaert & Frank, PAKDD 2004). n_train is the smaller of a pair's two.
"""

import math
import statistics
from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error
from qm7cli.data.splits import DRAWN
from qm7cli.runs.collect import RunFold

LEVEL: Final = 0.95
POWER: Final = 0.8


class TTest(NamedTuple):
    """The corrected resampled t-test of a mean difference, kcal/mol."""

    interval: tuple[float, float]
    standard_error: float
    p: float
    detectable: float  # the true difference that this test detects with 80% power at 5%, two-sided


class Difference(NamedTuple):
    """Test MAE minus the reference's, kcal/mol: the mean over test sets."""

    mean: float
    percent: float | None  # of the reference's MAE; None where that is 0
    pairs: int
    test_sets: int
    t_test: TTest | None
    untested: str = ""  # why there is no test


class Pair(NamedTuple):
    """Two folds with the same test molecules."""

    test_set: Hashable  # what tells these molecules from others
    difference: float  # of the MAE, kcal/mol
    reference: float  # MAE of the second, kcal/mol
    ratio: float  # n_test / n_train


def make_pair(fold: RunFold, base: RunFold) -> Pair:
    """Return a fold and its reference as a pair; raises QM7Error if their test molecules may differ."""
    check_test_sets(fold, base)
    ratio = fold.result.test_molecules / min(each.result.train_molecules for each in (fold, base))
    return Pair(_test_set(fold), fold.mae - base.mae, base.mae, ratio)


def check_test_sets(fold: RunFold, base: RunFold) -> None:
    """Raise QM7Error unless two folds have the same test molecules by their data set, split and fold number."""
    if _test_set(fold) != _test_set(base):
        both = f"fold {fold.result.fold} of {fold.run.path} and of {base.run.path}"
        raise QM7Error(f"{both} are of different data sets or splits, so their test molecules may differ")


def _test_set(fold: RunFold) -> Hashable:
    """Return the data set's SHA-256, and the split with the fold's number."""
    split = fold.run.results.config.split
    name = split.sha256 or split.file.name if split.file else split.scheme
    drawn = (split.count, split.seed) if split.scheme in DRAWN else ()
    return fold.run.results.dataset.sha256, name, *drawn, fold.result.fold


def paired_difference(pairs: Sequence[Pair]) -> Difference:
    """Return the mean difference over test sets and its test; raises QM7Error if there is no pair."""
    if not pairs:
        raise QM7Error("no fold of one agrees with a fold of the other in number and all other settings")
    by_test_set: dict[Hashable, list[Pair]] = {}
    for pair in pairs:
        by_test_set.setdefault(pair.test_set, []).append(pair)
    means = np.array([statistics.fmean(pair.difference for pair in same) for same in by_test_set.values()])
    reference = statistics.fmean(statistics.fmean(pair.reference for pair in same) for same in by_test_set.values())
    untested = "one test set allows no test" if len(means) == 1 else ""
    if not untested and len(set(means)) == 1:
        untested = "the difference is the same on all test sets, which allows no test"
    mean = float(means.mean())
    percent = 100 * mean / reference if reference else None
    t_test = None if untested else corrected_t(means, statistics.fmean(pair.ratio for pair in pairs))
    return Difference(mean, percent, len(pairs), len(means), t_test, untested)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in the same order (Holm, Scand. J. Statist. 6:65, 1979)."""
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[k]))
        corrected[k] = largest
    return corrected


def corrected_t(means: NDArray[np.float64], ratio: float) -> TTest:
    """Return the test of Nadeau & Bengio (2003) for the mean of differences (test sets,), which are not all equal.

    What is detectable is the standard error times the noncentrality at which Student's t has a power of 0.8 (Owen,
    Journal of the American Statistical Association 60:320, 1965), 3.76 at 4 degrees of freedom.
    """
    from scipy.special import nctdtrinc, stdtr, stdtrit  # noqa: PLC0415 - half a second, for those who compare

    mean, error = float(means.mean()), math.sqrt((1 / len(means) + ratio) * means.var(ddof=1))
    freedom = len(means) - 1
    critical = float(stdtrit(freedom, (1 + LEVEL) / 2))
    interval = (mean - critical * error, mean + critical * error)
    p = float(2 * stdtr(freedom, -abs(mean) / error))
    return TTest(interval, error, p, detectable=float(nctdtrinc(freedom, 1 - POWER, critical)) * error)
