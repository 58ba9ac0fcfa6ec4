"""Coulomb matrices and their random-sorted form.

Rupp et al. (PRL 108:058301, 2012) describe a molecule by the matrix ``C_ii = 0.5 Z_i^2.4``,
``C_ij = Z_i Z_j / |R_i - R_j|`` in atomic units. Its rows come in no natural order; Montavon et al. (NIPS 2012)
order them by their norms plus normal noise, drawn afresh every time a molecule is looked at.

Before anything is drawn, the atoms are put into a canonical order, so that what is drawn does not depend on the order
in which a file lists them.
"""

import functools
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error

ENTRIES: Final = 1_000_000  # of matrices computed at once, to bound the memory
TIE_DECIMALS: Final = 3  # of entries and norms, hartree, that count as equal: symmetric atoms agree to 1e-5 or so


class Matrices(NamedTuple):
    """Coulomb matrices X (molecules, n, n) float32, atoms in canonical order, and row norms (molecules, n) float32."""

    X: NDArray[np.float32]
    norms: NDArray[np.float32]

    @classmethod
    def of(cls, X: NDArray[np.float32]) -> Self:
        """Return matrices, C-contiguous, with their norms."""
        return cls(np.ascontiguousarray(X), row_norms(X))


def coulomb_matrices(Z: NDArray[np.floating], R: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compute the Coulomb matrices of molecules of up to n atoms.

    Parameters
    ----------
    Z : (molecules, n)
        Nuclear charges; 0 is padding, whose rows and columns are 0.
    R : (molecules, n, 3)
        Coordinates in bohr.

    Returns
    -------
    (molecules, n, n) float64, in hartree

    Raises
    ------
    QM7Error
        If two atoms of a molecule are in the same place.
    """
    molecules, n = Z.shape
    C = np.zeros((molecules, n, n))
    some = 1 + ENTRIES // max(1, n * n)
    for start in range(0, molecules, some):
        chunk = slice(start, start + some)
        charges, places = Z[chunk].astype(np.float64), R[chunk].astype(np.float64)
        products = charges[:, :, None] * charges[:, None, :]  # (chunk, n, n)
        products[:, np.arange(n), np.arange(n)] = 0
        distances = np.linalg.norm(places[:, :, None] - places[:, None, :], axis=-1)  # (chunk, n, n)
        coinciding = np.nonzero((distances == 0) & (products > 0))
        if len(coinciding[0]):
            molecule, i, j = (int(index[0]) for index in coinciding)
            raise QM7Error(f"molecule {start + molecule}: atoms {i} and {j} are in the same place")
        np.divide(products, distances, out=C[chunk], where=products > 0)
        C[chunk, np.arange(n), np.arange(n)] = 0.5 * charges**2.4
    return C


def canonical_order(X: NDArray[np.float32]) -> NDArray[np.intp]:
    """Order the atoms of each molecule independently of the order in which they come.

    Rows go by their norms, rounded, the largest first. Ties go by charge and then, atom after atom, by the entries
    with the atoms already placed. Atoms that symmetry makes equal may come in any order: the matrix is the same. What
    still ties goes by the norms before rounding.

    Parameters
    ----------
    X : (molecules, n, n) float32
        Coulomb matrices, hartree.

    Returns
    -------
    (molecules, n) intp, row k of which lists the atoms of molecule k in their new order, padding last
    """
    entries = np.sort(X, axis=2)  # the same numbers in the same order, so that rounding is the same
    norms = np.sqrt(np.square(entries, dtype=np.float64).sum(axis=2))  # (molecules, n)
    keys = np.stack([-norms.round(TIE_DECIMALS), -X.diagonal(axis1=1, axis2=2)])  # (2, molecules, n)
    order = np.lexsort((-norms, keys[1], keys[0]), axis=1)
    ordered = np.take_along_axis(keys, order[None], axis=2)
    classes = np.zeros(order.shape, dtype=np.intp)  # of atoms that tie, in the new order
    classes[:, 1:] = (np.diff(ordered, axis=2) != 0).any(axis=0).cumsum(axis=1)
    tied = ((np.diff(classes, axis=1) == 0) & (ordered[1, :, 1:] < 0)).any(axis=1)  # padding may tie
    C = reorder_atoms(X[tied], order[tied]).round(TIE_DECIMALS)
    order[tied] = np.take_along_axis(order[tied], _break_ties(C, classes[tied]), axis=1)
    return order


def _break_ties(C: NDArray[np.float32], classes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Order atoms by their classes and, within a class, atom after atom, by their entries with those already placed.

    `C` (molecules, n, n) and `classes` (molecules, n), in whose ascending order the atoms already are.
    """
    molecules = np.arange(len(C))
    order = np.argsort(classes, axis=1, kind="stable")
    for place in range(classes.shape[1]):
        placed = order[:, place]
        classes = 2 * classes
        classes[molecules, placed] -= 1  # before those that it tied with
        keys = np.stack([-C[molecules, placed], classes])  # (2, molecules, n), the last counts first
        order = np.lexsort(keys, axis=1)
        changes = (np.diff(np.take_along_axis(keys, order[None], axis=2), axis=2) != 0).any(axis=0)
        ranks = np.pad(changes.cumsum(axis=1), ((0, 0), (1, 0)))
        np.put_along_axis(classes, order, ranks, axis=1)
    return order


def reorder_atoms(X: NDArray[np.float32], order: NDArray[np.intp]) -> NDArray[np.float32]:
    """Permute rows and columns of each matrix of `X`, (molecules, n, n), as `order`, (molecules, n), says."""
    rows = np.take_along_axis(X, order[:, :, None], axis=1)
    return np.take_along_axis(rows, order[:, None, :], axis=2)


def row_norms(X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the Euclidean norm of every row, (molecules, n) float32, of canonical `X`, (molecules, n, n) float32.

    Where two rows tie in `canonical_order`, the later one's norm is not larger: without noise, they stay in this order.
    """
    norms: NDArray[np.float32] = np.linalg.norm(X, axis=2)
    return np.minimum.accumulate(norms, axis=1)


def draw_permutations(norms: NDArray[np.float32], noise: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """Order the rows of each matrix by norm plus normal noise, largest first (Montavon et al., section 3.3).

    Parameters
    ----------
    norms : (molecules, n) float32
        Row norms, padding included.
    noise : float
        Standard deviation of the noise, in hartree; 0 gives the sorted form.
    rng : numpy.random.Generator
        Advanced by molecules x n normal numbers.

    Returns
    -------
    (molecules, n) intp, row k of which lists the row indices of matrix k in their new order
    """
    keys = rng.standard_normal(norms.shape, dtype=np.float32)
    keys *= np.float32(-noise)
    keys -= norms
    return np.argsort(keys, axis=1, kind="stable")


@functools.cache
def _upper_triangle(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(n)


def permuted_triangles(
    X: NDArray[np.float32], molecules: NDArray[np.intp], permutations: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Permute rows and columns alike and keep the upper triangle with the diagonal.

    Parameters
    ----------
    X : (all molecules, n, n) float32, C-contiguous
    molecules : (b,) intp
        Which matrices.
    permutations : (b, n) intp
        The new order of each one's rows.

    Returns
    -------
    (b, n(n+1)/2) float32
    """
    n = X.shape[1]
    rows, columns = _upper_triangle(n)
    starts = permutations * n
    starts += (molecules * (n * n))[:, None]  # where each permuted row begins in the flat X, (b, n)
    places = starts.take(rows, axis=1)  # (b, n(n+1)/2)
    places += permutations.take(columns, axis=1)
    triangles: NDArray[np.float32] = X.reshape(-1).take(places)
    return triangles


def random_sorted(
    X: NDArray[np.float32],
    norms: NDArray[np.float32],
    molecules: NDArray[np.intp],
    noise: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Draw the random-sorted Coulomb matrix of each of `molecules` once.

    `X` and `norms` are those of the whole data set; returns (len(molecules), n(n+1)/2) float32.
    """
    return permuted_triangles(X, molecules, draw_permutations(norms[molecules], noise, rng))
