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
    """Values (iterations,) at some iterations, and the low and high ends (2, iterations) of a band around them."""

    iterations: NDArray[np.intp]
    values: NDArray[np.float64]
    band: NDArray[np.float64] | None = None


def curves(comparison: Comparison, options: style.Options) -> "Figure":
    """Draw the test MAE against the iterations, both logarithmic: a group's mean over folds, and a band around it.

    The band is one population standard deviation over folds to each side, seeds averaged, at the iterations at which
    all folds of a group were evaluated. A group that diverged in all folds ends in a cross. Baselines are horizontal
    lines. So is the paper's error, for QM7, where it is among these. Raises QM7Error if there is no curve.
    """
    complete = style.drawable(comparison)
    drawn = [group for group in comparison.groups if group.folds or any(map(_history, group.diverged.values()))]
    if not any(map(_is_trained, drawn)):
        raise QM7Error("there is no curve to draw: baselines are fitted at once")
    placed = style.in_panels([(own.name, own.settings, own.ended.values()) for own in drawn])
    with style.drawing(2.2, options.width) as figure:
        panels = style.add_panels(figure, placed, ITERATIONS, METRICS["mae"].axis_label)
        for group, (_, name, look), own in zip(drawn, placed, panels, strict=True):
            curve = _mean_curve(group)
            for axes in own:
                if _is_trained(group):
                    _draw_curve(axes, name, look, curve)
                else:
                    axes.axhline(curve.values[0], label=name, color=look["color"], linestyle=look["linestyle"])
                if not group.folds:
                    _end_in_a_cross(axes, group, look, curve)
        notes = [style.deviation_note(comparison, "line", "band")]
        notes += ["cross: all folds diverged"] * any(not group.folds for group in drawn)
        for axes in figure.axes:
            axes.set(xscale="log", yscale="linear" if options.log is False else "log")
        if all(fold.run.results.dataset.name == "qm7" for group in complete for fold in group.folds.values()):
            notes.append(_add_paper(figure.axes))
        style.plain_ticks(figure)
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
    """Draw each group's test MAE minus the reference's against the iterations, and the 95% band of its t-test.

    Folds are paired as by `qm7cli.analysis.compare.compare_groups`, where all of a pair of groups were evaluated; one
    test set has no band. The frame holds what happens after the first tenth of the iterations; a triangle is where a
    line leaves it. Baselines have the same error throughout. Raises QM7Error if there is no difference to draw.
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
        panels = style.add_panels(figure, placed, ITERATIONS, "Difference of test MAE (kcal/mol)")
        for axes in figure.axes:
            axes.axhline(0, color="0.4", linewidth=0.8, zorder=1)
            axes.set(xscale="log", ylim=_late_range(made.values()))
        clipped = 0
        for group, (_, name, look), own in zip(groups, placed, panels, strict=True):
            for axes in own if group.name in made else ():
                _draw_curve(axes, name, look, made[group.name])
                clipped += _mark_exits(axes, look, made[group.name])
        style.plain_ticks(figure)
        style.add_legend(figure, 1)
        banded = any(curve.band is not None for curve in made.values())
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
    if curve.band is not None:
        axes.fill_between(curve.iterations, *curve.band, color=look["color"], alpha=0.22, linewidth=0)
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
    means = style.fold_means(errors)  # (folds, iterations)
    mean, deviation = means.mean(axis=0), means.std(axis=0)
    return Curve(np.array(shared), mean, np.array([mean - deviation, mean + deviation]) if len(means) > 1 else None)


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
    return Curve(np.array(shared), np.array(values), np.array(intervals).T if banded else None)


def _late_range(made: Iterable[Curve]) -> tuple[float, float]:
    """Return the ends of an axis that holds 0, and all curves and bands but for the first part of the iterations."""
    ends = [0.0]
    for curve in made:
        late = curve.iterations >= LATE * curve.iterations[-1]
        ends += curve.values[late].tolist()
        ends += [] if curve.band is None else curve.band[:, late].ravel().tolist()
    margin = 0.05 * (max(ends) - min(ends)) or 1.0
    return min(ends) - margin, max(ends) + margin
