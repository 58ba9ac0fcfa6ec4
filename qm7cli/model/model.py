"""Trained models: predictions averaged over draws, their errors, and their files, ``model.npz``."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from threadpoolctl import threadpool_limits

from qm7cli.core.arrays import About, Arrays, checked_array, load_arrays, require, save_arrays
from qm7cli.core.errors import QM7Error, StoppedError
from qm7cli.core.seeds import Purpose, stream
from qm7cli.core.validation import LARGEST, Count, Measure
from qm7cli.data.dataset import SYMBOLS, Dataset
from qm7cli.data.given import Given, as_molecules
from qm7cli.data.splits import Part
from qm7cli.model.domain import Domain
from qm7cli.model.encoder import CHUNK, MAX_FEATURES, Encoder
from qm7cli.model.metrics import METRICS
from qm7cli.model.network import Layer, feed_forward
from qm7cli.model.predict import predict_energies
from qm7cli.model.reduced import ReducedFeatures
from qm7cli.model.variants import Array, Variant


class Evaluation(NamedTuple):
    """A model's predictions for the molecules of one part, and their errors in kcal/mol.

    `predictions` is (draws, molecules) float64; `mae` and `rmse` are those of its mean over the draws.
    """

    molecules: NDArray[np.intp]
    predictions: NDArray[np.float64]
    mae: float
    rmse: float

    def errors(self, part: Part) -> dict[str, float]:
        """Return the errors by their names in results, being those of `part`."""
        return {key: getattr(self, metric.measure) for key, metric in METRICS.items() if metric.part == part}


def score(dataset: Dataset, molecules: NDArray[np.intp], predictions: NDArray[np.float64]) -> Evaluation:
    """Compare predictions (draws, molecules) with the energies of the data set's molecules."""
    errors = predictions.mean(axis=0) - dataset.T[molecules]
    mae, rmse = float(np.abs(errors).mean()), float(np.sqrt(np.square(errors).mean()))
    return Evaluation(molecules, predictions, mae, rmse)


