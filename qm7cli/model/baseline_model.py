"""Fitted baselines, and their files, which are called ``model.npz`` as those of networks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from qm7cli.core.arrays import Arrays, checked_array, load_arrays, require, save_arrays
from qm7cli.core.validation import LARGEST, Measure, refusal
from qm7cli.data.bags import Bags
from qm7cli.data.dataset import MOST_ATOMS, SYMBOLS, Dataset
from qm7cli.model.fold_model import FoldAbout, FoldModel, Predictor, fold_arrays, read_fold_arrays, target_values
from qm7cli.model.methods import HYPERPARAMETERS, Hyperparameters, Kernel, Kind, RepresentationName
from qm7cli.model.model import ModelAbout, read_model
from qm7cli.model.regressors import DISTANCE_MODELS, Regressor, model_rows
from qm7cli.model.representations import Representation

LARGEST_WEIGHT: Final = 1e30  # coefficients are large where a matrix is nearly singular


@dataclass(frozen=True, kw_only=True)
class BaselineModel(FoldModel):
    """A fitted baseline.

    Attributes
    ----------
    representation : Representation
        Of the molecules.
    regressor : Regressor
        What predicts.
    points : (draws molecules, d) float32
        The training molecules' representations, draw after draw, for `knn` and `krr`; else (1, d), and not looked at.
    atoms : int
        Largest number of atoms per molecule, n.
    """

    representation: Representation
    regressor: Regressor
    points: NDArray[np.float32]
    atoms: int

    @property
    def kind(self) -> str:
        """What it is."""
        return f"the baseline {self.regressor.model}"

    @property
    def size(self) -> int:
        """Largest number of atoms per molecule, n."""
        return self.atoms

    @property
    def noise(self) -> float:
        """Standard deviation of the noise on the row norms, hartree."""
        return self.representation.noise

    def draws_of(self, asked: int | None) -> int:
        """Return how many draws predictions are averaged over, as `FoldModel.draws_of`: 1 if all are the same."""
        return super().draws_of(asked) if self.representation.name == "random" else 1

    def excess(self, Z: NDArray[np.floating]) -> str | None:
        """Say what a molecule has more of than the model has room for, as `FoldModel.excess`."""
        return super().excess(Z) or self.representation.excess(Z)

    def draw_predictor(self, dataset: Dataset, rng: np.random.Generator) -> Predictor:
        """Return what draws and predicts rows of a data set, as `FoldModel.draw_predictor`."""
        return lambda molecules: self._energies(self.representation.draw(dataset, molecules, rng), dataset.Z[molecules])

    def drawn_energies(
        self, X: NDArray[np.float32], Z: NDArray[np.floating], triangles: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Return the energies of draws of one molecule, as `FoldModel.drawn_energies`."""
        return self._energies(triangles if self.representation.drawn else self.representation.of(X, Z), Z)

    def _energies(self, X: NDArray[np.float32], Z: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the energies (molecules,) of representations (molecules, d), kcal/mol; Z as in `Target.energies`."""
        return self.target.energies(self.regressor.predict(model_rows(self.regressor, X, self.points)), Z)


class BaselineAbout(FoldAbout):
    """The plain values of a baseline's file; see `BaselineModel`, `Representation` and `Regressor`."""

    kind: Literal["baseline"] = "baseline"
    model: Kind
    representation: RepresentationName | None
    kernel: Kernel | None
    neighbours: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    scale: Annotated[float, Field(gt=0, le=LARGEST)] | None = None
    ridge: Annotated[float, Field(ge=0, le=LARGEST)] | None = None
    mean: Annotated[float, Field(gt=-LARGEST_WEIGHT, lt=LARGEST_WEIGHT)]
    noise: Measure
    exponent: Annotated[float, Field(gt=0, le=100)] = 1.0
    atoms: Annotated[int, Field(ge=1, le=MOST_ATOMS)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.hyperparameters.keys() != {*HYPERPARAMETERS[self.model]} or (self.model == "krr") != bool(self.kernel):
            raise refusal(f"{self.model} has other hyperparameters")
        if (self.model == "mean") != (self.representation is None):
            raise refusal(f"{self.model} has another representation")
        return self

    @property
    def hyperparameters(self) -> Hyperparameters:
        """Those that the model takes."""
        values = {"neighbours": self.neighbours, "scale": self.scale, "ridge": self.ridge}
        return {key: value for key, value in values.items() if value is not None}


def save_baseline(path: Path, model: BaselineModel) -> None:
    """Write a fitted baseline; raises QM7Error if the file cannot be written."""
    regressor, representation = model.regressor, model.representation
    values: dict[str, Any] = {
        **{key: getattr(model, key) for key in ("seed", "fold", "draws", "sha256", "atoms", "noise")},
        **{key: getattr(regressor, key) for key in ("model", "kernel", "mean")},
        **regressor.hyperparameters,
        "representation": representation.name,
        "exponent": representation.exponent,
        **target_values(model),
    }
    arrays: Arrays = {"weights": regressor.weights, "points": model.points, **fold_arrays(model)}
    if representation.bags:
        arrays |= {f"bags.{name}": array for name, array in representation.bags._asdict().items()}
    save_arrays(path, BaselineAbout(**values), arrays)


def load_fold_model(path: Path) -> FoldModel:
    """Read a network or a baseline; raises QM7Error if it is missing, damaged or of another format."""
    about: ModelAbout | BaselineAbout
    about, arrays = load_arrays(path, ModelAbout, BaselineAbout)
    if isinstance(about, BaselineAbout):
        return _read_baseline(path, about, arrays)
    return read_model(path, about, arrays)


def _read_baseline(path: Path, about: BaselineAbout, arrays: Arrays) -> BaselineModel:
    """Return the baseline that a file's values and arrays make; raises QM7Error if they are damaged."""
    bags = _read_bags(path, arrays) if about.representation in {"bag-of-bonds", "composition"} else None
    representation = Representation(about.representation, about.noise, bags, about.exponent)
    d, fold = representation.entries(about.atoms), read_fold_arrays(path, about, arrays)
    distances = about.model in DISTANCE_MODELS
    points = checked_array(path, arrays, "points", np.float32, None if distances else 1, d)
    m = len(points) if distances else d
    weights = checked_array(path, arrays, "weights", np.float64, m, largest=LARGEST_WEIGHT)
    require(path, "points", sound=not distances or len(points) % len(fold["train"]) == 0)
    require(path, "neighbours", sound=(about.neighbours or 0) <= m)
    return BaselineModel(
        iterations=0,
        representation=representation,
        regressor=Regressor(about.model, about.kernel, about.hyperparameters, about.mean, weights),
        points=points,
        **about.model_dump(include={"seed", "fold", "draws", "sha256", "atoms"}),
        **fold,
    )


def _read_bags(path: Path, arrays: dict[str, NDArray[Any]]) -> Bags:
    charges = checked_array(path, arrays, "bags.charges", np.intp, None, 2)
    sizes = checked_array(path, arrays, "bags.sizes", np.intp, len(charges))
    lower, upper = charges.T
    sound = (lower >= 0) & (lower <= upper) & (upper > 0) & (upper < len(SYMBOLS))
    require(path, "bags.charges", sound=sound.all() and len(np.unique(charges, axis=0)) == len(charges))
    require(path, "bags.sizes", sound=sizes.min() > 0 and sizes.max() <= MOST_ATOMS**2)
    return Bags(charges, sizes)
