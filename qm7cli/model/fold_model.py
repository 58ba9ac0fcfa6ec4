"""What networks and baselines have in common: predictions averaged over draws, and what they are not for."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from qm7cli.core.errors import QM7Error, StoppedError
from qm7cli.core.files import About, Arrays
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.coulomb import Matrices, canonical_order, reorder_atoms
from qm7cli.data.dataset import Dataset
from qm7cli.data.molecules import Given, Molecule, as_molecules
from qm7cli.data.splits import Part
from qm7cli.model.conformal import LEVEL, Interval
from qm7cli.model.domain import Domain
from qm7cli.model.encoder import CHUNK
from qm7cli.model.metrics import Evaluation
from qm7cli.model.target import NOTHING_SUBTRACTED, Target

Predictor = Callable[[NDArray[np.intp]], NDArray[np.float64]]


class DomainWarning(UserWarning):
    """A molecule is outside of what a model was trained on."""


class Drawn(NamedTuple):
    """A model's energies of a molecule's draws, (draws,) kcal/mol, and sentences that say how it is outside."""

    energies: NDArray[np.float64]
    outside: dict[str, str]

    @property
    def spread(self) -> float | None:
        """Sample standard deviation, kcal/mol; None for a single draw."""
        return float(self.energies.std(ddof=1)) if len(self.energies) > 1 else None


@dataclass(frozen=True, kw_only=True)
class FoldModel(ABC):
    """A trained fold: all that predicting and evaluating need beside the molecules."""

    seed: int
    fold: int
    iterations: int  # 0 for a baseline
    draws: int  # of the run's evaluation
    sha256: str  # of the data set
    train: NDArray[np.intp]  # rows of the data set, (molecules,)
    test: NDArray[np.intp]
    target: Target = NOTHING_SUBTRACTED  # what is subtracted from the energies that the model learns
    domain: Domain | None = None  # what the training molecules cover; None while a network is in training
    interval: Interval | None = None  # calibrated on the held-out molecules; likewise

    def __repr__(self) -> str:
        return f"{type(self).__name__}(fold {self.fold}, seed {self.seed}, {len(self.train)} training molecules)"

    @property
    @abstractmethod
    def size(self) -> int:
        """Largest number of atoms per molecule, n."""

    @abstractmethod
    def drawn_energies(
        self, matrices: Dataset | Matrices, Z: NDArray[np.floating], molecules: NDArray[np.intp], rng: Generator
    ) -> NDArray[np.float64]:
        """Draw rows `molecules` of matrices, hartree, once, and return their energies (len(molecules),), kcal/mol.

        Z has their nuclear charges, (len(molecules), n), or (1, n) where all are the same molecule.
        """

    def draw_predictor(self, dataset: Dataset, rng: Generator) -> Predictor:
        """Return what draws rows of a data set, (molecules,), once, and gives their energies (molecules,), kcal/mol."""
        return lambda molecules: self.drawn_energies(dataset, dataset.Z[molecules], molecules, rng)

    def draws_of(self, asked: int | None) -> int:
        """Return how many draws predictions are averaged over, if so many are asked for; None is the run's own."""
        if asked is not None and asked < 1:
            raise QM7Error(f"draws is {asked}; it should be 1 or more")
        return asked or self.draws

    def why_too_large(self, Z: NDArray[np.floating]) -> str | None:
        """Say why a molecule with the nuclear charges Z, (atoms,), has no energy, if it has none."""
        if len(Z) > self.size:
            return f"{len(Z)} atoms, more than the {self.size} that the model takes"
        return self.target.unknown(Z)

    def predict(self, molecules: Given, R: ArrayLike | None = None, *, draws: int | None = None) -> NDArray[np.float64]:
        """Return the atomization energies (molecules,), kcal/mol, of nuclear charges and R in bohr, or of ASE atoms.

        They are averaged over `draws`, by default as many as in the run's evaluation. Warns DomainWarning if a molecule
        is outside of what the model was trained on; `qm7cli.predict` tells of each. Raises QM7Error if a molecule is
        not one (`qm7cli.data.molecules.as_molecules`), or has more atoms than the model has room for.
        """
        given = as_molecules(molecules, R)
        energies, outside = np.empty(len(given)), []
        with threadpool_limits(1):  # more threads would give other digits
            for k, molecule in enumerate(given):
                if reason := self.why_too_large(molecule.Z):
                    raise QM7Error(f"{molecule.name}: {reason}")
                drawn = self.draw(molecule, draws)
                energies[k] = drawn.energies.mean()
                if drawn.outside:
                    outside.append(f"{molecule.name}: {'; '.join(drawn.outside.values())}")
        if outside:
            which = f"{len(outside)} of {len(given)} molecules: " if len(given) > 1 else ""
            sentence = f"outside of what the model was trained on, {which}{outside[0]}"
            warnings.warn(sentence, DomainWarning, stacklevel=2)
        return energies

    def draw(self, molecule: Molecule, draws: int | None = None) -> Drawn:
        """Draw a molecule that is not too large, always with the same noise, and predict each draw."""
        X = molecule.coulomb_matrix(self.size)[None]  # (1, n, n)
        order = canonical_order(X)
        matrices = Matrices.of(reorder_atoms(X, order))
        Z = np.pad(molecule.Z, (0, self.size - len(molecule.Z)))[order]  # (1, n)
        rng, count = stream(self.seed, self.fold, Purpose.PREDICTION), self.draws_of(draws)
        energies = np.empty(count)
        for start in range(0, count, CHUNK):
            itself = np.zeros(min(CHUNK, count - start), dtype=np.intp)
            energies[start : start + CHUNK] = self.drawn_energies(matrices, Z, itself, rng)
        return Drawn(energies, self._outside(molecule, float(energies.mean())))

    def _outside(self, molecule: Molecule, energy: float) -> dict[str, str]:
        """Return how a molecule differs from those trained on: sentences by what they are about."""
        reasons = self.domain.warnings(molecule.Z, molecule.R) if self.domain else {}
        if molecule.open_shell:
            reasons["open shell"] = molecule.open_shell
        least, most = self.domain.energies if self.domain else (-np.inf, np.inf)
        if not least <= energy <= most:
            reasons["energy"] = f"its energy is beyond those trained on, {least:.0f} to {most:.0f} kcal/mol"
        return reasons

    def half_width(self, spread: float | None, draws: int, level: float = LEVEL) -> float | None:
        """Return half the width of the interval of a molecule with a spread over draws, kcal/mol, if there is one.

        Fewer draws than the model's own err more than those that the interval was made from.
        """
        if self.interval is None or draws < self.draws:
            return None
        widths = self.interval.half_widths(None if spread is None else np.array([spread]), level)
        return None if widths is None else float(widths[0])

    def predict_rows(
        self,
        dataset: Dataset,
        molecules: NDArray[np.intp],
        draws: int,
        rng: Generator,
        stopped: Callable[[], bool] = lambda: False,
    ) -> NDArray[np.float64]:
        """Return the energies of rows, (draws, len(molecules)), kcal/mol; raises StoppedError if `stopped`."""
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

    def evaluate(
        self, dataset: Dataset, part: Part, draws: int, stopped: Callable[[], bool] = lambda: False
    ) -> Evaluation:
        """Predict the molecules of a part, always with the same draws; `stopped` is that of `predict_rows`."""
        molecules = self.test if part == "test" else self.train
        purpose = Purpose.TEST_EVALUATION if part == "test" else Purpose.TRAIN_EVALUATION
        predictions = self.predict_rows(dataset, molecules, draws, stream(self.seed, self.fold, purpose), stopped)
        return Evaluation(molecules, predictions, dataset.T[molecules])


