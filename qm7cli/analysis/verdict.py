"""What a comparison of two groups shows, as a decision and in words.

A fold that diverged has no error, and is worse than any that did not. Where folds of one group diverged and the same
folds of the other ended well, that decides, whatever the difference on the other folds: the mean over all folds does
not exist. Where each has folds that only the other came through, nothing is decided.

That no difference is shown does not show that there is none. With a margin M a group is *equivalent* to the reference
where the whole 95 % interval lies inside (-M, M): two one-sided tests at 2.5 % each (Schuirmann, Journal of
Pharmacokinetics and Biopharmaceutics 15:657, 1987; usual are 5 %, the 90 % interval). Like the interval, this is not
corrected for the number of groups.
"""

import math

from qm7cli.analysis.groups import Decision, Group, count_text
from qm7cli.analysis.paired_difference import LEVEL, Difference


def judge(group: Group, reference: Group, margin: float | None) -> Group:
    """Return a group that was compared, but for what is said of it, with its decision and its verdict.

    A verdict that it has says why it cannot be compared. `margin` is in kcal/mol.
    """
    diverged = {*group.diverged, *reference.diverged}
    if group.verdict:
        more = f"; {_divergences(group, reference)}" if diverged else ""
        return group._replace(verdict=f"{group.verdict}{more}")
    if margin is not None:
        group = group._replace(equivalent=not diverged and _is_within(margin, group.difference))
    group = group._replace(decision=_decided_by_divergence(group, reference) or _decided_by_test(group))
    return group._replace(verdict=_verdict(group, reference, margin))


def _is_within(margin: float, difference: Difference | None) -> bool:
    """Return whether the whole interval of a difference lies within a margin to both sides of 0, in kcal/mol."""
    t_test = difference and difference.t_test
    return t_test is not None and -margin < t_test.interval[0] and t_test.interval[1] < margin


def _decided_by_test(group: Group) -> Decision | None:
    if group.difference is None:
        return None
    if group.p is None or group.p >= 1 - LEVEL:
        return "equivalent" if group.equivalent else "not decided"
    return "better" if group.difference.mean < 0 else "worse"


def _decided_by_divergence(group: Group, reference: Group) -> Decision | None:
    """Return what the folds decide in which one group diverged and the other did not; None if there are none.

    A fold in which the other has no result yet cannot make a group worse, but keeps it from being better.
    """
    ours, theirs = (group.diverged.keys() - reference.diverged, reference.diverged.keys() - group.diverged)
    if not ours and not theirs:
        return None if group.difference or not group.diverged else "not decided"
    if not theirs and ours & reference.folds.keys():
        return "worse"
    return "better" if not ours and theirs & group.folds.keys() else "not decided"


def _decision_text(group: Group, reference: str, margin: float | None) -> str:
    within = f"equivalent within {margin:g} kcal/mol" if margin is not None else ""
    if group.decision in {"better", "worse"}:
        return f"is {group.decision} than {reference}{f', but {within}' if group.equivalent else ''}"
    if group.decision == "equivalent":
        return f"against {reference} is {within}"
    return f"against {reference} is not decided{within and f', neither different nor {within}'}"


def _verdict(group: Group, reference: Group, margin: float | None) -> str:
    """Say in words what the divergences of two groups and the difference of their errors show."""
    decision = _decision_text(group, reference.name, margin)
    difference, diverged = group.difference, {*group.diverged, *reference.diverged}
    said = [_divergences(group, reference)] if diverged else []
    if difference:
        facts = [
            f"{difference_text(difference)} kcal/mol",
            f"{percent_text(difference.percent)} of the MAE",
            f"{count_text(difference.pairs, 'pair')} on {count_text(difference.test_sets, 'test set')}",
            *([f"Holm p {p_text(group.p)}"] if difference.t_test else []),
        ]
        only = f"leaving out {count_text(len(diverged), 'fold')} that diverged, the difference is " if diverged else ""
        said += [f"{only}{', '.join(facts)}", _power(difference)]
    return f"{group.name} {decision}: {'; '.join(said)}"


def _power(difference: Difference) -> str:
    if difference.t_test is None:
        return difference.untested
    detectable = f"{difference.t_test.detectable:.{_decimals(difference)}f}"
    return f"such a comparison finds {detectable} in four of five cases"


def _divergences(group: Group, reference: Group) -> str:
    """Say of a group and the reference, of which one diverged at least, in how many of their folds and when."""
    if not group.diverged:
        return f"the reference {reference.divergence}, this group in none of {len(group.ended)}"
    theirs = f"diverged in none of {len(reference.ended)}" if not reference.diverged else reference.divergence
    return f"it {group.divergence}, the reference {theirs}"


def difference_text(difference: Difference) -> str:
    """Return a mean difference with the interval of its t-test, if it has one, in kcal/mol."""
    values = [difference.mean, *(difference.t_test.interval if difference.t_test else ())]
    mean, *interval = (f"{value:z.{_decimals(difference)}f}" for value in values)
    return f"{mean} ({' to '.join(interval)})" if interval else mean


def percent_text(percent: float | None) -> str:
    """Return a part in per cent; a dash where it is not known."""
    return "-" if percent is None else f"{percent:z.{2 if abs(percent) < 10 else 0}f} %"


def p_text(p: float | None) -> str:
    """Return a p-value with three decimals; a dash where there is none."""
    return "-" if p is None else f"{p:.3f}" if p >= 0.001 else "<0.001"


def _decimals(difference: Difference) -> int:
    """Return the decimals that show two digits of the interval's half, at least two and at most six."""
    if difference.t_test is None:
        return 3
    low, high = difference.t_test.interval
    return min(max(2, 1 - math.floor(math.log10((high - low) / 2))), 6) if high > low else 6
