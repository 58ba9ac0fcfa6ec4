"""Energies of molecules outside the data set, from several models, and of several conformers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from qm7cli.core.errors import QM7Error
from qm7cli.data.molecules import Molecule
from qm7cli.model.conformal import LEVEL
from qm7cli.model.fold_model import FoldModel


@dataclass(frozen=True)
class Prediction:
    """What the models predict for a molecule, in kcal/mol; None where they cannot.

    Spreads are sample standard deviations, None for a single value: scatters, not error bars. `interval` is the mean of
    the models', as the mean's error is at most the mean of the errors; None if one has none (`FoldModel.half_width`).
    """

    molecule: str  # its name
    energy: float | None = None  # atomization energy, the mean over draws and models
    spread: float | None = None  # over draws, the mean over models
    fold_spread: float | None = None  # over models
    interval: float | None = None  # half-width of the prediction interval (`qm7cli.model.conformal`)
    conformer_spread: float | None = None
    warnings: list[str] = field(default_factory=list)  # how it differs from all that some model was trained on


def predict_molecules(
    models: Sequence[FoldModel],
    molecules: Sequence[Molecule],
    draws: int | None = None,
    report: Callable[[int], None] = lambda _done: None,
    *,
    level: float = LEVEL,
) -> list[Prediction]:
    """Predict molecules with all of `models`, averaged over `draws` draws or, without it, each model's own number.

    `report` is called with the number of molecules that are done; the intervals hold `level` of molecules, 0.5 to 0.99.
    Raises QM7Error if the models were trained on different data sets, or `draws` or `level` cannot be.
    """
    if len({model.sha256 for model in models}) > 1:
        raise QM7Error("the runs were trained on different data sets, whose energies are not to be averaged")
    predictions = []
    with threadpool_limits(1):  # more threads would give other digits
        for done, molecule in enumerate(molecules, start=1):
            predictions.append(_predict(models, molecule, draws, level))
            report(done)
    return predictions


def _predict(models: Sequence[FoldModel], molecule: Molecule, draws: int | None, level: float) -> Prediction:
    if reason := next(filter(None, (model.why_too_large(molecule.Z) for model in models)), None):
        return Prediction(molecule.name, warnings=[reason])
    drawn = [model.draw(molecule, draws) for model in models]
    means = [float(each.energies.mean()) for each in drawn]
    pairs = zip(models, drawn, strict=True)
    reasons: dict[str, str] = {}
    for each in drawn:
        reasons = each.outside | reasons
    return Prediction(
        molecule.name,
        energy=float(np.mean(means)),
        spread=_mean([each.spread for each in drawn if each.spread is not None]),
        fold_spread=_deviation(means),
        interval=_mean([model.half_width(each.spread, len(each.energies), level) for model, each in pairs]),
        warnings=list(reasons.values()),
    )


def average_conformers(predictions: Sequence[Prediction]) -> Prediction:
    """Return the prediction of a molecule from those of its conformers; it says what the one outside most says."""
    energies = [each.energy for each in predictions if each.energy is not None]
    if len(energies) < len(predictions):
        return predictions[0]
    return Prediction(
        predictions[0].molecule,
        energy=float(np.mean(energies)),
        spread=_mean([each.spread for each in predictions]),
        fold_spread=_mean([each.fold_spread for each in predictions]),
        interval=_mean([each.interval for each in predictions]),
        conformer_spread=_deviation(energies),
        warnings=max((each.warnings for each in predictions), key=len),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean, or None if a value is None or there is none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def _deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation, or None for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
