"""Pairs of folds and the mean difference of their errors, with two 95 % intervals.

A pair is two folds with the same test molecules. Its difference is the mean over the molecules of the difference of the
absolute errors. Pairs of one test set, those of different seeds, are averaged first: their training sets are the same,
so they are no evidence of their own about other training sets.

- The *bootstrap* draws the molecules of each test set anew (percentiles). It holds the trained networks fixed: it tells
  how much the difference depends on which molecules were tested.
- The *corrected resampled t-test* takes the mean over F test sets to have the variance ``(1/F + n_test/n_train) s^2``,
  where s^2 is the sample variance of their differences: their training sets overlap (Nadeau & Bengio, Machine Learning
  52:239, 2003, section 3; for repeated splits Bouckaert & Frank, PAKDD 2004). Where the two of a pair were trained on
  different numbers of molecules, n_train is the smaller, which makes the interval wider rather than too narrow.
"""

import csv
import io
import math
import statistics
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qm7cli.collect import Run
from qm7cli.dataset import LARGEST
from qm7cli.errors import QM7Error
from qm7cli.files import read_text
from qm7cli.results import fold_directory

LEVEL: Final = 0.95
RESAMPLES: Final = 4999
Interval = tuple[float, float]


class FoldOf(NamedTuple):
    """A fold of a run: its record in ``results.yaml``."""

    run: Run
    record: dict[str, Any]


class Difference(NamedTuple):
    """Test MAE less the baseline's, kcal/mol, and its 95 % intervals.

    `t_test` is None for one test set, `bootstrap` where test sets overlap, as those of several splits, or have one
    molecule.
    """

    mean: float
    pairs: int
    bootstrap: Interval | None
    t_test: Interval | None


class Pair(NamedTuple):
    """The test molecules of two folds, the difference of their absolute errors (kcal/mol), and n_test / n_train."""

    molecules: NDArray[np.intp]
    differences: NDArray[np.float64]
    ratio: float


def read_pair(fold: FoldOf, base: FoldOf) -> Pair:
    """Read the predictions of two folds; raises QM7Error if they are not of the same molecules."""
    ours, theirs, number = read_predictions(fold), read_predictions(base), fold.record["fold"]
    if not np.array_equal(ours[:2], theirs[:2]):
        raise QM7Error(f"fold {number} of {fold.run.path} and of {base.run.path} have different test molecules")
    sizes = [each.record["train_molecules"] for each in (fold, base)]
    if None in sizes:
        untold = (fold, base)[sizes.index(None)].run.path
        what = f"how many molecules fold {number} was trained on"
        raise QM7Error(f"{untold}/results.yaml does not tell {what}; --overwrite trains it again")
    errors, base_errors = (np.abs(table[2] - table[1]) for table in (ours, theirs))
    return Pair(ours[0].astype(np.intp), errors - base_errors, len(errors) / min(sizes))


def read_predictions(fold: FoldOf) -> NDArray[np.float64]:
    """Return molecule, target and prediction (kcal/mol) of a fold's test molecules, (3, molecules).

    Raises
    ------
    QM7Error
        If ``predictions.csv`` is missing or damaged.
    """
    path = fold_directory(fold.run.path, fold.record["fold"]) / "predictions.csv"
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines()[1:] if line.strip()]
        table = np.loadtxt(lines, delimiter=",", usecols=(0, 1, 2), ndmin=2) if lines else np.empty((0, 3))
    except FileNotFoundError as error:
        raise QM7Error(f"{path} is missing") from error
    except (OSError, ValueError, IndexError) as error:
        raise QM7Error(f"{path} is damaged: {getattr(error, 'strerror', None) or error}") from error
    if not len(table) or not (np.abs(table) < LARGEST).all():
        raise QM7Error(f"{path} is damaged: it lacks predictions, or has some that are no energies")
    return table.T  # (3, molecules)


def read_history(fold: FoldOf) -> dict[int, float]:
    """Return the test MAE (kcal/mol) of a fold by iteration; raises QM7Error if the file is missing or damaged."""
    path = fold_directory(fold.run.path, fold.record["fold"]) / "history.csv"
    try:
        rows = csv.DictReader(io.StringIO(read_text(path)))
        history = {int(row["iteration"]): float(row["test_mae"]) for row in rows}
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise QM7Error(f"{path} is damaged: {error}") from error
    if not history or not all(iteration > 0 and 0 < mae < LARGEST for iteration, mae in history.items()):
        raise QM7Error(f"{path} is damaged: it has no rows, or some that are no errors")
    return history


def paired_difference(pairs: Sequence[Pair]) -> Difference:
    """Return the mean difference over test sets and its intervals; raises QM7Error if there is no pair."""
    if not pairs:
        raise QM7Error("no fold of one agrees with a fold of the other in number and all other settings")
    test_sets: dict[bytes, list[Pair]] = {}
    for pair in pairs:
        test_sets.setdefault(pair.molecules.tobytes(), []).append(pair)
    samples = [np.mean([pair.differences for pair in same], axis=0) for same in test_sets.values()]  # (molecules,) each
    means = np.array([sample.mean() for sample in samples])
    t_test = _corrected_t(means, statistics.fmean(pair.ratio for pair in pairs)) if len(means) > 1 else None
    molecules = np.concatenate([same[0].molecules for same in test_sets.values()])
    apart = len(np.unique(molecules)) == len(molecules) and all(len(sample) > 1 for sample in samples)
    return Difference(float(means.mean()), len(pairs), _bootstrap(samples) if apart else None, t_test)


def _corrected_t(means: NDArray[np.float64], ratio: float) -> Interval:
    """Return the interval of Nadeau & Bengio (2003) for the mean of the test sets' differences."""
    from scipy.special import stdtrit  # noqa: PLC0415 - half a second, for those who compare

    error = math.sqrt((1 / len(means) + ratio) * means.var(ddof=1))
    margin = stdtrit(len(means) - 1, (1 + LEVEL) / 2) * error
    return float(means.mean() - margin), float(means.mean() + margin)


def _bootstrap(samples: Sequence[NDArray[np.float64]]) -> Interval:
    """Return the interval of the mean over test sets when the molecules of each are drawn anew."""
    from scipy.stats import bootstrap  # noqa: PLC0415 - likewise

    def mean(*drawn: NDArray[np.float64], axis: int) -> Any:
        return sum(sample.mean(axis=axis) for sample in drawn) / len(drawn)

    options: dict[str, Any] = {"n_resamples": RESAMPLES, "batch": 100, "confidence_level": LEVEL, "rng": 0}
    interval = bootstrap(samples, mean, method="percentile", **options).confidence_interval
    return float(interval.low), float(interval.high)
