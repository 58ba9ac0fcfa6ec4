"""Pairs of folds and the mean difference of their errors, with two 95 % intervals.

A pair is two folds with the same test molecules. Its difference is the first fold's test MAE less the other's, the
reference's. Pairs of one test set, those of different seeds, are averaged first: their training sets are the same, so
they are not evidence of their own about other training sets.

- The *corrected resampled t-test* takes the mean over F test sets to have the variance ``(1/F + n_test/n_train) s^2``,
  where s^2 is the sample variance of their differences: their training sets overlap (Nadeau & Bengio, Machine Learning
  52:239, 2003, section 3; for repeated splits Bouckaert & Frank, PAKDD 2004). Where the two of a pair were trained on
  different numbers of molecules, n_train is the smaller, which makes the interval wider rather than too narrow. The
  folds' MAE and numbers of molecules, as ``results.yaml`` has them, are all that it needs.
- The *bootstrap* resamples the molecules of each test set (percentiles). It holds the trained networks fixed: it tells
  how much the difference depends on which molecules were tested. It needs ``predictions.csv``.

Of m comparisons in one table some come out at 5 % by chance alone; `holm` corrects their p-values for it.
"""

import math
import statistics
from collections.abc import Hashable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error
from qm7cli.data.splits import DRAWN
from qm7cli.runs.collect import RunFold
from qm7cli.runs.predictions import Predictions, predictions_file, read_predictions

LEVEL: Final = 0.95
POWER: Final = 0.8  # four of five
RESAMPLES: Final = 4999
Interval = tuple[float, float]


class TTest(NamedTuple):
    """The corrected resampled t-test of a mean difference, kcal/mol.

    `detectable` is the true difference that such a comparison, with the same standard error, finds in four of five
    cases at 5 %, two-sided: the standard error times the noncentrality at which Student's t has that power (Owen,
    Journal of the American Statistical Association 60:320, 1965), 3.76 at 4 degrees of freedom.
    """

    interval: Interval
    standard_error: float
    p: float
    detectable: float


class Difference(NamedTuple):
    """Test MAE less the reference's, kcal/mol: the mean over test sets.

    `percent` is of the reference's MAE, None where that is 0. Where `t_test` is None, `untested` says why. `bootstrap`
    is None where predictions are missing, test sets overlap, as those of several splits, or have one molecule.
    """

    mean: float
    percent: float | None
    pairs: int
    test_sets: int
    t_test: TTest | None
    bootstrap: Interval | None
    untested: str = ""


class Sample(NamedTuple):
    """The test molecules of a pair, as rows of the data set, and the difference of their absolute errors (kcal/mol)."""

    molecules: NDArray[np.intp]
    differences: NDArray[np.float64]


class Pair(NamedTuple):
    """Two folds with the same test molecules.

    `difference` is that of their MAE, `reference` the MAE of the second (kcal/mol). `dataset` is a SHA-256, `fold` what
    tells the test set among those of one data set by the settings. `ratio` is n_test / n_train, None if unknown.
    """

    dataset: str
    fold: Hashable
    difference: float
    reference: float
    ratio: float | None
    sample: Sample | None = None


def predictions_if_any(fold: RunFold) -> Predictions | None:
    """Return a fold's predictions, None if it has no file of them; raises QM7Error if that is damaged."""
    exists = predictions_file(fold.run.path, fold.result.fold).exists()
    return read_predictions(fold.run.path, fold.result) if exists else None


def make_pair(fold: RunFold, base: RunFold, ours: Predictions | None, theirs: Predictions | None) -> Pair:
    """Return a fold and its reference as a pair, with their predictions if both have them.

    Raises QM7Error if their test molecules differ. Without predictions the data set, split and fold number tell.
    """
    number, sample = fold.result.fold, None
    if ours is not None and theirs is not None:
        if not all(map(np.array_equal, ours[:2], theirs[:2])):
            raise QM7Error(f"fold {number} of {fold.run.path} and of {base.run.path} have different test molecules")
        sample = Sample(ours.molecules, np.abs(ours.errors) - np.abs(theirs.errors))
    else:
        check_test_sets(fold, base)
    sizes = [each.result.train_molecules for each in (fold, base)]
    tested = _tested(fold, ours) or _tested(base, theirs)
    dataset, test_set = _test_set(fold)
    return Pair(
        dataset=dataset,
        fold=test_set,
        difference=fold.mae - base.mae,
        reference=base.mae,
        ratio=None if tested is None or None in sizes else tested / min(size for size in sizes if size),
        sample=sample,
    )


def check_test_sets(fold: RunFold, base: RunFold) -> None:
    """Raise QM7Error unless data set, split and fold number, which need no predictions, say that two folds agree."""
    if _test_set(fold) != _test_set(base):
        raise QM7Error(
            f"fold {fold.result.fold} of {fold.run.path} and of {base.run.path} are of different data sets or splits, "
            "and have no predictions that show whether their test molecules are the same"
        )


