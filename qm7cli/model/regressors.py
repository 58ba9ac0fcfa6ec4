"""Simpler models than a network, each fitted to the representation of training molecules.

    mean      the mean training energy
    knn       the mean energy of the nearest training molecules (Euclidean)
    linear    ridge regression: w = (X^T X + ridge I)^-1 X^T y
    krr       kernel ridge regression: a = (K + ridge I)^-1 y, by Cholesky, with the kernel
              exp(-|x - x'|_2^2 / (2 scale^2)), gaussian, or exp(-|x - x'|_1 / scale), laplacian

All is in float64; training means are subtracted from energies y (and from X in `linear`). Distances are computed by
several threads, which gives the same digits; the rest by one, since more BLAS threads would give others.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from qm7cli.model.baseline_names import Hyperparameters, Kernel, Kind

Array = NDArray[np.float64]
DISTANCES: Final[dict[str | None, Any]] = {None: "euclidean", "gaussian": "sqeuclidean", "laplacian": "cityblock"}
DISTANCE_MODELS: Final = ("knn", "krr")  # they look at distances alone
THREADS: Final = 8
BLOCK: Final = 64  # rows of distances that a thread computes at once


class Method(Protocol):
    """Which model; None is none of these."""

    @property
    def model(self) -> Kind | None: ...  # noqa: D102
    @property
    def kernel(self) -> Kernel | None: ...  # noqa: D102


def model_rows(method: Method, X: NDArray[Any], points: NDArray[Any]) -> Array:
    """Return a model's inputs for molecules X (molecules, d): their distances from `points`, or X itself, float64."""
    if method.model not in DISTANCE_MODELS:
        return X.astype(np.float64)
    symmetric = points is X
    ours = X.astype(np.float64)
    theirs = ours if symmetric else points.astype(np.float64)
    rows = np.empty((len(ours), len(theirs)))

    def compute(start: int) -> None:
        block, first = slice(start, start + BLOCK), start if symmetric else 0
        rows[block, first:] = cdist(ours[block], theirs[first:], DISTANCES[method.kernel])
        if symmetric:  # the same both ways, to the digit
            rows[start + BLOCK :, block] = rows[block, start + BLOCK :].T

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(compute, range(0, len(ours), BLOCK)))
    return rows


@dataclass(frozen=True)
class Regressor:
    """A fitted model: what predicts from the rows of molecules (`model_rows`).

    The weights, (m,) float64, are the training energies of `knn`, the coefficients of `krr`, or those of the d numbers
    of `linear`. The mean is that of the training energies, kcal/mol, minus what `linear` gives for the mean of X.
    """

    model: Kind
    kernel: Kernel | None
    hyperparameters: Hyperparameters
    mean: float
    weights: Array

    def predict(self, rows: Array) -> Array:
        """Return energies (molecules,), kcal/mol; a kernel overwrites the rows."""
        if self.model == "knn":
            k = int(self.hyperparameters["neighbours"])
            nearest = np.argpartition(rows, k - 1, axis=1)[:, :k]
            return np.asarray(self.weights[nearest].mean(axis=1))
        if self.model == "krr":
            rows = kernel(self, self.hyperparameters["scale"], rows)
        return rows @ self.weights + self.mean


def fit_model(method: Method, given: Hyperparameters, rows: Array, y: Array) -> Regressor:
    """Fit a model to the rows of training molecules and their energies y (m,). Kernels overwrite the rows.

    Raises LinAlgError if a matrix is singular.
    """
    mean = float(y.mean())
    match method.model:
        case "knn":
            weights = y
        case "linear":
            center = rows.mean(axis=0)
            weights = solve_ridge((rows - center).T @ (rows - center), given["ridge"], (rows - center).T @ (y - mean))
            mean -= float(center @ weights)
        case "krr":
            weights = solve_ridge(kernel(method, given["scale"], rows), given["ridge"], y - mean)
        case _:
            weights = np.zeros(rows.shape[1])
    return Regressor(method.model or "mean", method.kernel, given, mean, weights)


def kernel(method: Method, scale: float, distances: Array) -> Array:
    """Return the kernel of distances, which are overwritten."""
    distances *= -1 / (2 * scale**2 if method.kernel == "gaussian" else scale)
    return np.exp(distances, out=distances)


def solve_ridge(matrix: Array, ridge: float, right: Array) -> Array:
    """Return x of ``(matrix + ridge I) x = right``; the symmetric matrix is overwritten."""
    matrix[np.diag_indices_from(matrix)] += ridge
    # LAPACK knows columns first: a transpose is not copied.
    factor = cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False)
    solution: Array = cho_solve(factor, right, check_finite=False)
    return solution
