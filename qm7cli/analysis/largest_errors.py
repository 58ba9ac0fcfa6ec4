"""The test molecules whose energies are predicted worst, called by formula and row: ``CH4 (0)``."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from qm7cli.analysis.groups import Key
from qm7cli.runs.collect import RunFold
from qm7cli.runs.datasets import RunDatasets
from qm7cli.runs.predictions import read_predictions


def largest_errors(folds: Mapping[Key, RunFold], count: int, datasets: RunDatasets) -> list[dict[str, Any]]:
    """Return records of the molecules of some complete folds with the largest errors, the largest first.

    Each has ``row`` (in the data set, from 0), ``formula`` (None where the data set is not found), ``molecule`` (both,
    for people), ``fold``, and in kcal/mol ``energy``, ``prediction`` and ``error``, predicted less true: means over
    seeds. Raises QM7Error if predictions are missing or damaged.
    """
    found: dict[tuple[str, int, int], tuple[RunFold, float, list[float]]] = {}
    for key, fold in folds.items():
        rows, energies, predictions = read_predictions(fold.run.path, fold.result.fold)
        for row, energy, prediction in zip(rows.tolist(), energies.tolist(), predictions.tolist(), strict=True):
            place = (fold.run.results.dataset.sha256, row, key[0])
            found.setdefault(place, (fold, energy, []))[2].append(prediction)
    means = {place: float(np.mean(predicted)) - energy for place, (_, energy, predicted) in found.items()}
    records = []
    for place in sorted(means, key=lambda place: -abs(means[place]))[:count]:
        sha256, row, number = place
        fold, energy, _ = found[place]
        dataset = datasets.known(fold.run.path, sha256)
        formula = dataset.formula(row) if dataset and row < len(dataset) else None
        name = {"molecule": f"{formula} ({row})" if formula else str(row), "formula": formula, "row": row}
        error = means[place]
        records.append({**name, "fold": number, "energy": energy, "prediction": energy + error, "error": error})
    return records
