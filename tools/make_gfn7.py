"""Make the bundled molecule set gfn7 from nothing: graphs by a rule, geometries and energies by GFN2-xTB.

    pip install '.[generate]'
    python tools/make_gfn7.py                                    # minutes; writes qm7cli/data/bundled/gfn7.npz
    python tools/make_gfn7.py --molecules 30 --output look.npz   # a quick look

Molecular graphs of up to 7 heavy atoms grow atom by atom from C, N, O and S. A new atom goes on any free valence (C 4,
N 3, O 2, S 2) by a single, double or triple bond. Then, up to twice, a ring is closed or a bond's order is raised.
Hydrogens fill the valences. Each size grows from a sample of 300 graphs of the size before.

A graph is left out if it has more than 3 heteroatoms, 1 sulfur atom, 2 rings or 23 atoms, or a strained or reactive
pattern of EXCLUDED. Canonical SMILES tell equal graphs apart. All graphs of up to 4 heavy atoms are kept, and samples
with a fixed seed of 250, 500 and 1000 graphs with 5, 6 and 7.

Each graph is embedded (ETKDGv3), then relaxed with MMFF94 and at GFN2-xTB (largest force 0.005 eV/angstrom). Its energy
is the molecule's minus those of the free atoms at the same level (unpaired electrons: H 1, C 2, N 3, O 2, S 2), without
spin polarization. A molecule is dropped if it fails, does not converge or changes its bonds: atoms are bonded if nearer
than 1.3 times the sum of their covalent radii. Of 2089 graphs, 156 were dropped: 150 had changed bonds, and 6 had no
conformer.

The same machine and versions give the same file; rdkit 2026.9.1, tblite 0.8.0 and ase 3.29.0 made the bundled one.
Finished molecules are kept beside the output, so the same command resumes an interrupted run.
"""

import argparse
import functools
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # a process a core, and the same sums in the same order

import numpy as np
from ase import Atoms, units
from ase.optimize import BFGS
from rdkit import Chem, RDLogger
from rdkit.Chem import AllChem
from rich.progress import Progress
from tblite.ase import TBLite
from tblite.interface import Calculator

from qm7cli.data.dataset import save
from qm7cli.data.splits import stratified

ROOT = Path(__file__).parents[1]
VALENCES = {"C": 4, "N": 3, "O": 2, "S": 2}
UNPAIRED = {1: 1, 6: 2, 7: 3, 8: 2, 16: 2}  # electrons of the free atoms
SAMPLES = {5: 250, 6: 500, 7: 1000}  # graphs kept of each size; all of the smaller ones
PARENTS = 300  # graphs of each size that the next one grows from
HETEROATOMS, SULFURS, RINGS = 3, 1, 2  # at most, in a molecule
ATOMS = 23
SEED = 7
EXCLUDED = {
    "[O,S]~[O,S]": "bonds between oxygen and sulfur atoms",
    "[N,O,S]~[N,O,S]~[N,O,S]": "three heteroatoms in a row",
    "*=*=*": "cumulated double bonds",
    "*#;@*": "a triple bond in a ring",
    "[r3]=;@[r3]": "a double bond in a three-membered ring",
    "[R2]=*": "a double bond at an atom of two rings",
    "[R2;r3]": "three-membered rings that share an atom with another ring",
    "C=C[OX2H,SX2H,NX3H1,NX3H2]": "enols, enethiols and enamines with hydrogen",
    "[OX2H,SX2H,NX3H1,NX3H2][CX4][OX2,SX2,NX3]": "hemiacetals and the like",
    "N=[O,S]": "nitroso groups",
}
COUNTED = {
    "double bonds": "*=*", "triple bonds": "*#*", "rings": "[R]", "aromatic rings": "a",
    "H": "[!H0]", "C": "[#6]", "N": "[#7]", "O": "[#8]", "S": "[#16]",
}  # fmt: skip
PATTERNS = [Chem.MolFromSmarts(smarts) for smarts in EXCLUDED]
HARTREE = units.Hartree / (units.kcal / units.mol)  # kcal/mol


