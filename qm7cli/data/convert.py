"""Data sets of a user's own molecules."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import refuse_output
from qm7cli.core.validation import LARGEST
from qm7cli.data.dataset import pad, save
from qm7cli.data.inspection import are_total, count_elements, not_atomization
from qm7cli.data.molecules import Molecule, read_molecules
from qm7cli.data.splits import stratified

UNITS: Final = {  # in kcal/mol; CODATA 2018
    "kcal/mol": 1.0,
    "kJ/mol": 1 / 4.184,
    "eV": 23.060547830619026,
    "hartree": 627.5094740630558,
}


class Converted(NamedTuple):
    """What a data set was made of."""

    molecules: int
    atoms: int  # of the largest molecule
    elements: str  # with the number of atoms of each, in words
    energies: tuple[float, float]  # lowest and highest atomization energy, kcal/mol
    energies_an_atom: tuple[float, float]  # likewise, each over the molecule's number of atoms
    left_out: Counter[str]  # molecules by reason


def convert_molecules(
    files: Sequence[Path],
    key: str,
    units: str,
    count: int,
    output: Path,
    *,
    any_energies: bool = False,
    force: bool = False,
) -> Converted:
    """Write the molecules of files and their energies as a data set.

    Parameters
    ----------
    files : sequence of Path
        Files of molecules (`qm7cli.data.molecules`).
    key : str
        Name of the atomization energy in the files.
    units : {"kcal/mol", "kJ/mol", "eV", "hartree"}
        Unit of these energies.
    count : int
        How many folds to make, stratified by energy.
    output : Path
        The data set file to write.
    any_energies : bool
        Take energies that cannot be atomization energies (`qm7cli.data.inspection.not_atomization`).
    force : bool
        Replace a file that is there.

    Raises
    ------
    QM7Error
        If `output` exists, is one of the files or lies in a run, a file cannot be read, an energy is missing or is not
        a number, the energies cannot be atomization energies, there are fewer molecules than folds, or the file cannot
        be written.
    """
    if output.is_file() and not force:
        raise QM7Error(f"{output} is there already; --force replaces it")
    refuse_output(output, files)
    molecules, left_out = read_molecules(files)
    T = np.array([_energy(molecule, key, UNITS[units]) for molecule in molecules])  # (molecules,)
    Z = pad([molecule.Z for molecule in molecules])  # (molecules, n)
    reason = None if any_energies else not_atomization(T, Z, [molecule.name for molecule in molecules])
    if reason:
        raise QM7Error(f"{reason}: {_cause(T, Z, units)}; --any-energies takes them as they are")
    if len(T) < count:
        raise QM7Error(f"{len(T)} molecules are too few for {count} folds")
    folds = stratified(T.astype(np.float32), count, np.random.default_rng(0))
    save(output, [(molecule.Z, molecule.R) for molecule in molecules], T.astype(np.float32), folds)
    an_atom = T / np.count_nonzero(Z, axis=1)  # (molecules,)
    return Converted(
        molecules=len(T),
        atoms=Z.shape[1],
        elements=count_elements(Z),
        energies=(float(T.min()), float(T.max())),
        energies_an_atom=(float(an_atom.min()), float(an_atom.max())),
        left_out=left_out,
    )


def _energy(molecule: Molecule, key: str, unit: float) -> float:
    """Return a molecule's energy in kcal/mol; `unit` is the file's, in kcal/mol."""
    if key not in molecule.values:
        there = ", ".join(sorted(molecule.values)) or "nothing"
        raise QM7Error(f"{molecule.name}: there is no {key}; the file has {there}")
    try:
        energy = float(molecule.values[key]) * unit
    except (TypeError, ValueError, OverflowError) as error:
        raise QM7Error(f"{molecule.name}: {key} is {molecule.values[key]!r}, which is not a number") from error
    if not abs(energy) < LARGEST:  # true for nan too
        raise QM7Error(f"{molecule.name}: {key} is {molecule.values[key]}")
    return energy


def _cause(T: NDArray[np.float64], Z: NDArray[np.float32], units: str) -> str:
    """Say what energies seem to be that, taken to be in `units`, are T in kcal/mol."""
    written = T / UNITS[units]
    for unit, size in UNITS.items():
        if are_total(written * (size / UNITS["hartree"]), Z):
            return f"they seem to be total energies in {unit}; subtract those of the free atoms"
    for sign, name in ((1, "they seem to be"), (-1, "they seem to have the other sign and to be")):
        for unit, size in UNITS.items():
            if not not_atomization(sign * written * size, Z):
                return f"{name} in {unit}"
    return "is it another unit (--units), another sign, a total energy?"
