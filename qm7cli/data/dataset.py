"""The data set: reading, validation and fingerprint of ``qm7.mat`` and of sets in our own format.

Rupp et al. (PRL 108:058301, 2012), Blum & Reymond (JACS 131:8732, 2009): 7165 molecules of up to 23 atoms with their
Coulomb matrices X, atomization energies T, nuclear charges Z, coordinates R and the published five folds P. Any number
of folds is read, and of atoms up to `MOST_ATOMS`, as far as `MEMORY` goes.

Our own format is an ``.npz`` file. X is computed where a file has none::

    Z (molecules, n) uint8, R (molecules, n, 3) float32 bohr, T (molecules,) float32 kcal/mol,
    P (folds, molecules of the largest fold) int32, where smaller folds end in -1; smiles, if there are any;
    energies, "total", if T holds total energies
"""

import hashlib
import io
import math
import os
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error, brief
from qm7cli.core.files import read_bytes, write_file
from qm7cli.core.validation import LARGEST
from qm7cli.data.coulomb import canonical_order, coulomb_matrices, reorder_atoms, row_norms

PUBLISHED_SHA256: Final = "fd6c26c1086887310518e6a6da778253bc5d3ceb8166007a679a740fff9ee6ea"
VARIABLES: Final = ("X", "T", "Z", "R", "P", "energies")
UNPACKED: Final = 1_500_000_000  # bytes of a file's variables, at most
MEMORY: Final = 4e9  # bytes that a data set may take while it is read
BYTES: Final = 27  # that an entry of its Coulomb matrices takes
MOST_ATOMS: Final = 1000  # in a molecule
ENTRY: Final = 1e-3  # hartree, by which the matrices of copies differ at most, if their energies agree
ENERGY: Final = 0.1  # kcal/mol, by which these may differ
ROUNDING: Final = 1e-6  # of the largest entry: matrices that differ by less are the same, whatever the energies
DEFAULT_PATH: Final = Path("data/qm7.mat")
_ELEMENTS: Final = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru
Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At
Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
SYMBOLS: Final = ("", *_ELEMENTS.split())  # by nuclear charge
Energies = Literal["atomization", "total"]
BUNDLED: Final = {"gfn7": Path(__file__).with_name("bundled") / "gfn7.npz"}  # sets that come with the package


@dataclass(frozen=True, eq=False)
class Dataset:
    """Molecules of up to n atoms, each with its atoms in canonical order (`qm7cli.data.coulomb.canonical_order`)."""

    name: str  # the file's name without its ending
    sha256: str  # the file's fingerprint, hexadecimal
    X: NDArray[np.float32]  # Coulomb matrices, hartree, (molecules, n, n)
    T: NDArray[np.float32]  # energies, kcal/mol, (molecules,)
    Z: NDArray[np.float32]  # nuclear charges, 0 for padding, (molecules, n)
    R: NDArray[np.float32]  # coordinates, bohr, (molecules, n, 3)
    P: Sequence[NDArray[np.intp]]  # the published folds, each (molecules of the fold,)
    order: NDArray[np.intp]  # places that the atoms have in the file, (molecules, n)
    path: Path  # the file it was read from
    energies: Energies  # what the file says that T is

    def __len__(self) -> int:
        return len(self.T)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {len(self)} molecules of up to {self.Z.shape[1]} atoms, {len(self.P)} folds)"

    @cached_property
    def norms(self) -> NDArray[np.float32]:
        """Row norms of X, (molecules, n) float32."""
        return row_norms(self.X)

    @cached_property
    def first_copies(self) -> NDArray[np.intp]:
        """The row of each molecule's first copy, (molecules,), as `qm7cli.data.dataset.first_copies` finds it."""
        return first_copies(self.X, self.T)


