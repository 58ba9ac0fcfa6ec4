"""A picture of errors against the iterations."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import Look, add_legend, drawing, looks, plain_ticks
from qm7cli.analysis.groups import Group, history
from qm7cli.analysis.plots.common import (
    NOTHING,
    USUAL,
    Options,
    any_fold,
    arrange,
    explain,
    make_panels,
    mean_over_folds,
    method,
    own_settings,
    refuse_too_many,
)
from qm7cli.core.errors import QM7Error
from qm7cli.model.metrics import METRICS
from qm7cli.runs.collect import RunFold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER_MAE: Final = 3.51  # kcal/mol, on QM7 (Montavon et al. 2012)
PAPER: Final = f"{PAPER_MAE} is the paper's after 1,000,000 iterations (Montavon et al. 2012)"
LIMIT: Final = 35  # groups


class Curve(NamedTuple):
    """Values at some iterations, and a band around them; (iterations,) each. `low` and `high` are None without."""

    iterations: NDArray[np.intp]
    values: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None


def curves(comparison: Comparison, options: Options = USUAL) -> "Figure":
    """Draw the test MAE against the iterations, both logarithmic: a group's mean over folds, and a band around it.

    The band is one population standard deviation over folds to each side. A fold's error is its mean over seeds, and
    only iterations at which all folds of a group were evaluated are drawn. A group that diverged in all folds ends in a
    cross. A baseline, which has no iterations, is a level line. So is the paper's error, for QM7, where it is among
    these. Raises QM7Error if a group's folds have no iteration in common, or there is no curve.
    """
    drawn = [group for group in comparison.groups if group.folds or any(map(on_the_way, group.diverged.values()))]
    if not any(group.folds for group in drawn):
        raise QM7Error(NOTHING)
    refuse_too_many(len(drawn), LIMIT, "groups")
    if not any(map(is_trained, drawn)):
        raise QM7Error("there is no curve to draw: baselines are fitted at once")
    means = {group.name: _mean_curve(group) for group in drawn}
    with drawing(2.2, **options.frame) as figure:
        panels = spread(figure, drawn, METRICS["mae"].axis_label)
        for group, (axes, name, look) in zip(drawn, panels, strict=True):
            if is_trained(group):
                draw_curve(axes, name, means[group.name], look)
            else:
                axes.axhline(means[group.name].values[0], color=look["color"], linestyle=look["linestyle"], label=name)
            if not group.folds:
                last = max(fold.result.iterations for fold in group.diverged.values())
                axes.plot(last, means[group.name].values[-1], "x", color=look["color"], markersize=5)
        first = panels[0][0]
        scale = "linear" if options.log is False else "log"
        first.set(xscale="log", yscale=scale)
        notes = ["line: mean over folds; band: one standard deviation over folds to each side"]
        if all(fold.run.results.dataset.name == "qm7" for group in drawn for fold in group.folds.values()):
            low, high = first.get_ylim()
            for axes in {axes for axes, _, _ in panels} if low < PAPER_MAE < high else ():
                axes.axhline(PAPER_MAE, color="0.4", linewidth=0.6)
                place: dict[str, Any] = {"xy": (0, PAPER_MAE), "xycoords": axes.get_yaxis_transform(), "xytext": (3, 2)}
                axes.annotate(f"{PAPER_MAE}", **place, textcoords="offset points", fontsize=7)
            notes.append(PAPER)
        plain_ticks(first.xaxis)
        if scale == "log":
            plain_ticks(first.yaxis)
        add_legend(figure)
        explain(figure, comparison, options, *notes)
    return figure


def spread(
    figure: "Figure", groups: list[Group], label: str, hidden: Group | None = None
) -> "list[tuple[Axes, str, Look]]":
    """Return the axes of each group, its name there and its look: in one panel, or in some where there are many.

    One may be hidden, and has no part in the looks.
    """
    settings = [own_settings(any_fold(group), group.settings) for group in groups]
    places = arrange(settings) or [("", group.name) for group in groups]
    titles = list(dict.fromkeys(panel for panel, _ in places))
    axes = dict(zip(titles, make_panels(figure, titles, x="Training iterations", y=label), strict=True))
    methods = ["" if group is hidden else method((group.folds | group.diverged).values()) for group in groups]
    if len(titles) > 1:
        return [(axes[panel], name, looks([own])[0]) for (panel, name), own in zip(places, methods, strict=True)]
    return [(axes[panel], name, look) for (panel, name), look in zip(places, looks(methods), strict=True)]


def draw_curve(axes: "Axes", name: str, curve: Curve, look: Look) -> None:
    """Draw a curve and its band."""
    if curve.low is not None and curve.high is not None:
        axes.fill_between(curve.iterations, curve.low, curve.high, color=look["color"], alpha=0.18, linewidth=0)
    axes.plot(curve.iterations, curve.values, label=name, markevery=math.ceil(len(curve.values) / 12), **look)


def is_trained(group: Group) -> bool:
    """Return whether a group has iterations, as no baseline has."""
    return any(fold.result.iterations for fold in (group.folds | group.diverged).values())


def on_the_way(fold: RunFold) -> dict[int, float]:
    """Return a fold's test MAE in kcal/mol by iteration; a baseline's has none."""
    return {row.iteration: row.test_mae for row in history(fold.run, fold.result)}


def shared_iterations(histories: Iterable[dict[int, float]]) -> list[int]:
    """Return the iterations that all histories have; those of baselines do not count."""
    trained = [set(own) for own in histories if own]
    return sorted(set.intersection(*trained)) if trained else []


def _mean_curve(group: Group) -> Curve:
    """Return the mean over folds of the test MAE, with one population standard deviation to each side."""
    folds = group.folds or group.diverged
    if not is_trained(group):
        return Curve(np.zeros(1, np.intp), np.array([mean_over_folds({k: fold.mae for k, fold in folds.items()})[0]]))
    histories = {key: on_the_way(fold) for key, fold in folds.items()}
    shared = shared_iterations(histories.values())
    if not shared:
        raise QM7Error(f"the folds of {group.name} were evaluated at no iteration in common")
    errors = {key: np.array([own[iteration] for iteration in shared]) for key, own in histories.items()}
    mean, deviation = mean_over_folds(errors)
    if len({key[0] for key in errors}) == 1:
        return Curve(np.array(shared), mean)
    return Curve(np.array(shared), mean, mean - deviation, mean + deviation)
