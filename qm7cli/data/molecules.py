"""Molecules from files: XYZ, extended XYZ, SDF and MOL (V2000), PDB, ASE trajectories; also in gzip, bzip2 and xz.

ASE reads a molecule. What a file is, and where a molecule in it ends, is decided here: ASE takes some names for places
in other files or for databases, some formats lead it to other files, and it leaves molecules out without a word.
Coordinates are in angstrom there and are turned into bohr here, once.
"""

import bz2
import gzip
import io
import lzma
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error
from qm7cli.data.coulomb import coulomb_matrices
from qm7cli.data.dataset import MOST_ATOMS

BOHR: Final = 0.529177210903  # angstrom; CODATA 2018
FORMATS: Final = {  # ASE's names, by the ending; none of them leads to another file
    ".xyz": "extxyz",
    ".extxyz": "extxyz",
    ".sdf": "sdf",
    ".mol": "sdf",
    ".pdb": "proteindatabank",
    ".traj": "traj",
}
UNPACK: Final[dict[str, Callable[[Path], Any]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
MOST_COLUMNS: Final = 1000  # of an extended XYZ file
UNPACKED: Final = 100_000_000  # bytes to which any packed file may unpack
TIMES: Final = 50  # its size, to which a larger one may unpack; molecules take 5 times as much, bombs 1,000


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
        What else the file says of it, such as energies, by key.
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
            if reason := unfit(name, atoms):
                left_out[reason] += 1
            else:
                molecules.append(from_ase(name, atoms))
    if not molecules:
        raise QM7Error(f"no molecule is left: {describe_left_out(left_out)}")
    return molecules, left_out


def describe_left_out(left_out: Counter[str]) -> str:
    """Say how many molecules were left out, and why."""
    return ", ".join(f"{count} {reason} left out" for reason, count in sorted(left_out.items()))


def unfit(name: str, atoms: Any) -> str | None:
    """Say what keeps ASE atoms from being a `Molecule`, ``periodic`` or ``charged``; None if nothing does."""
    if atoms.pbc.any():
        return "periodic"
    charge = atoms.info.get("charge", atoms.get_initial_charges().sum())
    try:
        return "charged" if round(float(charge)) else None
    except (TypeError, ValueError, OverflowError) as error:
        raise QM7Error(f"{name}: its charge is {charge}, which is not a number") from error


def from_ase(name: str, atoms: Any) -> Molecule:
    """Make a molecule of ASE atoms, whose coordinates are in angstrom; raises like `checked`."""
    results = atoms.calc.results if atoms.calc else {}
    R = (atoms.positions / BOHR).astype(np.float32)
    return checked(Molecule(name, atoms.numbers.astype(np.float32), R, {**results, **atoms.info}))


def checked(molecule: Molecule) -> Molecule:
    """Return a molecule; raises QM7Error if it has no atoms, too many, coinciding ones or others that cannot be."""
    if not len(molecule.Z) or not (molecule.Z > 0).all():
        raise QM7Error(f"{molecule.name}: it has no atoms, or some of no element")
    if not np.isfinite(molecule.R).all():
        raise QM7Error(f"{molecule.name}: some coordinates are not numbers")
    if len(molecule.Z) > MOST_ATOMS:
        raise QM7Error(f"{molecule.name}: {len(molecule.Z)} atoms, where at most {MOST_ATOMS} are read")
    try:
        molecule.coulomb_matrix(len(molecule.Z))
    except QM7Error as error:
        raise QM7Error(f"{molecule.name}: {str(error).partition(': ')[2]}") from error
    return molecule


def _read(path: Path) -> Iterator[Any]:
    """Yield the ASE atoms of each molecule of a file."""
    try:
        import ase.io  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise QM7Error("molecule files are read by ASE, which is not installed: pip install ase") from error
    if not path.is_file():
        raise QM7Error(f"cannot read {path}: it is not a file")
    read = 0
    try:
        with warnings.catch_warnings(action="ignore"), _open(path) as file:
            name = _format(path, file)
            for atoms in ase.io.iread(file, ":", name) if name == "traj" else _read_text(file, name):
                read += 1
                yield atoms
    except QM7Error:
        raise
    except Exception as error:  # each format of ASE has errors of its own
        if isinstance(error, OSError) and error.strerror:
            raise QM7Error(f"cannot read {path}: {error.strerror}") from error
        reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        raise QM7Error(f"{path} cannot be read as a file of molecules (molecule {read}: {reason})") from error
    if not read:
        raise QM7Error(f"{path} has no molecule")


def _open(path: Path) -> BinaryIO:
    """Open a file; unpack a packed one into memory, unless it is absurdly large there."""
    unpack = UNPACK.get(path.suffix.lower())
    if unpack is None:
        return path.open("rb")
    most = max(UNPACKED, TIMES * path.stat().st_size)
    content = io.BytesIO()
    with unpack(path) as packed:
        while piece := packed.read(1 << 20):
            content.write(piece)
            if content.tell() > most:
                raise QM7Error(f"{path} unpacks to more than {most / 1e6:.0f} MB; if that is right, unpack it first")
    content.seek(0)
    return content


def _format(path: Path, file: BinaryIO) -> str:
    """Return ASE's name of a format that is read here, by the ending or, without a known one, by the content."""
    from ase.io.formats import UnknownFileTypeError, filetype  # noqa: PLC0415 - as in `_read`

    inner = path.with_suffix("") if path.suffix.lower() in UNPACK else path
    name = FORMATS.get(inner.suffix.lower())
    if name is None:
        try:
            name = filetype(io.BytesIO(file.read(10_000)))  # without its name, which may be that of a database
        except UnknownFileTypeError:
            name = ""
        file.seek(0)
    if name not in FORMATS.values():
        raise QM7Error(
            f"{path} cannot be read as a file of molecules: it is not one of XYZ, extended XYZ, SDF, MOL, PDB and "
            "ASE trajectories, be it packed (.gz, .bz2, .xz) or not"
        )
    return name


def _read_text(file: BinaryIO, name: str) -> Iterator[Any]:
    """Yield the ASE atoms of each record of a text file."""
    import ase.io  # noqa: PLC0415 - as in `_read`

    lines = iter(io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace"))
    if name == "extxyz":
        for record in _xyz_records(lines):
            yield ase.io.read(io.StringIO(record), format=name, properties_parser=_xyz_values)
    elif name == "sdf":
        for record in _sdf_records(lines):
            values = _sdf_values(record)
            atoms: Any = ase.io.read(io.StringIO(record), format=name)
            atoms.info |= values
            yield atoms
    else:
        for record in _pdb_records(lines):
            yield ase.io.read(io.StringIO(record), format=name)


def _xyz_records(lines: Iterator[str]) -> Iterator[str]:
    """Yield each frame: the number of atoms, a comment, a line for each atom, and vectors of a cell."""
    line = next(lines, "")
    while line:
        if not line.strip():
            line = next(lines, "")
            continue
        try:
            atoms = int(line)
        except ValueError as error:
            raise ValueError(f"there is {line.strip()[:40]!r} instead of its number of atoms") from error
        if not 0 <= atoms <= MOST_ATOMS:
            raise ValueError(f"{atoms} atoms, where at most {MOST_ATOMS} are read")
        frame = [line, *islice(lines, 1 + atoms)]
        if len(frame) < 2 + atoms:
            raise ValueError(f"it says that it has {atoms} atoms, but the file ends before them")
        while (line := next(lines, "")).lstrip().startswith("VEC"):
            frame.append(line)
        yield "".join(frame)


def _xyz_values(comment: str) -> dict[str, Any]:
    """Return what the comment of an extended XYZ file says, as ASE reads it."""
    from ase.io.extxyz import key_val_str_to_dict  # noqa: PLC0415 - as in `_read`

    values: dict[str, Any] = key_val_str_to_dict(comment)
    columns = sum(map(int, str(values.get("Properties", "")).split(":")[2::3]))
    if columns > MOST_COLUMNS:
        raise ValueError(f"it has {columns} columns, where {MOST_COLUMNS} are the most")
    return values


def _sdf_records(lines: Iterator[str]) -> Iterator[str]:
    """Yield each record; what follows the last separator is one unless it is blank."""
    record: list[str] = []
    for line in lines:
        if line.rstrip() == "$$$$":
            yield "".join(record)
            record = []
        else:
            record.append(line)
    if any(map(str.strip, record)):
        yield "".join(record)


def _sdf_values(record: str) -> dict[str, Any]:
    """Return the charge and the data fields of a record; raises ValueError if it is not a whole one."""
    lines = record.split("\n")
    if "V3000" in "".join(lines[3:4]):
        raise ValueError("it is written as V3000; of SDF, V2000 is read")
    ends = [k for k, line in enumerate(lines) if line.rstrip() == "M  END"]
    if len(ends) != 1:
        raise ValueError(f"it has {len(ends)} lines with M  END, not one: it is cut short, or $$$$ is missing in it")
    values: dict[str, Any] = {}
    for line in lines[: ends[0]]:
        if line.startswith("M  CHG"):
            values["charge"] = values.get("charge", 0) + sum(map(int, line.split()[4::2]))
    fields = iter(lines[ends[0] + 1 :])
    for line in fields:
        if line.startswith(">") and "<" in line:
            values[line.partition("<")[2].partition(">")[0]] = "\n".join(takewhile(str.strip, fields)).strip()
    return values


def _pdb_records(lines: Iterator[str]) -> Iterator[str]:
    """Yield each model with the header, the file's or its own, that gives its unit cell."""
    header: dict[str, str] = {}
    model: list[str] = []
    for line in chain(lines, ["END"]):
        if line.startswith(("CRYST1", "ORIGX")):
            header[line[:6]] = line
        elif line.startswith(("ATOM", "HETATM")):
            model.append(line)
        elif line.startswith("END") and model:
            yield "".join([*header.values(), *model])
            model = []
