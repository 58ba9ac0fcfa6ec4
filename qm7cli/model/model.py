"""Trained networks, and their files, ``model.npz``."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from qm7cli.core.arrays import Arrays, checked_array, load_arrays, require, save_arrays
from qm7cli.core.errors import QM7Error
from qm7cli.core.validation import LARGEST, Count, Measure
from qm7cli.data.dataset import Dataset
from qm7cli.model.encoder import MAX_FEATURES, Encoder
from qm7cli.model.fold_model import FoldAbout, FoldModel, Predictor, fold_arrays, read_fold_arrays, target_values
from qm7cli.model.network import ActivationName, Layer, Units, feed_forward
from qm7cli.model.reduced import ReducedFeatures
from qm7cli.model.variants import Array, Variant


@dataclass(frozen=True, kw_only=True)
class Model(FoldModel):
    """A trained network.

    Attributes
    ----------
    variant : str
        Gradient variant it was trained with.
    encoder : Encoder
        Fitted to the training molecules.
    layers : list of Layer
        Averaged parameters.
    units : Units
        The hidden units.
    """

    variant: str
    encoder: Encoder
    layers: list[Layer]
    units: Units

    @property
    def kind(self) -> str:
        """What it is."""
        return f"the variant {self.variant}"

    @property
    def size(self) -> int:
        """Largest number of atoms per molecule, n."""
        return math.isqrt(2 * len(self.encoder.counts))  # of n(n+1)/2 entries

    @property
    def noise(self) -> float:
        """Standard deviation of the noise on the row norms, hartree."""
        return self.encoder.noise

    def energies(
        self, features: Array, Z: NDArray[np.floating], layers: list[Layer] | None = None
    ) -> NDArray[np.float64]:
        """Return the energies (b,) of features (b, m) of molecules with the charges Z, (b, n) or (1, n), kcal/mol.

        `layers`, if given, stand for the model's own.
        """
        outputs = feed_forward(layers or self.layers, features, self.units).astype(np.float64)
        return self.target.energies(outputs, Z)

    def draw_predictor(self, dataset: Dataset, rng: np.random.Generator) -> Predictor:
        """Return what draws and predicts rows of a data set, as `FoldModel.draw_predictor`."""
        features = ReducedFeatures.of(self.encoder, dataset)
        layers = [features.for_prediction(self.layers[0]), *self.layers[1:]]
        return lambda molecules: self.energies(features.draw(dataset, molecules, rng), dataset.Z[molecules], layers)

    def drawn_energies(
        self, _X: NDArray[np.float32], Z: NDArray[np.floating], triangles: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Return the energies of draws of one molecule, as `FoldModel.drawn_energies`."""
        return self.energies(self.encoder.encode(triangles), Z)


class ModelAbout(FoldAbout):
    """The plain values of a model file; see `Model` and `qm7cli.model.encoder.Encoder`."""

    kind: Literal["model"] = "model"
    variant: Variant
    iterations: Count
    activation: ActivationName = "tanh"  # which older versions did not write, nor the offset
    offset: Annotated[float, Field(gt=-LARGEST, lt=LARGEST)] = 0.0
    noise: Measure
    step: Annotated[float, Field(gt=1 / LARGEST, lt=LARGEST)]
    scale: Annotated[float, Field(gt=1e-20, lt=LARGEST)]


ENCODER_VALUES: Final = ("noise", "step", "scale")
MODEL_VALUES: Final = ("seed", "fold", "draws", "sha256", "variant", "iterations")


def save_model(path: Path, model: Model) -> None:
    """Write a model; raises QM7Error if the file cannot be written."""
    save_arrays(path, ModelAbout(**model_values(model)), model_arrays(model))


def model_values(model: Model) -> dict[str, Any]:
    """Return the plain values of a model's file, but its kind and format."""
    values = {name: getattr(model.encoder, name) for name in ENCODER_VALUES}
    values |= {name: getattr(model, name) for name in MODEL_VALUES}
    return values | model.units._asdict() | target_values(model)


def model_arrays(model: Model) -> Arrays:
    """Return the arrays of a model's file."""
    arrays: Arrays = {"counts": model.encoder.counts, "mean": model.encoder.mean, **fold_arrays(model)}
    for k, layer in enumerate(model.layers):
        arrays |= {f"layer{k}.{symbol}": P for symbol, P in layer._asdict().items()}
    return arrays


def load_model(path: Path) -> Model:
    """Read a model; raises QM7Error if it is missing, damaged or of another format."""
    return read_model(path, *load_arrays(path, ModelAbout))


def read_model(path: Path, about: ModelAbout, arrays: Arrays, *, molecules: bool = True) -> Model:
    """Return the model that a file's values and arrays make; raises QM7Error if they are damaged.

    `molecules` is as for `qm7cli.model.fold_model.read_fold_arrays`.
    """
    counts = checked_array(path, arrays, "counts", np.intp)
    atoms = math.isqrt(2 * len(counts))
    sound = atoms * (atoms + 1) == 2 * len(counts) and counts.min() > 0 and counts.max() <= MAX_FEATURES
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
    return Model(
        encoder=encoder,
        layers=layers,
        units=Units(about.activation, about.offset),
        **read_fold_arrays(path, about, arrays, molecules=molecules),
        **about.model_dump(include={*MODEL_VALUES}),
    )
