"""Simpler models than a network, each fitted to the representation of training molecules.

    mean      the mean training energy
    knn       the mean energy of the nearest training molecules (Euclidean)
    linear    ridge regression: w = (X^T X + ridge I)^-1 X^T y
    krr       kernel ridge regression: a = (K + ridge I)^-1 y, by Cholesky, with the kernel
              exp(-|x - x'|_2^2 / (2 scale^2)), gaussian, or exp(-|x - x'|_1 / scale), laplacian

All is in float64; energies y (and X in `linear`) are less their training means.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from qm7cli.runs.settings import Baseline

Array = NDArray[np.float64]
Predict = Callable[[Array], Array]
Hyperparameters = dict[str, int | float]  # neighbours, scale, ridge: those that the model takes
METRICS: Final[dict[str | None, Any]] = {None: "euclidean", "gaussian": "sqeuclidean", "laplacian": "cityblock"}
DISTANCE_MODELS: Final = ("knn", "krr")  # they look at distances alone


def model_rows(settings: Baseline, X: Array, points: Array) -> Array:
    """Return a model's inputs for molecules X (molecules, d): their distances from `points`, or X itself."""
    return cdist(X, points, METRICS[settings.kernel]) if settings.model in DISTANCE_MODELS else X


def fit_model(settings: Baseline, given: Hyperparameters, rows: Array, y: Array) -> Predict:
    """Fit a model to the rows of training molecules; return what predicts from those of others. Kernels overwrite them.

    Raises LinAlgError if a matrix is singular, ValueError if the model is unknown.
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
        case unknown:
            raise ValueError(f"the baseline {unknown} is unknown")


def solve_ridge(matrix: Array, ridge: float, right: Array) -> Array:
    """Return x of ``(matrix + ridge I) x = right``; the symmetric matrix is overwritten."""
    matrix[np.diag_indices_from(matrix)] += ridge
    # LAPACK knows columns first: a transpose is not copied.
    solution: Array = cho_solve(cho_factor(matrix.T, lower=True, overwrite_a=True), right)
    return solution
