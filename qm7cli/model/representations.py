"""What baselines see of a molecule.

    eigenspectrum   eigenvalues of the Coulomb matrix, largest magnitude first (Rupp et al., PRL 108:058301, 2012)
    sorted          upper triangle of the sorted Coulomb matrix
    random          that of a random-sorted one, drawn afresh each time (Montavon et al., NIPS 2012, section 3)
    bag-of-bonds    see `qm7cli.data.bags` (Hansen et al., JPCL 6:2326, 2015)
    composition     how many atoms of each element, as far as they were trained on

All are in hartree, but for the composition, and bags of bonds with another exponent than 1.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from qm7cli.data.bags import Bags
from qm7cli.data.coulomb import Matrices, random_sorted
from qm7cli.data.dataset import SYMBOLS, Dataset
from qm7cli.model.baseline_names import RepresentationName


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
        """Return a representation with room for molecules with the nuclear charges Z, (molecules, n).

        Unless `elements`, bags of bonds are those of pairs alone.
        """
        bags = Bags.of(Z) if name in {"bag-of-bonds", "composition"} else None
        if bags and name == "bag-of-bonds" and not elements:
            bags = bags.of_pairs()
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
        if self.bags:
            return self.bags.fill(X, Z, self.exponent) if self.name == "bag-of-bonds" else self.bags.composition(Z)
        return np.zeros((len(X), 1), dtype=np.float32)
