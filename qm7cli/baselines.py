"""Baselines: simpler models of the same molecules and folds, for comparison.

    mean      the mean training energy
    knn       the mean energy of the nearest training molecules (Euclidean)
    linear    ridge regression: w = (X^T X + ridge I)^-1 X^T y
    krr       kernel ridge regression: a = (K + ridge I)^-1 y, by Cholesky, with the kernel
              exp(-|x - x'|_2^2 / (2 scale^2)), gaussian, or exp(-|x - x'|_1 / scale), laplacian

X is the eigenspectrum of the Coulomb matrix, largest magnitude first (Rupp et al., PRL 108:058301, 2012), the upper
triangle of its sorted form, or of several random-sorted forms (Montavon et al., NIPS 2012, section 3), over which the
predictions are averaged. All is in float64; energies y (and X in `linear`) are less their training means.

Hyperparameters that are not given are those of the least inner error: in three inner folds of the training molecules,
the model is fitted to all forms of the others, and its predictions are averaged over the forms of those held out. Where
there are several forms of a molecule, `knn` and `krr` do so with at most `SEARCHED` forms, or as many as there are
training molecules if that is more: those of fewer molecules, spread evenly over the energies.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.spatial.distance import cdist

from qm7cli.config import Experiment
from qm7cli.coulomb import random_sorted
from qm7cli.dataset import Dataset
from qm7cli.errors import QM7Error
from qm7cli.evaluation import Evaluation, evaluated
from qm7cli.fold_work import Progress, Report, hold_fold
from qm7cli.results import FoldResult, write_predictions
from qm7cli.sections import HYPERPARAMETERS, Baseline
from qm7cli.seeds import Purpose, stream
from qm7cli.splits import Fold, Molecules, Part, stratified

Array = NDArray[np.float64]
Predict = Callable[[Array], Array]
Hyperparameters = dict[str, int | float]  # neighbours, scale, ridge: those that the model takes
METRICS: Final[dict[str | None, Any]] = {None: "euclidean", "gaussian": "sqeuclidean", "laplacian": "cityblock"}
DISTANCE_MODELS: Final = ("knn", "krr")  # they look at distances alone
INNER_FOLDS: Final = 3
SEARCHED: Final = 8000  # forms of molecules whose distances are looked at in the search, if there are several of each
SAMPLE: Final = 1000  # molecules whose mean distance is taken
NEIGHBOURS: Final = (1, 2, 3, 5, 8, 13)
SCALES: Final = (1.0, 4.0, 16.0, 64.0)  # in mean distances of the training molecules
RIDGES: Final[dict[str | None, Sequence[float]]] = {"linear": (1e-4, 1e-2, 1.0, 100.0), "krr": (1e-8, 1e-6, 1e-4, 1e-2)}
FINER: Final = {"scale": (0.5, 1.0, 2.0), "ridge": (0.1, 1.0, 10.0)}  # around the best


def fit_fold(
    experiment: Experiment,
    dataset: Dataset,
    fold: Fold,
    run: Path,
    report: Report = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> FoldResult:
    """Fit the baseline of an experiment to one fold of a run, or return what is there if that has been done.

    Parameters are those of `qm7cli.training.train_fold`; progress is counted in trials of hyperparameters. If stopped,
    the result is ``partial``, and the next call begins anew; a factorisation cannot be stopped half-way.

    Raises
    ------
    QM7Error
        If another process works on this fold, the fit is refused (`refuse`), or a matrix is singular.
    """
    with hold_fold(experiment, dataset, fold, run, stopped) as work:
        if work.finished is not None:
            return work.finished
        refuse(experiment, dataset, fold)
        result = work.begin(work.result("partial", 0, 0.0))
        begun = time.perf_counter()

        def tell(done: int, trials: int, mae: float | None = None) -> None:
            report(Progress(run, fold.number, done, trials, mae, "trial"))

        found = _evaluate(experiment, dataset, fold, tell, stopped)
        if found is None:
            return result
        best, trials, evaluation = found
        write_predictions(run, fold.number, evaluation, dataset)
        values = {"mae": evaluation.mae, "rmse": evaluation.rmse, "hyperparameters": best or None}
        result = work.write(work.result("complete", 0, time.perf_counter() - begun, **values))
        tell(trials, trials, evaluation.mae)
        return result


def needed_memory(experiment: Experiment, dataset: Dataset, fold: Fold) -> float:
    """Return the memory in GB that a fit takes at most, beside that of the data set."""
    settings = experiment.baseline
    n, N, tests = len(fold.train), (settings.draws or 1) * len(fold.train), len(fold.test)
    search = bool(_searched(settings))
    numbers: float = 4 * dataset.Z.shape[1] ** 2 * (N + tests)  # representations, as they are made
    # In the search, distances of all pairs, and those of inner folds.
    found = 2 * ((settings.draws or 1) * _searched_molecules(settings, n)) ** 2 if search else 0
    if settings.model == "krr":  # distances of all pairs
        numbers += max(N * (N + 2 * tests), found)
    elif settings.model == "knn":  # distances and their order
        numbers += max(2 * N * tests, found)
    return numbers * 8e-9


def refuse(experiment: Experiment, dataset: Dataset, fold: Fold) -> None:
    """Raise QM7Error if a fit would take more than ``baseline.memory``, or there are too few molecules for it."""
    settings, n = experiment.baseline, len(fold.train)
    needed = needed_memory(experiment, dataset, fold)
    if needed > settings.memory:
        allowed = f"more than baseline.memory allows ({settings.memory:g})"
        raise QM7Error(f"fold {fold.number} would take {needed:.3g} GB, {allowed}")
    if (settings.neighbours or 0) > n:
        raise QM7Error(
            f"fold {fold.number} has {n} training molecules, fewer than the {settings.neighbours} neighbours"
        )
    searched = _searched(settings)
    if searched and n < 2 * INNER_FOLDS:
        raise QM7Error(f"fold {fold.number} has too few training molecules ({n}) to find {searched[0]}; give it")


def _searched(settings: Baseline) -> list[str]:
    """Return the hyperparameters that a model takes and that are not given."""
    return [key for key in HYPERPARAMETERS[settings.model] if getattr(settings, key) is None]


def _searched_molecules(settings: Baseline, n: int) -> int:
    """Return on how many of n training molecules hyperparameters are searched."""
    draws = settings.draws or 1
    return n if settings.model not in DISTANCE_MODELS else min(n, max(n, SEARCHED) // draws)


def _spread(y: Array, count: int) -> Molecules:
    """Return `count` rows of molecules, spread evenly over their energies y, in the order of the rows."""
    by_energy = np.argsort(y, kind="stable")
    return np.sort(by_energy[(2 * np.arange(count) + 1) * len(y) // (2 * count)])


def _evaluate(
    experiment: Experiment,
    dataset: Dataset,
    fold: Fold,
    tell: Callable[[int, int], None],
    stopped: Callable[[], bool],
) -> tuple[Hyperparameters, int, Evaluation] | None:
    """Return the best hyperparameters, the number of those tried, and what they make of the test molecules.

    None if stopped.
    """
    settings = experiment.baseline
    X, y = list(representations(experiment, dataset, fold, "train")), dataset.T[fold.train].astype(np.float64)
    coarse = _coarse(settings, X[0])
    best, trials = coarse[0], len(coarse) + len(_finer(settings, coarse[0]))
    if trials > 1:
        some = _spread(y, _searched_molecules(settings, len(y)))
        rng = stream(experiment.seed, fold.number, Purpose.INNER_FOLDS)
        inner = stratified(dataset.T[fold.train[some]], INNER_FOLDS, rng)
        points = np.concatenate([draw[some] for draw in X])  # (draws molecules, d)
        rows = _rows(settings, points, points)
        tried: list[tuple[float, Hyperparameters]] = []

        def candidates() -> Iterator[Hyperparameters]:
            yield from coarse
            yield from _finer(settings, min(tried, key=itemgetter(0))[1])

        for candidate in candidates():
            if stopped():
                return None
            tell(len(tried), trials)
            tried.append((_inner_error(settings, candidate, rows, y[some], inner), candidate))
        best = min(tried, key=itemgetter(0))[1]
        del rows, points
    points = np.concatenate(X)  # (draws molecules, d)
    if stopped():
        return None
    try:
        rows = _rows(settings, points, points) if settings.model == "krr" else points
        predict = _fit(settings, best, rows, np.tile(y, len(X)))
    except LinAlgError as error:
        raise QM7Error(f"fold {fold.number}: the matrix is singular; a larger ridge helps") from error
    predictions = []
    for draw in representations(experiment, dataset, fold, "test"):
        if stopped():
            return None
        predictions.append(predict(_rows(settings, draw, points)))
    return best, trials, evaluated(dataset, fold.test, np.array(predictions))


def representations(experiment: Experiment, dataset: Dataset, fold: Fold, part: Part) -> Iterator[Array]:
    """Give the representation (molecules, d) of the molecules of a part, as often as it is drawn."""
    settings, molecules = experiment.baseline, fold.train if part == "train" else fold.test
    if settings.representation is None:
        yield np.zeros((len(molecules), 1))
    elif settings.representation == "eigenspectrum":
        eigenvalues = np.linalg.eigvalsh(dataset.X[molecules].astype(np.float64))  # (molecules, n)
        yield np.take_along_axis(eigenvalues, np.argsort(-abs(eigenvalues), axis=1, kind="stable"), axis=1)
    else:
        drawn = settings.representation == "random"
        draws = (settings.draws if part == "train" else experiment.evaluation.draws) if drawn else 1
        noise = experiment.encoding.noise if drawn else 0.0
        rng = stream(experiment.seed, fold.number, Purpose.BASELINE if part == "train" else Purpose.TEST_EVALUATION)
        for _ in range(draws or 1):
            yield random_sorted(dataset.X, dataset.norms, molecules, noise, rng).astype(np.float64)


def _coarse(settings: Baseline, X: Array) -> list[Hyperparameters]:
    """Return what is to be tried first for training molecules X (molecules, d); one, if all is given."""
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
            distance = float(_rows(settings, some, some).mean())
            grid[key] = [(distance**0.5 if settings.kernel == "gaussian" else distance) * factor for factor in SCALES]
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def _finer(settings: Baseline, best: Hyperparameters) -> list[Hyperparameters]:
    """Return what is to be tried then around the best, itself left out."""
    searched = [key for key in _searched(settings) if key in FINER]
    around = [
        best | {key: best[key] * factor for key, factor in zip(searched, factors, strict=True)}
        for factors in product(*(FINER[key] for key in searched))
    ]
    return [candidate for candidate in around if candidate != best]


def _inner_error(
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
            predict = _fit(settings, candidate, ours, np.tile(y[train], len(starts)))
        except LinAlgError:
            return math.inf
        errors.append(abs(predict(theirs).reshape(len(starts), -1).mean(axis=0) - y[fold]))
    return float(np.concatenate(errors).mean())


def _rows(settings: Baseline, X: Array, points: Array) -> Array:
    """Return what a model looks at for molecules X (molecules, d): their distances from `points`, or X itself."""
    return cdist(X, points, METRICS[settings.kernel]) if settings.model in DISTANCE_MODELS else X


def _fit(settings: Baseline, given: Hyperparameters, rows: Array, y: Array) -> Predict:
    """Fit a model to the rows of training molecules; return what predicts from those of others. Kernels overwrite them.

    Raises
    ------
    LinAlgError
        If a matrix is singular.
    """
    mean = y.mean()
    match settings.model:
        case "knn":
            k = int(given["neighbours"])
            return lambda rows: y[np.argpartition(rows, k - 1, axis=1)[:, :k]].mean(axis=1)
        case "linear":
            centre = rows.mean(axis=0)
            weights = solve_ridge((rows - centre).T @ (rows - centre), given["ridge"], (rows - centre).T @ (y - mean))
            return lambda rows: (rows - centre) @ weights + mean
        case "krr":

            def kernel(distances: Array) -> Array:
                distances *= -1 / (2 * given["scale"] ** 2 if settings.kernel == "gaussian" else given["scale"])
                return np.exp(distances, out=distances)

            weights = solve_ridge(kernel(rows), given["ridge"], y - mean)
            return lambda rows: kernel(rows) @ weights + mean
        case "mean":
            return lambda rows: np.full(len(rows), mean)
        case _:
            raise ValueError(f"there is no baseline {settings.model}")


def solve_ridge(matrix: Array, ridge: float, right: Array) -> Array:
    """Return x of ``(matrix + ridge I) x = right``; the symmetric matrix is overwritten."""
    matrix[np.diag_indices_from(matrix)] += ridge
    # LAPACK knows columns first: a transpose is not copied.
    solution: Array = cho_solve(cho_factor(matrix.T, lower=True, overwrite_a=True), right)
    return solution
