"""Molecules from files that ASE reads: XYZ, extended XYZ, SDF, PDB, trajectories.

Coordinates are in angstrom there and are turned into bohr here, once.
"""

import io
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qm7cli.coulomb import coulomb_matrices
from qm7cli.errors import QM7Error

BOHR: Final = 0.529177210903  # angstrom; CODATA 2018


@dataclass(frozen=True)
class Molecule:
    """A neutral molecule that is not periodic.

    Attributes
    ----------
    name : str
        The file and, from 0, the place in it.
    Z : (atoms,) float32
        Nuclear charges.
    R : (atoms, 3) float32
        Coordinates, bohr.
    values : dict
        What the file says of it beside, such as energies, by key.
    """

    name: str
    Z: NDArray[np.float32]
    R: NDArray[np.float32]
    values: dict[str, Any] = field(default_factory=dict)

    def coulomb_matrix(self, n: int) -> NDArray[np.float32]:
        """Return the Coulomb matrix, padded, (n, n) float32, hartree."""
        C = np.zeros((n, n), dtype=np.float32)
        atoms = len(self.Z)
        C[:atoms, :atoms] = coulomb_matrices(self.Z[None], self.R[None])[0]
        return C


def read_molecules(paths: Iterable[Path]) -> tuple[list[Molecule], Counter[str]]:
    """Read all molecules of all files.

    Returns
    -------
    list of Molecule
        In the order of the files.
    Counter
        How many were left out, by reason: charged, periodic.

    Raises
    ------
    QM7Error
        If ASE is missing, a file cannot be read or has no molecule, two atoms are in one place, or nothing is left.
    """
    molecules, left_out = [], Counter[str]()
    for path in paths:
        for k, atoms in enumerate(_read(path)):
            name = f"{path}:{k}"
            if atoms.pbc.any():
                left_out["periodic"] += 1
            elif _charge(name, atoms):
                left_out["charged"] += 1
            else:
                results = atoms.calc.results if atoms.calc else {}
                R = atoms.positions / BOHR
                molecule = Molecule(
                    name, atoms.numbers.astype(np.float32), R.astype(np.float32), {**results, **atoms.info}
                )
                _check(molecule)
                molecules.append(molecule)
    if not molecules:
        raise QM7Error(f"no molecule is left: {describe_left_out(left_out)}")
    return molecules, left_out


def describe_left_out(left_out: Counter[str]) -> str:
    """Say how many molecules were left out, and why."""
    return ", ".join(f"{count} {reason} left out" for reason, count in sorted(left_out.items()))


def _charge(name: str, atoms: Any) -> int:
    """Return the charge that a file says a molecule has, in elementary charges."""
    charge = atoms.info.get("charge", atoms.get_initial_charges().sum())
    try:
        return round(float(charge))
    except (TypeError, ValueError, OverflowError) as error:
        raise QM7Error(f"{name}: its charge is {charge}, which is no number") from error


def _check(molecule: Molecule) -> None:
    if not len(molecule.Z) or not (molecule.Z > 0).all():
        raise QM7Error(f"{molecule.name}: it has no atoms, or some of no element")
    if not np.isfinite(molecule.R).all():
        raise QM7Error(f"{molecule.name}: some coordinates are no numbers")
    try:
        molecule.coulomb_matrix(len(molecule.Z))
    except QM7Error as error:
        raise QM7Error(f"{molecule.name}: {str(error).partition(': ')[2]}") from error


def _read(path: Path) -> Iterator[Any]:
    """Yield the ASE atoms of a file."""
    try:
        from ase.io import iread  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise QM7Error("molecule files are read by ASE, which is not installed: pip install ase") from error
    if not path.is_file():
        raise QM7Error(f"cannot read {path}: it is no file")
    found = False
    try:
        with warnings.catch_warnings(action="ignore"):
            for atoms in _read_sdf(path) if path.suffix == ".sdf" else iread(path, index=":"):
                found = True
                yield atoms
    except QM7Error:
        raise
    except Exception as error:  # each format of ASE has errors of its own
        if isinstance(error, OSError) and error.strerror:
            raise QM7Error(f"cannot read {path}: {error.strerror}") from error
        raise QM7Error(f"{path} cannot be read as a file of molecules ({type(error).__name__}: {error})") from error
    if not found:
        raise QM7Error(f"{path} has no molecule")


def _read_sdf(path: Path) -> Iterator[Any]:
    """Yield the ASE atoms of each record, which ASE reads singly, with its data fields and charge as info."""
    from ase.io import read  # noqa: PLC0415 - an extra, and slow to import

    for record in path.read_text(encoding="utf-8", errors="replace").split("$$$$\n"):
        if record.strip():
            atoms: Any = read(io.StringIO(record), format="sdf")
            for line, following in pairwise(record.splitlines()):
                if line.startswith(">") and "<" in line:
                    atoms.info[line.partition("<")[2].partition(">")[0]] = following.strip()
                if line.startswith("M  CHG"):
                    atoms.info["charge"] = atoms.info.get("charge", 0) + sum(map(int, line.split()[4::2]))
            yield atoms
