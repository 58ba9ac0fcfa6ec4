"""Whether a data set is sound: its units, the kind of its energies, copies of molecules; and what it holds."""

import hashlib
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error, notice
from qm7cli.data.coulomb import coulomb_matrices
from qm7cli.data.dataset import BUNDLED, PUBLISHED_SHA256, SYMBOLS, Dataset, Energies

UNITS: Final = {"kcal/mol": 1.0, "kJ/mol": 1 / 4.184, "eV": 23.060547830619026, "hartree": 627.5094740630558}  # CODATA
BINDING: Final = (-250.0, -10.0)  # kcal/mol per atom, of any molecule; the strongest bound metal, tungsten, has -205
WEAKEST: Final = -40.0  # kcal/mol per atom, of the molecules of a set on average; chlorine has -29, water -73
TOTAL: Final = (0.95, 1.2)  # total energy, hartree, of a molecule over -sum 0.5 Z^2.4, which fits that of free atoms
STRONGEST: Final = -120.0  # likewise; benzene has -114
Subtract = Literal["mean", "composition"]  # the setting target.subtract, from what is learned
VALENCE: Final = -600.0  # kcal/mol per heavy atom, at most, of total energies without core electrons; H2 has -620


def energy_kind(T: NDArray[np.floating], Z: NDArray[np.floating]) -> Energies | None:
    """Say what energies T (molecules,), kcal/mol, of molecules of charges Z (molecules, n) can be; None if neither."""
    seeming = {unit for unit, size in UNITS.items() if _are_total(T * size, Z)}
    if seeming:  # total energies with all electrons, in that unit
        return "total" if "kcal/mol" in seeming else None
    if not not_atomization(T, Z):
        return "atomization"
    heavy = np.maximum(np.count_nonzero(Z > 1, axis=1), 1)  # (molecules,)
    if (T / heavy >= VALENCE).any():
        return None
    for factor in {one / other for one in UNITS.values() for other in UNITS.values()}:
        atomization = not not_atomization(T * factor, Z) and (T * factor).sum() / np.count_nonzero(Z) > STRONGEST
        if atomization or _are_total(T * factor, Z):
            return None  # it is another unit
    return "total"


def not_atomization(T: NDArray[np.floating], Z: NDArray[np.floating], names: Sequence[str] | None = None) -> str | None:
    """Say why energies T (molecules,), kcal/mol, cannot be atomization energies; None if they can.

    A molecule's is within `BINDING` per atom, and on average at most `WEAKEST`; a lone atom has none.
    """
    atoms = np.count_nonzero(Z, axis=1)  # (molecules,)
    per_atom = T / atoms  # (molecules,)
    lowest, highest = BINDING
    possible = np.where(atoms == 1, np.abs(T) < 0.01, (lowest < per_atom) & (per_atom < highest))
    if not possible.all():
        k, others = int(possible.argmin()), int((~possible).sum()) - 1
        name = names[k] if names else f"molecule {k}"
        more = f" (and {others} more {'are' if others > 1 else 'is'} out of range)" if others else ""
        return (
            f"{name} has {T[k]:.1f} kcal/mol, {per_atom[k]:.1f} per atom, where a molecule has {lowest:g} to "
            f"{highest:g} per atom and a lone atom 0{more}"
        )
    mean = float(T.sum(dtype=np.float64) / atoms.sum())
    if mean > WEAKEST:
        return f"the energies are {mean:.4g} kcal/mol per atom on average, where molecules have {WEAKEST:g} or less"
    return None


def describe_mistake(
    T: NDArray[np.floating], Z: NDArray[np.floating], names: Sequence[str] | None = None, units: str = "kcal/mol"
) -> str:
    """Say what is wrong with energies, as `not_atomization`, and what they seem to be, if they are not in `units`."""
    reason = not_atomization(T, Z, names) or "no molecule has such energies"
    written = T / UNITS[units]
    for unit, size in UNITS.items():
        if _are_total(written * size, Z):
            return f"{reason}: they seem to be total energies in {unit}"
    for sign, name in ((1, "they seem to be"), (-1, "they seem to have the other sign and to be")):
        for unit, size in UNITS.items():
            if not not_atomization(sign * written * size, Z):
                return f"{reason}: {name} in {unit}"
    return f"{reason}: is it another unit, or another sign?"


def _are_total(T: NDArray[np.floating], Z: NDArray[np.floating]) -> bool:
    """Say whether all energies T (molecules,), kcal/mol, are total energies, with the charges Z (molecules, n)."""
    ratios = -T / UNITS["hartree"] / (0.5 * Z.astype(np.float64) ** 2.4).sum(axis=1)  # (molecules,)
    return bool(((TOTAL[0] < ratios) & (ratios < TOTAL[1])).all())