def _test_set(fold: RunFold) -> tuple[str, Hashable]:
    """Return what tells a fold's test set: the data set's SHA-256, and the split with the fold's number."""
    split = fold.run.results.config.split
    name = split.sha256 or split.file.name if split.file else split.scheme
    drawn = (split.count, split.seed) if split.scheme in DRAWN else ()
    return fold.run.results.dataset.sha256, (name, *drawn, fold.result.fold)


def _tested(fold: RunFold, predictions: Predictions | None) -> int | None:
    """Return the number of a fold's test molecules; None if nothing tells it."""
    if predictions is not None:
        return len(predictions.molecules)
    if fold.result.test_molecules:
        return fold.result.test_molecules
    split, trained = fold.run.results.config.split, fold.result.train_molecules
    if split.file or split.train_size is not None or trained is None:
        return None
    left = (fold.run.results.dataset.molecules or 0) - trained  # every molecule is dealt
    return left if left > 0 else None


def paired_difference(pairs: Sequence[Pair]) -> Difference:
    """Return the mean difference over test sets and its intervals; raises QM7Error if there is no pair."""
    if not pairs:
        raise QM7Error("no fold of one agrees with a fold of the other in number and all other settings")
    predicted = all(pair.sample is not None for pair in pairs)
    by_test_set: dict[Hashable, list[Pair]] = {}
    for pair in pairs:  # two splits may have a test set in common, which only its molecules show
        test_set = pair.sample.molecules.tobytes() if predicted and pair.sample else pair.fold
        by_test_set.setdefault((pair.dataset, test_set), []).append(pair)
    test_sets = list(by_test_set.values())
    means = np.array([statistics.fmean(pair.difference for pair in same) for same in test_sets])
    reference = statistics.fmean(statistics.fmean(pair.reference for pair in same) for same in test_sets)
    ratios = [pair.ratio for pair in pairs if pair.ratio is not None]
    untested = ""
    if len(means) == 1:
        untested = "one test set allows no test"
    elif len(ratios) < len(pairs):
        untested = "no results.yaml tells how many molecules were trained on and tested, so there is no test"
    elif len(set(means)) == 1:
        untested = "the difference is the same on all test sets, which allows no test"
    return Difference(
        mean=float(means.mean()),
        percent=100 * float(means.mean()) / reference if reference else None,
        pairs=len(pairs),
        test_sets=len(test_sets),
        t_test=None if untested else _corrected_t(means, statistics.fmean(ratios)),
        bootstrap=_bootstrap(test_sets) if predicted else None,
        untested=untested,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in the same order (Holm, Scand. J. Statist. 6:65, 1979).

    Whatever the true differences, the chance that one of those that are 0 comes out below 5 % is 5 % at most.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[k]))
        corrected[k] = largest
    return corrected


def _corrected_t(means: NDArray[np.float64], ratio: float) -> TTest:
    """Return the test of Nadeau & Bengio (2003) for the mean of the test sets' differences, which are not all equal."""
    from scipy.special import nctdtrinc, stdtr, stdtrit  # noqa: PLC0415 - half a second, for those who compare

    mean, error = float(means.mean()), math.sqrt((1 / len(means) + ratio) * means.var(ddof=1))
    freedom = len(means) - 1
    critical = float(stdtrit(freedom, (1 + LEVEL) / 2))
    return TTest(
        interval=(mean - critical * error, mean + critical * error),
        standard_error=error,
        p=float(2 * stdtr(freedom, -abs(mean) / error)),
        detectable=float(nctdtrinc(freedom, 1 - POWER, critical)) * error,
    )


def _bootstrap(test_sets: Sequence[Sequence[Pair]]) -> Interval | None:
    """Return the interval of the mean over test sets when the molecules of each are resampled.

    None where test sets overlap, or one has a single molecule.
    """
    from scipy.stats import bootstrap  # noqa: PLC0415 - likewise

    tested = [(same[0].dataset, [pair.sample for pair in same if pair.sample]) for same in test_sets]
    samples = [np.mean([sample.differences for sample in same], axis=0) for _, same in tested]  # (molecules,) each
    molecules = [(dataset, row) for dataset, same in tested for row in same[0].molecules.tolist()]
    if len(set(molecules)) < len(molecules) or any(len(sample) == 1 for sample in samples):
        return None

    def mean(*drawn: NDArray[np.float64], axis: int) -> Any:
        return sum(sample.mean(axis=axis) for sample in drawn) / len(drawn)

    options: dict[str, Any] = {"n_resamples": RESAMPLES, "batch": 100, "confidence_level": LEVEL, "rng": 0}
    interval = bootstrap(samples, mean, method="percentile", **options).confidence_interval
    return float(interval.low), float(interval.high)
