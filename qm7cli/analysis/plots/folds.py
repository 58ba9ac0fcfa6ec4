"""A picture of folds beside each other."""

from typing import TYPE_CHECKING

from qm7cli.analysis import figure_style as style
from qm7cli.analysis.compare import Comparison
from qm7cli.model.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from qm7cli.analysis.groups import Key


def folds(comparison: Comparison, options: style.Options) -> "Figure":
    """Draw the test MAE of every fold, the groups beside each other, and each group's mean with a bar.

    The bar is one population standard deviation over folds to each side. A thin line joins what is paired: folds that
    agree in number, seed and all else that does not make the groups. The axis is logarithmic where the means of groups
    differ by ten times, unless it is chosen.
    """
    groups = style.drawable(comparison)
    numbers = sorted({key[0] for group in groups for key in group.folds})
    paired: dict[Key, list[tuple[float, float]]] = {}
    means = [style.mean_over_folds({key: fold.mae for key, fold in group.folds.items()}) for group in groups]
    looks = style.looks_of(own.folds.values() for own in groups)
    with style.drawing(2.2, options.width) as figure:
        axes = figure.subplots()
        for k, (group, (mean, deviation), look) in enumerate(zip(groups, means, looks, strict=True)):
            aside = (k - (len(groups) - 1) / 2) * 0.8 / len(groups)
            places = {key: (numbers.index(key[0]) + aside, fold.mae) for key, fold in group.folds.items()}
            for key, place in places.items():
                paired.setdefault(key, []).append(place)
            axes.plot(*zip(*places.values(), strict=True), look["marker"], color=look["color"], label=group.name)
            bar = {"fmt": look["marker"], "color": look["color"], "markersize": 4, "elinewidth": 0.8}
            axes.errorbar(len(numbers) + aside, mean, deviation if len(numbers) > 1 else None, **bar)
        for joined in paired.values():
            axes.plot(*zip(*joined, strict=True), color="0.7", linewidth=0.6, zorder=1)
        axes.axvline(len(numbers) - 0.5, color="0.8", linewidth=0.6)
        axes.set_xticks(range(len(numbers) + 1), [*map(str, numbers), "mean"])
        scale = options.scale(mean for mean, _ in means)
        axes.set(xlabel="Fold", ylabel=METRICS["mae"].axis_label, yscale=scale, xlim=(-0.6, len(numbers) + 0.6))
        style.plain_ticks(axes.yaxis)
        style.add_legend(figure)
        style.explain(figure, comparison, options, style.deviation_note(comparison, "bar"))
    return figure
