"""The tanh expansion of random-sorted Coulomb matrices (Montavon et al., NIPS 2012, section 3.4).

Entry j of a drawn matrix becomes the features ``tanh((x_j - threshold) / step)`` for the thresholds
``0, step, 2 step, ... < max_j + step``. The features are centered one by one, unless that is switched off, and all are
divided by one scalar.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from qm7cli.core.errors import QM7Error
from qm7cli.data.coulomb import Matrices, random_sorted
from qm7cli.data.dataset import Dataset

NOISE: Final = 1.0  # default standard deviation of the noise on the row norms, hartree (Montavon et al.)
STEP: Final = 1.0  # default distance of neighboring thresholds, hartree (Montavon et al.)
MAX_FEATURES: Final = 100_000
CHUNK: Final = 500  # molecules encoded at once where there are many, to bound the memory
FIT_DRAWS: Final = 10  # the reference takes the largest entries over so many draws


@dataclass(frozen=True)
class Encoder:
    """Turns molecules into features, with a new draw every time.

    Attributes
    ----------
    noise : float
        Standard deviation of the noise on the row norms.
    step : float
        Distance of neighboring thresholds.
    counts : (n(n+1)/2,) intp
        Thresholds of each entry, m in all.
    mean : (m,) float32
        Mean of each feature over the training molecules; 0 if features are not centered.
    scale : float
        Standard deviation of all centered features together.
    """

    noise: float
    step: float
    counts: NDArray[np.intp]
    mean: NDArray[np.float32]
    scale: float

    @cached_property
    def thresholds(self) -> NDArray[np.float32]:
        """Threshold of each feature, in steps, (m,) float32."""
        return np.concatenate([np.arange(count) for count in self.counts]).astype(np.float32)

    @classmethod
    def fit(
        cls,
        dataset: Dataset | Matrices,
        molecules: NDArray[np.intp],
        noise: float,
        step: float,
        rng: np.random.Generator,
        *,
        center: bool = True,
    ) -> Self:
        """Fit thresholds and normalisation to the training molecules.

        The largest entries come from `FIT_DRAWS` draws of all `molecules`, mean and scale from one more. Unless
        `center`, the mean is left at 0, and the scale is what it would be.

        Raises
        ------
        QM7Error
            If there would be too many features, or all molecules have the same.
        """
        largest = np.max(
            [random_sorted(dataset.X, dataset.norms, molecules, noise, rng).max(axis=0) for _ in range(FIT_DRAWS)],
            axis=0,
        )  # (n(n+1)/2,)
        stops = np.maximum(largest.astype(np.float64) + step, step)
        counts = np.ceil(stops / step).astype(np.intp)  # as many as numpy.arange(0, stop, step) gives
        features = int(counts.sum())
        if features > MAX_FEATURES:
            raise QM7Error(f"entries up to {largest.max():g} in steps of {step:g} would make too many features")
        triangles = random_sorted(dataset.X, dataset.norms, molecules, noise, rng)
        chunks = [triangles[start : start + CHUNK] for start in range(0, len(triangles), CHUNK)]
        raw = cls(noise, step, counts, np.zeros(features, dtype=np.float32), 1.0)
        sums = np.sum([raw.encode(chunk).sum(axis=0, dtype=np.float64) for chunk in chunks], axis=0)
        centered = replace(raw, mean=(sums / len(molecules)).astype(np.float32))
        squares = sum(float(np.square(centered.encode(chunk)).sum(dtype=np.float64)) for chunk in chunks)
        if squares == 0:
            raise QM7Error("the features of all training molecules are the same")
        return replace(centered if center else raw, scale=math.sqrt(squares / (len(molecules) * features)))

    def draw(
        self, dataset: Dataset | Matrices, molecules: NDArray[np.intp], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Draw the random-sorted matrix of each of `molecules` and return its features, (len(molecules), m)."""
        return self.encode(self.draw_triangles(dataset, molecules, rng))

    def draw_triangles(
        self, dataset: Dataset | Matrices, molecules: NDArray[np.intp], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Draw the random-sorted matrix of each of `molecules`, as `draw`, without its features; (b, n(n+1)/2)."""
        return random_sorted(dataset.X, dataset.norms, molecules, self.noise, rng)

    def encode(self, triangles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the features (b, m) float32 of upper triangles (b, n(n+1)/2) float32."""
        F = (triangles / np.float32(self.step)).repeat(self.counts, axis=1)  # (b, m)
        F -= self.thresholds
        np.tanh(F, out=F)
        F -= self.mean
        F *= np.float32(1 / self.scale)
        return F

    def of_entries(self, chosen: NDArray[np.bool_]) -> "Encoder":
        """Return what encodes the entries `chosen`, (n(n+1)/2,) bool, alone."""
        return replace(self, counts=self.counts[chosen], mean=self.mean[chosen.repeat(self.counts)])
