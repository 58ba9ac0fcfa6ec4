"""Data sets of a user's own molecules."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from qm7cli.dataset import save
from qm7cli.errors import QM7Error
from qm7cli.molecule_files import Molecule, read_molecules
from qm7cli.splits import stratified

UNITS: Final = {"kcal/mol": 1.0, "eV": 23.060547830619026, "hartree": 627.5094740630558}  # in kcal/mol; CODATA 2018


def convert(files: Sequence[Path], key: str, units: str, count: int, output: Path) -> tuple[int, int, Counter[str]]:
    """Write the molecules of files, with the energies that they have under a key, as a data set.

    Parameters
    ----------
    files : sequence of Path
        Files that ASE reads.
    key : str
        Under which the file has each molecule's atomization energy.
    units : {"kcal/mol", "eV", "hartree"}
        Of these energies.
    count : int
        How many folds, stratified by energy.
    output : Path
        The data set file.

    Returns
    -------
    molecules, atoms of the largest, and how many molecules were left out by reason

    Raises
    ------
    QM7Error
        If a file cannot be read, an energy is missing or no number, there are fewer molecules than folds, or the
        file cannot be written.
    """
    molecules, left_out = read_molecules(files)
    T = np.array([_energy(molecule, key) for molecule in molecules]) * UNITS[units]
    if len(T) < count:
        raise QM7Error(f"{len(T)} molecules are too few for {count} folds")
    folds = stratified(T.astype(np.float32), count, np.random.default_rng(0))
    save(output, [(molecule.Z, molecule.R) for molecule in molecules], T.astype(np.float32), folds)
    return len(T), max(len(molecule.Z) for molecule in molecules), left_out


def _energy(molecule: Molecule, key: str) -> float:
    """Return the energy that the file has under `key`."""
    if key not in molecule.values:
        there = ", ".join(sorted(molecule.values)) or "nothing"
        raise QM7Error(f"{molecule.name}: there is no {key}; the file has {there}")
    try:
        energy = float(molecule.values[key])
    except (TypeError, ValueError) as error:
        raise QM7Error(f"{molecule.name}: {key} is {molecule.values[key]!r}, which is no number") from error
    if not np.isfinite(energy):
        raise QM7Error(f"{molecule.name}: {key} is {energy}")
    return energy
