"""Trained networks, and their files, ``model.npz``; and the bundled model, which comes with the program.

That is a network of one fold without the molecules that it was trained on, made by `tools/make_bundled_model.py`.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from qm7cli.core.files import Arrays, load_arrays, save_arrays
from qm7cli.data.coulomb import Matrices
from qm7cli.data.dataset import SYMBOLS, Dataset
from qm7cli.model.activations import ActivationName, Units
from qm7cli.model.encoder import Encoder
from qm7cli.model.fold_model import FoldAbout, FoldModel, Predictor, fold_content, read_fold
from qm7cli.model.network import Layer, feed_forward
from qm7cli.model.reduced import ReducedFeatures
from qm7cli.model.variants import Array

BUNDLED: Final = Path(__file__).parents[1] / "data/bundled/network.npz"


@dataclass(frozen=True, kw_only=True, repr=False)
class Model(FoldModel):
    """A trained network."""

    variant: str
    encoder: Encoder  # fitted to the training molecules
    layers: list[Layer]  # averaged parameters
    units: Units

    @property
    def size(self) -> int:
        """Largest number of atoms per molecule, n."""
        return math.isqrt(2 * len(self.encoder.counts))  # of n(n+1)/2 entries

    def energies(
        self, features: Array, Z: NDArray[np.floating], layers: list[Layer] | None = None
    ) -> NDArray[np.float64]:
        """Return the energies (b,) of features (b, m) of molecules with the charges Z, (b, n) or (1, n), kcal/mol.

        `layers`, if given, stand for the model's own.
        """
        outputs = feed_forward(layers or self.layers, features, self.units).astype(np.float64)
        return self.target.energies(outputs, Z)

    def draw_predictor(self, dataset: Dataset, rng: Generator) -> Predictor:
        """Return what draws and predicts rows of a data set, as `FoldModel.draw_predictor`, in fewer coordinates."""
        features = ReducedFeatures.of(self.encoder, dataset)
        layers = [features.for_prediction(self.layers[0]), *self.layers[1:]]
        return lambda molecules: self.energies(features.draw(dataset, molecules, rng), dataset.Z[molecules], layers)

    def drawn_energies(
        self, matrices: Dataset | Matrices, Z: NDArray[np.floating], molecules: NDArray[np.intp], rng: Generator
    ) -> NDArray[np.float64]:
        """Draw molecules and return their energies, as `FoldModel.drawn_energies`."""
        return self.energies(self.encoder.draw(matrices, molecules, rng), Z)


class ModelAbout(FoldAbout):
    """The plain values of a model file; see `Model` and `qm7cli.model.encoder.Encoder`."""

    kind: Literal["model"] = "model"
    variant: str
    iterations: int
    activation: ActivationName
    offset: float
    noise: float
    step: float
    scale: float


class BundledAbout(ModelAbout):
    """The plain values of the bundled file."""

    kind: Literal["bundled model"] = "bundled model"  # type: ignore[assignment] # a file of another kind than a run's
    run: str
    dataset: str
    mae: float
    rmse: float


def save_model(path: Path, model: Model) -> None:
    """Write a model; raises QM7Error if the file cannot be written."""
    values, arrays = model_content(model)
    save_arrays(path, ModelAbout(**values), arrays)


def model_content(model: Model) -> tuple[dict[str, Any], Arrays]:
    """Return the plain values, but the kind, and the arrays of a model's file."""
    values, shared = fold_content(model)
    values |= {"variant": model.variant, "iterations": model.iterations, **model.units._asdict()}
    values |= {name: getattr(model.encoder, name) for name in ("noise", "step", "scale")}
    arrays: Arrays = {"counts": model.encoder.counts, "mean": model.encoder.mean, **shared}
    for k, layer in enumerate(model.layers):
        arrays |= {f"layer{k}.{symbol}": P for symbol, P in layer._asdict().items()}
    return values, arrays


def read_model(about: ModelAbout, arrays: Arrays) -> Model:
    """Return the model that a file's values and arrays make."""
    depth = sum(name.endswith(".W") for name in arrays)
    return Model(
        variant=about.variant,
        iterations=about.iterations,
        encoder=Encoder(about.noise, about.step, arrays["counts"], arrays["mean"], about.scale),
        layers=[Layer(*(arrays[f"layer{k}.{symbol}"] for symbol in Layer._fields)) for k in range(depth)],
        units=Units(about.activation, about.offset),
        **read_fold(about, arrays),
    )


class BundledModel(NamedTuple):
    """The bundled model, and a sentence that says what it is."""

    model: Model
    description: str


def save_bundled(path: Path, model: Model, run: str, dataset: str, mae: float, rmse: float) -> None:
    """Write a model as what comes with the program, with the names of its run and data set and its test errors."""
    none = np.empty(0, dtype=np.intp)
    values, arrays = model_content(replace(model, train=none, test=none))
    save_arrays(path, BundledAbout(**values, run=run, dataset=dataset, mae=mae, rmse=rmse), arrays, compressed=True)


def load_bundled(path: Path | None = None) -> BundledModel:
    """Read the model that comes with the program, or another; raises QM7Error if it is missing or damaged."""
    about, arrays = load_arrays(path or BUNDLED, BundledAbout)
    model = read_model(about, arrays)
    description = (
        f"bundled model: fold {model.fold} of {about.run}, variant {model.variant}, {model.iterations:,} iterations on "
        f"{about.dataset}, held-out MAE {about.mae:.2f} kcal/mol"
    )
    if model.domain:
        elements = ", ".join(SYMBOLS[charge] for charge in model.domain.elements)
        most = model.domain.atoms[1]
        description += f"; it covers neutral closed-shell molecules of {elements} with up to {most} atoms"
    return BundledModel(model, description)