def refuse_unsound(dataset: Dataset, subtract: Subtract = "composition") -> None:
    """Raise QM7Error if a data set is not sound, to be trained on with the setting ``target.subtract``.

    Its X must be the Coulomb matrix of Z and R, its energies in kcal/mol, and total ones left to ``composition``.
    """
    differences = _coulomb_differences(dataset)
    if (worst := differences.max()) > 1e-2:
        k = differences.argmax()
        raise QM7Error(f"X is not the Coulomb matrix of Z and R in bohr: molecule {k} is off by {worst:.3g} hartree")
    kind = _kind(dataset)
    if kind is None:
        reason = describe_mistake(dataset.T, dataset.Z)
        raise QM7Error(f"T holds neither atomization energies nor total energies in kcal/mol: {reason}")
    if kind == "total" and subtract != "composition":
        raise QM7Error(f"{dataset.name} has total energies: --set target.subtract=composition learns what is left")


def _kind(dataset: Dataset) -> Energies | None:
    return "total" if dataset.energies == "total" else energy_kind(dataset.T, dataset.Z)


def _coulomb_differences(dataset: Dataset) -> NDArray[np.float64]:
    """Return how far X is from the Coulomb matrix of Z and R in each molecule, (molecules,), hartree."""
    differences: NDArray[np.float64] = np.abs(dataset.X - coulomb_matrices(dataset.Z, dataset.R)).max(axis=(1, 2))
    return differences


def describe_copies(dataset: Dataset) -> str | None:
    """Say how many molecules of a data set are there more than once; None if none is."""
    copies = np.flatnonzero(dataset.first_copies != np.arange(len(dataset)))
    if not len(copies):
        return None
    k = int(copies[0])
    verb = "molecule is a copy" if len(copies) == 1 else "molecules are copies"
    return f"{len(copies)} {verb} of others, as molecule {k} of {dataset.first_copies[k]}"


def describe_leaks(dataset: Dataset, folds: Sequence[NDArray[np.intp]]) -> str | None:
    """Say how many molecules are in one fold and, as copies, in another, so that test errors are too small."""
    firsts = [dataset.first_copies[fold] for fold in folds]
    seen, counts = np.unique(np.concatenate([np.unique(own) for own in firsts]), return_counts=True)
    rows = np.isin(np.concatenate(firsts), seen[counts > 1]).sum()
    if not rows:
        return None
    return (
        f"{rows} test molecules are also trained on, as copies in other folds: errors look smaller than they are; "
        "--split stratified keeps copies together"
    )


def check_for_training(dataset: Dataset, subtract: Subtract, folds: Sequence[NDArray[np.intp]]) -> None:
    """Raise QM7Error as `refuse_unsound`, and give notice of copies and of leaks between the folds to be trained."""
    refuse_unsound(dataset, subtract)
    for sentence in (describe_copies(dataset), describe_leaks(dataset, folds)):
        if sentence:
            notice(sentence)


def describe(dataset: Dataset) -> dict[str, str]:
    """Return what `qm7 info` shows, properties by name; raises QM7Error if two atoms are in the same place."""
    atoms = np.count_nonzero(dataset.Z, axis=1)  # (molecules,)
    T = dataset.T.astype(np.float64)
    sizes = sorted(map(len, dataset.P))
    means = ", ".join(f"{T[fold].mean():.2f}" for fold in dataset.P)
    worst = _coulomb_differences(dataset)
    known = {hashlib.sha256(path.read_bytes()).hexdigest(): name for name, path in BUNDLED.items()}
    owners = {sha256: f"that of {name}, which comes with qm7" for sha256, name in known.items()}
    owners[PUBLISHED_SHA256] = "the published file's"
    return {
        "molecules": str(len(dataset)),
        "atoms": f"{atoms.min()} to {atoms.max()} per molecule, mean {atoms.mean():.2f}; room for {dataset.Z.shape[1]}",
        "elements": count_elements(dataset.Z),
        "energies": _kind(dataset) or "of no known kind",
        "energy": f"{T.min():.2f} to {T.max():.2f}, mean {T.mean():.2f}, std {T.std():.2f} kcal/mol",
        "folds": f"{len(dataset.P)} of {sizes[0]}{f' to {sizes[-1]}' if sizes[-1] > sizes[0] else ''} molecules",
        "mean per fold": f"{means} kcal/mol",
        "duplicates": describe_copies(dataset) or "none",
        "X of Z and R": f"largest difference {worst.max():.2g} hartree, in molecule {worst.argmax()}",
        "SHA-256": dataset.sha256,
        "which is": owners.get(dataset.sha256, "not the published file's"),
    }


def count_elements(Z: NDArray[np.floating]) -> str:
    """Return how many atoms of each element there are among nuclear charges, in words; 0 is padding."""
    charges, counts = np.unique(Z[Z > 0].astype(int), return_counts=True)
    return ", ".join(f"{SYMBOLS[charge]} {count}" for charge, count in zip(charges, counts, strict=True))
