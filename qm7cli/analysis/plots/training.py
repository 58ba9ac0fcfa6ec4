"""Pictures of what happens on the way: errors, and differences of errors, against the iterations."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import GROUP_STYLES, add_legend, drawing, plain_ticks
from qm7cli.analysis.groups import Group, find_reference
from qm7cli.analysis.paired_difference import Pair, make_pair, paired_difference, predictions_if_any
from qm7cli.analysis.plots.common import BAND, USUAL, Options, Style, drawable, explain, mean_over_folds
from qm7cli.core.errors import QM7Error
from qm7cli.model.metrics import METRICS
from qm7cli.runs.collect import RunFold
from qm7cli.runs.history import read_history

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER_MAE: Final = 3.51  # kcal/mol, on QM7 (Montavon et al. 2012)
PAPER: Final = f"level: {PAPER_MAE}, the paper's after 1,000,000 iterations (Montavon et al. 2012)"
LATE: Final = 0.1  # of the iterations; differences before may leave the frame


class Curve(NamedTuple):
    """Values at some iterations, and a band around them; (iterations,) each. `low` and `high` are None without."""

    iterations: NDArray[np.intp]
    values: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None


def curves(comparison: Comparison, options: Options = USUAL) -> "Figure":
    """Draw the test MAE against the iterations, both logarithmic: a group's mean over folds, and a band around it.

    The band is one population standard deviation over folds to each side. A fold's error is its mean over seeds, and
    only iterations at which all folds of a group were evaluated are drawn. A baseline, which has no iterations, is a
    level line. The paper's error is another, for QM7. Raises QM7Error if a ``history.csv`` is missing or damaged, a
    group's folds have no iteration in common, or there is no curve.
    """
    drawn = drawable(comparison, len(GROUP_STYLES))
    trained = [_is_trained(group) for group, _ in drawn]
    if not any(trained):
        raise QM7Error("there is no curve to draw: baselines are fitted at once")
    means = [_mean_curve(group) if curved else None for (group, _), curved in zip(drawn, trained, strict=True)]
    with drawing(2.2, **options.frame) as figure:
        axes = figure.subplots()
        for (group, look), curve in zip(drawn, means, strict=True):
            if curve is None:
                level = float(np.mean([fold.mae for fold in group.folds.values()]))
                axes.axhline(level, color=look["color"], linestyle=look["linestyle"], label=group.name)
                continue
            _draw_curve(axes, group.name, curve, look)
        scale = "linear" if options.log is False else "log"
        axes.set(xscale="log", yscale=scale, xlabel="Training iterations", ylabel=METRICS["mae"].axis_label)
        notes = [BAND] if any(curve and curve.low is not None for curve in means) else []
        if all(fold.run.results.dataset.name == "qm7" for group, _ in drawn for fold in group.folds.values()):
            axes.axhline(PAPER_MAE, color="0.4", linewidth=0.6)
            place: dict[str, Any] = {"xy": (0, PAPER_MAE), "xycoords": axes.get_yaxis_transform(), "xytext": (3, 2)}
            axes.annotate(f"{PAPER_MAE}", **place, textcoords="offset points", fontsize=7)
            notes.append(PAPER)
        plain_ticks(axes.xaxis, 5)
        if scale == "log":
            plain_ticks(axes.yaxis, 7)
        add_legend(figure, axes)
        explain(figure, comparison, *notes)
    return figure


def differences(comparison: Comparison, options: Options = USUAL) -> "Figure":
    """Draw each group's test MAE less the reference's against the iterations, and the 95 % band of its t-test.

    Folds are paired as by `qm7cli.analysis.compare.compare_groups`, and the band is that of the corrected resampled
    t-test at each iteration at which all folds of a pair of groups were evaluated; one test set has none. The frame
    holds what happens after the first tenth of the iterations. A baseline has the same error throughout. Raises
    QM7Error if a ``history.csv`` is missing or damaged, or there is no difference to draw.
    """
    drawn = drawable(comparison, len(GROUP_STYLES))
    reference = find_reference([group for group, _ in drawn], options.reference)
    others = [(group, look) for group, look in drawn if group is not reference]
    if not others:
        raise QM7Error(f"there is no difference to draw: {reference.name} is the only group with a complete fold")
    made: list[tuple[str, Curve, Style]] = []
    reasons: dict[str, str] = {}
    for group, look in others:
        curve = _difference_curve(group, reference)
        if isinstance(curve, str):
            reasons[group.name] = f"{group.name} cannot be compared with {reference.name}: {curve}"
        else:
            made.append((group.name, curve, look))
    if not made:
        raise QM7Error(next(iter(reasons.values())))
    with drawing(2.4, **options.frame) as figure:
        axes = figure.subplots()
        axes.axhline(0, color="0.4", linewidth=0.6)
        for name, curve, look in made:
            _draw_curve(axes, name, curve, look)
        axes.set(xscale="log", xlabel="Training iterations", ylabel="Difference of test MAE (kcal/mol)")
        axes.set_ylim(*_late_range([curve for _, curve, _ in made]))
        plain_ticks(axes.xaxis, 5)
        add_legend(figure, axes, 1)
        banded = any(curve.low is not None for _, curve, _ in made)
        notes = [
            f"level: {reference.name}",
            "thick: mean; thin: its 95 % interval by the corrected t-test" if banded else "",
        ]
        notes.append(f"not comparable: {', '.join(reasons)}" if reasons else "")
        explain(figure, comparison, *notes)
    return figure


def _draw_curve(axes: "Axes", name: str, curve: Curve, look: Style) -> None:
    """Draw a curve and the outlines of its band: filled ones that lie on each other would be a colour of their own."""
    line = {"color": look["color"], "linestyle": look["linestyle"]}
    for edge in (curve.low, curve.high):
        if edge is not None:
            axes.plot(curve.iterations, edge, linewidth=0.4, **line)
    axes.plot(curve.iterations, curve.values, label=name, markevery=math.ceil(len(curve.values) / 12), **look)


def _late_range(made: list[Curve]) -> tuple[float, float]:
    """Return the ends of an axis that holds 0, and all curves and bands but for the first part of the iterations."""
    ends = [0.0]
    for curve in made:
        late = curve.iterations >= LATE * curve.iterations[-1]
        ends += [end for each in (curve.values, curve.low, curve.high) if each is not None for end in each[late]]
    margin = 0.05 * (max(ends) - min(ends)) or 1.0
    return min(ends) - margin, max(ends) + margin


def _is_trained(group: Group) -> bool:
    return any(fold.result.iterations for fold in group.folds.values())


def _history(fold: RunFold) -> dict[int, float]:
    """Return a fold's test MAE by iteration; a baseline's has none."""
    if not fold.result.iterations:
        return {}
    return {row.iteration: row.test_mae for row in read_history(fold.run.path, fold.result)}


def _shared_iterations(histories: Iterable[dict[int, float]]) -> list[int]:
    """Return the iterations that all histories have; those of baselines do not count."""
    trained = [set(history) for history in histories if history]
    return sorted(set.intersection(*trained)) if trained else []


def _mean_curve(group: Group) -> Curve:
    """Return the mean over folds of the test MAE, with one population standard deviation to each side."""
    histories = {key: _history(fold) for key, fold in group.folds.items()}
    shared = _shared_iterations(histories.values())
    if not shared:
        raise QM7Error(f"the folds of {group.name} were evaluated at no iteration in common")
    errors = {key: np.array([history[iteration] for iteration in shared]) for key, history in histories.items()}
    mean, deviation = mean_over_folds(errors)
    if len({key[0] for key in errors}) == 1:
        return Curve(np.array(shared), mean)
    return Curve(np.array(shared), mean, mean - deviation, mean + deviation)


def _difference_curve(group: Group, reference: Group) -> Curve | str:
    """Return the mean difference from the reference and its interval, or why there is none."""
    folds = [(fold, reference.folds[key]) for key, fold in group.folds.items() if key in reference.folds]
    if not folds:
        return "no fold of one agrees with a fold of the other in number and all other settings"
    histories = [(_history(fold), _history(base)) for fold, base in folds]
    shared = _shared_iterations(history for both in histories for history in both)
    if not shared:
        trained = _is_trained(group) or _is_trained(reference)
        return "they were evaluated at no iteration in common" if trained else "baselines are fitted at once"
    try:
        pairs = [_make_pair(*both) for both in folds]
    except QM7Error as error:
        return str(error)
    made = []
    for iteration in shared:
        at = []
        for pair, both, on_the_way in zip(pairs, folds, histories, strict=True):
            ours, theirs = (history.get(iteration, fold.mae) for fold, history in zip(both, on_the_way, strict=True))
            at.append(pair._replace(difference=ours - theirs, reference=theirs))
        made.append(paired_difference(at))
    values, intervals = [each.mean for each in made], [each.t_test.interval for each in made if each.t_test]
    if len(intervals) < len(made):
        return Curve(np.array(shared), np.array(values))
    return Curve(np.array(shared), np.array(values), *np.array(intervals).T)


def _make_pair(fold: RunFold, base: RunFold) -> Pair:
    """Return two folds as a pair, whose molecules tell the test set but have no part in an interval."""
    pair = make_pair(fold, base, predictions_if_any(fold), predictions_if_any(base))
    return pair._replace(fold=pair.sample.molecules.tobytes(), sample=None) if pair.sample else pair
