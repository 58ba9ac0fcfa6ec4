"""Molecules from SMILES, where RDKit is installed: their geometries are guesses.

A SMILES says which atoms are bound, not where they are. RDKit embeds it several times (ETKDGv3: Riniker & Landrum, JCIM
55:2562, 2015; Wang et al., JCIM 60:2044, 2020) and relaxes each conformer by a force field (MMFF94, or UFF where MMFF
lacks parameters). The seed is fixed: the same SMILES gives the same conformers with the same version of RDKit.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from qm7cli.core.errors import QM7Error
from qm7cli.core.files import read_bytes
from qm7cli.data.molecules import BOHR, Molecule

CONFORMERS: Final = 10
SEED: Final = 7  # of the embedding
STEPS: Final = 2000  # of the relaxation, at most
LARGEST: Final = 100  # atoms: larger molecules take minutes


class Smiles(NamedTuple):
    """A SMILES and what the molecule is called."""

    text: str
    name: str


def read_smiles(path: Path) -> list[Smiles]:
    """Read a file with a SMILES a line, and after it, if it has one, the molecule's name.

    Raises QM7Error if the file cannot be read or has no SMILES.
    """
    try:
        lines = [line.split(maxsplit=1) for line in read_bytes(path).decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise QM7Error(f"{path} cannot be read as a file of SMILES: it is not text") from error
    found = [Smiles(words[0], words[-1].strip()) for words in lines if words]
    if not found:
        raise QM7Error(f"{path} has no SMILES")
    return found


def embed_all(smiles: Iterable[Smiles]) -> Iterator[list[Molecule]]:
    """Yield the conformers of each molecule, `CONFORMERS` at most, under the molecule's name.

    Raises QM7Error if RDKit is missing, or a SMILES is not one, is charged or cannot be embedded.
    """
    try:
        from rdkit import Chem, rdBase  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise QM7Error("SMILES are read by RDKit, which is not installed: pip install rdkit") from error
    for each in smiles:
        with rdBase.BlockLogs():
            graph = Chem.MolFromSmiles(each.text)
            if graph is None or not graph.GetNumAtoms():
                raise QM7Error(f"{each.text!r} is not a SMILES that RDKit reads")
            yield _embed(each, Chem.AddHs(graph))


def _embed(smiles: Smiles, graph: Any) -> list[Molecule]:
    """Return the conformers of an RDKit molecule with its hydrogens."""
    from rdkit import Chem  # noqa: PLC0415 - as in `embed_all`
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers  # noqa: PLC0415

    Z = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()], dtype=np.float32)
    if Chem.GetFormalCharge(graph):
        raise QM7Error(f"{smiles.text} is charged; the models know neutral molecules alone")
    if not Z.all():
        raise QM7Error(f"{smiles.text} has an atom of no element")
    if len(Z) > LARGEST:
        raise QM7Error(f"{smiles.text} has {len(Z)} atoms with its hydrogens, where at most {LARGEST} are embedded")
    embedding: Any = rdDistGeom.ETKDGv3()
    embedding.randomSeed = SEED
    found = list(rdDistGeom.EmbedMultipleConfs(graph, CONFORMERS, embedding))
    if not found:
        raise QM7Error(f"RDKit finds no geometry for {smiles.text}: give a file with its coordinates")
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(graph):
        rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(graph, maxIters=STEPS)
    elif rdForceFieldHelpers.UFFHasAllMoleculeParams(graph):
        rdForceFieldHelpers.UFFOptimizeMoleculeConfs(graph, maxIters=STEPS)
    positions = [graph.GetConformer(conformer).GetPositions() / BOHR for conformer in found]
    return [Molecule(smiles.name, Z, R.astype(np.float32)) for R in positions]
