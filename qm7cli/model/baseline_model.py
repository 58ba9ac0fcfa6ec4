"""Fitted baselines, and their files, which are called ``model.npz`` as those of networks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from qm7cli.core.files import Arrays, load_arrays, save_arrays
from qm7cli.data.coulomb import Matrices
from qm7cli.data.dataset import Dataset
from qm7cli.model.baseline_names import Hyperparameters, Kernel, Kind, RepresentationName
from qm7cli.model.fold_model import FoldAbout, FoldModel, fold_content, read_fold
from qm7cli.model.model import ModelAbout, read_model
from qm7cli.model.regressors import Regressor, model_rows
from qm7cli.model.representations import Bags, Representation


@dataclass(frozen=True, kw_only=True, repr=False)
class BaselineModel(FoldModel):
    """A fitted baseline."""

    representation: Representation
    regressor: Regressor
    points: NDArray[np.float32]  # training molecules as represented, draw after draw, (draws molecules, d); or (1, d)
    atoms: int  # largest number per molecule, n

    @property
    def size(self) -> int:
        """Largest number of atoms per molecule, n."""
        return self.atoms

    def draws_of(self, asked: int | None) -> int:
        """Return how many draws predictions are averaged over, as `FoldModel.draws_of`: 1 if all are the same."""
        return super().draws_of(asked) if self.representation.name == "random" else 1

    def why_too_large(self, Z: NDArray[np.floating]) -> str | None:
        """Say what a molecule has more of than the model has room for, as `FoldModel.why_too_large`."""
        return super().why_too_large(Z) or self.representation.why_too_large(Z)

    def drawn_energies(
        self, matrices: Dataset | Matrices, Z: NDArray[np.floating], molecules: NDArray[np.intp], rng: Generator
    ) -> NDArray[np.float64]:
        """Draw molecules and return their energies, as `FoldModel.drawn_energies`."""
        X = self.representation.draw(matrices, Z, molecules, rng)
        return self.target.energies(self.regressor.predict(model_rows(self.regressor, X, self.points)), Z)


class BaselineAbout(FoldAbout):
    """The plain values of a baseline's file; see `BaselineModel`, `Representation` and `Regressor`."""

    kind: Literal["baseline"] = "baseline"
    model: Kind
    representation: RepresentationName | None
    kernel: Kernel | None
    hyperparameters: Hyperparameters
    mean: float
    noise: float
    exponent: float
    atoms: int


def save_baseline(path: Path, model: BaselineModel) -> None:
    """Write a fitted baseline; raises QM7Error if the file cannot be written."""
    regressor, representation = model.regressor, model.representation
    values, shared = fold_content(model)
    about = BaselineAbout(
        model=regressor.model,
        representation=representation.name,
        kernel=regressor.kernel,
        hyperparameters=regressor.hyperparameters,
        mean=regressor.mean,
        noise=representation.noise,
        exponent=representation.exponent,
        atoms=model.atoms,
        **values,
    )
    arrays: Arrays = {"weights": regressor.weights, "points": model.points, **shared}
    if representation.bags:
        arrays |= {f"bags.{name}": array for name, array in representation.bags._asdict().items()}
    save_arrays(path, about, arrays)


def load_fold_model(path: Path) -> FoldModel:
    """Read a network or a baseline; raises QM7Error if there is none, or it is damaged."""
    about: ModelAbout | BaselineAbout
    about, arrays = load_arrays(path, ModelAbout, BaselineAbout)
    if isinstance(about, ModelAbout):
        return read_model(about, arrays)
    bags = Bags(arrays["bags.charges"], arrays["bags.sizes"]) if "bags.charges" in arrays else None
    return BaselineModel(
        iterations=0,
        representation=Representation(about.representation, about.noise, bags, about.exponent),
        regressor=Regressor(about.model, about.kernel, about.hyperparameters, about.mean, arrays["weights"]),
        points=arrays["points"],
        atoms=about.atoms,
        **read_fold(about, arrays),
    )
