"""Energies of molecules outside the data set, from the models of a run.

Every molecule is drawn with the same noise, and is predicted by itself: its number depends neither on its company nor
on the order of its atoms.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qm7cli.coulomb import canonical_order, draw_permutations, permuted_triangles, reorder_atoms, row_norms
from qm7cli.evaluation import Model
from qm7cli.molecule_files import Molecule
from qm7cli.network import feed_forward
from qm7cli.seeds import Purpose, stream

SAME: Final = 1e-3  # hartree; draws whose entries differ by less are the same


@dataclass(frozen=True)
class Prediction:
    """What the models say of a molecule; None where they cannot say anything.

    Attributes
    ----------
    molecule : str
        Its name.
    energy : float
        Atomization energy, kcal/mol: the mean over draws and models.
    spread : float
        Sample standard deviation over draws, kcal/mol, as the mean over models; None for a single draw. It is the
        scatter of the draws, not an error bar.
    fold_spread : float
        Sample standard deviation over models, kcal/mol; None for a single model.
    distance : float
        From the nearest molecule that a model was trained on, hartree, of sorted Coulomb matrices (Euclidean); the
        largest over models.
    outside : list of str
        In what the molecule is outside of what some model was trained on.
    """

    molecule: str
    energy: float | None = None
    spread: float | None = None
    fold_spread: float | None = None
    distance: float | None = None
    outside: list[str] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def predict(models: Sequence[Model], molecules: Sequence[Molecule], draws: int | None = None) -> list[Prediction]:
    """Predict molecules with all of `models`, averaged over `draws` draws or, without it, each model's own number."""
    with threadpool_limits(1):  # more threads would give other digits
        return [_predict(models, molecule, draws) for molecule in molecules]


def _predict(models: Sequence[Model], molecule: Molecule, draws: int | None) -> Prediction:
    n = min(model.size for model in models)
    if len(molecule.Z) > n:
        too_large = f"{len(molecule.Z)} atoms, more than the {n} that the model has room for"
        return Prediction(molecule.name, outside=[too_large])
    X = molecule.coulomb_matrix(n)[None]
    X = reorder_atoms(X, canonical_order(X))
    means, spreads, distances = [], [], []
    outside: dict[str, str] = {}
    for model in models:
        triangles = _draw(model, X, draws or model.draws)  # (draws, n(n+1)/2)
        outputs = feed_forward(model.layers, model.encoder.encode(triangles)).astype(np.float64)  # (draws,)
        energies = outputs * model.energy_std + model.energy_mean
        means.append(float(energies.mean()))
        if len(energies) > 1:
            spreads.append(float(energies.std(ddof=1)))
        if model.domain:
            distances.append(model.domain.distance(X[0]))
        outside = _outside(model, molecule, X[0], triangles, means[-1]) | outside
    return Prediction(
        molecule.name,
        energy=float(np.mean(means)),
        spread=float(np.mean(spreads)) if spreads else None,
        fold_spread=float(np.std(means, ddof=1)) if len(means) > 1 else None,
        distance=max(distances, default=None),
        outside=list(outside.values()),
    )


def _outside(
    model: Model, molecule: Molecule, X: NDArray[np.float32], triangles: NDArray[np.float32], energy: float
) -> dict[str, str]:
    """Return in what a molecule is outside of what a model was trained on, as `qm7cli.domain.Domain.outside`."""
    reasons = {}
    excess = float((triangles.max(axis=0) - (model.encoder.counts - 1) * model.encoder.step).max())
    if excess > 0:
        reasons["entries"] = f"entries up to {excess:.2g} hartree beyond the encoder's thresholds"
    if model.encoder.noise and len(triangles) > 1 and np.ptp(triangles, axis=0).max() < SAME:
        reasons["draws"] = "all draws are the same, so that their spread says nothing"
    if model.domain is None:
        return reasons | {"unknown": "the model is of an older version, which did not keep what it was trained on"}
    least, most = model.domain.energies
    if not least <= energy <= most:
        reasons["energy"] = f"its energy is beyond those trained on, {least:.1f} to {most:.1f} kcal/mol"
    return model.domain.outside(molecule.Z, molecule.R, X) | reasons


def _draw(model: Model, X: NDArray[np.float32], draws: int) -> NDArray[np.float32]:
    """Draw one sorted matrix (1, n, n) `draws` times, always with the same noise; (draws, n(n+1)/2)."""
    rng = stream(model.seed, model.fold, Purpose.PREDICTION)
    norms = row_norms(X).repeat(draws, axis=0)  # (draws, n)
    permutations = draw_permutations(norms, model.encoder.noise, rng)
    return permuted_triangles(X, np.zeros(draws, dtype=np.intp), permutations)
