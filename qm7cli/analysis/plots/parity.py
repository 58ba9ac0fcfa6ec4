"""A picture of the predictions of test molecules and their errors."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import INCH, Options, drawable, drawing, explain, looks_of
from qm7cli.runs.models import read_predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIMIT = 4  # groups


def parity(comparison: Comparison, options: Options) -> "Figure":
    """Draw predicted against true energies of the test molecules with the MAE, and below them the errors.

    Dashed lines among the errors hold 90% of them. Raises QM7Error if predictions are missing.
    """
    groups = drawable(comparison, LIMIT)
    folds = [[read_predictions(fold.run.path, fold.result.fold) for fold in group.folds.values()] for group in groups]
    tables = [np.hstack([[each.targets, each.predictions] for each in own]) for own in folds]  # (2, predictions)
    ends = [min(table.min() for table in tables), max(table.max() for table in tables)]
    largest = 1.05 * max(abs(table[1] - table[0]).max() for table in tables)
    columns = min(2, len(groups))
    rows = math.ceil(len(groups) / columns)
    height = rows * (1.5 * (options.width / INCH - 0.6) / columns + 0.4) + 0.2
    with drawing(height, options.width) as figure:
        grid = figure.subplots(2 * rows, columns, sharex=True, sharey="row", squeeze=False, height_ratios=[2, 1] * rows)
        colors = [look["color"] for look in looks_of(group.folds.values() for group in groups)]
        for k, (group, table, color) in enumerate(zip(groups, tables, colors, strict=True)):
            upper, lower = grid[2 * (k // columns) : 2 * (k // columns) + 2, k % columns]
            errors = table[1] - table[0]  # (predictions,)
            dots: dict[str, Any] = {"color": color, "markersize": 2.5, "alpha": 0.4, "markeredgewidth": 0}
            upper.plot(ends, ends, color="0.4", linewidth=0.6)
            upper.plot(*table, "o", **dots, rasterized=True)
            upper.set_title(group.name if len(groups) > 1 else "", wrap=True)
            upper.text(0.05, 0.95, f"MAE {abs(errors).mean():.2f}", transform=upper.transAxes, va="top", fontsize=7)
            lower.plot(table[0], errors, "o", **dots, rasterized=True)
            lower.axhline(0, color="0.4", linewidth=0.6)
            for bound in np.percentile(errors, (5, 95)):
                lower.axhline(bound, color="0.4", linewidth=0.6, linestyle="--")
            lower.set(ylim=(-largest, largest))
            lower.tick_params(labelbottom=k + columns >= len(groups))
            lower.set_xlabel("True energy (kcal/mol)" if k + columns >= len(groups) else "")
            for axes in (upper, lower):
                axes.locator_params(nbins=6 - 2 * columns)
            if k % columns == 0:
                upper.set_ylabel("Predicted energy\n(kcal/mol)")
                lower.set_ylabel("Error\n(kcal/mol)")
        for unused in grid[-2:, (len(groups) - 1) % columns + 1 :].flat:
            unused.remove()
        explain(figure, comparison, options, "MAE in kcal/mol; dashed: 90% of the errors lie between")
    return figure
