"""Molecules that are in a data set more than once."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

ENTRY: Final = 1e-3  # hartree, by which the matrices of copies differ at most, if their energies agree
ENERGY: Final = 0.1  # kcal/mol, by which these may differ
ROUNDING: Final = 1e-6  # of the largest entry: matrices that differ by less are the same, whatever the energies


def first_copies(X: NDArray[np.float32], T: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return, for each molecule, the row of the first copy of it, (molecules,): its own where it has no earlier one.

    X are Coulomb matrices (molecules, n, n), hartree, T energies (molecules,), kcal/mol. Entries are compared in
    descending order, so that neither the order of atoms nor a tie of two rows counts.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415 - slow to import
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    entries = np.sort(X[:, *np.triu_indices(X.shape[1])], axis=1)  # (molecules, n(n+1)/2)
    few = np.ascontiguousarray(entries[:, entries.shape[1] // 2 :: 13])  # they tell most molecules apart
    sums = entries.sum(axis=1, dtype=np.float64)  # copies have close ones
    order = np.argsort(sums, kind="stable")
    pairs = [np.empty((0, 2), dtype=np.intp)]
    for step in range(1, len(order)):
        close = np.flatnonzero(sums[order[step:]] - sums[order[:-step]] <= ENTRY * entries.shape[1])
        if not len(close):
            break
        close = close[np.abs(few[order[close]] - few[order[close + step]]).max(axis=1) <= ENTRY]
        a, b = order[close], order[close + step]
        apart = np.abs(entries[a] - entries[b]).max(axis=1)  # (pairs,)
        same = (apart <= ENTRY) & (np.abs(T[a] - T[b]) <= ENERGY) | (apart <= ROUNDING * np.abs(entries[a]).max(axis=1))
        pairs.append(np.stack([a, b], axis=1)[same])
    a, b = np.concatenate(pairs).T
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(len(X), len(X)))
    _, first, group = np.unique(connected_components(graph)[1], return_index=True, return_inverse=True)
    found: NDArray[np.intp] = first[group]
    return found
