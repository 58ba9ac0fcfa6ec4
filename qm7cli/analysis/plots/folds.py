"""A picture of folds beside each other."""

from typing import TYPE_CHECKING

import numpy as np

from qm7cli.analysis import figure_style as style
from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.paired_difference import corrected_t
from qm7cli.model.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from qm7cli.analysis.groups import Group, Key


def folds(comparison: Comparison, options: style.Options) -> "Figure":
    """Draw the test MAE of every fold, the groups beside each other, and each group's mean with its 95% interval.

    The interval is that of the corrected resampled t-test; one fold has none. A thin line joins what is paired: folds
    that agree in number, seed and all else that does not make the groups.
    """
    groups = style.drawable(comparison)
    numbers = sorted({key[0] for group in groups for key in group.folds})
    paired: dict[Key, list[tuple[float, float]]] = {}
    means = [_mean_and_half(group) for group in groups]
    looks = style.looks_of(own.folds.values() for own in groups)
    with style.drawing(2.2, options.width) as figure:
        axes = figure.subplots()
        for k, (group, (mean, half), look) in enumerate(zip(groups, means, looks, strict=True)):
            aside = (k - (len(groups) - 1) / 2) * 0.8 / len(groups)
            places = {key: (numbers.index(key[0]) + aside, fold.mae) for key, fold in group.folds.items()}
            for key, place in places.items():
                paired.setdefault(key, []).append(place)
            dots = look | {"linestyle": "", "markersize": 3.5}
            axes.plot(*zip(*places.values(), strict=True), label=group.name, **dots)
            bar = {"markersize": 4.5, "elinewidth": 1, "capsize": 2}
            axes.errorbar(len(numbers) + aside, mean, half, **dots | bar)
        for joined in paired.values():
            axes.plot(*zip(*joined, strict=True), color="0.7", linewidth=0.6, zorder=1)
        axes.axvline(len(numbers) - 0.5, color="0.8", linewidth=0.6)
        axes.set_xticks(range(len(numbers) + 1), [*map(str, numbers), "mean"])
        scale = options.scale(mean for mean, _ in means)
        axes.set(xlabel="Fold", ylabel=METRICS["mae"].axis_label, yscale=scale, xlim=(-0.6, len(numbers) + 0.6))
        style.plain_ticks(figure)
        style.add_legend(figure)
        joined_note = "gray lines: the same fold and seed" if any(len(own) > 1 for own in paired.values()) else ""
        bar_note = "bars: 95% interval of the mean by the corrected t-test" if any(half for _, half in means) else ""
        style.explain(figure, comparison, options, joined_note, bar_note)
    return figure


def _mean_and_half(group: "Group") -> tuple[float, float | None]:
    """Return a group's mean test MAE and half of its 95% interval, kcal/mol; None for one fold, or equal ones."""
    means = style.fold_means({key: fold.mae for key, fold in group.folds.items()})
    if np.ptp(means) == 0:
        return float(means.mean()), None
    ratios = [fold.result.test_molecules / fold.result.train_molecules for fold in group.folds.values()]
    return float(means.mean()), corrected_t(means, float(np.mean(ratios))).interval[1] - float(means.mean())
