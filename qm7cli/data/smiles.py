"""Molecules from SMILES: their geometries are guesses.

A SMILES says which atoms are bound, not where they are. RDKit embeds it several times (ETKDGv3: Riniker & Landrum, JCIM
55:2562, 2015; Wang et al., JCIM 60:2044, 2020) and relaxes each conformer by a force field (MMFF94, or UFF where MMFF
lacks parameters). The seed is fixed: the same SMILES gives the same conformers with the same version of RDKit.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from qm7cli.core.errors import QM7Error
from qm7cli.core.extras import import_extra
from qm7cli.core.notices import notice
from qm7cli.data.molecules import BOHR, NAMES, Molecule, make_molecule

CONFORMERS: Final = 10
SEED: Final = 7  # of the embedding
STEPS: Final = 2000  # of the relaxation, at most
MOST_EMBEDDED: Final = 100  # atoms: larger molecules take minutes


@dataclass(frozen=True)
class Smiles:
    """A SMILES, what the molecule is called, where it stands, and what else stands in its row of a table."""

    text: str
    name: str
    place: str = ""
    row: Mapping[str, str] = field(default_factory=dict)


def read_smi(text: str, path: str) -> list[Smiles]:
    """Read one SMILES per line, and after it, if it has one, the name; a first line that is no SMILES is a header."""
    lines = [(k, line.split(maxsplit=1)) for k, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if len(lines) > 1 and not _is_smiles(lines[0][1][0]):
        notice(f"{path}, line {lines[0][0]}: {' '.join(lines[0][1])[:40]!r} is no SMILES and is taken for a header")
        del lines[0]
    return [Smiles(words[0], words[-1].strip(), f"{path}, line {k}: ") for k, words in lines]


def read_csv(text: str, path: str, column: str | None = None) -> list[Smiles]:
    """Read a table with a column of SMILES: `column`, or the one that is called so, in whatever letters.

    Raises QM7Error if there is no such column.
    """
    first = text.partition("\n")[0]
    table = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=first.count), restkey="more", restval="")
    names = list(table.fieldnames or [])
    key = next((name for name in names if name == column or (not column and name.strip().lower() == "smiles")), None)
    if key is None:
        wanted = f"column {column}" if column else "column smiles"
        raise QM7Error(f"{path} has no {wanted}; --smiles-column names one of {', '.join(names) or 'none'}")
    title = next((name for name in names if name.lower() in NAMES), key)
    return [Smiles(row[key].strip(), row[title] or row[key], f"{path}, line {table.line_num}: ", row) for row in table]


def _is_smiles(text: str) -> bool:
    chem, rdbase = _rdkit()
    with rdbase.BlockLogs():
        return chem.MolFromSmiles(text, sanitize=False) is not None


def embed(smiles: Smiles) -> list[Molecule]:
    """Return the conformers of a molecule, `CONFORMERS` at most, under the molecule's name.

    Raises QM7Error if RDKit is missing, or the SMILES is not one, has fragments, is charged or cannot be embedded.
    """
    chem, rdbase = _rdkit()
    text, place = smiles.text, smiles.place
    with rdbase.BlockLogs():
        graph = chem.MolFromSmiles(text)
        if graph is None or not graph.GetNumAtoms():
            raise QM7Error(f"{place}{text!r} is not a SMILES that RDKit reads")
        if (pieces := len(chem.GetMolFrags(graph))) > 1:
            raise QM7Error(f"{place}{text} has {pieces} fragments, where one molecule is needed")
        if charge := chem.GetFormalCharge(graph):
            raise QM7Error(f"{place}{text} is charged ({charge:+d}); molecules here are neutral")
        if not all(atom.GetAtomicNum() for atom in graph.GetAtoms()):
            raise QM7Error(f"{place}{text} has an atom of no element")
        graph = chem.AddHs(graph)
        if (atoms := graph.GetNumAtoms()) > MOST_EMBEDDED:
            sizes = f"{atoms} atoms with its hydrogens, where at most {MOST_EMBEDDED} are embedded"
            raise QM7Error(f"{place}{text} has {sizes}")
        return _conformers(smiles, graph)


def _conformers(smiles: Smiles, graph: Any) -> list[Molecule]:
    """Return the conformers of an RDKit molecule with its hydrogens."""
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers  # noqa: PLC0415 - slow to import

    embedding: Any = rdDistGeom.ETKDGv3()
    embedding.randomSeed = SEED
    found = list(rdDistGeom.EmbedMultipleConfs(graph, CONFORMERS, embedding))
    if not found:
        raise QM7Error(f"{smiles.place}RDKit finds no geometry for {smiles.text}: give a file with its coordinates")
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(graph):
        rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(graph, maxIters=STEPS)
    elif rdForceFieldHelpers.UFFHasAllMoleculeParams(graph):
        rdForceFieldHelpers.UFFOptimizeMoleculeConfs(graph, maxIters=STEPS)
    Z = [atom.GetAtomicNum() for atom in graph.GetAtoms()]
    unpaired = sum(atom.GetNumRadicalElectrons() for atom in graph.GetAtoms())
    geometries = [graph.GetConformer(conformer).GetPositions() / BOHR for conformer in found]
    return [make_molecule(smiles.text, Z, R, name=smiles.name, unpaired=unpaired) for R in geometries]


def _rdkit() -> tuple[Any, Any]:
    return import_extra("rdkit.Chem", "chem", "SMILES need"), import_extra("rdkit.rdBase", "chem", "SMILES need")
