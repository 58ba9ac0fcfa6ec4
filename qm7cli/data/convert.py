"""Data sets of a user's own molecules."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import refuse_output
from qm7cli.core.validation import LARGEST
from qm7cli.data.coulomb import coulomb_matrices
from qm7cli.data.dataset import Dataset, check_size, load, pad, save
from qm7cli.data.duplicates import first_copies
from qm7cli.data.molecule_files import Format, read_molecules
from qm7cli.data.molecules import Molecule
from qm7cli.data.soundness import UNITS, describe_mistake, energy_kind
from qm7cli.data.splits import stratified


class Converted(NamedTuple):
    """The data set that was written, and why molecules were left out of it."""

    dataset: Dataset
    left_out: list[QM7Error]


def convert_molecules(
    files: Sequence[Path],
    key: str,
    units: str,
    count: int,
    output: Path,
    *,
    kind: Format | None = None,
    force: bool = False,
) -> Converted:
    """Write the molecules of files and their energies as a data set.

    Parameters
    ----------
    files : sequence of Path
        Files of molecules (`qm7cli.data.molecule_files`).
    key : str
        Name of the energy in the files, atomization or total.
    units : {"kcal/mol", "kJ/mol", "eV", "hartree"}
        Unit of these energies.
    count : int
        How many folds to make, stratified by energy; copies of a molecule are in one.
    output : Path
        The data set file to write.
    kind : str, optional
        What the files are; default: what their endings or their contents say.
    force : bool
        Replace a file that is there.

    Raises
    ------
    QM7Error
        If `output` exists, is one of the files or lies in a run, a file cannot be read, an energy is missing or is not
        a number, the energies are neither atomization nor total energies, there are fewer molecules than folds, or the
        file cannot be written.
    """
    if output.is_file() and not force:
        raise QM7Error(f"{output} is there already; --force replaces it")
    refuse_output(output, files)
    molecules, left_out = read_molecules(files, kind)
    T = np.array([_energy(molecule, key, UNITS[units]) for molecule in molecules])  # (molecules,)
    Z, R = (
        pad([molecule.Z for molecule in molecules]),
        pad([molecule.R for molecule in molecules]),
    )  # (molecules, n, ...)
    energies = energy_kind(T, Z)
    if energies is None:
        raise QM7Error(describe_mistake(T, Z, [molecule.name for molecule in molecules], units))
    check_size(*Z.shape)
    written = T.astype(np.float32)
    firsts = first_copies(coulomb_matrices(Z, R).astype(np.float32, copy=False), written)
    if (different := len(np.unique(firsts))) < count:
        raise QM7Error(f"{different} molecules are too few for {count} folds")
    folds = stratified(written, count, np.random.default_rng(0), firsts)
    more = {"energies": np.array(energies)} if energies == "total" else {}
    save(output, [(molecule.Z, molecule.R) for molecule in molecules], written, folds, **more)
    return Converted(load(output), left_out)


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
