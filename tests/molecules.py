"""Small made-up molecules, so that tests need no data set."""

from itertools import product

import numpy as np
from scipy.io import savemat

from qm7cli.data.molecules import BOHR
from reference import coulomb_matrix

ELEMENTS = (1, 6, 7, 8)
ENERGIES = {1: -60.0, 6: -170.0, 7: -120.0, 8: -110.0}  # kcal/mol an atom


def variables(molecules=60, n=7, folds=5, seed=0):
    """Return the variables of a data set file, of the dtypes that qm7.mat has."""
    rng = np.random.default_rng(seed)
    Z = np.zeros((molecules, n), dtype=np.float32)
    R = np.zeros((molecules, n, 3), dtype=np.float32)
    T = np.zeros((1, molecules), dtype=np.float32)
    grid = np.array([(x, y, z) for x in range(3) for y in range(3) for z in range(3)]) * 2.4  # bohr
    for k in range(molecules):
        atoms = rng.integers(3, n + 1)
        Z[k, :atoms] = rng.choice(ELEMENTS, atoms)
        R[k, :atoms] = rng.permutation(grid)[:atoms] + rng.normal(0, 0.2, (atoms, 3))
        C = coulomb_matrix(Z[k], R[k])
        T[0, k] = sum(ENERGIES[int(z)] for z in Z[k, :atoms]) - np.triu(C, 1).sum()
    X = np.array([coulomb_matrix(*molecule) for molecule in zip(Z, R, strict=True)], dtype=np.float32)
    P = rng.permutation(molecules).reshape(folds, -1)
    return {"X": X, "T": T, "Z": Z, "R": R, "P": P}


def xyz(Z, R, comment=""):
    """Return a molecule (bohr) as a frame of an XYZ file (angstrom)."""
    symbols = {1: "H", 6: "C", 7: "N", 8: "O", 14: "Si"}
    lines = [f"{symbols[int(z)]} {' '.join(f'{x * BOHR:.8f}' for x in r)}" for z, r in zip(Z, R, strict=True) if z]
    return f"{len(lines)}\n{comment}\n" + "".join(line + "\n" for line in lines)


def write(path, changes=None, **kwargs):
    """Write a data set file; `changes` replaces variables, or leaves them out where None."""
    content = {**variables(**kwargs), **(changes or {})}
    savemat(path, {name: value for name, value in content.items() if value is not None}, do_compression=True)
    return path


def shape(*shells):
    """Return Z and R (bohr) of atoms on shells: (charge, directions, radius)."""
    R = np.vstack([radius * np.array(points) / np.linalg.norm(points, axis=1).clip(1e-9)[:, None]
                   for _, points, radius in shells])  # fmt: skip
    return np.concatenate([[float(charge)] * len(points) for charge, points, _ in shells]), R


RING = [(np.cos(k * np.pi / 3), np.sin(k * np.pi / 3), 0) for k in range(6)]
CUBE = list(product((-1, 1), repeat=3))
OCTAHEDRON = [*np.eye(3), *-np.eye(3)]
SYMMETRIC = {
    "benzene": shape((6, RING, 2.63), (1, RING, 4.69)),
    "cubane": shape((6, CUBE, 2.57), (1, CUBE, 4.62)),
    "sulfur hexafluoride": shape((16, [(0, 0, 0)], 0), (9, OCTAHEDRON, 2.95)),
}
