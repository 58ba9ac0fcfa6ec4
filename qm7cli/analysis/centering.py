"""How well the pre-bias A of a trained network's layers centers what they work with.

A layer's W and B see its inputs X as u = (X - A, 1): the curvature of the loss along them has the second moments
E[u^T u] as a factor. Their largest eigenvalue bounds the learning rate; its ratio to the smallest, the condition
number, says how much longer the slowest direction takes than the fastest (LeCun et al., Efficient BackProp, 1998;
Montavon & Mueller, arXiv 1203.3783). With the inputs' mean mu, covariance S and d = mu - c,

    E[(X - c, 1)^T (X - c, 1)] = | S + d^T d   d^T |
                                 |     d        1  |,

where c is 0 (no pre-bias), A (what the layer has) or mu. The determinant is that of S whatever c is, so what the
largest eigenvalue gains by d, smaller ones lose.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.dataset import Dataset
from qm7cli.model.model import Model
from qm7cli.model.network import layer_inputs
from qm7cli.model.variants import Array

POINTS: Final = ("uncentered", "prebias", "centered")  # about 0, A and the mean
EPS: Final = float(np.finfo(np.float64).eps)


def measure_centering(run: Path, models: Sequence[Model], dataset: Dataset) -> list[dict[str, Any]]:
    """Return a record of every layer of a run's models, trained on `dataset`: what `layer_records` gives, and whose."""
    return [
        {"run": str(run), "variant": model.variant, "iterations": model.iterations, "fold": model.fold, **record}
        for model in models
        for record in layer_records(model, dataset)
    ]


def layer_records(model: Model, dataset: Dataset) -> list[dict[str, Any]]:
    """Measure the inputs of each layer on one draw of the molecules that the model was trained on, always the same.

    A record has ``layer``, from 1, and ``inputs``, its units m. ``spread``, ``mean`` and ``distance``: root mean square
    over the units of the inputs' standard deviation, of the mean input, and of A minus the mean input. The rest is of
    the second moments of (X - c, 1), where c is 0, A and the mean, as names end in `POINTS`:

    - ``share_...``: of the second moment of X - c, what is mean, ``|d|^2 / (|d|^2 + tr S)``; 0 about the mean.
    - ``span``: directions in which the inputs vary; smaller eigenvalues of S are rounding, as of constant features.
    - ``largest_...``: the largest eigenvalue.
    - ``condition_...``: the same over the smallest of ``span + 1``; None if float64 does not resolve it.
    """
    records = []
    features = model.encoder.draw(dataset, model.train, stream(model.seed, model.fold, Purpose.TRAIN_EVALUATION))
    with threadpool_limits(1):  # more threads would give other digits
        inputs = layer_inputs(model.layers, features, model.units)
        for number, (layer, X) in enumerate(zip(model.layers, inputs, strict=False), start=1):
            mean = X.mean(axis=0, dtype=np.float64)  # (m,)
            record: dict[str, Any] = {
                "layer": number,
                "inputs": len(mean),
                "spread": _rms(X.std(axis=0, dtype=np.float64)),
                "mean": _rms(mean),
                "distance": _rms(layer.A - mean),
            }
            records.append(record | _second_moments(X, layer.A, mean))
    return records


def _second_moments(X: Array, A: Array, mean: NDArray[np.float64]) -> dict[str, float | int | None]:
    """Return what the second moments of X (molecules, m) about 0, A and the mean say, by name."""
    deviations = X - mean  # (molecules, m) float64
    S = deviations.T @ deviations / len(X)  # (m, m)
    eigenvalues = np.linalg.eigvalsh(S)  # ascending
    span = int((eigenvalues > eigenvalues[-1] * max(X.shape) * EPS).sum())
    away = dict(zip(POINTS, (mean, mean - A, np.zeros_like(mean)), strict=True))
    record: dict[str, float | int | None] = {}
    for point in POINTS[:2]:
        squares = float(away[point] @ away[point])
        record[f"share_{point}"] = squares / (squares + float(np.trace(S))) if squares else 0.0
    record["span"] = span
    spectra = {point: _eigenvalues(S, d)[-1 - span :] for point, d in away.items()}
    record |= {f"largest_{point}": float(found[-1]) for point, found in spectra.items()}
    for point, found in spectra.items():
        smallest, largest = float(found[0]), float(found[-1])
        record[f"condition_{point}"] = largest / smallest if smallest > largest * EPS else None
    return record


def _eigenvalues(S: NDArray[np.float64], d: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the eigenvalues (m + 1,), ascending, of the second moments of (X - c, 1), where c is the mean minus d."""
    u = np.append(d, 1.0)
    moments = np.outer(u, u)
    moments[:-1, :-1] += S
    return np.linalg.eigvalsh(moments)


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.square(values).mean()))
