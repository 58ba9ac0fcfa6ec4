"""What networks and baselines have in common: predictions averaged over draws, and their errors."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from qm7cli.core.arrays import About, Arrays
from qm7cli.core.errors import StoppedError
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.dataset import Dataset
from qm7cli.data.from_arrays import Given, as_molecules
from qm7cli.data.splits import Part
from qm7cli.model.conformal import Interval
from qm7cli.model.domain import Domain
from qm7cli.model.encoder import CHUNK
from qm7cli.model.metrics import METRICS
from qm7cli.model.target import NOTHING_SUBTRACTED, Target

Predictor = Callable[[NDArray[np.intp]], NDArray[np.float64]]


class Evaluation(NamedTuple):
    """A model's predictions for the molecules of one part, and their errors in kcal/mol.

    `predictions` is (draws, molecules) float64, `targets` the true energies (molecules,); `mae` and `rmse` are those of
    the mean over the draws.
    """

    molecules: NDArray[np.intp]
    predictions: NDArray[np.float64]
    targets: NDArray[np.float32]
    mae: float
    rmse: float

    @property
    def residuals(self) -> NDArray[np.float64]:
        """Predicted less true energies, kcal/mol, (molecules,)."""
        residuals: NDArray[np.float64] = self.predictions.mean(axis=0) - self.targets
        return residuals

    @property
    def spreads(self) -> NDArray[np.float64] | None:
        """Sample standard deviations over draws, kcal/mol, (molecules,); None for a single draw."""
        return self.predictions.std(axis=0, ddof=1) if len(self.predictions) > 1 else None

    @property
    def interval(self) -> Interval | None:
        """The interval that these molecules teach, if they were not trained on and are enough."""
        return Interval.of(self.residuals, self.spreads)

    def errors(self, part: Part) -> dict[str, float]:
        """Return the errors by their names in results, being those of `part`."""
        return {key: getattr(self, metric.measure) for key, metric in METRICS.items() if metric.part == part}


def score(dataset: Dataset, molecules: NDArray[np.intp], predictions: NDArray[np.float64]) -> Evaluation:
    """Compare predictions (draws, molecules) with the energies of the data set's molecules."""
    return compare_energies(molecules, predictions, dataset.T[molecules])


def compare_energies(
    molecules: NDArray[np.intp], predictions: NDArray[np.float64], targets: NDArray[np.float32]
) -> Evaluation:
    """Compare predictions (draws, molecules) with the true energies (molecules,), kcal/mol."""
    errors = predictions.mean(axis=0) - targets
    mae, rmse = float(np.abs(errors).mean()), float(np.sqrt(np.square(errors).mean()))
    return Evaluation(molecules, predictions, targets, mae, rmse)


