"""What a model learns: energies minus the part that is known beforehand, either their mean or that of the composition.

Almost all of an atomization energy is a sum over the atoms, one number for each element. These numbers are found by
least squares (no intercept) from the training molecules; the model then learns what is left:

    target = Target.fit("composition", dataset.Z[train], dataset.T[train])
    targets = target.scaled(dataset.T, dataset.Z)  # what the network learns, (molecules,)
    target.energies(outputs, dataset.Z)  # kcal/mol again
"""

from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from qm7cli.data.dataset import SYMBOLS
from qm7cli.data.soundness import Subtract

NOTHING_LEFT: Final = 1e-6  # kcal/mol; a smaller standard deviation of what is left is rounding


class Target(NamedTuple):
    """What is subtracted from energies before they are learned, and the unit of what is left; by default nothing."""

    mean: float = 0.0  # of the training energies, kcal/mol; 0 if the composition is subtracted
    std: float = 1.0  # population standard deviation of what is left, kcal/mol
    elements: NDArray[np.intp] = np.empty(0, dtype=np.intp)  # nuclear charges; none if the mean is subtracted
    coefficients: NDArray[np.float64] = np.empty(0)  # energy of an atom of each element, kcal/mol

    @classmethod
    def fit(cls, subtract: Subtract, Z: NDArray[np.floating], T: NDArray[np.floating]) -> Self:
        """Fit to the charges Z (molecules, n), 0 for padding, and energies T (molecules,), kcal/mol, of molecules.

        Where least squares has several solutions, as with fewer molecules than elements, the coefficients are those of
        least norm. If they leave nothing, the unit is 1 kcal/mol.
        """
        energies = T.astype(np.float64)
        if subtract == "mean":
            return cls(float(energies.mean()), float(energies.std()))
        elements = np.unique(Z[Z > 0]).astype(np.intp)
        coefficients = np.linalg.lstsq(count_atoms(Z, elements), energies, rcond=None)[0].astype(np.float64)
        fitted = cls(0.0, 1.0, elements, coefficients)
        std = float((energies - fitted.known(Z)).std())
        return fitted._replace(std=std if std > NOTHING_LEFT else 1.0)

    def known(self, Z: NDArray[np.floating]) -> float | NDArray[np.float64]:
        """Return the part of the energies that is not learned, kcal/mol: one for all, or (molecules,) for each of Z."""
        if not len(self.elements):
            return self.mean
        part: NDArray[np.float64] = count_atoms(Z, self.elements) @ self.coefficients
        return part

    def left(self, T: NDArray[np.float32], Z: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return what is left of energies T (molecules,) of molecules with the charges Z (molecules, n), kcal/mol."""
        left: NDArray[np.floating] = T - self.known(Z)
        return left

    def scaled(self, T: NDArray[np.float32], Z: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return what is left of energies, as `left` does, in standard deviations, (molecules,) float32."""
        return (self.left(T, Z) / self.std).astype(np.float32)

    def energies(self, outputs: NDArray[np.float64], Z: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the energies (b,), kcal/mol, of a model's outputs (b,); Z is (b, n), or (1, n) for all."""
        energies: NDArray[np.float64] = outputs * self.std + self.known(Z)
        return energies

    def unknown(self, Z: NDArray[np.floating]) -> str | None:
        """Say which element among charges Z, (atoms,), has no coefficient, if one is needed."""
        if not len(self.elements):
            return None
        unknown = np.setdiff1d(Z[Z > 0], self.elements).astype(np.intp)
        return f"{SYMBOLS[unknown[0]]}: no molecule with it was trained on" if len(unknown) else None

    def describe(self) -> dict[str, str]:
        """Return the coefficients of a composition and what is left, in words."""
        pairs = zip(self.elements, self.coefficients, strict=True)
        coefficients = ", ".join(f"{SYMBOLS[charge]} {energy:.2f}" for charge, energy in pairs)
        return {"composition": f"{coefficients} kcal/mol per atom", "left by it": f"std {self.std:.2f} kcal/mol"}


NOTHING_SUBTRACTED: Final = Target()


def count_atoms(Z: NDArray[np.floating], elements: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return how many atoms of each element molecules with the charges Z (molecules, n) have, (molecules, elements)."""
    return np.stack([np.count_nonzero(charge == Z, axis=1) for charge in elements], axis=1).astype(np.float64)
