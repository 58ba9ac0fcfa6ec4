"""How well the pre-bias A of a trained network's layers centers what they work with.

A layer's W and B see its inputs X as u = (X - A, 1): the gradient of W and B is u^T dZ, and the curvature of the loss
along them has the second moments E[u^T u] as a factor. Their largest eigenvalue bounds the learning rate. Its ratio to
the smallest, the condition number, says how much longer the slowest direction takes than the fastest (LeCun et al.,
Efficient BackProp, 1998; Montavon & Mueller, arXiv 1203.3783). The column of B is 1, as B learns at the rate of W. With
the inputs' mean mu, covariance S and d = mu - c,

    E[(X - c, 1)^T (X - c, 1)] = | S + d^T d   d^T |
                                 |     d        1  |,

where c is 0 (no pre-bias), A (what the layer has) or mu. About the mean, the bias is decoupled from the weights: its
eigenvalue is 1, the others are those of S. The determinant is that of S whatever c is, so what the largest eigenvalue
gains by d, smaller ones lose.

    run = Path("runs/qm7-original-seed0")
    records = measure_centering(run, load_networks(run), dataset)
    save(draw_centering(records), Path("centering.pdf"))
"""

import statistics
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qm7cli.analysis.figure_style import add_legend, drawing, looks, plain_ticks
from qm7cli.core.errors import QM7Error
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.dataset import Dataset
from qm7cli.model.model import Model
from qm7cli.model.network import layer_inputs
from qm7cli.model.variants import RULES, Array, display_name
from qm7cli.runs.collect import differing_settings, read_run
from qm7cli.runs.experiment import NOT_IDENTITY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS: Final = ("uncentered", "prebias", "centered")  # about 0, A and the mean
EPS: Final = float(np.finfo(np.float64).eps)
SMALLEST: Final = 1e-8  # distance in a picture: float32's rounding of inputs of about 0.1


def measure_centering(run: Path, models: Sequence[Model], dataset: Dataset) -> list[dict[str, Any]]:
    """Return a record for every layer of the models of a run, trained on `dataset`.

    Each has ``run``, ``variant``, ``iterations``, ``fold`` and what `layer_records` gives.
    """
    return [
        {"run": str(run), "variant": model.variant, "iterations": model.iterations, "fold": model.fold, **record}
        for model in models
        for record in layer_records(model, dataset)
    ]


def layer_records(model: Model, dataset: Dataset) -> list[dict[str, Any]]:
    """Measure the inputs of each layer on one draw of the molecules that the model was trained on, always the same.

    A record has ``layer``, from 1, and ``inputs``, its units m. ``spread``, ``mean`` and ``distance``: root mean square
    over the units of the inputs' standard deviation, of the mean input, and of A less the mean input. The encoder
    centers layer 1's on another draw. The rest is of the second moments (`qm7cli.analysis.centering`) about 0, A and
    the mean, whose names end in `POINTS`:

    - ``share_uncentered``, ``share_prebias``: the share of the second moment of X - c that is mean,
      ``|d|^2 / (|d|^2 + tr S)``; 0 about the mean.
    - ``span``: directions in which the inputs vary, eigenvalues of S above the largest times eps of float64 times the
      number of molecules or units, whichever is larger. Smaller ones are rounding, as of features that are constant.
    - ``largest_...``: largest eigenvalue of the second moments of (X - c, 1).
    - ``condition_...``: the same over the smallest in the span, which is number ``span + 1`` for every c; None if
      float64 does not resolve it.
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


def refuse_to_mix(runs: Iterable[Path]) -> None:
    """Raise QM7Error if runs differ in a setting that a picture of them would not show, as far as results tell."""
    known = []
    for run in runs:
        with suppress(QM7Error):  # the models are enough
            known.append(read_run(run))
    differing = [key for key in differing_settings(known) if key not in {"variant", "seed", *NOT_IDENTITY}]
    if differing:
        raise QM7Error(f"the runs differ in {' and '.join(differing)}, which --plot does not show; choose those of one")


def draw_centering(records: Sequence[dict[str, Any]]) -> "Figure":
    """Draw the distance of A from the mean input, and the size of that mean, against the iterations, a panel a layer.

    Folds and runs that agree in variant, layer and iterations are drawn as their mean. The axes are logarithmic;
    a value below `SMALLEST` is drawn there.
    """
    layers = sorted({record["layer"] for record in records})
    variants = [variant for variant in RULES if any(record["variant"] == variant for record in records)]
    several = len({record["iterations"] for record in records}) > 1  # else there are points and no lines
    mean_look: dict[str, Any] = {"linestyle": "--", "linewidth": 0.9} if several else {"linestyle": "", "marker": "_"}
    with drawing(1.25 * len(layers) + 0.3) as figure:
        panels = figure.subplots(len(layers), sharex=True, sharey=True, squeeze=False)[:, 0]
        for layer, panel in zip(layers, panels, strict=True):
            for variant, look in [(variant, looks([variant])[0]) for variant in variants]:
                drawn = [record for record in records if (record["layer"], record["variant"]) == (layer, variant)]
                if drawn:
                    line = {"label": display_name(variant), "linestyle": "-" if several else ""}
                    panel.plot(*_means(drawn, "distance"), **look | line)
                    panel.plot(*_means(drawn, "mean"), color=look["color"], **mean_look)
            panel.plot([], [], color="0.4", label="size of the mean input", **mean_look)
            panel.set(xscale="log", yscale="log", title=f"Layer {layer}")
        plain_ticks(panels[-1].xaxis)
        plain_ticks(panels[-1].yaxis)
        panels[-1].set_xlabel("Training iterations")
        figure.supylabel("Distance of A from the mean input", fontsize=8)
        add_legend(figure)
    return figure


def _means(records: Sequence[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Return the iterations, in order, and the mean of a value over the records of each."""
    values: dict[int, list[float]] = {}
    for record in sorted(records, key=lambda record: record["iterations"]):
        values.setdefault(record["iterations"], []).append(record[name])
    return list(values), [max(statistics.fmean(each), SMALLEST) for each in values.values()]


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
    return record | {f"condition_{point}": _condition(found) for point, found in spectra.items()}


def _eigenvalues(S: NDArray[np.float64], d: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the eigenvalues (m + 1,), ascending, of the second moments of (X - c, 1), where c is the mean less d."""
    u = np.append(d, 1.0)
    moments = np.outer(u, u)
    moments[:-1, :-1] += S
    return np.linalg.eigvalsh(moments)


def _condition(eigenvalues: NDArray[np.float64]) -> float | None:
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    return largest / smallest if smallest > largest * EPS else None


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.square(values).mean()))
