"""Molecules with coordinates, in angstrom: ASE reads XYZ and trajectories, RDKit reads SDF, MOL and PDB.

A reader yields each molecule of a file or, in its place, the error that says why it is left out.
"""

import functools
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from qm7cli.core.errors import QM7Error, brief, import_extra
from qm7cli.data.dataset import MOST_ATOMS, SYMBOLS
from qm7cli.data.molecules import BOHR, PLACEHOLDER, Molecule, from_ase, make_molecule

Read = Molecule | QM7Error
NUMBER: Final = re.compile(r"\s*\d{1,9}\s*")
MOST_COLUMNS: Final = 1000  # of an extended XYZ file
COLUMNS: Final = re.compile(r":[SRIL]:(\d+)")
COLON: Final = re.compile(r"\b(\w+):\s+(?=[-+.\d])")  # Charge: 1, which ASE does not read
RECORD_END: Final = re.compile(r"^\$\$\$\$.*\n?", re.MULTILINE)
MODEL_END: Final = re.compile(r"^END.*\n?", re.MULTILINE)
PDB_ATOM: Final = re.compile(r"^(ATOM  |HETATM)", re.MULTILINE)
PDB_CELL: Final = re.compile(r"^CRYST1([ .\d]{9})([ .\d]{9})([ .\d]{9})", re.MULTILINE)


def read_xyz(text: str, path: str) -> Iterator[Read]:
    """Read frames; behind what cannot be read, the next begins at the next line that has nothing but a number."""
    ase = import_extra("ase.io.extxyz", "chem", "XYZ files need")
    lines, k, number = text.split("\n"), 0, 0
    while k < len(lines):
        start, k = k, k + 1
        if not lines[start].strip():
            continue
        try:
            if not NUMBER.fullmatch(lines[start]):
                found = lines[start].strip()[:40]
                raise QM7Error(f"{path}, line {k}: there is {found!r} instead of a number of atoms")  # noqa: TRY301
            k += 1
            number += 1
            end = k + int(lines[start])
            yield _read_frame(ase, f"{path}:{number - 1}", lines[start:end])
            k = end + 3 if lines[start + 1].startswith("gdb") else end
        except QM7Error as error:
            yield error
            k = next((at for at in range(k, len(lines)) if NUMBER.fullmatch(lines[at])), len(lines))


def _read_frame(ase: Any, place: str, frame: list[str]) -> Molecule:
    count = int(frame[0])
    if count > MOST_ATOMS:
        raise QM7Error(f"{place}: {count} atoms, where at most {MOST_ATOMS} are read")
    if len(frame) < 2 + count:
        raise QM7Error(f"{place}: the file ends before its {count} atoms")
    comment, atoms, values = COLON.sub(r"\1=", frame[1]).replace("pbc=None", 'pbc="F F F"'), frame[2:], {}
    if comment.startswith("gdb"):  # QM9: columns of numbers, from 1; the fifth of an atom is a partial charge
        words = comment.split()
        comment, values = "", {"name": " ".join(words[:2])} | {str(k): word for k, word in enumerate(words, start=1)}
        atoms = [" ".join(line.replace("*^", "e").split()[:4]) for line in atoms]
    elif len(comment.split()) == 1 and "=" not in comment:
        values = {"name": comment.strip()}
    if "Properties=" not in comment or "Properties=species:S:1:" in comment:
        atoms = [_with_symbol(place, line) for line in atoms]
    if (columns := sum(map(int, COLUMNS.findall(comment)))) > MOST_COLUMNS:
        raise QM7Error(f"{place}: it has {columns} columns, where {MOST_COLUMNS} are the most")
    try:  # the part of ASE's reader that needs no assertions, which PYTHONOPTIMIZE leaves out
        found = ase._read_xyz_frame(iter([comment, *atoms]), count)  # noqa: SLF001
    except Exception as error:  # ASE raises many kinds
        raise QM7Error(f"{place} cannot be read: {brief(error) or type(error).__name__}") from error
    found.info |= values
    return from_ase(place, found)


def _with_symbol(place: str, line: str) -> str:
    """Return the line of an atom with its element's symbol: of a number, of deuterium, in other letters."""
    word, *rest = line.split() or [""]
    number = int(word) if word.isdecimal() and len(word) < 4 else 0
    symbol = SYMBOLS[number] if 0 < number < len(SYMBOLS) else "H" if word in {"D", "T"} else word.capitalize()
    if symbol not in SYMBOLS[1:]:
        raise QM7Error(f"{place}: {word[:40]!r} is not an element")
    return " ".join([symbol, *rest])


