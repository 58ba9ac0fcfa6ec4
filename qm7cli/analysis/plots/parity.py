"""A picture of the predictions of test molecules and their errors."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import INCH, WIDTH, Options, drawable, drawing, explain, looks_of, minus
from qm7cli.runs.models import read_predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIMIT = 4  # groups
FRAMED = 99.5  # percent of the errors that their frame holds


def parity(comparison: Comparison, options: Options) -> "Figure":
    """Draw predicted against true energies of the test molecules with the MAE, and below them the errors.

    Dashed lines hold 90% of the errors, their frame 99.5%; a triangle is beyond. Raises QM7Error without predictions.
    """
    groups = drawable(comparison, LIMIT)
    folds = [[read_predictions(fold.run.path, fold.result.fold) for fold in group.folds.values()] for group in groups]
    tables = [np.hstack([[each.targets, each.predictions] for each in own]) for own in folds]  # (2, predictions)
    ends = [min(table.min() for table in tables), max(table.max() for table in tables)]
    frame = 1.1 * max(np.percentile(abs(table[1] - table[0]), FRAMED) for table in tables)
    columns = min(2, len(groups))
    rows = math.ceil(len(groups) / columns)
    height = rows * (min(1.5 * (options.width / INCH - 0.6) / columns, 4.2) + 0.4) + 0.2
    with drawing(height, options.width) as figure:
        grid = figure.subplots(2 * rows, columns, sharex=True, sharey="row", squeeze=False, height_ratios=[2, 1] * rows)
        colors = [look["color"] for look in looks_of(group.folds.values() for group in groups)]
        for k, (group, table, color) in enumerate(zip(groups, tables, colors, strict=True)):
            upper, lower = grid[2 * (k // columns) : 2 * (k // columns) + 2, k % columns]
            upper.plot(ends, ends, color="0.4", linewidth=0.6)
            _draw_predictions(upper, lower, table, frame, color)
            upper.set_title(group.name if len(groups) > 1 else "", wrap=True)
            lower.tick_params(labelbottom=k + columns >= len(groups))
            lower.set_xlabel("True energy (kcal/mol)" if k + columns >= len(groups) else "")
            for axes in (upper, lower):
                axes.locator_params(nbins=6 - 2 * columns if options.width < 2 * WIDTH else 6)
            if k % columns == 0:
                upper.set_ylabel("Predicted energy\n(kcal/mol)")
                lower.set_ylabel("Error\n(kcal/mol)")
        for unused in grid[-2:, (len(groups) - 1) % columns + 1 :].flat:
            unused.remove()
        beyond = "; triangles: larger errors" if any((abs(own[1] - own[0]) > frame).any() for own in tables) else ""
        note = f"error: predicted minus true, in kcal/mol; dashed: 90% lie between{beyond}"
        explain(figure, comparison, options, note)
    return figure


def _draw_predictions(upper: "Axes", lower: "Axes", table: NDArray[np.float64], frame: float, color: str) -> None:
    """Draw true and predicted energies (2, predictions) and their errors, kcal/mol, beyond a frame on its edge."""
    errors = table[1] - table[0]  # (predictions,)
    alpha = min(0.6, max(0.15, (300 / len(errors)) ** 0.5))  # so that many show their density
    dots: dict[str, Any] = {"color": color, "markersize": 2.5, "alpha": alpha, "markeredgewidth": 0, "rasterized": True}
    upper.plot(*table, "o", **dots)
    told = minus(f"MAE {abs(errors).mean():.2f}\nlargest {errors[abs(errors).argmax()]:.0f}")
    upper.text(0.05, 0.95, told, transform=upper.transAxes, va="top", fontsize=7)
    lower.plot(table[0], errors, "o", **dots)
    lower.axhline(0, color="k", linewidth=0.8, zorder=3)
    bounds = np.percentile(errors, (5, 95))
    for bound in bounds:
        lower.axhline(bound, color="k", linewidth=0.8, linestyle="--", zorder=3)
    for sign, marker in ((-1, "v"), (1, "^")):
        beyond = table[0][sign * errors > frame]
        if beyond.size:
            lower.plot(beyond, [sign * frame] * len(beyond), marker, color=color, markersize=3, clip_on=False)
    lower.set_title(minus(f"90%: {bounds[0]:.1f} to {bounds[1]:.1f}"), loc="left", pad=5)
    lower.set(ylim=(-frame, frame))
