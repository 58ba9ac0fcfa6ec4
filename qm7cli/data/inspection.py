"""What a data set holds, in words, and whether its units are what they should be."""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error
from qm7cli.data.coulomb import coulomb_matrices
from qm7cli.data.dataset import BUNDLED, PUBLISHED_SHA256, SYMBOLS, Dataset

BINDING: Final = (-250.0, -10.0)  # kcal/mol an atom, of any molecule; the strongest bound metal, tungsten, has -205
WEAKEST: Final = -40.0  # kcal/mol an atom, of the molecules of a set on average; chlorine has -29, water -73
TOTAL: Final = (0.95, 1.2)  # total energy, hartree, of a molecule over -sum 0.5 Z^2.4, which fits that of free atoms


def not_atomization(T: NDArray[np.floating], Z: NDArray[np.floating], names: Sequence[str] | None = None) -> str | None:
    """Say why energies cannot be atomization energies of molecules; None if they can.

    A molecule's is within `BINDING` an atom, and on average at most `WEAKEST`; a lone atom has none. Total energies in
    hartree may look so, taken for kcal/mol, but give themselves away together (`are_total`).

    Parameters
    ----------
    T : (molecules,)
        Energies, kcal/mol.
    Z : (molecules, n)
        Nuclear charges, 0 for padding; each molecule has an atom.
    names : sequence of str, optional
        What each molecule is called; without it, by its row.
    """
    atoms = np.count_nonzero(Z, axis=1)  # (molecules,)
    an_atom = T / atoms  # (molecules,)
    lowest, highest = BINDING
    possible = np.where(atoms == 1, np.abs(T) < 0.01, (lowest < an_atom) & (an_atom < highest))
    if are_total(T, Z):
        return "the energies of all molecules are about the total energies of their atoms in hartree"
    if not possible.all():
        k, others = int(possible.argmin()), int((~possible).sum()) - 1
        name = names[k] if names else f"molecule {k}"
        more = f" (and {others} more {'are' if others > 1 else 'is'} out of range)" if others else ""
        return (
            f"{name} has {T[k]:.1f} kcal/mol, {an_atom[k]:.1f} an atom, where a molecule has {lowest:g} to "
            f"{highest:g} an atom and a lone atom 0{more}"
        )
    mean = float(T.sum(dtype=np.float64) / atoms.sum())
    if mean > WEAKEST:
        return f"the energies are {mean:.4g} kcal/mol an atom on average, where molecules have {WEAKEST:g} or less"
    return None


def are_total(T: NDArray[np.floating], Z: NDArray[np.floating]) -> bool:
    """Say whether all energies T (molecules,), hartree, are total energies of molecules of charges Z (molecules, n).

    The diagonal of a Coulomb matrix, 0.5 Z^2.4, is a fit to the total energies of free atoms (Rupp et al.).
    """
    ratios = -T / (0.5 * Z.astype(np.float64) ** 2.4).sum(axis=1)  # (molecules,)
    return bool(((TOTAL[0] < ratios) & (ratios < TOTAL[1])).all())


def check_units(dataset: Dataset) -> None:
    """Check the units and conventions of X, R and T, which a file from an unknown source may have otherwise.

    Raises
    ------
    QM7Error
        If X is not the Coulomb matrix of Z and R, as with coordinates in angstrom, or the energies cannot
        be atomization energies in kcal/mol (`not_atomization`).
    """
    differences = _coulomb_differences(dataset)
    worst = int(differences.argmax())
    if differences[worst] > 1e-2:
        raise QM7Error(
            f"X is not the Coulomb matrix of Z and R in bohr: "
            f"molecule {worst} is off by {differences[worst]:.3g} hartree"
        )
    reason = not_atomization(dataset.T, dataset.Z)
    if reason:
        raise QM7Error(f"T does not hold atomization energies in kcal/mol: {reason}")


def _coulomb_differences(dataset: Dataset) -> NDArray[np.float64]:
    """Return how far X is from the Coulomb matrix of Z and R in each molecule, (molecules,), hartree."""
    differences: NDArray[np.float64] = np.abs(dataset.X - coulomb_matrices(dataset.Z, dataset.R)).max(axis=(1, 2))
    return differences


def describe(dataset: Dataset) -> dict[str, str]:
    """Return what `qm7 info` shows: properties of the data set by name, in words.

    Raises
    ------
    QM7Error
        If two atoms of a molecule are in the same place.
    """
    atoms = np.count_nonzero(dataset.Z, axis=1)  # (molecules,)
    T = dataset.T.astype(np.float64)
    sizes = sorted(map(len, dataset.P))
    means = ", ".join(f"{T[fold].mean():.2f}" for fold in dataset.P)
    worst = _coulomb_differences(dataset)
    return {
        "molecules": str(len(dataset)),
        "atoms": f"{atoms.min()} to {atoms.max()} a molecule, mean {atoms.mean():.2f}; room for {dataset.Z.shape[1]}",
        "elements": count_elements(dataset.Z),
        "energy": f"{T.min():.2f} to {T.max():.2f}, mean {T.mean():.2f}, std {T.std():.2f} kcal/mol",
        "folds": f"{len(dataset.P)} of {sizes[0]}{f' to {sizes[-1]}' if sizes[-1] > sizes[0] else ''} molecules",
        "mean of a fold": f"{means} kcal/mol",
        "X of Z and R": f"largest difference {worst.max():.2g} hartree, in molecule {worst.argmax()}",
        "SHA-256": dataset.sha256,
        "which is": _owner(dataset.sha256),
    }


def _owner(sha256: str) -> str:
    for name, path in BUNDLED.items():
        if sha256 == hashlib.sha256(path.read_bytes()).hexdigest():
            return f"that of {name}, which comes with qm7"
    return f"{'' if sha256 == PUBLISHED_SHA256 else 'not '}the published file's"


def count_elements(Z: NDArray[np.floating]) -> str:
    """Return how many atoms of each element there are among nuclear charges, in words; 0 is padding."""
    charges, counts = np.unique(Z[Z > 0].astype(int), return_counts=True)
    return ", ".join(f"{SYMBOLS[charge]} {count}" for charge, count in zip(charges, counts, strict=True))