@dataclass(frozen=True, kw_only=True)
class FoldModel(ABC):
    """A trained fold: all that predicting and evaluating need beside the molecules.

    Attributes
    ----------
    seed, fold, iterations : int
        Of the training; a baseline has no iterations.
    draws : int
        Draws of the run's evaluation.
    sha256 : str
        Fingerprint of the data set.
    train, test : (molecules,) intp
        Rows of the data set.
    target : Target
        What is subtracted from the energies that the model learns; default nothing.
    domain : Domain or None
        What the training molecules cover; None while a network is in training.
    interval : Interval or None
        What the held-out molecules teach of its errors; None as for `domain`, and if they are too few.
    """

    seed: int
    fold: int
    iterations: int
    draws: int
    sha256: str
    train: NDArray[np.intp]
    test: NDArray[np.intp]
    target: Target = NOTHING_SUBTRACTED
    domain: Domain | None = None
    interval: Interval | None = None

    @property
    @abstractmethod
    def kind(self) -> str:
        """What it is, such as ``the variant original`` or ``the baseline krr``."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Largest number of atoms per molecule, n."""

    @property
    @abstractmethod
    def noise(self) -> float:
        """Standard deviation of the noise on the row norms of what it draws, hartree; 0 if all draws are the same."""

    def predict(self, molecules: Given, R: ArrayLike | None = None, *, draws: int | None = None) -> NDArray[np.float64]:
        """Return the atomization energies (molecules,), kcal/mol, of arrays Z and R or of ASE atoms.

        Parameters
        ----------
        molecules, R
            Nuclear charges and coordinates in bohr, or ASE atoms (`qm7cli.data.from_arrays.as_molecules`).
        draws : int, optional
            Draws that are averaged; default: as many as in the run's evaluation.

        Warns
        -----
        DomainWarning
            If a molecule is outside of what the model was trained on; `qm7cli.predict` tells of each.

        Raises
        ------
        QM7Error
            If a molecule is not one, or has more atoms than the model has room for.
        """
        from qm7cli.model.predict import predict_energies  # noqa: PLC0415 - it knows the kinds of models

        return predict_energies(self, as_molecules(molecules, R), draws)

    def predict_rows(
        self,
        dataset: Dataset,
        molecules: NDArray[np.intp],
        draws: int,
        rng: np.random.Generator,
        stopped: Callable[[], bool] = lambda: False,
    ) -> NDArray[np.float64]:
        """Return the energies of rows of a data set for each of `draws` draws, (draws, len(molecules)), kcal/mol.

        `stopped` is asked often; when true, StoppedError is raised.
        """
        energies = np.empty((draws, len(molecules)))
        with threadpool_limits(1):  # more threads would give other digits
            predict_draw = self.draw_predictor(dataset, rng)
            for draw in range(draws):
                for start in range(0, len(molecules), CHUNK):
                    if stopped():
                        raise StoppedError(f"fold {self.fold}: stopped in the middle of an evaluation")
                    chunk = slice(start, start + CHUNK)
                    energies[draw, chunk] = predict_draw(molecules[chunk])
        return energies

    @abstractmethod
    def draw_predictor(self, dataset: Dataset, rng: np.random.Generator) -> Predictor:
        """Return what draws rows of a data set, (molecules,), once, and gives their energies (molecules,), kcal/mol."""

    @abstractmethod
    def drawn_energies(
        self, X: NDArray[np.float32], Z: NDArray[np.floating], triangles: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Return the energies (draws,), kcal/mol, of draws of one molecule.

        Parameters
        ----------
        X, Z : (1, n, n) float32 and (1, n)
            Its Coulomb matrix, hartree, and nuclear charges, in canonical order.
        triangles : (draws, n(n+1)/2) float32
            The random-sorted matrices.
        """

    def draws_of(self, asked: int | None) -> int:
        """Return how many draws predictions are averaged over, if so many are asked for; None is the run's own."""
        return asked or self.draws

    def excess(self, Z: NDArray[np.floating]) -> str | None:
        """Say why a molecule with the nuclear charges Z, (atoms,), has no energy, if it has none."""
        if len(Z) > self.size:
            return f"{len(Z)} atoms, more than the {self.size} that the model takes"
        return self.target.unknown(Z)

    def evaluate(
        self, dataset: Dataset, part: Part, draws: int, stopped: Callable[[], bool] = lambda: False
    ) -> Evaluation:
        """Predict the molecules of a part, always with the same draws, and compare with their energies.

        `stopped` is asked often; when true, StoppedError is raised.
        """
        molecules = self.test if part == "test" else self.train
        purpose = Purpose.TEST_EVALUATION if part == "test" else Purpose.TRAIN_EVALUATION
        predictions = self.predict_rows(dataset, molecules, draws, stream(self.seed, self.fold, purpose), stopped)
        return score(dataset, molecules, predictions)

    def half_width(self, spread: float | None, draws: int) -> float | None:
        """Return half the width of a molecule's interval, kcal/mol, if there is one for so many draws.

        `spread` is the molecule's, kcal/mol, over `draws` draws. Fewer draws than the model's own err more than those
        that the interval was made from.
        """
        if self.interval is None or draws < self.draws:
            return None
        return float(self.interval.half_widths(None if spread is None else np.array([spread]))[0])


class FoldAbout(About):
    """The plain values that the files of all models have; see `FoldModel`."""

    seed: int
    fold: int
    draws: int
    sha256: str
    energy_mean: float
    energy_std: float


def fold_values(model: FoldModel) -> dict[str, Any]:
    """Return the plain values that the files of all models have."""
    values = {key: getattr(model, key) for key in ("seed", "fold", "draws", "sha256")}
    return values | {"energy_mean": model.target.mean, "energy_std": model.target.std}


def fold_arrays(model: FoldModel) -> Arrays:
    """Return the arrays that the files of all models have."""
    target = model.target
    arrays: Arrays = {"train": model.train, "test": model.test}
    arrays |= {"target.elements": target.elements, "target.coefficients": target.coefficients}
    if model.interval:
        arrays["interval"] = np.array(model.interval)
    if model.domain:
        arrays |= {f"domain.{name}": array for name, array in model.domain.arrays().items()}
    return arrays


def read_fold(about: FoldAbout, arrays: Arrays) -> dict[str, Any]:
    """Return what `fold_values` and `fold_arrays` made of a model, by attribute."""
    domain = {name.removeprefix("domain."): array for name, array in arrays.items() if name.startswith("domain.")}
    return {
        **about.model_dump(include={"seed", "fold", "draws", "sha256"}),
        "train": arrays["train"],
        "test": arrays["test"],
        "target": Target(about.energy_mean, about.energy_std, arrays["target.elements"], arrays["target.coefficients"]),
        "domain": Domain(**domain) if domain else None,
        "interval": Interval(*arrays["interval"].tolist()) if "interval" in arrays else None,
    }
