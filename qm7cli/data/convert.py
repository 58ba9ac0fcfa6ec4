"""Data sets of a user's own molecules."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qm7cli.core.errors import QM7Error
from qm7cli.core.validation import LARGEST
from qm7cli.data.coulomb import coulomb_matrices
from qm7cli.data.dataset import Dataset, check_size, load, pad, save
from qm7cli.data.duplicates import first_copies
from qm7cli.data.molecule_files import Format, read_molecules
from qm7cli.data.molecules import Molecule
from qm7cli.data.soundness import UNITS, describe_mistake, energy_kind
from qm7cli.data.splits import stratified


def convert_molecules(
    files: Sequence[Path],
    key: str,
    units: str,
    count: int,
    output: Path,
    *,
    kind: Format | None = None,
    force: bool = False,
) -> tuple[Dataset, list[QM7Error]]:
    """Write the molecules of files and their energies as a data set; return it, and why molecules are left out.

    `kind` says what the files are, `key` how they call the energy, atomization or total, and `units`, one of `UNITS`,
    its unit. It is split into `count` folds, stratified by energy; copies of a molecule are in one.

    Raises QM7Error if `output` is there already, unless `force`, a file cannot be read, an energy is missing or is no
    number, the energies are neither atomization nor total energies, or there are fewer molecules than folds.
    """
    if output.is_file() and not force:
        raise QM7Error(f"{output} is there already; --force replaces it")
    molecules, left_out = read_molecules(files, kind)
    T = np.array([_energy(molecule, key, UNITS[units]) for molecule in molecules])  # (molecules,)
    pairs = [(molecule.Z, molecule.R) for molecule in molecules]
    Z, R = (pad(each) for each in zip(*pairs, strict=True))  # (molecules, n, ...)
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
    save(output, pairs, written, folds, **more)
    return load(output), left_out


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
