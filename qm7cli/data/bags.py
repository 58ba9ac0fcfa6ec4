"""Bags of bonds: the entries of a Coulomb matrix by element and by pair of elements (Hansen et al., JPCL 6:2326, 2015).

A bag per element has ``0.5 Z^2.4`` of each atom, a bag per pair of elements ``Z_i Z_j / r_ij`` of each pair of atoms,
in descending order, with zeros up to the bag's size. The distance may have another exponent than 1, in bohr:

    bags = Bags.of(dataset.Z[molecules])
    X = bags.fill(dataset.X[molecules], dataset.Z[molecules])
"""

from collections.abc import Iterator
from itertools import combinations_with_replacement
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from qm7cli.data.dataset import SYMBOLS


class Bags(NamedTuple):
    """The bags and how much each holds."""

    charges: NDArray[np.intp]  # of each bag's pair, the smaller first; 0 and the charge for an element, (bags, 2)
    sizes: NDArray[np.intp]  # entries that each holds, 1 or more, (bags,)

    @classmethod
    def of(cls, Z: NDArray[np.floating]) -> Self:
        """Return the bags that hold just what molecules with the nuclear charges Z, (molecules, n), have."""
        largest = {pair: size for pair, counts in _count(Z) if (size := int(counts.max()))}
        return cls(np.array([*largest], dtype=np.intp), np.array([*largest.values()], dtype=np.intp))

    def why_too_large(self, Z: NDArray[np.floating]) -> str | None:
        """Say what a molecule with the nuclear charges Z, (atoms,), has more of than the bags hold; None if nothing."""
        sizes = {(a, b): size for (a, b), size in zip(self.charges.tolist(), self.sizes.tolist(), strict=True)}
        for (a, b), counts in _count(Z[None]):
            number, size = int(counts[0]), sizes.get((a, b), 0)
            if number > size and (a or len(self.elements)):
                name = f"pairs {SYMBOLS[a]}-{SYMBOLS[b]}" if a else SYMBOLS[b]
                return f"{number} {name}, more than the {size} that the model takes"
        return None

    def of_pairs(self) -> Self:
        """Return the bags of pairs alone."""
        pairs = self.charges[:, 0] > 0
        return self._replace(charges=self.charges[pairs], sizes=self.sizes[pairs])

    @property
    def elements(self) -> NDArray[np.intp]:
        """Nuclear charges of the elements, (elements,)."""
        elements: NDArray[np.intp] = self.charges[self.charges[:, 0] == 0, 1]
        return elements

    def composition(self, Z: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return how many atoms of each element molecules have, (molecules, elements) float32; Z (molecules, n)."""
        counts = [np.count_nonzero(charge == Z, axis=1) for charge in self.elements]
        return np.stack(counts, axis=1, dtype=np.float32, casting="unsafe")

    def fill(self, X: NDArray[np.float32], Z: NDArray[np.floating], exponent: float = 1.0) -> NDArray[np.float32]:
        """Return the bags of molecules, one after the other, (molecules, entries in all); what is in excess is cut.

        X (molecules, n, n) are Coulomb matrices, hartree, Z (molecules, n) their nuclear charges, 0 for padding; the
        exponent is that of the distance in the bags of pairs.
        """
        rows, columns = np.triu_indices(Z.shape[1])
        one, other = Z.astype(np.uint8)[:, rows], Z.astype(np.uint8)[:, columns]
        lower, upper = np.minimum(one, other), np.maximum(one, other)
        lower[:, rows == columns] = 0
        entries = X[:, rows, columns]  # (molecules, n(n+1)/2)
        if exponent != 1:  # Z_i Z_j / r^p = (Z_i Z_j / r)^p (Z_i Z_j)^(1 - p), where there are two atoms
            pairs = lower > 0
            products = lower[pairs] * upper[pairs].astype(np.float32)
            entries[pairs] = entries[pairs] ** exponent * products ** (1 - exponent)
        filled = np.zeros((len(X), int(self.sizes.sum())), dtype=np.float32)
        for (a, b), size, end in zip(self.charges, self.sizes, self.sizes.cumsum(), strict=True):
            own = -np.sort(np.where((lower == a) & (upper == b), -entries, 0), axis=1)[:, :size]
            filled[:, end - size : end - size + own.shape[1]] = own
        return filled


def _count(Z: NDArray[np.floating]) -> Iterator[tuple[tuple[int, int], NDArray[np.intp]]]:
    """Yield how many entries each bag would have of molecules with the nuclear charges Z, (molecules, n)."""
    charges = [int(charge) for charge in np.unique(Z) if charge]
    atoms = {charge: np.count_nonzero(charge == Z, axis=1) for charge in charges}  # (molecules,) each
    for charge in charges:
        yield (0, charge), atoms[charge]
    for a, b in combinations_with_replacement(charges, 2):
        yield (a, b), atoms[a] * (atoms[a] - 1) // 2 if a == b else atoms[a] * atoms[b]
