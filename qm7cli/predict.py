"""Energies of molecules outside the data set, from the models of a run.

Every molecule is drawn with the same noise, and is predicted by itself: its number depends neither on its company nor
on the order of its atoms.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qm7cli.coulomb import draw_permutations, permuted_triangles, row_norms
from qm7cli.evaluation import Model
from qm7cli.molecule_files import Molecule
from qm7cli.network import feed_forward
from qm7cli.seeds import Purpose, stream


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
        Sample standard deviation over draws, kcal/mol, as the mean over models; None for a single draw.
    fold_spread : float
        Sample standard deviation over models, kcal/mol; None for a single model.
    outside : list of str
        In what the molecule is outside of what the models have seen.
    """

    molecule: str
    energy: float | None = None
    spread: float | None = None
    fold_spread: float | None = None
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
    unknown = sorted({int(z) for z in molecule.Z} - set.intersection(*({*model.charges.tolist()} for model in models)))
    outside = [f"element {z} was not trained on" for z in unknown]
    if len(molecule.Z) > n:
        outside.append(f"{len(molecule.Z)} atoms, more than the {n} that the model has room for")
        return Prediction(molecule.name, outside=outside)
    X = molecule.coulomb_matrix(n)[None]
    X = X[:, (order := np.argsort(-row_norms(X)[0], kind="stable"))][:, :, order]  # whatever the order of the atoms
    drawn = []
    beyond: list[float] = []
    for model in models:
        triangles = _draw(model, X, draws or model.draws)  # (draws, n(n+1)/2)
        excess = triangles.max(axis=0) - (model.encoder.counts - 1) * model.encoder.step
        beyond.append(float(excess.max()))
        outputs = feed_forward(model.layers, model.encoder.encode(triangles)).astype(np.float64)  # (draws,)
        drawn.append(outputs * model.energy_std + model.energy_mean)
    if max(beyond) > 0:
        outside.append(f"entries up to {max(beyond):.2g} hartree beyond the encoder's thresholds")
    means = [float(energies.mean()) for energies in drawn]
    spreads = [float(energies.std(ddof=1)) for energies in drawn if len(energies) > 1]
    return Prediction(
        molecule.name,
        energy=float(np.mean(means)),
        spread=float(np.mean(spreads)) if spreads else None,
        fold_spread=float(np.std(means, ddof=1)) if len(means) > 1 else None,
        outside=outside,
    )


def _draw(model: Model, X: NDArray[np.float32], draws: int) -> NDArray[np.float32]:
    """Draw one sorted matrix (1, n, n) `draws` times, always with the same noise; (draws, n(n+1)/2)."""
    rng = stream(model.seed, model.fold, Purpose.PREDICTION)
    norms = row_norms(X).repeat(draws, axis=0)  # (draws, n)
    permutations = draw_permutations(norms, model.encoder.noise, rng)
    return permuted_triangles(X, np.zeros(draws, dtype=np.intp), permutations)
