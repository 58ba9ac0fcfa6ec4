"""A picture of folds beside each other."""

from typing import TYPE_CHECKING

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import add_legend, drawing, looks, plain_ticks
from qm7cli.analysis.plots import common
from qm7cli.analysis.plots.common import USUAL, Options
from qm7cli.model.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from qm7cli.analysis.groups import Key


def folds(comparison: Comparison, options: Options = USUAL) -> "Figure":
    """Draw the test MAE of every fold, the groups beside each other, and each group's mean with a bar.

    The bar is one population standard deviation over folds to each side. A thin line joins what is paired: folds that
    agree in number, seed and all else that does not make the groups. The axis is logarithmic where the means of groups
    differ by ten times, unless it is chosen.
    """
    groups = common.drawable(comparison)
    numbers = sorted({key[0] for group in groups for key in group.folds})
    step = 0.8 / len(groups)
    paired: dict[Key, list[tuple[float, float]]] = {}
    means = [common.mean_over_folds({key: fold.mae for key, fold in group.folds.items()}) for group in groups]
    with drawing(2.2, **options.frame) as figure:
        axes = figure.subplots()
        styles = looks([common.group_line(group).method for group in groups])
        for k, (group, look) in enumerate(zip(groups, styles, strict=True)):
            aside = (k - (len(groups) - 1) / 2) * step
            for key, fold in group.folds.items():
                paired.setdefault(key, []).append((numbers.index(key[0]) + aside, fold.mae))
            places = [paired[key][-1] for key in group.folds]
            axes.plot(*zip(*places, strict=True), look["marker"], color=look["color"], label=group.name)
            mean, deviation = means[k]
            bar = {"fmt": look["marker"], "color": look["color"], "markersize": 4, "elinewidth": 0.8}
            axes.errorbar(len(numbers) + aside, mean, deviation if len(numbers) > 1 else None, **bar)
        for joined in paired.values():
            axes.plot(*zip(*joined, strict=True), color="0.7", linewidth=0.6, zorder=1)
        axes.axvline(len(numbers) - 0.5, color="0.8", linewidth=0.6)
        axes.set_xticks(range(len(numbers) + 1), [*map(str, numbers), "mean"])
        scale = options.scale(mean for mean, _ in means)
        axes.set(xlabel="Fold", ylabel=METRICS["mae"].axis_label, yscale=scale, xlim=(-0.6, len(numbers) + 0.6))
        plain_ticks(axes.yaxis)
        add_legend(figure)
        common.explain(figure, comparison, options, common.deviation_note(comparison, "bar"))
    return figure
