"""The applicability domain of a model: what its training molecules cover, and how another molecule differs.

    domain = Domain.of(dataset, fold.train)
    domain.warnings(Z, R, X)  # {"S": "3 S, more than any molecule trained on (1)"}

A network gives an energy for any molecule. The domain warns where the molecule leaves what was trained on: the number
of atoms, of each element, the distances between atoms, and the distance (Euclidean, hartree) of the sorted Coulomb
matrix from the nearest one trained on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import Any, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from qm7cli.data.dataset import SYMBOLS, Dataset
from qm7cli.data.molecules import BOHR

QUANTILE: Final = 0.99  # of the training molecules have their nearest neighbour within the reach
SAMPLE: Final = 2000  # molecules, at most, whose nearest neighbours give the reach
CHUNK: Final = 200  # molecules whose distances are computed at once
STEPS: Final = {"distances": 0.1, "energies": 10.0}  # bohr, kcal/mol, of limits that keep no molecule's own
ROUNDING: Final = 0.02  # bohr, by which a distance may exceed the limits: files round coordinates
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class Domain:
    """What training molecules cover; of each pair of limits the lower comes first.

    Attributes
    ----------
    charges : (elements,) intp
        Nuclear charges.
    atoms : (2,) intp
        Atoms in a molecule.
    counts : (2, elements) intp
        Atoms of each element in a molecule.
    distances : (2, elements, elements) float32
        Distances of two atoms in a molecule, bohr, by their elements; 0 where no molecule has such a pair.
    energies : (2,) float64
        Atomization energies, kcal/mol.
    matrices : (molecules, n(n+1)/2) float16 or None
        Upper triangles of the sorted Coulomb matrices, hartree; None if they are not kept.
    reach : float or None
        Distance, hartree, within which `QUANTILE` of the molecules have their nearest neighbour; None as `matrices`.
    """

    charges: NDArray[np.intp]
    atoms: NDArray[np.intp]
    counts: NDArray[np.intp]
    distances: NDArray[np.float32]
    energies: NDArray[np.float64]
    matrices: NDArray[np.float16] | None
    reach: float | None

    @classmethod
    def of(cls, dataset: Dataset, molecules: NDArray[np.intp]) -> Self:
        """Return the domain of `molecules`, (molecules,) intp, rows of a data set."""
        Z = dataset.Z[molecules].astype(np.intp)
        charges = np.unique(Z[Z > 0])
        counts = np.stack([np.count_nonzero(charge == Z, axis=1) for charge in charges])  # (elements, molecules)
        matrices = _triangles(dataset.X[molecules])
        sample = np.arange(0, len(molecules), -(-len(molecules) // SAMPLE))
        return cls(
            charges=charges,
            atoms=_limits(counts.sum(axis=0)),
            counts=_limits(counts),
            distances=_distance_limits(Z, dataset.R[molecules], charges),
            energies=_limits(dataset.T[molecules].astype(np.float64)),
            matrices=matrices,
            reach=float(np.quantile(_nearest(matrices[sample], matrices, itself=sample), QUANTILE)),
        )

    def rounded(self) -> Self:
        """Return the domain without the molecules, its limits moved outwards to multiples of `STEPS`."""
        return replace(
            self,
            distances=_outwards(self.distances, STEPS["distances"]),
            energies=_outwards(self.energies, STEPS["energies"]),
            matrices=None,
            reach=None,
        )

    def warnings(self, Z: NDArray[np.floating], R: NDArray[np.floating], X: NDArray[np.float32]) -> dict[str, str]:
        """Return how a molecule leaves the domain, sentences by the name of what they are about.

        Parameters
        ----------
        Z : (atoms,)
            Nuclear charges.
        R : (atoms, 3)
            Coordinates, bohr.
        X : (n, n) float32
            Its Coulomb matrix, hartree, the atoms in canonical order.
        """
        reasons = {}
        for name, number, (least, most) in self._numbers(Z):
            if number and not most:
                reasons[name] = f"{number} {name}, an element not trained on"
            elif not least <= number <= most:
                limit, than = (most, "more") if number > most else (least, "fewer")
                reasons[name] = f"{number} {name}, {than} than any molecule trained on ({limit})"
        for name, length, (least, most) in self._lengths(Z, R):
            if not least - ROUNDING <= length <= most + ROUNDING:
                limit, than = (most, "longer") if length > most else (least, "shorter")
                trained = f"{than} than any trained on ({limit * BOHR:.2f})" if most else "a pair not trained on"
                reasons.setdefault(name, f"{name} distance {length * BOHR:.2f} angstrom, {trained}")
        distance = self.distance(X)
        if distance is not None and self.reach is not None and distance > self.reach:
            reasons["nearest"] = (
                f"the nearest molecule trained on is {distance:.3g} hartree away, "
                f"farther than {QUANTILE:.0%} of these are from theirs ({self.reach:.3g})"
            )
        return reasons

    def distance(self, X: NDArray[np.float32]) -> float | None:
        """Return the distance of a molecule from the nearest one trained on, hartree; `X` as `warnings` takes it.

        None if the matrices are not kept.
        """
        return None if self.matrices is None else float(_nearest(_triangles(X[None]), self.matrices)[0])

    def _numbers(self, Z: NDArray[np.floating]) -> Iterator[tuple[str, int, NDArray[np.intp]]]:
        """Yield how many atoms a molecule has, and how many of each element, with the limits."""
        yield "atoms" if len(Z) > 1 else "atom", len(Z), self.atoms
        for charge in np.union1d(self.charges, Z).astype(np.intp):
            limits = self.counts[:, self.charges == charge].sum(axis=1)  # 0 for an element that is not known
            yield SYMBOLS[charge], int(np.count_nonzero(charge == Z)), limits

    def _lengths(
        self, Z: NDArray[np.floating], R: NDArray[np.floating]
    ) -> Iterator[tuple[str, float, NDArray[np.float32]]]:
        """Yield the shortest and the longest distance, bohr, of each pair of known elements, with the limits."""
        lengths = _distance_limits(Z[None], R[None], self.charges)  # (2, elements, elements)
        for a, b in combinations_with_replacement(range(len(self.charges)), 2):
            for length in lengths[:, a, b]:
                if length:
                    pair = sorted((SYMBOLS[self.charges[a]], SYMBOLS[self.charges[b]]))
                    yield "-".join(pair), float(length), self.distances[:, a, b]


def _outwards(limits: NDArray[Number], step: float) -> NDArray[Number]:
    """Return limits (2, ...) moved outwards to multiples of a step."""
    rounded = np.stack([np.floor(limits[0] / step), np.ceil(limits[1] / step)]) * step
    return rounded.astype(limits.dtype)


def _limits(values: NDArray[Number]) -> NDArray[Number]:
    """Return the smallest and the largest along the last axis, (2, ...)."""
    return np.stack([values.min(axis=-1), values.max(axis=-1)])


def _distance_limits(Z: NDArray[Any], R: NDArray[np.floating], charges: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the shortest and the longest distances by element, (2, elements, elements), 0 where there are none.

    `Z` (molecules, n), `R` (molecules, n, 3).
    """
    shortest = np.full((len(charges), len(charges)), np.inf, dtype=np.float32)
    longest = np.zeros_like(shortest)
    i, j = np.triu_indices(Z.shape[1], 1)
    for start in range(0, len(Z), CHUNK):
        chunk = slice(start, start + CHUNK)
        lengths = np.linalg.norm(R[chunk, i] - R[chunk, j], axis=-1)  # (chunk, n(n-1)/2)
        lower, upper = np.minimum(Z[chunk, i], Z[chunk, j]), np.maximum(Z[chunk, i], Z[chunk, j])
        for a, b in combinations_with_replacement(range(len(charges)), 2):
            found = lengths[(lower == charges[a]) & (upper == charges[b])]
            shortest[a, b] = shortest[b, a] = min(shortest[a, b], found.min(initial=np.inf))
            longest[a, b] = longest[b, a] = max(longest[a, b], found.max(initial=0))
    return np.stack([np.where(longest > 0, shortest, 0), longest])


def _triangles(X: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return the upper triangles (molecules, n(n+1)/2) of canonical matrices (molecules, n, n), which are sorted."""
    rows, columns = np.triu_indices(X.shape[1])
    triangles = np.minimum(X[:, rows, columns], np.finfo(np.float16).max)
    return triangles.astype(np.float16, order="C")


def _nearest(
    points: NDArray[np.float16], others: NDArray[np.float16], itself: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Return the distance of each of `points` from the nearest of `others`, but for the one at the place `itself`."""
    distances = np.empty(len(points))
    centre = others.mean(axis=0, dtype=np.float64)  # small numbers lose less when squares are subtracted
    theirs = others - centre  # (others, d) float64
    squares = np.einsum("md,md->m", theirs, theirs)
    for start in range(0, len(points), CHUNK):
        chunk = slice(start, start + CHUNK)
        ours = points[chunk] - centre
        apart = -2 * ours @ theirs.T  # (chunk, others)
        apart += squares
        apart += np.square(ours).sum(axis=1)[:, None]
        if itself is not None:
            apart[np.arange(len(ours)), itself[chunk]] = np.inf
        distances[chunk] = np.sqrt(np.maximum(apart.min(axis=1), 0))
    return distances
