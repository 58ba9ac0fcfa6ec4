"""Energies of molecules outside the data set, from the models of a run.

Every molecule is drawn with the same noise and predicted by itself: its energy depends neither on the other molecules
nor on the order of its atoms.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qm7cli.core.errors import QM7Error
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.coulomb import canonical_order, random_sorted, reorder_atoms, row_norms
from qm7cli.data.molecules import Molecule
from qm7cli.model.encoder import CHUNK
from qm7cli.model.fold_model import FoldModel

SAME: Final = 1e-3  # hartree; draws whose entries differ by less are the same
NO_SPREAD: Final = "all draws are the same, so their spread says nothing"


class DomainWarning(UserWarning):
    """A molecule is outside of what a model was trained on."""


@dataclass(frozen=True)
class Prediction:
    """What the models predict for a molecule; None where they cannot.

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
    interval : float
        Half the width of the interval that holds the true energy of 90% of molecules like those held out, kcal/mol:
        the mean of the models' (`qm7cli.model.conformal`), as the mean's error is at most the mean of the errors. None
        if a model keeps none, or draws fewer matrices than its interval was made from.
    conformer_spread : float
        Sample standard deviation over conformers, kcal/mol; None for a geometry that was given.
    warnings : list of str
        How the molecule differs from all that some model was trained on.
    """

    molecule: str
    energy: float | None = None
    spread: float | None = None
    fold_spread: float | None = None
    interval: float | None = None
    conformer_spread: float | None = None
    warnings: list[str] = field(default_factory=list)


class _Draws(NamedTuple):
    """A model's energies of a molecule's draws, (draws,) kcal/mol, and whether the matrices drawn are all the same."""

    energies: NDArray[np.float64]
    are_same: bool


def predict_molecules(
    models: Sequence[FoldModel],
    molecules: Sequence[Molecule],
    draws: int | None = None,
    report: Callable[[int], None] = lambda _done: None,
) -> list[Prediction]:
    """Predict molecules with all of `models`, averaged over `draws` draws or, without it, each model's own number.

    `report` is called with the number of molecules that are done. Raises QM7Error if the models were trained on
    different data sets, or `draws` is not 1 or more.
    """
    if draws is not None and draws < 1:
        raise QM7Error(f"draws is {draws}; it should be 1 or more")
    if len({model.sha256 for model in models}) > 1:
        raise QM7Error("the runs were trained on different data sets, whose energies are not to be averaged")
    predictions = []
    with threadpool_limits(1):  # more threads would give other digits
        for done, molecule in enumerate(molecules, start=1):
            predictions.append(_predict(models, molecule, draws))
            report(done)
    return predictions


def average_conformers(predictions: Sequence[Prediction]) -> Prediction:
    """Return the prediction of a molecule from those of its conformers; it says what the one outside most says."""
    if any(each.energy is None for each in predictions):
        return predictions[0]
    energies = [each.energy for each in predictions if each.energy is not None]
    return Prediction(
        predictions[0].molecule,
        energy=float(np.mean(energies)),
        spread=_mean([each.spread for each in predictions]),
        fold_spread=_mean([each.fold_spread for each in predictions]),
        interval=_mean([each.interval for each in predictions]),
        conformer_spread=float(np.std(energies, ddof=1)) if len(energies) > 1 else None,
        warnings=max((each.warnings for each in predictions), key=len),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean, or None if a value is None."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def predict_energies(model: FoldModel, molecules: Sequence[Molecule], draws: int | None = None) -> NDArray[np.float64]:
    """Return the energies that a model predicts, (molecules,) kcal/mol.

    Warns (DomainWarning) of molecules outside of what it was trained on.

    Raises QM7Error if a molecule has more atoms than the model has room for.
    """
    predictions = predict_molecules([model], molecules, draws)
    outside: list[str] = []
    for prediction in predictions:
        reasons = "; ".join(reason for reason in prediction.warnings if reason != NO_SPREAD)
        if prediction.energy is None:
            raise QM7Error(f"{prediction.molecule}: {reasons}")
        if reasons:
            outside.append(f"{prediction.molecule}: {reasons}")
    if outside:
        which = f"{len(outside)} of {len(predictions)} molecules: " if len(predictions) > 1 else ""
        sentence = f"outside of what the model was trained on, {which}{outside[0]}"
        warnings.warn(sentence, DomainWarning, stacklevel=3)
    return np.array([prediction.energy for prediction in predictions], dtype=np.float64)


def _predict(models: Sequence[FoldModel], molecule: Molecule, draws: int | None) -> Prediction:
    smallest = min(models, key=lambda model: model.size)
    if excess := next(filter(None, (model.excess(molecule.Z) for model in (smallest, *models))), None):
        return Prediction(molecule.name, warnings=[excess])
    X = molecule.coulomb_matrix(smallest.size)[None]
    order = canonical_order(X)
    X, Z = reorder_atoms(X, order), np.pad(molecule.Z, (0, smallest.size - len(molecule.Z)))[order]
    means, spreads, widths = [], [], []
    reasons: dict[str, str] = {}
    for model in models:
        drawn = _draw(model, X, Z, model.draws_of(draws))
        means.append(float(drawn.energies.mean()))
        spread = float(drawn.energies.std(ddof=1)) if len(drawn.energies) > 1 else None
        spreads.append(spread)
        widths.append(model.half_width(spread, len(drawn.energies)))
        reasons = _warnings(model, molecule, drawn) | reasons
    return Prediction(
        molecule.name,
        energy=float(np.mean(means)),
        spread=float(np.mean(known)) if (known := [spread for spread in spreads if spread is not None]) else None,
        fold_spread=float(np.std(means, ddof=1)) if len(means) > 1 else None,
        interval=_mean(widths),
        warnings=list(reasons.values()),
    )


def _warnings(model: FoldModel, molecule: Molecule, drawn: _Draws) -> dict[str, str]:
    """Return how a molecule differs from those trained on, as `qm7cli.model.domain.Domain.warnings` does."""
    reasons = {"open shell": molecule.open_shell} if molecule.open_shell else {}
    if model.noise and len(drawn.energies) > 1 and drawn.are_same:
        reasons["draws"] = NO_SPREAD
    if model.domain is None:
        return reasons | {"unknown": "the model does not keep what it was trained on"}
    least, most = model.domain.energies
    if not least <= drawn.energies.mean() <= most:
        reasons["energy"] = f"its energy is beyond those trained on, {least:.0f} to {most:.0f} kcal/mol"
    return model.domain.warnings(molecule.Z, molecule.R) | reasons


def _draw(model: FoldModel, X: NDArray[np.float32], Z: NDArray[np.floating], draws: int) -> _Draws:
    """Draw one sorted matrix (1, n, n) `draws` times, always with the same noise, a chunk at a time; Z (1, n)."""
    rng = stream(model.seed, model.fold, Purpose.PREDICTION)
    norms = row_norms(X)  # (1, n)
    energies, firsts, spread = np.empty(draws), [], 0.0
    for start in range(0, draws, CHUNK):
        itself = np.zeros(min(CHUNK, draws - start), dtype=np.intp)
        triangles = random_sorted(X, norms, itself, model.noise, rng)  # (count, n(n+1)/2)
        energies[start : start + CHUNK] = model.drawn_energies(X, Z, triangles)
        firsts.append(triangles[0])
        spread = max(spread, float(np.abs(triangles - firsts[0]).max()))
    return _Draws(energies, are_same=spread < SAME)
