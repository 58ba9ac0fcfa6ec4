"""The search for a baseline's hyperparameters that are not given.

They minimize the inner error: in three inner folds of the training molecules, the model is fitted to all forms of the
others, and its predictions are averaged over the forms of those held out. Where molecules have several forms, `knn` and
`krr` search on at most `SEARCHED`, or as many as there are training molecules: of fewer, spread over the energies.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.splits import Molecules, stratified
from qm7cli.model.baseline_names import HYPERPARAMETERS, Hyperparameters
from qm7cli.model.regressors import DISTANCE_MODELS, Array, fit_model, model_rows
from qm7cli.runs.settings import Baseline
from qm7cli.training.claim_fold import FoldWork

INNER_FOLDS: Final = 3
SEARCHED: Final = 8000  # forms of molecules whose distances are looked at in the search, if there are several of each
SAMPLE: Final = 1000  # molecules whose mean distance is taken
NEIGHBOURS: Final = (1, 2, 3, 5, 8, 13)
SCALES: Final = (1.0, 4.0, 16.0, 64.0)  # in mean distances of the training molecules
RIDGES: Final[dict[str | None, Sequence[float]]] = {"linear": (1e-4, 1e-2, 1.0, 100.0), "krr": (1e-8, 1e-6, 1e-4, 1e-2)}
FINER: Final = {"scale": (0.5, 1.0, 2.0), "ridge": (0.1, 1.0, 10.0)}  # around the best


def searched_keys(settings: Baseline) -> list[str]:
    """Return the hyperparameters that a model takes and that are not given."""
    return [key for key in HYPERPARAMETERS[settings.model] if getattr(settings, key) is None]


def searched_molecules(settings: Baseline, n: int) -> int:
    """Return on how many of n training molecules hyperparameters are searched."""
    draws = settings.draws or 1
    return n if settings.model not in DISTANCE_MODELS else min(n, max(n, SEARCHED) // draws)


def find_hyperparameters(
    work: FoldWork, X: Sequence[NDArray[np.float32]], y: Array
) -> tuple[Hyperparameters, int] | None:
    """Find the hyperparameters of the least inner error; report each trial, and look for a stop before it.

    X are the representations of the training molecules in each draw, (molecules, d); y (molecules,) float64 is what is
    to be learned of their energies, kcal/mol. Returns also the number of trials, 1 if all are given; None if stopped.
    """
    settings = work.experiment.baseline
    coarse = coarse_candidates(settings, X[0])
    trials = len(coarse) + len(finer_candidates(settings, coarse[0]))
    if trials == 1:
        return coarse[0], trials
    count = searched_molecules(settings, len(y))
    evenly = (2 * np.arange(count) + 1) * len(y) // (2 * count)  # places in the order of the energies
    some = np.sort(np.argsort(y, kind="stable")[evenly])
    inner = stratified(y[some], INNER_FOLDS, stream(work.experiment.seed, work.fold.number, Purpose.INNER_FOLDS))
    points = np.concatenate([draw[some] for draw in X])  # (draws molecules, d)
    rows = model_rows(settings, points, points)
    tried: list[tuple[float, Hyperparameters]] = []

    def candidates() -> Iterator[Hyperparameters]:
        yield from coarse
        yield from finer_candidates(settings, min(tried, key=itemgetter(0))[1])

    for candidate in candidates():
        if work.stopped():
            return None
        work.report_progress(len(tried), trials, unit="trial")
        tried.append((inner_error(settings, candidate, rows, y[some], inner), candidate))
    return min(tried, key=itemgetter(0))[1], trials


def coarse_candidates(settings: Baseline, X: NDArray[np.float32]) -> list[Hyperparameters]:
    """Return the candidates to try first for training molecules X (molecules, d); one, if all is given."""
    grid: dict[str, Sequence[float]] = {}
    for key in HYPERPARAMETERS[settings.model]:
        given = getattr(settings, key)
        if given is not None:
            grid[key] = [given]
        elif key == "neighbours":
            grid[key] = [k for k in NEIGHBOURS if k <= len(X) // INNER_FOLDS]
        elif key == "ridge":
            grid[key] = RIDGES[settings.model]
        else:
            some = X[:: -(-len(X) // SAMPLE)]
            distance = float(model_rows(settings, some, some).mean())
            grid[key] = [(distance**0.5 if settings.kernel == "gaussian" else distance) * factor for factor in SCALES]
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def finer_candidates(settings: Baseline, best: Hyperparameters) -> list[Hyperparameters]:
    """Return the candidates around the best, without it, to try next."""
    searched = [key for key in searched_keys(settings) if key in FINER]
    around = [
        best | {key: best[key] * factor for key, factor in zip(searched, factors, strict=True)}
        for factors in product(*(FINER[key] for key in searched))
    ]
    return [candidate for candidate in around if candidate != best]


def inner_error(
    settings: Baseline, candidate: Hyperparameters, rows: Array, y: Array, folds: Sequence[Molecules]
) -> float:
    """Return the mean absolute error over inner folds, infinite if a matrix is singular.

    `rows` are those of the molecules in one draw after the other; predictions are means over the draws.
    """
    starts = np.arange(0, len(rows), len(y))[:, None]  # of the draws, (draws, 1)
    errors = []
    for fold in folds:
        train = np.setdiff1d(np.arange(len(y)), fold)
        fitted, held_out = ((starts + part).ravel() for part in (train, fold))
        ours, theirs = (
            rows[np.ix_(part, fitted)] if settings.model in DISTANCE_MODELS else rows[part]
            for part in (fitted, held_out)
        )
        try:
            regressor = fit_model(settings, candidate, ours, np.tile(y[train], len(starts)))
        except LinAlgError:
            return math.inf
        errors.append(abs(regressor.predict(theirs).reshape(len(starts), -1).mean(axis=0) - y[fold]))
    return float(np.concatenate(errors).mean())