def grow() -> dict[int, list[str]]:
    """Return the sampled canonical SMILES of each number of heavy atoms."""
    rng = random.Random(SEED)  # noqa: S311 - a sample, not a secret
    sizes = {1: sorted(VALENCES)}
    for size in range(2, 8):
        parents = sizes[size - 1]
        chosen = rng.sample(parents, min(PARENTS, len(parents)))
        found: set[str] = set()
        for parent in chosen:
            generation = set(_attached(parent))
            found |= generation
            for _ in range(2):
                generation = {child for smiles in sorted(generation) for child in _joined(smiles)} - found
                found |= generation
        allowed = sorted(smiles for smiles in found if _is_allowed(smiles))
        sizes[size] = sorted(rng.sample(allowed, min(SAMPLES.get(size, len(allowed)), len(allowed))))
    return sizes


def _attached(smiles: str) -> Iterator[str]:
    """Yield the molecules with one more atom."""
    molecule = _kekulized(smiles)
    for atom in molecule.GetAtoms():
        for element, valence in VALENCES.items():
            for order in range(1, min(3, valence, atom.GetTotalNumHs()) + 1):
                grown = Chem.RWMol(molecule)
                _bond(grown, atom.GetIdx(), grown.AddAtom(Chem.Atom(element)), order)
                yield _canonical(grown)


def _joined(smiles: str) -> Iterator[str]:
    """Yield the molecules with a ring more, or a bond of a higher order."""
    molecule = _kekulized(smiles)
    free = [atom.GetIdx() for atom in molecule.GetAtoms() if atom.GetTotalNumHs()]
    for i in free:
        for j in free:
            if i < j:
                joined = Chem.RWMol(molecule)
                bond = joined.GetBondBetweenAtoms(i, j)
                order = 1 if bond is None else int(bond.GetBondTypeAsDouble()) + 1
                if order > 3:
                    continue
                if bond is not None:
                    joined.RemoveBond(i, j)
                _bond(joined, i, j, order)
                yield _canonical(joined)


def _kekulized(smiles: str) -> Chem.Mol:
    molecule = Chem.MolFromSmiles(smiles)
    Chem.Kekulize(molecule, clearAromaticFlags=True)
    return molecule


def _bond(molecule: Chem.RWMol, i: int, j: int, order: int) -> None:
    molecule.AddBond(i, j, Chem.BondType.values[order])
    for k in (i, j):  # hydrogens that were written out, as in [nH], would stay
        molecule.GetAtomWithIdx(k).SetNumExplicitHs(0)
        molecule.GetAtomWithIdx(k).SetNoImplicit(False)


def _canonical(molecule: Chem.RWMol) -> str:
    Chem.SanitizeMol(molecule)
    return str(Chem.MolToSmiles(molecule))


def _is_allowed(smiles: str) -> bool:
    molecule = Chem.MolFromSmiles(smiles)
    elements = Counter(atom.GetSymbol() for atom in molecule.GetAtoms())
    return (
        elements.total() - elements["C"] <= HETEROATOMS
        and elements["S"] <= SULFURS
        and molecule.GetRingInfo().NumRings() <= RINGS
        and Chem.AddHs(molecule).GetNumAtoms() <= ATOMS
        and not any(molecule.HasSubstructMatch(pattern) for pattern in PATTERNS)
    )


def compute(smiles: str) -> dict[str, Any]:
    """Return charges, coordinates (bohr) and atomization energy (kcal/mol) of a molecule, or why it is dropped."""
    RDLogger.DisableLog("rdApp.*")
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    embedding = AllChem.ETKDGv3()
    embedding.randomSeed = SEED
    if AllChem.EmbedMolecule(molecule, embedding) != 0:
        return {"smiles": smiles, "dropped": "no conformer"}
    if AllChem.MMFFOptimizeMolecule(molecule, maxIters=2000) == -1:
        return {"smiles": smiles, "dropped": "no MMFF94 parameters"}
    Z = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    atoms = Atoms(Z, molecule.GetConformer().GetPositions(), calculator=TBLite(method="GFN2-xTB", verbosity=0))
    try:
        converged = BFGS(atoms, logfile=None).run(fmax=0.005, steps=500)  # eV/angstrom
    except Exception as error:  # noqa: BLE001 - whatever xTB and the optimiser raise, the molecule is dropped
        return {"smiles": smiles, "dropped": f"failed ({type(error).__name__})"}
    if not converged:
        return {"smiles": smiles, "dropped": "not converged"}
    if not np.array_equal(_bonds(atoms), Chem.GetAdjacencyMatrix(molecule)):
        return {"smiles": smiles, "dropped": "bonds changed"}
    energy = atoms.get_potential_energy() / units.Hartree - sum(free_atom(z) for z in Z)
    return {
        "smiles": smiles,
        "Z": Z,
        "R": np.round(atoms.positions / units.Bohr, 5).tolist(),
        "T": round(energy * HARTREE, 4),
    }


