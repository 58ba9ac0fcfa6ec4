"""What baselines see of a molecule.

    eigenspectrum   eigenvalues of the Coulomb matrix, largest magnitude first (Rupp et al., PRL 108:058301, 2012)
    sorted          upper triangle of the sorted Coulomb matrix
    random          that of a random-sorted one, drawn afresh each time (Montavon et al., NIPS 2012, section 3)
    bag-of-bonds    by element 0.5 Z^2.4 of each atom, by pair of elements Z_i Z_j / r_ij of each pair of atoms; a bag
                    in descending order, with zeros up to its size (Hansen et al., JPCL 6:2326, 2015)
    composition     how many atoms of each element, as far as they were trained on

All are in hartree, but for the composition, and bags of bonds with another exponent than 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import NamedTuple, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from qm7cli.data.coulomb import Matrices, random_sorted
from qm7cli.data.dataset import SYMBOLS, Dataset
from qm7cli.model.baseline_names import RepresentationName
from qm7cli.model.target import count_atoms


class Bags(NamedTuple):
    """The bags and how much each holds."""

    charges: NDArray[np.intp]  # of each bag's pair, the smaller first; 0 and the charge for an element, (bags, 2)
    sizes: NDArray[np.intp]  # entries that each holds, 1 or more, (bags,)

    @classmethod
    def of(cls, Z: NDArray[np.floating], *, elements: bool = True) -> Self:
        """Return the bags, or those of pairs alone, for just what molecules of charges Z, (molecules, n), have."""
        counted = ((pair, int(counts.max())) for pair, counts in _count(Z) if pair[0] or elements)
        largest = {pair: size for pair, size in counted if size}
        return cls(np.array([*largest], dtype=np.intp).reshape(-1, 2), np.array([*largest.values()], dtype=np.intp))

    def why_too_large(self, Z: NDArray[np.floating]) -> str | None:
        """Say what a molecule with the nuclear charges Z, (atoms,), has more of than the bags hold; None if nothing."""
        sizes = {(a, b): size for (a, b), size in zip(self.charges.tolist(), self.sizes.tolist(), strict=True)}
        for (a, b), counts in _count(Z[None]):
            number, size = int(counts[0]), sizes.get((a, b), 0)
            if number > size and (a or len(self.elements)):
                name = f"pairs {SYMBOLS[a]}-{SYMBOLS[b]}" if a else SYMBOLS[b]
                return f"{number} {name}, more than the {size} that the model takes"
        return None

    @property
    def elements(self) -> NDArray[np.intp]:
        """Nuclear charges of the elements, (elements,)."""
        elements: NDArray[np.intp] = self.charges[self.charges[:, 0] == 0, 1]
        return elements

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


@dataclass(frozen=True)
class Representation:
    """How molecules are represented; without a name, by a single 0."""

    name: RepresentationName | None
    noise: float = 0.0  # standard deviation of the noise on the row norms, hartree, for `random`
    bags: Bags | None = None  # for `bag-of-bonds` and `composition`
    exponent: float = 1.0  # of the distance in the pairs of `bag-of-bonds`, ``Z_i Z_j / r^exponent``

    @classmethod
    def fit(
        cls,
        name: RepresentationName | None,
        noise: float,
        Z: NDArray[np.floating],
        exponent: float = 1.0,
        *,
        elements: bool = True,
    ) -> Self:
        """Return a representation with room for molecules of charges Z, (molecules, n), as `Bags.of`."""
        of_elements = elements or name == "composition"
        bags = Bags.of(Z, elements=of_elements) if name in {"bag-of-bonds", "composition"} else None
        return cls(name, noise if name == "random" else 0.0, bags, exponent)

    def why_too_large(self, Z: NDArray[np.floating]) -> str | None:
        """Say what a molecule with the nuclear charges Z, (atoms,), has more of than there is room for, if anything."""
        if self.bags is None:
            return None
        unknown = np.setdiff1d(Z[Z > 0], self.bags.charges).astype(np.intp)
        if len(unknown):
            return f"{SYMBOLS[unknown[0]]}, an element that the model does not take"
        return self.bags.why_too_large(Z) if self.name == "bag-of-bonds" else None

    def draw(
        self, matrices: Dataset | Matrices, Z: NDArray[np.floating], molecules: NDArray[np.intp], rng: Generator
    ) -> NDArray[np.float32]:
        """Represent rows `molecules` of canonical matrices, with their charges Z (len(molecules), n), once.

        Returns (len(molecules), d) float32.
        """
        if self.name in {"sorted", "random"}:
            return random_sorted(matrices.X, matrices.norms, molecules, self.noise, rng)
        X = matrices.X[molecules]  # (len(molecules), n, n)
        if self.name == "eigenspectrum":
            eigenvalues = np.linalg.eigvalsh(X.astype(np.float64))  # (len(molecules), n)
            order = np.argsort(-abs(eigenvalues), axis=1, kind="stable")
            return np.take_along_axis(eigenvalues, order, axis=1).astype(np.float32)
        if self.bags and self.name == "bag-of-bonds":
            return self.bags.fill(X, Z, self.exponent)
        if self.bags:
            return count_atoms(Z, self.bags.elements).astype(np.float32)
        return np.zeros((len(X), 1), dtype=np.float32)
