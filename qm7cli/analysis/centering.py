"""How well the pre-bias A of a trained network's layers centres what they work with.

A layer's weights see its inputs X as X - A, so W learns at the pace that the second moments about A allow: the larger
their condition number, the slower (Montavon & Mueller, arXiv 1203.3783). With the inputs' mean mu and covariance S,

    E[(X - c)^T (X - c)] = S + (mu - c)^T (mu - c),

where c is 0 (no pre-bias), A (what the layer has) or mu (S alone, of all the one with the smallest eigenvalues).

    run = Path("runs/qm7-original-seed0")
    records = measure_centering(run, load_networks(run), dataset)
    save(draw_centering(records), Path("centering.pdf"))
"""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qm7cli.analysis.figure_style import GROUP_STYLES, add_legend, drawing, plain_ticks
from qm7cli.core.seeds import Purpose, stream
from qm7cli.data.dataset import Dataset
from qm7cli.model.model import Model
from qm7cli.model.network import layer_inputs
from qm7cli.model.variants import RULES, Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONDITIONS: Final = ("condition_uncentred", "condition_prebias", "condition_centred")  # about 0, A and the mean
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
    centres layer 1's on another draw. `CONDITIONS`: largest over smallest eigenvalue of the inputs' second moments
    (m, m) about 0, A and the mean; None for layer 1, many of whose features are constant, and for a matrix that is
    singular to float64 rounding, as that of fewer molecules than units.
    """
    records = []
    features = model.encoder.draw(dataset, model.train, stream(model.seed, model.fold, Purpose.TRAIN_EVALUATION))
    with threadpool_limits(1):  # more threads would give other digits
        inputs = layer_inputs(model.layers, features)
        for number, (layer, X) in enumerate(zip(model.layers, inputs, strict=False), start=1):
            mean = X.mean(axis=0, dtype=np.float64)  # (m,)
            record = {
                "layer": number,
                "inputs": len(mean),
                "spread": _rms(X.std(axis=0, dtype=np.float64)),
                "mean": _rms(mean),
                "distance": _rms(layer.A - mean),
            }
            records.append(record | (_conditions(X, layer.A, mean) if number > 1 else dict.fromkeys(CONDITIONS)))
    return records


def draw_centering(records: Sequence[dict[str, Any]]) -> "Figure":
    """Draw the distance of A from the mean input, and the size of that mean, against the iterations, a panel a layer.

    Folds and runs that agree in variant, layer and iterations are drawn as their mean. The axes are logarithmic;
    a value below `SMALLEST` is drawn there.
    """
    layers = sorted({record["layer"] for record in records})
    with drawing(1.25 * len(layers) + 0.3) as figure:
        panels = figure.subplots(len(layers), sharex=True, sharey=True, squeeze=False)[:, 0]
        for layer, panel in zip(layers, panels, strict=True):
            for order, (variant, look) in enumerate(zip(RULES, GROUP_STYLES, strict=False)):
                drawn = [record for record in records if (record["layer"], record["variant"]) == (layer, variant)]
                if drawn:
                    panel.plot(*_means(drawn, "distance"), look["marker"] + "-", color=look["color"], label=variant)
                    panel.plot(*_means(drawn, "mean"), "--", color=look["color"], linewidth=0.9, zorder=5 - order)
            panel.plot([], [], "--", color="0.4", linewidth=0.9, label="size of the mean input")
            panel.set(xscale="log", yscale="log", title=f"Layer {layer}")
        plain_ticks(panels[-1].xaxis, 5)
        plain_ticks(panels[-1].yaxis, 5)
        panels[-1].set_xlabel("Training iterations")
        figure.supylabel("Distance of A from the mean input", fontsize=8)
        add_legend(figure, panels[0])
    return figure


def _means(records: Sequence[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Return the iterations, in order, and the mean of a value over the records of each."""
    values: dict[int, list[float]] = {}
    for record in sorted(records, key=lambda record: record["iterations"]):
        values.setdefault(record["iterations"], []).append(record[name])
    return list(values), [max(statistics.fmean(each), SMALLEST) for each in values.values()]


def _conditions(X: Array, A: Array, mean: NDArray[np.float64]) -> dict[str, float | None]:
    """Return the condition numbers of the second moments of X (molecules, m), by name."""
    conditions: dict[str, float | None] = dict.fromkeys(CONDITIONS)
    deviations = X - mean  # (molecules, m) float64
    S = deviations.T @ deviations / len(X)  # (m, m)
    for name, away in zip(CONDITIONS, (mean, mean - A, np.zeros_like(mean)), strict=True):
        eigenvalues = np.linalg.eigvalsh(S + np.outer(away, away))  # ascending
        smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
        if smallest > largest * max(X.shape) * np.finfo(np.float64).eps:  # else it is singular, but for rounding
            conditions[name] = largest / smallest
    return conditions


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.square(values).mean()))
