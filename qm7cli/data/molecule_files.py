"""Files of molecules: what a file is, by its ending or its content, all the molecules in it, and data sets of them.

The geometries of SMILES are guesses: a SMILES says which atoms are bound, not where they are. RDKit embeds it several
times (ETKDGv3: Riniker & Landrum, JCIM 55:2562, 2015; Wang et al., JCIM 60:2044, 2020) and relaxes each conformer by a
force field (MMFF94, or UFF where MMFF lacks parameters). The seed is fixed: the same SMILES gives the same conformers
with the same version of RDKit.
"""

import bz2
import csv
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from qm7cli.core.errors import QM7Error, notice
from qm7cli.core.files import STANDARD_INPUT
from qm7cli.core.validation import LARGEST
from qm7cli.data.coulomb import coulomb_matrices
from qm7cli.data.dataset import Dataset, check_size, first_copies, load, pad, save
from qm7cli.data.geometries import NUMBER, PDB_ATOM, PDB_CELL, rdkit, read_pdb, read_sdf, read_trajectory, read_xyz
from qm7cli.data.molecules import BOHR, NAMES, Molecule, make_molecule
from qm7cli.data.soundness import UNITS, describe_mistake, energy_kind
from qm7cli.data.splits import stratified

Format = Literal["xyz", "sdf", "pdb", "traj", "smi", "csv"]
ENDINGS: Final[dict[str, Format]] = {
    ".xyz": "xyz", ".extxyz": "xyz", ".sdf": "sdf", ".mol": "sdf", ".pdb": "pdb", ".traj": "traj", ".smi": "smi",
    ".smiles": "smi", ".csv": "csv",
}  # fmt: skip
UNPACK: Final[dict[str, Callable[..., Any]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
LARGEST_FILE: Final = 500_000_000  # bytes, unpacked
MOST_NAMED: Final = 20
CONFORMERS: Final = 10  # of a SMILES, at most
SEED: Final = 7  # of the embedding
STEPS: Final = 2000  # of the relaxation, at most
MOST_EMBEDDED: Final = 100  # atoms: larger molecules take minutes


class Smiles(NamedTuple):
    """A SMILES, what the molecule is called, where it stands, and what else stands in its row of a table."""

    text: str
    name: str
    place: str = ""
    row: Mapping[str, str] = {}


class Group(NamedTuple):
    """A molecule: its geometry, or the conformers of a SMILES, and the row of the table that it stands in."""

    conformers: list[Molecule]
    row: Mapping[str, str] = {}


def read_groups(
    paths: Iterable[Path], kind: Format | None = None, column: str | None = None, smiles: Sequence[str] = ()
) -> tuple[list[Group], list[QM7Error]]:
    """Return all molecules of files, and of SMILES beside them, and the errors that say why others are left out.

    ``-`` is standard input. Without `kind`, endings or contents say what files are; `column` is that of SMILES in
    tables. Raises QM7Error if a library is missing, a file cannot be read, or no molecule is left.
    """
    read: list[Group | QM7Error] = []
    for path in paths:
        found = list(_read_file(path, kind, column))
        if not found:
            raise QM7Error(f"{path} has no molecule")
        read += found
    read += _embed_all([Smiles(text, text) for text in smiles])
    groups = [each for each in read if isinstance(each, Group)]
    left_out = [each for each in read if isinstance(each, QM7Error)]
    if not groups:
        raise QM7Error(f"no molecule is left: {left_out[0]}{f', and {len(left_out) - 1} more' if left_out[1:] else ''}")
    return groups, left_out


def read_molecules(paths: Sequence[Path], kind: Format | None = None) -> tuple[list[Molecule], list[QM7Error]]:
    """Return the molecules of files with coordinates, and why others are left out; raises QM7Error if none is left."""
    for path in paths:
        if {_by_ending(path), kind} & {"smi", "csv"}:
            raise QM7Error(f"{path} has SMILES, and this needs coordinates: XYZ, SDF, MOL, PDB or ASE trajectories")
    groups, left_out = read_groups(paths, kind)
    return [group.conformers[0] for group in groups], left_out


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

    `kind` says what the files are, `key` how they call the energy, and `units`, one of `UNITS`, its unit. There will be
    `count` folds, stratified by energy. Raises QM7Error if `output` is there already, unless `force`, or the files do
    not give a data set.
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


def describe_left_out(left_out: Sequence[QM7Error]) -> Iterator[str]:
    """Yield sentences that say why molecules were left out, `MOST_NAMED` at most, and how many."""
    for error in left_out[:MOST_NAMED]:
        yield f"left out: {error}"
    if len(left_out) > 1:
        yield f"{len(left_out)} molecules left out"


def _read_file(path: Path, kind: Format | None, column: str | None) -> Iterator[Group | QM7Error]:
    content = _read(path)
    text = content.decode("utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig", errors="replace")
    text, place = text.replace("\r\n", "\n"), "standard input" if path == STANDARD_INPUT else str(path)
    kind = kind or _by_ending(path) or _by_content(content, text) or ("smi" if path == STANDARD_INPUT else None)
    match kind:
        case "xyz" | "sdf" | "pdb":
            found = {"xyz": read_xyz, "sdf": read_sdf, "pdb": read_pdb}[kind](text, place)
        case "traj":
            found = read_trajectory(content, place)
        case "smi" | "csv":
            return _embed_all(read_smi(text, place) if kind == "smi" else read_csv(text, place, column))
        case None:
            raise QM7Error(
                f"{path} cannot be read as a file of molecules: it is not one of XYZ, extended XYZ, SDF, MOL, PDB, ASE "
                "trajectories, SMILES (.smi) and tables of SMILES (.csv)"
            )
    return (each if isinstance(each, QM7Error) else Group([each]) for each in found)


def _by_ending(path: Path) -> Format | None:
    inner = path.with_suffix("") if path.suffix.lower() in UNPACK else path
    return ENDINGS.get(inner.suffix.lower())


def _by_content(content: bytes, text: str) -> Format | None:
    start = text[:10_000]
    if content.startswith(b"- of Ulm"):
        return "traj"
    if "V2000" in start or "V3000" in start:
        return "sdf"
    if PDB_ATOM.search(start) or PDB_CELL.search(start):
        return "pdb"
    return "xyz" if NUMBER.fullmatch(start.lstrip().partition("\n")[0]) else None


def _read(path: Path) -> bytes:
    """Return the bytes of a file, unpacked, or of standard input."""
    if path.is_dir():
        raise QM7Error(f"{path} is a directory, not a file of molecules; --run names a run")
    try:
        if path == STANDARD_INPUT:
            content: bytes = sys.stdin.buffer.read(LARGEST_FILE + 1)
        else:
            with UNPACK.get(path.suffix.lower(), open)(path, "rb") as file:
                content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise QM7Error(f"{path} does not exist") from error
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise QM7Error(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > LARGEST_FILE:
        raise QM7Error(f"{path} has more than {LARGEST_FILE / 1e6:.0f} MB; give it in parts")
    return content


def read_smi(text: str, path: str) -> list[Smiles]:
    """Read one SMILES per line, and after it, if it has one, the name; a first line that is no SMILES is a header."""
    lines = [(k, line.split(maxsplit=1)) for k, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if len(lines) > 1:
        chem, silent = rdkit("SMILES need")
        with silent():
            is_header = chem.MolFromSmiles(lines[0][1][0], sanitize=False) is None
        if is_header:
            k, words = lines.pop(0)
            notice(f"{path}, line {k}: {' '.join(words)[:40]!r} is no SMILES and is taken for a header")
    return [Smiles(words[0], words[-1].strip(), f"{path}, line {k}: ") for k, words in lines]


def read_csv(text: str, path: str, column: str | None = None) -> list[Smiles]:
    """Read a table with a column of SMILES: `column`, or the one that is called so, in whatever letters."""
    first = text.partition("\n")[0]
    table = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=first.count), restkey="more", restval="")
    names = list(table.fieldnames or [])
    key = next((name for name in names if name == column or (not column and name.strip().lower() == "smiles")), None)
    if key is None:
        wanted = f"column {column}" if column else "column smiles"
        raise QM7Error(f"{path} has no {wanted}; --smiles-column names one of {', '.join(names) or 'none'}")
    title = next((name for name in names if name.lower() in NAMES), key)
    return [Smiles(row[key].strip(), row[title] or row[key], f"{path}, line {table.line_num}: ", row) for row in table]


def _embed_all(smiles: Iterable[Smiles]) -> Iterator[Group | QM7Error]:
    for each in smiles:
        try:
            yield Group(embed(each), each.row)
        except QM7Error as error:
            yield error


def embed(smiles: Smiles) -> list[Molecule]:
    """Return the conformers of a molecule, `CONFORMERS` at most; raises QM7Error if it cannot be embedded."""
    chem, silent = rdkit("SMILES need")
    text = smiles.text
    with silent():
        graph = chem.MolFromSmiles(text)
        if graph is None or not graph.GetNumAtoms():
            raise QM7Error(f"{smiles.place}{text!r} is not a SMILES that RDKit reads")
        graph = chem.AddHs(graph)
        pieces, charge, atoms = len(chem.GetMolFrags(graph)), chem.GetFormalCharge(graph), graph.GetNumAtoms()
        Z = [atom.GetAtomicNum() for atom in graph.GetAtoms()]
        for refused, reason in (
            (pieces > 1, f"has {pieces} fragments, where one molecule is needed"),
            (charge, f"is charged ({charge:+d}); molecules here are neutral"),
            (0 in Z, "has an atom of no element"),
            (atoms > MOST_EMBEDDED, f"has {atoms} atoms with hydrogens, where at most {MOST_EMBEDDED} are embedded"),
        ):
            if refused:
                raise QM7Error(f"{smiles.place}{text} {reason}")
        geometries = _conformers(graph)
    if not geometries:
        raise QM7Error(f"{smiles.place}RDKit finds no geometry for {text}: give a file with its coordinates")
    unpaired = sum(atom.GetNumRadicalElectrons() for atom in graph.GetAtoms())
    return [make_molecule(text, Z, R, name=smiles.name, unpaired=unpaired) for R in geometries]


def _conformers(graph: Any) -> list[Any]:
    """Return the coordinates (atoms, 3), bohr, of conformers of an RDKit molecule with its hydrogens."""
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers  # noqa: PLC0415 - slow to import

    embedding: Any = rdDistGeom.ETKDGv3()
    embedding.randomSeed = SEED
    found = list(rdDistGeom.EmbedMultipleConfs(graph, CONFORMERS, embedding))
    if found and rdForceFieldHelpers.MMFFHasAllMoleculeParams(graph):
        rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(graph, maxIters=STEPS)
    elif found and rdForceFieldHelpers.UFFHasAllMoleculeParams(graph):
        rdForceFieldHelpers.UFFOptimizeMoleculeConfs(graph, maxIters=STEPS)
    return [graph.GetConformer(conformer).GetPositions() / BOHR for conformer in found]
