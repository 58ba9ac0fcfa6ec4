"""Pictures of errors, and of paired differences of errors, against the iterations."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qm7cli.analysis import figure_style as style
from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.groups import Group, find_reference
from qm7cli.analysis.paired_difference import make_pair, paired_difference
from qm7cli.core.errors import QM7Error
from qm7cli.model.metrics import METRICS
from qm7cli.runs.collect import RunFold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER_MAE: Final = 3.51  # kcal/mol, on QM7 (Montavon et al. 2012)
PAPER: Final = f"{PAPER_MAE} is the paper's after 1,000,000 iterations (Montavon et al. 2012)"
ITERATIONS: Final = "Training iterations"
LATE: Final = 0.1  # of the iterations; differences before may leave the frame


class Curve(NamedTuple):
    """Values at some iterations, and a band around them; (iterations,) each. `low` and `high` are None without."""

    iterations: NDArray[np.intp]
    values: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None


def curves(comparison: Comparison, options: style.Options) -> "Figure":
    """Draw the test MAE against the iterations, both logarithmic: a group's mean over folds, and a band around it.

    The band is one population standard deviation over folds to each side. A fold's error is its mean over seeds, and
    only iterations at which all folds of a group were evaluated are drawn. A group that diverged in all folds ends in a
    cross. A baseline, which has no iterations, is a horizontal line. So is the paper's error, for QM7, where it is
    among these. More than four groups are drawn in panels by what differs besides the rule. Raises QM7Error if a
    group's folds have no iteration in common, or there is no curve.
    """
    complete = style.drawable(comparison)
    drawn = [group for group in comparison.groups if group.folds or any(map(_history, group.diverged.values()))]
    if not any(map(_is_trained, drawn)):
        raise QM7Error("there is no curve to draw: baselines are fitted at once")
    placed = style.in_panels([(own.name, own.settings, own.ended.values()) for own in drawn])
    with style.drawing(2.2, options.width) as figure:
        panels = style.add_panels(figure, [title for title, *_ in placed], ITERATIONS, METRICS["mae"].axis_label)
        for group, (title, name, look) in zip(drawn, placed, strict=True):
            curve = _mean_curve(group)
            for axes in [panels[title]] if title in panels else panels.values():
                if _is_trained(group):
                    _draw_curve(axes, name, look, curve)
                else:
                    axes.axhline(curve.values[0], label=name, color=look["color"], linestyle=look["linestyle"])
                if not group.folds:
                    _end_in_a_cross(axes, group, look, curve)
        notes = [style.deviation_note(comparison, "line", "band")]
        notes += ["cross: all folds diverged"] * any(not group.folds for group in drawn)
        for axes in panels.values():
            axes.set(xscale="log", yscale="linear" if options.log is False else "log")
        if all(fold.run.results.dataset.name == "qm7" for group in complete for fold in group.folds.values()):
            notes.append(_add_paper(panels.values()))
        for axes in panels.values():
            style.plain_ticks(axes.xaxis, narrow=len(panels) > 1)
            style.plain_ticks(axes.yaxis)
        style.add_legend(figure)
        style.explain(figure, comparison, options, *notes)
    return figure


def _add_paper(panels: Iterable["Axes"]) -> str:
    """Draw the paper's error where it is among what is drawn, and return what is to be said of it."""
    ends = [axes.dataLim.intervaly for axes in panels]
    if not min(low for low, _ in ends) < PAPER_MAE < max(high for _, high in ends):
        return f"{PAPER}, not drawn"
    for axes in panels:
        axes.axhline(PAPER_MAE, color="0.4", linewidth=0.6)
        name = axes.text(0.01, PAPER_MAE, f"{PAPER_MAE}", transform=axes.get_yaxis_transform())
        name.set(va="bottom", fontsize=7)
    return PAPER


def differences(comparison: Comparison, options: style.Options) -> "Figure":
    """Draw each group's test MAE minus the reference's against the iterations, and the 95 % band of its t-test.

    Folds are paired as by `qm7cli.analysis.compare.compare_groups`, and the band is that of the corrected resampled
    t-test at each iteration at which all folds of a pair of groups were evaluated; one test set has none. The frame
    holds what happens after the first tenth of the iterations; a triangle on it is where a line leaves it. A baseline
    has the same error throughout. More than four groups are drawn in panels, as by `curves`. Raises QM7Error if there
    is no difference to draw.
    """
    groups = style.drawable(comparison)
    reference = find_reference(groups, options.reference)
    made: dict[str, Curve] = {}
    reasons: dict[str, str] = {}
    for group in groups:
        try:
            if group is not reference:
                made[group.name] = _difference_curve(group, reference)
        except QM7Error as error:
            reasons[group.name] = f"{group.name} cannot be compared with {reference.name}: {error}"
    if not made:
        alone = f"there is no difference to draw: {reference.name} is the only group with a complete fold"
        raise QM7Error(next(iter(reasons.values()), alone))
    placed = style.in_panels([(own.name, own.settings, own.ended.values()) for own in groups])
    with style.drawing(2.4, options.width) as figure:
        titles = [title for title, *_ in placed]
        panels = style.add_panels(figure, titles, ITERATIONS, "Difference of test MAE (kcal/mol)")
        for axes in panels.values():
            axes.axhline(0, color="0.4", linewidth=0.8, zorder=1)
            axes.set(xscale="log", ylim=_late_range(made.values()))
        clipped = 0
        for group, (title, name, look) in zip(groups, placed, strict=True):
            for axes in [panels[title]] if title in panels else panels.values():
                if group.name in made:
                    _draw_curve(axes, name, look, made[group.name])
                    clipped += _mark_exits(axes, look, made[group.name])
        for axes in panels.values():
            style.plain_ticks(axes.xaxis, narrow=len(panels) > 1)
        style.add_legend(figure, 1)
        banded = any(curve.low is not None for curve in made.values())
        band = "line: mean; band: its 95% interval by the corrected t-test" if banded else ""
        exits = "triangle: the line leaves the frame" if clipped else ""
        others = f"not comparable: {', '.join(reasons)}" if reasons else ""
        style.explain(figure, comparison, options, f"zero: {reference.name}", band, exits, others)
    return figure


