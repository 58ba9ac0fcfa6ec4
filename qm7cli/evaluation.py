"""Trained models: predictions averaged over draws, and their errors."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qm7cli.dataset import Dataset
from qm7cli.domain import Domain
from qm7cli.encoding import CHUNK, Encoder
from qm7cli.errors import StoppedError
from qm7cli.network import Layer, feed_forward
from qm7cli.reduced import ReducedFeatures
from qm7cli.seeds import Purpose, stream
from qm7cli.splits import Part
from qm7cli.variants import Array


class Evaluation(NamedTuple):
    """A model's predictions for the molecules of one part, and their errors in kcal/mol.

    `predictions` is (draws, molecules) float64; `mae` and `rmse` are those of its mean over the draws.
    """

    molecules: NDArray[np.intp]
    predictions: NDArray[np.float64]
    mae: float
    rmse: float


def evaluated(dataset: Dataset, molecules: NDArray[np.intp], predictions: NDArray[np.float64]) -> Evaluation:
    """Compare predictions (draws, molecules) with the energies of the data set's molecules."""
    errors = predictions.mean(axis=0) - dataset.T[molecules]
    mae, rmse = float(np.abs(errors).mean()), float(np.sqrt(np.square(errors).mean()))
    return Evaluation(molecules, predictions, mae, rmse)


@dataclass(frozen=True)
class Model:
    """A trained fold: all that predicting and evaluating need beside the data set.

    Attributes
    ----------
    variant : str
        Gradient variant it was trained with.
    seed, fold, iterations : int
        Of the training.
    draws : int
        Draws of the run's evaluation.
    sha256 : str
        Fingerprint of the data set.
    train, test : (molecules,) intp
        Rows of the data set.
    encoder : Encoder
        Fitted to the training molecules.
    layers : list of Layer
        Averaged parameters.
    energy_mean, energy_std : float
        Mean and population standard deviation of the training energies, kcal/mol.
    domain : Domain or None
        What the training molecules cover; None while a network is in training, and in files of older versions.
    """

    variant: str
    seed: int
    fold: int
    iterations: int
    draws: int
    sha256: str
    train: NDArray[np.intp]
    test: NDArray[np.intp]
    encoder: Encoder
    layers: list[Layer]
    energy_mean: float
    energy_std: float
    domain: Domain | None = None

    @property
    def size(self) -> int:
        """Largest number of atoms per molecule, n."""
        return math.isqrt(2 * len(self.encoder.counts))  # of n(n+1)/2 entries

    def fits(self, dataset: Dataset) -> bool:
        """Say whether a data set has so many atoms in a molecule, and the molecules trained on and tested."""
        last = max(int(self.train.max()), int(self.test.max()))
        return last < len(dataset) and self.size == dataset.X.shape[1]

    def energies(self, features: Array, layers: list[Layer] | None = None) -> NDArray[np.float64]:
        """Return the energies (b,) of features (b, m), or of what `layers` take instead; kcal/mol."""
        outputs = feed_forward(layers or self.layers, features).astype(np.float64)
        return outputs * self.energy_std + self.energy_mean

    def predict(
        self,
        dataset: Dataset,
        molecules: NDArray[np.intp],
        draws: int,
        rng: np.random.Generator,
        stopped: Callable[[], bool] = lambda: False,
    ) -> NDArray[np.float64]:
        """Return the energies of `molecules` for each of `draws` draws, (draws, len(molecules)), kcal/mol.

        `stopped` is asked often; when true, StoppedError is raised.
        """
        energies = np.empty((draws, len(molecules)))
        with threadpool_limits(1):  # more threads would give other digits
            features = ReducedFeatures.of(self.encoder, dataset)
            layers = [features.for_prediction(self.layers[0]), *self.layers[1:]]
            for draw in range(draws):
                for start in range(0, len(molecules), CHUNK):
                    if stopped():
                        raise StoppedError(f"fold {self.fold}: stopped in the middle of an evaluation")
                    chunk = slice(start, start + CHUNK)
                    drawn = features.draw(dataset, molecules[chunk], rng)
                    energies[draw, chunk] = self.energies(drawn, layers)
        return energies

    def evaluate(
        self, dataset: Dataset, part: Part, draws: int, stopped: Callable[[], bool] = lambda: False
    ) -> Evaluation:
        """Predict the molecules of a part, always with the same draws, and compare with their energies.

        `stopped` is asked often; when true, StoppedError is raised.
        """
        molecules = self.test if part == "test" else self.train
        purpose = Purpose.TEST_EVALUATION if part == "test" else Purpose.TRAIN_EVALUATION
        predictions = self.predict(dataset, molecules, draws, stream(self.seed, self.fold, purpose), stopped)
        return evaluated(dataset, molecules, predictions)
