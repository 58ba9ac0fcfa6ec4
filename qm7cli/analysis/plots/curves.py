"""A picture of errors against the iterations."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qm7cli.analysis import figure_style as style
from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.groups import Group
from qm7cli.core.errors import QM7Error
from qm7cli.model.metrics import METRICS
from qm7cli.runs.collect import RunFold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER_MAE: Final = 3.51  # kcal/mol, on QM7 (Montavon et al. 2012)
PAPER: Final = f"{PAPER_MAE} is the paper's after 1,000,000 iterations (Montavon et al. 2012)"
ITERATIONS: Final = "Training iterations"


class Curve(NamedTuple):
    """Values at some iterations, and a band around them; (iterations,) each. `low` and `high` are None without."""

    iterations: NDArray[np.intp]
    values: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None


def curves(comparison: Comparison, options: style.Options = style.USUAL) -> "Figure":
    """Draw the test MAE against the iterations, both logarithmic: a group's mean over folds, and a band around it.

    The band is one population standard deviation over folds to each side. A fold's error is its mean over seeds, and
    only iterations at which all folds of a group were evaluated are drawn. A group that diverged in all folds ends in a
    cross. A baseline, which has no iterations, is a level line. So is the paper's error, for QM7, where it is among
    these. Raises QM7Error if a group's folds have no iteration in common, or there is no curve.
    """
    complete = style.drawable(comparison)
    drawn = [group for group in comparison.groups if group.folds or any(map(on_the_way, group.diverged.values()))]
    if not any(map(is_trained, drawn)):
        raise QM7Error("there is no curve to draw: baselines are fitted at once")
    means = [_mean_curve(group) for group in drawn]
    with style.drawing(2.2, options.width) as figure:
        axes = figure.subplots()
        for group, curve, look in zip(drawn, means, style.looks_of(own.ended.values() for own in drawn), strict=True):
            if is_trained(group):
                draw_curve(axes, group.name, look, curve)
            else:
                axes.axhline(curve.values[0], label=group.name, color=look["color"], linestyle=look["linestyle"])
            if not group.folds:
                last = max(fold.result.iterations for fold in group.diverged.values())
                axes.plot(last, curve.values[-1], "x", color=look["color"], markersize=5)
        axes.set(xscale="log", yscale="linear" if options.log is False else "log")
        axes.set(xlabel=ITERATIONS, ylabel=METRICS["mae"].axis_label)
        notes = [style.deviation_note(comparison, "line: mean over folds; band")]
        if all(fold.run.results.dataset.name == "qm7" for group in complete for fold in group.folds.values()):
            low, high = axes.get_ylim()
            if low < PAPER_MAE < high:
                axes.axhline(PAPER_MAE, color="0.4", linewidth=0.6)
                axes.text(
                    0.01, PAPER_MAE, f"{PAPER_MAE}", transform=axes.get_yaxis_transform(), va="bottom", fontsize=7
                )
            notes.append(PAPER)
        style.plain_ticks(axes.xaxis)
        style.plain_ticks(axes.yaxis)
        style.add_legend(figure)
        style.explain(figure, comparison, options, *notes)
    return figure


def draw_curve(axes: "Axes", name: str, look: style.Look, curve: Curve) -> None:
    """Draw a curve and its band."""
    if curve.low is not None and curve.high is not None:
        axes.fill_between(curve.iterations, curve.low, curve.high, color=look["color"], alpha=0.18, linewidth=0)
    some = math.ceil(len(curve.values) / 12)
    axes.plot(curve.iterations, curve.values, label=name, markevery=some, **look)


def is_trained(group: Group) -> bool:
    """Return whether a group has iterations, as no baseline has."""
    return any(fold.result.iterations for fold in group.ended.values())


def on_the_way(fold: RunFold) -> dict[int, float]:
    """Return a fold's test MAE in kcal/mol by iteration; a baseline's has none."""
    return {row.iteration: row.test_mae for row in fold.result.history}


def shared_iterations(histories: Iterable[dict[int, float]]) -> list[int]:
    """Return the iterations that all histories have; those of baselines do not count."""
    trained = [set(own) for own in histories if own]
    return sorted(set.intersection(*trained)) if trained else []


def _mean_curve(group: Group) -> Curve:
    """Return the mean over folds of the test MAE, with one population standard deviation to each side."""
    folds = group.folds or group.diverged
    histories = {key: on_the_way(fold) or {0: fold.mae} for key, fold in folds.items()}
    shared = shared_iterations(histories.values())
    if not shared:
        raise QM7Error(f"the folds of {group.name} were evaluated at no iteration in common")
    errors = {key: np.array([own[iteration] for iteration in shared]) for key, own in histories.items()}
    mean, deviation = style.mean_over_folds(errors)
    if len({key[0] for key in errors}) == 1:
        return Curve(np.array(shared), mean)
    return Curve(np.array(shared), mean, mean - deviation, mean + deviation)
