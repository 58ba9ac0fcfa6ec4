"""A picture of paired differences of errors against the iterations."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import numpy as np

from qm7cli.analysis.compare import Comparison
from qm7cli.analysis.figure_style import USUAL, Options, add_legend, drawable, drawing, explain, looks_of, plain_ticks
from qm7cli.analysis.groups import Group, find_reference
from qm7cli.analysis.paired_difference import make_pair, paired_difference
from qm7cli.analysis.plots.curves import ITERATIONS, Curve, draw_curve, is_trained, on_the_way, shared_iterations
from qm7cli.core.errors import QM7Error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LATE: Final = 0.1  # of the iterations; differences before may leave the frame


def differences(comparison: Comparison, options: Options = USUAL) -> "Figure":
    """Draw each group's test MAE minus the reference's against the iterations, and the 95 % band of its t-test.

    Folds are paired as by `qm7cli.analysis.compare.compare_groups`, and the band is that of the corrected resampled
    t-test at each iteration at which all folds of a pair of groups were evaluated; one test set has none. The frame
    holds what happens after the first tenth of the iterations. A baseline has the same error throughout. Raises
    QM7Error if there is no difference to draw.
    """
    groups = drawable(comparison)
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
    drawn = [group for group in groups if group.name in made]
    with drawing(2.4, options.width) as figure:
        axes = figure.subplots()
        axes.axhline(0, color="0.4", linewidth=0.6)
        for group, look in zip(drawn, looks_of(own.folds.values() for own in drawn), strict=True):
            draw_curve(axes, group.name, look, made[group.name])
        axes.set(xscale="log", ylim=_late_range(made.values()))
        axes.set(xlabel=ITERATIONS, ylabel="Difference of test MAE (kcal/mol)")
        plain_ticks(axes.xaxis)
        add_legend(figure, 1)
        banded = any(curve.low is not None for curve in made.values())
        band = "line: mean; band: its 95% interval by the corrected t-test" if banded else ""
        others = f"not comparable: {', '.join(reasons)}" if reasons else ""
        explain(figure, comparison, options, f"zero: {reference.name}", band, others)
    return figure


def _late_range(made: Iterable[Curve]) -> tuple[float, float]:
    """Return the ends of an axis that holds 0, and all curves and bands but for the first part of the iterations."""
    ends = [0.0]
    for curve in made:
        late = curve.iterations >= LATE * curve.iterations[-1]
        ends += [end for each in (curve.values, curve.low, curve.high) if each is not None for end in each[late]]
    margin = 0.05 * (max(ends) - min(ends)) or 1.0
    return min(ends) - margin, max(ends) + margin


def _difference_curve(group: Group, reference: Group) -> Curve:
    """Return the mean difference from the reference and its interval; raises QM7Error if there is none."""
    folds = [(fold, reference.folds[key]) for key, fold in group.folds.items() if key in reference.folds]
    pairs = [make_pair(*both) for both in folds]
    final = paired_difference(pairs)
    histories = [(on_the_way(fold), on_the_way(base)) for fold, base in folds]
    shared = shared_iterations(history for both in histories for history in both)
    if not shared:
        trained = is_trained(group) or is_trained(reference)
        raise QM7Error("they were evaluated at no iteration in common" if trained else "baselines are fitted at once")
    made = []
    for iteration in shared:
        at = []
        for pair, both, own in zip(pairs, folds, histories, strict=True):
            ours, theirs = (history.get(iteration, fold.mae) for fold, history in zip(both, own, strict=True))
            at.append(pair._replace(difference=ours - theirs, reference=theirs))
        made.append(paired_difference(at))
    values, intervals = [each.mean for each in made], [each.t_test.interval for each in made if each.t_test]
    if final.t_test is None or len(intervals) < len(made):
        return Curve(np.array(shared), np.array(values))
    return Curve(np.array(shared), np.array(values), *np.array(intervals).T)
