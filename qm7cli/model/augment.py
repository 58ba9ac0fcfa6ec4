"""Augmented sets: molecules as random-permutation Coulomb matrices, in a file for other programs.

A molecule's noise does not depend on which others are there, and a longer file begins with the draws of a shorter one.
"""

import math
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error, os_errors
from qm7cli.core.files import write_file
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.coulomb import draw_permutations, permuted_triangles
from qm7cli.data.dataset import Dataset
from qm7cli.data.soundness import Subtract
from qm7cli.data.splits import Fold, Part, Split, select_folds
from qm7cli.model.encoder import CHUNK, Encoder
from qm7cli.model.target import Target


@dataclass(frozen=True)
class AugmentedSet:
    """Rows of a data set, to be drawn and written piece by piece; None leaves features or what is learned out."""

    dataset: Dataset
    molecules: NDArray[np.intp]  # the rows
    draws: int  # of each
    noise: float  # standard deviation of the noise on the row norms, hartree
    seed: int
    encoder: Encoder | None = None  # makes the features
    target: Target | None = None  # gives what is left of the energies, in standard deviations

    def arrays(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Return shape and dtype of each array of the file."""
        n = self.dataset.X.shape[1]
        each, all_draws = (len(self.molecules),), (self.draws, len(self.molecules))
        arrays: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {
            "X": ((*all_draws, n * (n + 1) // 2), np.dtype(np.float32)),
            "permutation": ((*all_draws, n), np.min_scalar_type(n - 1)),
            "T": (each, np.dtype(np.float32)),
            "molecule": (each, np.dtype(np.int64)),
        }
        if self.target:
            arrays["target"] = (each, np.dtype(np.float32))
        if self.encoder:
            arrays["features"] = ((*all_draws, len(self.encoder.mean)), np.dtype(np.float32))
        return arrays

    def size(self) -> int:
        """Return the bytes of all arrays; the file has a few hundred more."""
        return sum(math.prod(shape) * dtype.itemsize for shape, dtype in self.arrays().values())

    def free_bytes(self, path: Path) -> int:
        """Return the bytes that are free where the file is to be; raises QM7Error if they are too few."""
        with os_errors(f"cannot write {path}"):
            free = shutil.disk_usage(path.resolve().parent).free
        if self.size() > free:
            raise QM7Error(f"cannot write {path}: it would take {self.size()} bytes, but only {free} are free there")
        return free

    def write(self, path: Path, report: Callable[[int, int], None] = lambda _done, _size: None) -> None:
        """Write the file; `report` is called with the bytes so far and in all. Raises QM7Error if it cannot."""
        self.free_bytes(path)
        size = self.size()

        def write(file: BinaryIO) -> None:
            written = 0
            with zipfile.ZipFile(file, "w") as archive:
                for name, (shape, dtype) in self.arrays().items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
                        np.lib.format.write_array_header_1_0(member, header)
                        for piece in self._pieces(name):
                            member.write(piece.astype(dtype, copy=False).data)
                            written += piece.size * dtype.itemsize
                            report(written, size)

        write_file(path, write)

    def _pieces(self, name: str) -> Iterator[NDArray[Any]]:
        """Make an array piece by piece; every array that is drawn draws the same again."""
        rows = self.molecules
        if name == "T":
            yield self.dataset.T[rows]
        elif name == "molecule":
            yield rows
        elif self.target and name == "target":
            yield self.target.scaled(self.dataset.T[rows], self.dataset.Z[rows])
        else:
            rng = stream(self.seed, 0, Purpose.AUGMENTATION)
            for _ in range(self.draws):
                permutations = draw_permutations(self.dataset.norms, self.noise, rng)  # (molecules of the set, n)
                for start in range(0, len(rows), CHUNK):
                    chunk = rows[start : start + CHUNK]
                    if name == "permutation":
                        yield np.take_along_axis(self.dataset.order[chunk], permutations[chunk], axis=1)
                    else:
                        triangles = permuted_triangles(self.dataset.X, chunk, permutations[chunk])
                        yield self.encoder.encode(triangles) if self.encoder and name == "features" else triangles


def augmented_set(
    dataset: Dataset,
    split: Split,
    part: Part,
    draws: int,
    noise: float,
    seed: int,
    *,
    step: float | None = None,
    subtract: Subtract | None = None,
) -> AugmentedSet:
    """Choose the molecules and, if asked for, fit the encoder and the target, as a training with these settings does.

    The molecules are those of the `part`, trained on or held out, of one of the split's `folds`; all where it has none.
    Raises QM7Error if there is no such fold, or the molecules cannot be encoded.
    """
    everything = np.arange(len(dataset))
    fold = select_folds(dataset, split)[0] if split.folds else Fold(0, everything, everything)
    molecules = fold.train if part == "train" else fold.test
    encoder = None
    if step is not None:
        encoder = Encoder.fit(dataset, fold.train, noise, step, stream(seed, fold.number, Purpose.ENCODER))
    target = Target.fit(subtract, dataset.Z[fold.train], dataset.T[fold.train]) if subtract else None
    return AugmentedSet(dataset, molecules, draws, noise, seed, encoder, target)