class FoldAbout(About):
    """The plain values that the files of all models have; see `FoldModel`."""

    seed: int
    fold: int
    draws: int
    sha256: str
    energy_mean: float
    energy_std: float


def fold_content(model: FoldModel) -> tuple[dict[str, Any], Arrays]:
    """Return the plain values and the arrays that the files of all models have; `read_fold` reads them."""
    values = {key: getattr(model, key) for key in ("seed", "fold", "draws", "sha256")}
    target = model.target
    arrays: Arrays = {"train": model.train, "test": model.test}
    arrays |= {"target.elements": target.elements, "target.coefficients": target.coefficients}
    if model.interval:
        scores, *scale = model.interval
        arrays |= {"interval.scores": scores, "interval.scale": np.array(scale)}
    if model.domain:
        arrays |= {f"domain.{name}": array for name, array in model.domain.arrays().items()}
    return values | {"energy_mean": target.mean, "energy_std": target.std}, arrays


def read_fold(about: FoldAbout, arrays: Arrays) -> dict[str, Any]:
    """Return what `fold_content` made of a model, by attribute."""
    domain = {name.removeprefix("domain."): array for name, array in arrays.items() if name.startswith("domain.")}
    kept = [arrays["interval.scores"], *arrays["interval.scale"].tolist()] if "interval.scores" in arrays else None
    return {
        **about.model_dump(include={"seed", "fold", "draws", "sha256"}),
        "train": arrays["train"],
        "test": arrays["test"],
        "target": Target(about.energy_mean, about.energy_std, arrays["target.elements"], arrays["target.coefficients"]),
        "domain": Domain(**domain) if domain else None,
        "interval": Interval(*kept) if kept else None,
    }