def first_copies(X: NDArray[np.float32], T: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return, for each molecule, the row of the first copy of it, (molecules,): its own where it has no earlier one.

    Entries of X are compared in descending order, so that neither the order of atoms nor a tie of two rows counts.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415 - slow to import
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415
    from scipy.spatial import KDTree  # noqa: PLC0415

    entries = np.sort(X[:, *np.triu_indices(X.shape[1])], axis=1)  # (molecules, n(n+1)/2)
    few = np.column_stack([entries[:, ::-26], entries.mean(axis=1)])  # they tell most molecules apart
    a, b = KDTree(few).query_pairs(1.01 * ENTRY, p=np.inf, output_type="ndarray").T  # (pairs,) each
    apart = np.abs(entries[a] - entries[b]).max(axis=1)  # (pairs,)
    same = (apart <= ENTRY) & (np.abs(T[a] - T[b]) <= ENERGY) | (apart <= ROUNDING * np.abs(entries[a]).max(axis=1))
    graph = coo_array((np.ones(same.sum()), (a[same], b[same])), shape=(len(X), len(X)))
    _, first, group = np.unique(connected_components(graph)[1], return_index=True, return_inverse=True)
    found: NDArray[np.intp] = first[group]
    return found


def formula(Z: NDArray[np.floating]) -> str:
    """Return the sum formula of charges Z (atoms,), 0 for padding: carbon, hydrogen, others by name (Hill 1900)."""
    counts = Counter(SYMBOLS[int(charge)] for charge in Z if charge)
    first = [symbol for symbol in ("C", "H") if "C" in counts and symbol in counts]
    order = [*first, *sorted(counts.keys() - {*first})]
    return "".join(f"{symbol}{counts[symbol] if counts[symbol] > 1 else ''}" for symbol in order)


def locate(data: str | None) -> Path:
    """Return the data set's file: `data`, a bundled set's name or a file, else ``$QM7_DATA``, else ``data/qm7.mat``."""
    named = data if data is not None else os.environ.get("QM7_DATA") or None
    if named is None:
        asked, path = "--data, not given; $QM7_DATA, not set; ", DEFAULT_PATH
    else:
        asked, path = "$QM7_DATA, " if data is None else "", BUNDLED.get(named, Path(named).expanduser())
    if not path.is_file():
        why = "is not a file" if path.exists() else "does not exist"
        fetched = f"qm7 download --dest {path} fetches QM7, or " if path.suffix == ".mat" and not path.exists() else ""
        raise QM7Error(f"no data set: looked at {asked}{path}, which {why}; {fetched}try --data gfn7")
    return path


def load(path: Path) -> Dataset:
    """Read and check a data set; raises QM7Error if the file cannot be read, is none, or takes too much memory."""
    content = read_bytes(path)
    try:
        return parse(path, content)
    except QM7Error as error:
        raise QM7Error(f"{path}: {error}") from error


def parse(path: Path, content: bytes) -> Dataset:
    """Make a Dataset of the bytes of a file; raises QM7Error like `load`, which does not name the file."""
    if content.startswith(b"MATLAB 7.3"):
        raise QM7Error("this is a MATLAB 7.3 file; save it as version 7 or earlier")
    try:
        variables = _read_npz(content) if content.startswith(b"PK") else _read_mat(content)
    except QM7Error:
        raise
    except Exception as error:  # numpy, zipfile, scipy, zlib and struct each have their own for a damaged file
        if content.startswith((b"PK", b"MATLAB 5.0 MAT-file")):
            raise QM7Error(f"the file is damaged or cut off ({brief(error) or type(error).__name__})") from error
        raise QM7Error("this is neither a MATLAB nor an .npz file") from error
    return _check(path, hashlib.sha256(content).hexdigest(), variables)


def _read_mat(content: bytes) -> dict[str, NDArray[Any]]:
    from scipy.io import loadmat, whosmat  # noqa: PLC0415 - slow to import, and only needed here

    _check_unpacked(sum(8 * math.prod(shape) for name, shape, _ in whosmat(io.BytesIO(content)) if name in VARIABLES))
    return dict(loadmat(io.BytesIO(content), variable_names=VARIABLES))


def _read_npz(content: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        _check_unpacked(sum(info.file_size for info in archive.infolist()))
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in VARIABLES if name in file}


def _check_unpacked(size: int) -> None:
    if size > UNPACKED:
        raise QM7Error(f"its variables have {size} bytes, more than {UNPACKED}")


def check_size(molecules: int, n: int) -> None:
    """Raise QM7Error if molecules of up to n atoms are too large, or take more than `MEMORY`."""
    if n > MOST_ATOMS:
        raise QM7Error(f"molecules of up to {n} atoms are larger than any that are read here ({MOST_ATOMS})")
    needed = BYTES * molecules * n * n
    if needed > MEMORY:
        size = f"{molecules} molecules of up to {n} atoms"
        raise QM7Error(f"reading {size} would take {needed / 1e9:.3g} GB, more than {MEMORY / 1e9:g} GB")


def _check(path: Path, sha256: str, variables: dict[str, NDArray[Any]]) -> Dataset:
    """Make a Dataset of the file's variables, or say what is wrong with them."""
    Z, R, T = _charges(variables), _real(variables, "R"), np.squeeze(_real(variables, "T"))
    molecules, n = Z.shape
    check_size(molecules, n)
    for name, array, shape in (("T", T, (molecules,)), ("R", R, (molecules, n, 3))):
        _check_shape(name, array, shape)
    X = _real(variables if "X" in variables else {"X": coulomb_matrices(Z, R)}, "X")
    _check_shape("X", X, (molecules, n, n))
    asymmetry = np.abs(X - X.transpose(0, 2, 1)).max(axis=(1, 2))  # (molecules,)
    worst = int(asymmetry.argmax())
    if asymmetry[worst] > 1e-4 * np.abs(X[worst]).max():
        raise QM7Error(f"X is not symmetric: molecule {worst} is off by {asymmetry[worst]:.3g}")
    P = [fold[fold != -1] for fold in np.atleast_2d(_real(variables, "P"))]
    if len(P) < 2 or not all(map(len, P)) or not np.array_equal(np.sort(np.concatenate(P)), np.arange(molecules)):
        raise QM7Error(f"P is not a partition of the {molecules} molecules into two folds or more")
    order = canonical_order(X)
    return Dataset(
        name=path.stem,
        sha256=sha256,
        X=reorder_atoms(X, order),
        T=T,
        Z=np.take_along_axis(Z, order, axis=1),
        R=np.take_along_axis(R, order[:, :, None], axis=1),
        P=[fold.astype(np.intp) for fold in P],
        order=order,
        path=path,
        energies="total" if str(variables.get("energies")) == "total" else "atomization",
    )


def _check_shape(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise QM7Error(f"{name} has the shape {array.shape}; with Z as it is, it should be {shape}")


def _charges(variables: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Return the nuclear charges, if every molecule has some."""
    Z = _real(variables, "Z")
    if Z.ndim != 2 or not Z.size:
        raise QM7Error(f"Z has the shape {Z.shape}; it should be (molecules, n)")
    if not np.isin(Z, np.arange(len(SYMBOLS))).all():
        raise QM7Error(f"Z holds numbers that are not nuclear charges, 1 to {len(SYMBOLS) - 1}, nor 0 for padding")
    atoms = np.count_nonzero(Z, axis=1)  # (molecules,)
    if not atoms.all():
        raise QM7Error(f"Z has no atoms for molecule {atoms.argmin()}")
    return Z


def _real(variables: dict[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    """Return a variable as float32, if it is there and holds finite real numbers."""
    if name not in variables:
        raise QM7Error(f"the variable {name} is missing")
    values = np.asarray(variables[name])
    if values.dtype.kind not in "fiu":
        raise QM7Error(f"{name} holds {values.dtype}, not real numbers")
    values = values.astype(np.promote_types(values.dtype, np.float32), copy=False)  # halves end before LARGEST
    sound = np.abs(values) < LARGEST  # false for nan too
    if not sound.all():
        place = tuple(int(index) for index in np.argwhere(~sound)[0])
        raise QM7Error(f"{name} is {values[place]} at {place}, which is not a number or is too large")
    return np.ascontiguousarray(values, dtype=np.float32)


def save(
    path: Path,
    molecules: Sequence[tuple[NDArray[Any], NDArray[Any]]],
    T: NDArray[np.float32],
    folds: Sequence[NDArray[np.intp]],
    **more: NDArray[Any],
) -> None:
    """Write a data set in our own format, with `more` arrays such as SMILES; the same one gives the same bytes.

    `molecules` are nuclear charges (atoms,) and coordinates (atoms, 3), bohr, `T` energies (molecules,), kcal/mol, and
    `folds` a partition of all molecules. Raises QM7Error if they are too many or too large to be read again.
    """
    check_size(len(molecules), max(len(charges) for charges, _ in molecules))
    Z, R = (pad(values) for values in zip(*molecules, strict=True))
    P = np.full((len(folds), max(map(len, folds))), -1, dtype=np.int32)
    for fold, members in enumerate(folds):
        P[fold, : len(members)] = members
    arrays: dict[str, NDArray[Any]] = {"Z": Z.astype(np.uint8), "R": R, "T": T, "P": P, **more}
    write_file(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type] # none is allow_pickle


def pad(atoms: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """Fill up what each molecule has for its atoms, (atoms, ...), with 0 to n atoms: (molecules, n, ...)."""
    padded = np.zeros((len(atoms), max(map(len, atoms)), *atoms[0].shape[1:]), dtype=np.float32)
    for row, own in zip(padded, atoms, strict=True):
        row[: len(own)] = own
    return padded
