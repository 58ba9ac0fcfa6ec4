"""A picture of folds beside each other."""

from typing import TYPE_CHECKING

import numpy as np

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import add_legend, drawing, plain_ticks
from qm7cli.analysis.plots.common import USUAL, Options, drawable, explain
from qm7cli.model.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from qm7cli.analysis.groups import Key


def folds(comparison: Comparison, options: Options = USUAL) -> "Figure":
    """Draw the test MAE of every fold, the groups beside each other, and each group's mean as a short line.

    A thin line joins what is paired: folds that agree in number, seed and all else that does not make the groups. The
    axis is logarithmic where the means of groups differ by ten times, unless it is chosen.
    """
    drawn = drawable(comparison, 21)
    numbers = sorted({key[0] for group, _ in drawn for key in group.folds})
    step = 0.8 / len(drawn)
    paired: dict[Key, list[tuple[float, float]]] = {}
    means = [float(np.mean([fold.mae for fold in group.folds.values()])) for group, _ in drawn]
    with drawing(2.2, **options.frame) as figure:
        axes = figure.subplots()
        for k, ((group, look), mean) in enumerate(zip(drawn, means, strict=True)):
            aside = (k - (len(drawn) - 1) / 2) * step
            for key, fold in group.folds.items():
                paired.setdefault(key, []).append((numbers.index(key[0]) + aside, fold.mae))
            places = [paired[key][-1] for key in group.folds]
            axes.plot(*zip(*places, strict=True), look["marker"], color=look["color"], label=group.name)
            middle, half = len(numbers) + aside, min(0.4 * step, 0.15)
            axes.hlines(mean, middle - half, middle + half, look["color"])
        for joined in paired.values():
            axes.plot(*zip(*joined, strict=True), color="0.7", linewidth=0.6, zorder=1)
        axes.axvline(len(numbers) - 0.5, color="0.8", linewidth=0.6)
        axes.set_xticks(range(len(numbers) + 1), [*map(str, numbers), "mean"])
        scale = options.scale(means)
        axes.set(xlabel="Fold", ylabel=METRICS["mae"].axis_label, yscale=scale, xlim=(-0.6, len(numbers) + 0.6))
        if scale == "log":
            plain_ticks(axes.yaxis, 7)
        add_legend(figure, axes)
        explain(figure, comparison)
    return figure