@dataclass(frozen=True)
class Model:
    """A trained fold: all that predicting and evaluating need beside the molecules.

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
    offset : float
        Constant that is added to the activation.
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
    offset: float
    energy_mean: float
    energy_std: float
    domain: Domain | None = None

    @property
    def size(self) -> int:
        """Largest number of atoms per molecule, n."""
        return math.isqrt(2 * len(self.encoder.counts))  # of n(n+1)/2 entries

    def fits(self, dataset: Dataset) -> bool:
        """Say whether a data set has molecules of this size, and all those trained on and tested."""
        last = max(int(self.train.max()), int(self.test.max()))
        return last < len(dataset) and self.size == dataset.X.shape[1]

    def energies(self, features: Array, layers: list[Layer] | None = None) -> NDArray[np.float64]:
        """Return the energies (b,) of features (b, m), kcal/mol; `layers`, if given, stand for the model's own."""
        outputs = feed_forward(layers or self.layers, features, self.offset).astype(np.float64)
        return outputs * self.energy_std + self.energy_mean

    def predict(self, molecules: Given, R: ArrayLike | None = None, *, draws: int | None = None) -> NDArray[np.float64]:
        """Return the atomization energies (molecules,), kcal/mol, of arrays Z and R or of ASE atoms.

        Parameters
        ----------
        molecules, R
            Nuclear charges and coordinates in bohr, or ASE atoms (`qm7cli.data.given.as_molecules`).
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
        predictions = self.predict_rows(dataset, molecules, draws, stream(self.seed, self.fold, purpose), stopped)
        return score(dataset, molecules, predictions)


class ModelAbout(About):
    """The plain values of a model file; see `Model` and `qm7cli.model.encoder.Encoder`."""

    kind: Literal["model"] = "model"
    variant: Variant
    seed: Count
    fold: Count
    iterations: Count
    draws: Annotated[int, Field(ge=1, lt=2**63)]
    sha256: str
    offset: Annotated[float, Field(gt=-LARGEST, lt=LARGEST)] = 0.0  # which older versions did not write
    energy_mean: Annotated[float, Field(gt=-LARGEST, lt=LARGEST)]
    energy_std: Annotated[float, Field(gt=0, lt=LARGEST)]
    noise: Measure
    step: Annotated[float, Field(gt=1 / LARGEST, lt=LARGEST)]
    scale: Annotated[float, Field(gt=1e-20, lt=LARGEST)]


ENCODER_VALUES: Final = ("noise", "step", "scale")
MODEL_VALUES: Final = ModelAbout.model_fields.keys() - About.model_fields.keys() - {*ENCODER_VALUES}


def save_model(path: Path, model: Model) -> None:
    """Write a model; raises QM7Error if the file cannot be written."""
    encoder = model.encoder
    values = {name: getattr(encoder, name) for name in ENCODER_VALUES}
    values |= {name: getattr(model, name) for name in MODEL_VALUES}
    arrays: Arrays = {"counts": encoder.counts, "mean": encoder.mean, "train": model.train, "test": model.test}
    if model.domain:
        domain = {**vars(model.domain), "reach": np.array([model.domain.reach])}
        arrays |= {f"domain.{name}": array for name, array in domain.items()}
    for k, layer in enumerate(model.layers):
        arrays |= {f"layer{k}.{symbol}": P for symbol, P in layer._asdict().items()}
    save_arrays(path, ModelAbout(**values), arrays)


def load_model(path: Path) -> Model:
    """Read a model; raises QM7Error if it is missing, damaged or of another format."""
    about, arrays = load_arrays(path, ModelAbout)
    counts = checked_array(path, arrays, "counts", np.intp)
    n = math.isqrt(2 * len(counts))  # atoms
    sound = n * (n + 1) == 2 * len(counts) and counts.min() > 0 and counts.max() <= MAX_FEATURES
    m = int(counts.sum()) if sound else 0
    require(path, "counts", sound=0 < m <= MAX_FEATURES)
    encoder = Encoder(about.noise, about.step, counts, checked_array(path, arrays, "mean", np.float32, m), about.scale)
    require(path, "mean", sound=np.abs(encoder.mean).max() <= 1)  # of tanh
    layers = []
    for k in range(sum(name.endswith(".W") for name in arrays)):
        W = checked_array(path, arrays, f"layer{k}.W", np.float32, m, None)
        n = W.shape[1]
        A, B = (
            checked_array(path, arrays, f"layer{k}.{symbol}", np.float32, size) for symbol, size in (("A", m), ("B", n))
        )
        layers.append(Layer(W, A, B))
        m = n
    if m != 1:
        raise QM7Error(f"{path} is damaged: its last layer gives {m} numbers, not 1")
    train, test = (checked_array(path, arrays, part, np.intp) for part in ("train", "test"))
    molecules = np.concatenate([train, test])
    require(path, "train or test", sound=molecules.min() >= 0 and len(np.unique(molecules)) == len(molecules))
    return Model(
        train=train,
        test=test,
        encoder=encoder,
        layers=layers,
        domain=_domain(path, arrays, len(counts)) if "domain.reach" in arrays else None,
        **about.model_dump(include={*MODEL_VALUES}),
    )


def _domain(path: Path, arrays: Arrays, entries: int) -> Domain:
    charges = checked_array(path, arrays, "domain.charges", np.intp)
    elements = len(charges)
    domain = Domain(
        charges=charges,
        atoms=checked_array(path, arrays, "domain.atoms", np.intp, 2),
        counts=checked_array(path, arrays, "domain.counts", np.intp, 2, elements),
        distances=checked_array(path, arrays, "domain.distances", np.float32, 2, elements, elements),
        energies=checked_array(path, arrays, "domain.energies", np.float64, 2),
        matrices=checked_array(path, arrays, "domain.matrices", np.float16, None, entries),
        reach=float(checked_array(path, arrays, "domain.reach", np.float64, 1)[0]),
    )
    require(path, "domain.charges", sound=(np.diff(charges, prepend=0, append=len(SYMBOLS)) > 0).all())
    for name in ("atoms", "counts", "distances", "energies"):
        lower, upper = getattr(domain, name)
        require(path, f"domain.{name}", sound=(lower <= upper).all() and (name == "energies" or lower.min() >= 0))
    require(path, "domain.reach", sound=domain.reach >= 0)
    return domain