def _bonds(atoms: Atoms) -> np.ndarray:
    """Return the adjacency matrix of atoms closer than 1.3 times the sum of their covalent radii."""
    radii = np.array([{1: 0.31, 6: 0.76, 7: 0.71, 8: 0.66, 16: 1.05}[z] for z in atoms.numbers])  # angstrom
    near = atoms.get_all_distances() < 1.3 * (radii[:, None] + radii)
    return (near & ~np.eye(len(radii), dtype=bool)).astype(int)


@functools.cache
def free_atom(z: int) -> float:
    """Return the GFN2-xTB energy of a free atom in hartree."""
    calculator = Calculator("GFN2-xTB", np.array([z]), np.zeros((1, 3)), uhf=UNPAIRED[z])
    calculator.set("verbosity", 0)
    return float(calculator.singlepoint().get("energy"))


def compute_all(graphs: list[str], kept: Path, jobs: int) -> list[dict[str, Any]]:
    """Compute all graphs that are not finished in the file `kept`, and return all records in order."""
    done = {}
    if kept.exists():
        lines = kept.read_text().splitlines(keepends=True)
        done = {record["smiles"]: record for record in map(json.loads, (x for x in lines if x.endswith("\n")))}
        kept.write_text("".join(json.dumps(record) + "\n" for record in done.values()))
    waiting = [smiles for smiles in graphs if smiles not in done]
    with Progress() as bars, ProcessPoolExecutor(jobs) as pool, kept.open("a") as file:
        bar = bars.add_task("GFN2-xTB", total=len(graphs), completed=len(graphs) - len(waiting))
        for record in pool.map(compute, waiting):
            done[record["smiles"]] = record
            file.write(json.dumps(record) + "\n")
            file.flush()
            bars.advance(bar)
    return [done[smiles] for smiles in graphs]


def main() -> None:
    """Make the set and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "qm7cli/data/bundled/gfn7.npz", metavar="FILE.npz")
    parser.add_argument("--molecules", type=int, metavar="N", help="a sample of so many graphs, for a quick look")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes (default: all cores)")
    options = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")
    sizes = grow()
    graphs = [smiles for size in sorted(sizes) for smiles in sizes[size]]
    if options.molecules is not None:
        graphs = sorted(random.Random(SEED).sample(graphs, min(options.molecules, len(graphs))))  # noqa: S311
    kept = options.output.with_name(f".{options.output.stem}.finished.jsonl")
    records = compute_all(graphs, kept, options.jobs)
    sound = [record for record in records if "T" in record]
    T = np.array([record["T"] for record in sound], dtype=np.float32)
    save(
        options.output,
        [(np.array(record["Z"]), np.array(record["R"])) for record in sound],
        T,
        stratified(T, 5, np.random.default_rng(0)),
        smiles=np.array([record["smiles"] for record in sound]),
    )
    kept.unlink()
    dropped = Counter(record["dropped"] for record in records if "dropped" in record)
    print(f"{len(graphs)} graphs, {len(sound)} molecules, dropped: {dict(dropped)}")
    molecules = [Chem.MolFromSmiles(record["smiles"]) for record in sound]
    print("molecules by heavy atoms:", dict(sorted(Counter(m.GetNumAtoms() for m in molecules).items())))
    for name, smarts in COUNTED.items():
        pattern = Chem.MolFromSmarts(smarts)
        print(f"molecules with {name}:", sum(molecule.HasSubstructMatch(pattern) for molecule in molecules))


if __name__ == "__main__":
    main()