def format_xyz(molecules: Iterable[Molecule], values: Iterable[Mapping[str, Any]]) -> str:
    """Return molecules as extended XYZ, in angstrom, with values of each in its comment line, but empty ones."""
    ase, extxyz = (import_extra(name, "chem", "XYZ files need") for name in ("ase", "ase.io.extxyz"))
    text = io.StringIO()
    for molecule, own in zip(molecules, values, strict=True):
        known = {key: value for key, value in own.items() if value not in {None, ""}}
        positions = np.round(molecule.R.astype(np.float64) * BOHR, 6)  # float32 has no more: what was read comes back
        extxyz.write_xyz(text, [ase.Atoms(molecule.Z.astype(int), positions, info=known)])
    return text.getvalue()


def read_trajectory(content: bytes, path: str) -> Iterator[Read]:
    """Read an ASE trajectory."""
    frames = import_extra("ase.io", "chem", "trajectories need").iread(io.BytesIO(content), ":", "traj")
    try:
        yield from _read_each(from_ase, path, frames)
    except Exception as error:  # noqa: BLE001 - ASE raises many kinds
        yield QM7Error(f"{path} cannot be read to its end: {brief(error) or type(error).__name__}")


def read_sdf(text: str, path: str) -> Iterator[Read]:
    """Read records of an SDF or MOL file, V2000 or V3000."""
    return _read_each(_read_record, path, (record for record in RECORD_END.split(text) if record.strip()))


def read_pdb(text: str, path: str) -> Iterator[Read]:
    """Read the models of a PDB file."""
    cell = PDB_CELL.search(text)
    periodic = cell is not None and any(length.strip() and float(length) > PLACEHOLDER for length in cell.groups())
    models = (model for model in MODEL_END.split(text) if PDB_ATOM.search(model))
    return _read_each(functools.partial(_read_model, periodic=periodic), path, models)


def _read_each(read: Callable[[str, Any], Molecule], path: str, parts: Iterable[Any]) -> Iterator[Read]:
    for number, part in enumerate(parts):
        try:
            yield read(f"{path}:{number}", part)
        except QM7Error as error:
            yield error


def _read_record(place: str, record: str) -> Molecule:
    chem, silent = rdkit("SDF and MOL files need")
    with silent():
        supplier = chem.SDMolSupplier()
        supplier.SetData(record, sanitize=False, removeHs=False)
        graph = supplier[0] if len(supplier) else None
    if graph is None:
        raise QM7Error(f"{place} is not a record of an SDF or MOL file that RDKit reads")
    values = {name: graph.GetProp(name) for name in graph.GetPropNames()}
    molecule = _of_graph(chem, place, graph, values, graph.GetProp("_Name").strip())
    if not graph.GetConformer().Is3D() and graph.GetProp("_MolFileInfo")[20:22] == "2D":
        raise QM7Error(f"{place} is a 2D drawing, not a geometry")
    if graph.GetNumBonds() or len(molecule.Z) == 1:  # else it says nothing of bonds
        if (pieces := len(chem.GetMolFrags(graph))) > 1:
            raise QM7Error(f"{place} has {pieces} fragments, where one molecule is needed")
        if missing := sum(atom.GetTotalNumHs() for atom in graph.GetAtoms()):
            raise QM7Error(f"{place}: hydrogens are missing, {missing} by its bonds")
    return molecule


def _read_model(place: str, model: str, *, periodic: bool) -> Molecule:
    chem, silent = rdkit("PDB files need")
    if periodic:
        raise QM7Error(f"{place} is periodic; molecules here are not")
    with silent():
        graph = chem.MolFromPDBBlock(model, sanitize=False, removeHs=False, proximityBonding=False)
    if graph is None:
        raise QM7Error(f"{place} is not a model of a PDB file that RDKit reads")
    return _of_graph(chem, place, graph, {})


def _of_graph(chem: Any, place: str, graph: Any, values: dict[str, str], name: str = "") -> Molecule:
    """Make a molecule of RDKit's."""
    graph.UpdatePropertyCache(strict=False)
    chem.AssignRadicals(graph)
    positions = graph.GetConformer().GetPositions() if graph.GetNumConformers() else np.empty((0, 3))
    return make_molecule(
        place,
        [atom.GetAtomicNum() for atom in graph.GetAtoms()],
        positions / BOHR,
        values,
        charge=chem.GetFormalCharge(graph),
        unpaired=sum(atom.GetNumRadicalElectrons() for atom in graph.GetAtoms()),
        name=name,
    )


def rdkit(purpose: str) -> tuple[Any, Any]:
    """Return RDKit's module of molecules, and what keeps it from writing to standard error, for `import_extra`."""
    return import_extra("rdkit.Chem", "chem", purpose), import_extra("rdkit.rdBase", "chem", purpose).BlockLogs
