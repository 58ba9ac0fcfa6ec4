"""Pictures of the predictions of test molecules."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import COLOURS, INCH, LETTERS, ROW, WIDTH, add_legend, drawing, plain_ticks, wrap_name
from qm7cli.analysis.groups import Group
from qm7cli.analysis.plots.common import USUAL, Options, drawable, explain
from qm7cli.runs.predictions import Predictions, read_predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def parity(comparison: Comparison, options: Options = USUAL) -> "Figure":
    """Draw predicted against true energies of the test molecules, and below them the errors: four groups at most."""
    drawn = drawable(comparison, 4)
    tables = [np.hstack([predicted[1:] for predicted in _predictions(group)]) for group, _ in drawn]
    ends = [min(table.min() for table in tables), max(table.max() for table in tables)]
    rows, columns = math.ceil(len(drawn) / 2), min(2, len(drawn))
    letters = int(LETTERS * options.width / WIDTH) // 2
    titles = [wrap_name(group.name, letters) if len(drawn) > 1 else "" for group, _ in drawn]
    lines = max(len(title.splitlines()) for title in titles)
    panel = (options.width / INCH - 0.6) / columns  # width and height, inches
    with drawing(rows * (1.5 * panel + 0.25 + lines * ROW) + 0.2, **options.frame) as figure:
        grid = figure.subplots(2 * rows, columns, sharex=True, sharey="row", squeeze=False, height_ratios=[2, 1] * rows)
        for k, ((_, look), table) in enumerate(zip(drawn, tables, strict=True)):
            upper, lower = grid[2 * (k // 2) : 2 * (k // 2) + 2, k % 2]
            dots = {"color": look["color"], "markersize": 1.5, "markeredgewidth": 0, "rasterized": True}
            upper.plot(ends, ends, color="0.4", linewidth=0.6)
            upper.plot(*table, ".", **dots)
            upper.set_title(titles[k])
            lower.axhline(0, color="0.4", linewidth=0.6)
            lower.plot(table[0], table[1] - table[0], ".", **dots)
            for axes in (upper, lower):
                axes.locator_params(nbins=6 - 2 * columns)
        largest = max(abs(table[1] - table[0]).max() for table in tables)
        for row in range(2 * rows):
            if row % 2:
                grid[row, 0].set_ylim(-1.05 * largest, 1.05 * largest)
            grid[row, 0].set_ylabel("Error\n(kcal/mol)" if row % 2 else "Predicted energy\n(kcal/mol)")
        if len(drawn) % columns:
            grid[-2, 1].remove()
            grid[-1, 1].remove()
            grid[-3, 1].tick_params(labelbottom=True)
        figure.supxlabel("True energy (kcal/mol)", fontsize=8)
        explain(figure, comparison)
    return figure


def errors(comparison: Comparison, options: Options = USUAL) -> "Figure":
    """Draw how many test predictions of each group err by how much."""
    drawn = drawable(comparison, len(COLOURS))
    differences = [_errors(group) for group, _ in drawn]
    edges = np.histogram_bin_edges(np.concatenate(differences), 60)
    with drawing(2.3, **options.frame) as figure:
        axes = figure.subplots()
        for (group, look), values in zip(drawn, differences, strict=True):
            line = {"color": look["color"], "linestyle": look["linestyle"], "label": group.name}
            axes.stairs(np.histogram(values, edges)[0], edges, **line)
        axes.set(xlabel="Predicted minus true energy (kcal/mol)", ylabel="Number of test predictions")
        if options.log is not False:
            axes.set_yscale("log")
            axes.set_ylim(bottom=0.7)
            plain_ticks(axes.yaxis, 6)
        add_legend(figure, axes)
        explain(figure, comparison)
    return figure


def _predictions(group: Group) -> list[Predictions]:
    """Return the predictions of a group's folds; raises QM7Error if some are missing or damaged."""
    return [read_predictions(fold.run.path, fold.result) for fold in group.folds.values()]


def _errors(group: Group) -> NDArray[np.float64]:
    """Return the predicted less the true energies of a group's folds, kcal/mol, (predictions,)."""
    return np.concatenate([own.errors for own in _predictions(group)])