def _end_in_a_cross(axes: "Axes", group: Group, look: style.Look, curve: Curve) -> None:
    """Draw a curve on, at its last known error, to where the last fold diverged."""
    last = max(fold.result.iterations for fold in group.diverged.values())
    line = {key: look[key] for key in ("color", "linestyle", "linewidth")}
    axes.plot([curve.iterations[-1], last], [curve.values[-1]] * 2, **line)
    axes.plot(last, curve.values[-1], "x", color=look["color"], markersize=2.5 * look["markersize"] - 2)


def _mark_exits(axes: "Axes", look: style.Look, curve: Curve) -> int:
    """Draw a triangle where a curve leaves the frame, pointing outwards; return how many there are."""
    exits = 0
    for end, marker in zip(axes.get_ylim(), "v^", strict=True):
        beyond = np.sign(curve.values - end) == np.sign(end - sum(axes.get_ylim()) / 2)  # (iterations,)
        for k in np.flatnonzero(beyond[1:] != beyond[:-1]):
            part = (end - curve.values[k]) / (curve.values[k + 1] - curve.values[k])
            place = curve.iterations[k] ** (1 - part) * curve.iterations[k + 1] ** part
            axes.plot(place, end, marker, color=look["color"], markersize=5, clip_on=False, zorder=4)
            exits += 1
    return exits


def _draw_curve(axes: "Axes", name: str, look: style.Look, curve: Curve) -> None:
    """Draw a curve and its band."""
    if curve.low is not None and curve.high is not None:
        axes.fill_between(curve.iterations, curve.low, curve.high, color=look["color"], alpha=0.22, linewidth=0)
    axes.plot(curve.iterations, curve.values, label=name, markevery=math.ceil(len(curve.values) / 12), **look)


def _is_trained(group: Group) -> bool:
    """Return whether a group has iterations, as no baseline has."""
    return any(fold.result.iterations for fold in group.ended.values())


def _history(fold: RunFold) -> dict[int, float]:
    """Return a fold's test MAE in kcal/mol by iteration; a baseline's has none."""
    return {row.iteration: row.test_mae for row in fold.result.history}


def _shared_iterations(histories: Iterable[dict[int, float]]) -> list[int]:
    """Return the iterations that all histories have; those of baselines do not count."""
    trained = [set(own) for own in histories if own]
    return sorted(set.intersection(*trained)) if trained else []


def _mean_curve(group: Group) -> Curve:
    """Return the mean over folds of the test MAE, with one population standard deviation to each side."""
    histories = {key: _history(fold) or {0: fold.mae} for key, fold in (group.folds or group.diverged).items()}
    shared = _shared_iterations(histories.values())
    if not shared:
        raise QM7Error(f"the folds of {group.name} were evaluated at no iteration in common")
    errors = {key: np.array([own[iteration] for iteration in shared]) for key, own in histories.items()}
    mean, deviation = style.mean_over_folds(errors)
    several = len({key[0] for key in errors}) > 1
    return Curve(np.array(shared), mean, *((mean - deviation, mean + deviation) if several else ()))


def _difference_curve(group: Group, reference: Group) -> Curve:
    """Return the mean difference from the reference and its interval; raises QM7Error if there is none."""
    folds = [(fold, reference.folds[key]) for key, fold in group.folds.items() if key in reference.folds]
    pairs = [make_pair(*both) for both in folds]
    final = paired_difference(pairs)
    histories = [(_history(fold), _history(base)) for fold, base in folds]
    shared = _shared_iterations(history for both in histories for history in both)
    if not shared:
        trained = _is_trained(group) or _is_trained(reference)
        raise QM7Error("they were evaluated at no iteration in common" if trained else "baselines are fitted at once")
    made = []
    for iteration in shared:
        at = []
        for pair, both, own in zip(pairs, folds, histories, strict=True):
            ours, theirs = (history.get(iteration, fold.mae) for fold, history in zip(both, own, strict=True))
            at.append(pair._replace(difference=ours - theirs, reference=theirs))
        made.append(paired_difference(at))
    values, intervals = [each.mean for each in made], [each.t_test.interval for each in made if each.t_test]
    banded = final.t_test is not None and len(intervals) == len(made)
    return Curve(np.array(shared), np.array(values), *(np.array(intervals).T if banded else ()))


def _late_range(made: Iterable[Curve]) -> tuple[float, float]:
    """Return the ends of an axis that holds 0, and all curves and bands but for the first part of the iterations."""
    ends = [0.0]
    for curve in made:
        late = curve.iterations >= LATE * curve.iterations[-1]
        ends += [end for each in (curve.values, curve.low, curve.high) if each is not None for end in each[late]]
    margin = 0.05 * (max(ends) - min(ends)) or 1.0
    return min(ends) - margin, max(ends) + margin
