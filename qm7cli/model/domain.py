"""The applicability domain of a model: what its training molecules cover, and how another molecule differs.

    domain = Domain.of(dataset, fold.train, fold.test)
    domain.warnings(Z, R)  # {"environment": "C 3: nearest atoms at 1.40, 1.40, 2.42, 2.42 angstrom, unlike any ..."}

The domain is the elements, the number of atoms, an even or odd number of electrons, one connected piece, and the
environments of atoms: the inverse distances to the four nearest atoms, 1/angstrom, 0 where there is none. An atom's
score is the distance (Euclidean) to the nearest environment of the same element that was trained on, a molecule's score
the largest of its atoms. The threshold is a quantile of the scores of held-out molecules.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from qm7cli.data.dataset import SYMBOLS, Dataset
from qm7cli.data.molecules import BOHR

NEIGHBORS: Final = 4
QUANTILE: Final = 0.995  # of held-out molecules have a score within the threshold
STEP: Final = 0.002  # 1/angstrom, to which environments are rounded
ENERGY_STEP: Final = 10.0  # kcal/mol, to which limits of energies are moved outwards
SLACK: Final = 0.1  # angstrom, by which a molecule's longest link may exceed those trained on
APART: Final = 1e6  # 1/angstrom, which keeps elements apart: no environment is near one of another element


@dataclass(frozen=True)
class Domain:
    """What training molecules cover; of each pair of limits the lower comes first."""

    elements: NDArray[np.intp]  # nuclear charges, (elements,)
    atoms: NDArray[np.intp]  # limits of the atoms per molecule, (2,)
    parities: NDArray[np.intp]  # numbers of electrons modulo 2, (1,) or (2,)
    energies: NDArray[np.float64]  # limits, kcal/mol, moved outwards to multiples of `ENERGY_STEP`, (2,)
    link: NDArray[np.float64]  # longest distance needed to connect the atoms of a molecule, angstrom, ()
    environments: NDArray[np.uint16]  # charge and inverse distances in units of `STEP`, (environments, 1 + NEIGHBORS)
    threshold: NDArray[np.float64]  # the largest score of a molecule inside, 1/angstrom, ()

    @classmethod
    def of(cls, dataset: Dataset, train: NDArray[np.intp], held_out: NDArray[np.intp]) -> Self:
        """Return the domain of the rows `train` of a data set; the rows `held_out` give the threshold."""
        molecules = [(Z[Z > 0], R[Z > 0]) for Z, R in zip(dataset.Z, dataset.R, strict=True)]
        own = [molecules[row] for row in train]
        environments = np.concatenate([_environments(*molecule) for molecule in own])  # (atoms, 1 + NEIGHBORS)
        environments[:, 1:] = np.minimum(np.round(environments[:, 1:] / STEP), np.iinfo(np.uint16).max)
        T = dataset.T[train].astype(np.float64) / ENERGY_STEP
        domain = cls(
            elements=np.unique(environments[:, 0]).astype(np.intp),
            atoms=np.array([func(len(Z) for Z, _ in own) for func in (min, max)], dtype=np.intp),
            parities=np.unique(dataset.Z[train].sum(axis=1) % 2).astype(np.intp),
            energies=np.array([np.floor(T.min()), np.ceil(T.max())]) * ENERGY_STEP,
            link=np.array(max(_link(R) for _, R in own)),
            environments=np.unique(environments.astype(np.uint16), axis=0),
            threshold=np.array(np.inf),
        )
        scores = [domain.scores(*molecules[row]).max() for row in held_out]
        return replace(domain, threshold=np.array(np.quantile(scores, QUANTILE)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a model's file keeps, by attribute."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def warnings(self, Z: NDArray[np.floating], R: NDArray[np.floating]) -> dict[str, str]:
        """Return how a molecule, Z (atoms,) and R (atoms, 3) in bohr, is outside: sentences by what they are about."""
        reasons = {}
        for charge in np.setdiff1d(Z, self.elements).astype(int):
            reasons[SYMBOLS[charge]] = f"{np.count_nonzero(charge == Z)} {SYMBOLS[charge]}, an element not trained on"
        least, most = self.atoms
        if not least <= len(Z) <= most:
            limit, than = (most, "more") if len(Z) > most else (least, "fewer")
            reasons["atoms"] = f"{len(Z)} atom{'s'[: len(Z) - 1]}, {than} than any molecule trained on ({limit})"
        if (electrons := int(Z.sum())) % 2 not in self.parities:
            reasons["electrons"] = f"{electrons} electrons, {'an odd' if electrons % 2 else 'an even'} number"
        if (link := _link(R)) > self.link + SLACK:
            reasons["pieces"] = f"it falls into pieces {link:.2f} angstrom apart"
        scores = np.where(np.isin(Z, self.elements), self.scores(Z, R), 0)  # an unknown element has said so
        if scores.max() > self.threshold:
            worst = int(scores.argmax())
            near = ", ".join(f"{1 / x:.2f}" for x in _environments(Z, R)[worst, 1:] if x) or "no"
            atom = f"{SYMBOLS[int(Z[worst])]} {worst + 1}"
            reasons["environment"] = f"{atom}: nearest atoms at {near} angstrom, unlike any trained on"
        return reasons

    def scores(self, Z: NDArray[np.floating], R: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the distance of each atom's environment to the nearest one trained on, (atoms,), 1/angstrom."""
        distances: NDArray[np.float64] = self._tree.query(_environments(Z, R) * (APART, *[1.0] * NEIGHBORS))[0]
        return distances

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import KDTree  # noqa: PLC0415 - slow to import

        return KDTree(self.environments * (APART, *[STEP] * NEIGHBORS))


def _environments(Z: NDArray[np.floating], R: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return nuclear charge and inverse distances, largest first, of each atom, (atoms, 1 + NEIGHBORS), 1/angstrom."""
    distances = np.linalg.norm(R[:, None] - R, axis=-1) * BOHR
    np.fill_diagonal(distances, np.inf)
    nearest = 1 / np.sort(distances, axis=1)[:, :NEIGHBORS]
    return np.column_stack([Z, nearest, np.zeros((len(Z), NEIGHBORS - nearest.shape[1]))])


def _link(R: NDArray[np.floating]) -> float:
    """Return the longest distance, angstrom, of the shortest tree that connects atoms at R (atoms, 3), bohr."""
    from scipy.cluster.hierarchy import linkage  # noqa: PLC0415 - slow to import

    return float(linkage(R)[-1, 2]) * BOHR if len(R) > 1 else 0.0  # of single linkage, whose last step is the longest
