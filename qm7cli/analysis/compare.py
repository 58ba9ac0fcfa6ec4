"""Comparing groups of runs: their errors, paired differences from a reference, and a verdict in words.

Two folds are a pair if they agree in everything but the settings that make the groups: the same fold, seed and test
molecules (`qm7cli.analysis.paired_difference`). The corrected resampled t-test decides; its p-values are corrected for
the number of groups compared. A difference that is not decided may exist all the same: the verdict says how large it
would have to be.

A fold that diverged has no error, and is worse than any that did not. Where folds of one group diverged and the same
folds of the other ended well, that decides, whatever the difference on the other folds: the mean over all folds does
not exist. Where each has folds that only the other came through, nothing is decided.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qm7cli.analysis.groups import Decision, Group, Key, Statistics, find_reference, group_runs, training_lengths
from qm7cli.analysis.paired_difference import (
    LEVEL,
    Difference,
    Interval,
    check_test_sets,
    holm,
    make_pair,
    paired_difference,
    predictions_if_any,
)
from qm7cli.core.errors import QM7Error
from qm7cli.runs.collect import Run
from qm7cli.runs.predictions import Predictions, predictions_file


class Comparison(NamedTuple):
    """Groups, and what is to be known of them: folds left out, trainings of different lengths."""

    groups: list[Group]
    notes: list[str]

    @property
    def explanation(self) -> str:
        """What the differences and their intervals are, and what decides; empty where there are none."""
        if not any(group.difference for group in self.groups):
            return ""
        reference = next(group.name for group in self.groups if not group.verdict)
        count = _count(sum(group.p is not None for group in self.groups), "comparison")
        return (
            f"Difference: test MAE less that of {reference}, in kcal/mol, with the 95 % interval of the corrected "
            f"resampled t-test of each comparison alone. Holm p is corrected for {count} and decides at 0.05."
        )

    @property
    def sentences(self) -> list[str]:
        """The verdict on each group but the reference, or which of its folds diverged if any did, and the notes."""
        said = [group.verdict or f"{group.name} {group.divergence}" for group in self.groups]
        told = [sentence for group, sentence in zip(self.groups, said, strict=True) if group.verdict or group.diverged]
        return [f"{sentence}." for sentence in (*told, *self.notes)]


def compare_groups(
    runs: Sequence[Run], by: Sequence[str] = (), reference: str | None = None, *, paired: bool = True
) -> Comparison:
    """Group runs, as `qm7cli.analysis.groups.group_runs` does, and compare each group with a reference.

    The `reference` is a group's name, a run's directory or ``KEY=VALUE`` with the value in YAML; default: the group of
    default settings, or the first. Unless `paired`, which takes a while, groups have no differences and no verdicts.

    Raises QM7Error if a setting or the reference does not exist, or a group has the same fold twice.
    """
    groups, notes = group_runs(runs, by)
    if not paired:
        return Comparison(groups, notes)
    comparison = compare_with(groups, find_reference(groups, reference))
    return comparison._replace(notes=[*notes, *comparison.notes])


def compare_with(groups: Sequence[Group], reference: Group) -> Comparison:
    """Return the groups, each but the reference, which is one of them, with its difference from it and the verdict."""
    notes: list[str] = []
    without_predictions: dict[Path, None] = {}  # an ordered set
    read: dict[Key, Predictions | None] = {}  # the reference's, once for all groups
    compared = [
        group if group is reference else _paired(group, reference, read, notes, without_predictions) for group in groups
    ]
    if without_predictions:
        first, *others = without_predictions
        more = f", and so are {len(others)} more" if others else ""
        notes.append(f"there is no bootstrap interval without predictions: {first} is missing{more}")
    tests = {k: group.difference.t_test for k, group in enumerate(compared) if group.difference}
    p_values = {k: test.p for k, test in tests.items() if test}
    for k, p in zip(p_values, holm(list(p_values.values())), strict=True):
        compared[k] = compared[k]._replace(p=p)
    return Comparison([each if each is reference else _judged(each, reference) for each in compared], notes)


def _paired(
    group: Group,
    reference: Group,
    read: dict[Key, Predictions | None],
    notes: list[str],
    without_predictions: dict[Path, None],
) -> Group:
    """Return a group with its difference from the reference, or with a verdict that says why it has none.

    Adds the reference's predictions to `read`, and missing files to `without_predictions`.
    """
    pairs = {key: (fold, reference.folds[key]) for key, fold in group.folds.items() if key in reference.folds}
    all_ours, all_theirs = group.folds | group.diverged, reference.folds | reference.diverged
    shared = all_ours.keys() & all_theirs.keys()
    unpaired = len(all_ours.keys() ^ all_theirs.keys())
    if shared and unpaired:
        folds = "1 fold has" if unpaired == 1 else f"{unpaired} folds have"
        notes.append(f"{folds} no counterpart and no part in the difference of {group.name} and {reference.name}")
    paired = [fold for pair in pairs.values() for fold in pair]
    lengths = training_lengths(paired)
    if len(lengths) > 1:
        listed = " and ".join(map(str, sorted(lengths)))
        notes.append(f"{group.name} and {reference.name} were trained for different lengths, {listed} iterations")
    try:
        for key in sorted(shared - pairs.keys()):
            check_test_sets(all_ours[key], all_theirs[key])
        made = []
        for key, (fold, base) in pairs.items():
            ours = predictions_if_any(fold)
            if key not in read:
                read[key] = predictions_if_any(base)
            made.append(make_pair(fold, base, ours, read[key]))
        difference = None if shared and not made else paired_difference(made)
    except QM7Error as error:
        return group._replace(verdict=f"{group.name} cannot be compared with {reference.name}: {error}")
    files = (predictions_file(fold.run.path, fold.result.fold) for fold in paired)
    without_predictions |= {path: None for path in files if not path.exists()}
    return group._replace(difference=difference)


def _judged(group: Group, reference: Group) -> Group:
    """Return a compared group with its decision and its verdict."""
    if group.verdict:
        diverged = f"; {_divergences(group, reference)}" if group.diverged or reference.diverged else ""
        return group._replace(verdict=f"{group.verdict}{diverged}")
    group = group._replace(decision=_decided_by_divergence(group, reference) or _decided_by_test(group))
    return group._replace(verdict=_verdict(group, reference))


def _decided_by_test(group: Group) -> Decision | None:
    if group.difference is None:
        return None
    if group.p is None or group.p >= 1 - LEVEL:
        return "not decided"
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


def _verdict(group: Group, reference: Group) -> str:
    """Say in words what the divergences of two groups and the difference of their errors show."""
    decided = group.decision in {"better", "worse"}
    decision = f"is {group.decision} than {reference.name}" if decided else f"against {reference.name} is not decided"
    difference, diverged = group.difference, group.diverged or reference.diverged
    said = [_divergences(group, reference)] if diverged else []
    if difference:
        facts = [
            f"{difference_text(difference)} kcal/mol",
            f"{percent_text(difference.percent)} of the MAE",
            f"{_count(difference.pairs, 'pair')} on {_count(difference.test_sets, 'test set')}",
            *([f"Holm p {p_text(group.p)}"] if difference.t_test else []),
        ]
        only = "without the folds that diverged, the difference is " if diverged else ""
        said += [f"{only}{', '.join(facts)}", _power(difference)]
    return f"{group.name} {decision}: {'; '.join(said)}"


def _power(difference: Difference) -> str:
    if difference.t_test is None:
        return difference.untested
    detectable = f"{difference.t_test.detectable:.{_decimals(difference)}f}"
    return f"such a comparison finds {detectable} in four of five cases"


def _divergences(group: Group, reference: Group) -> str:
    """Say of two groups, of which one diverged at least, in how many of their folds and when."""
    told = [f"{each.name} {each.divergence}" for each in (group, reference) if each.diverged]
    none = [f"{each.name} in none of {each.ended}" for each in (group, reference) if not each.diverged]
    return ", and ".join(told + none)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def difference_text(difference: Difference) -> str:
    """Return a mean difference with the interval of its t-test, if it has one, in kcal/mol."""
    mean, t_test = f"{difference.mean:z.{_decimals(difference)}f}", difference.t_test
    return f"{mean} ({_interval_text(t_test.interval, difference)})" if t_test else mean


def bootstrap_text(difference: Difference | None) -> str:
    """Return the bootstrap's interval of a difference in kcal/mol; a dash where there is none."""
    return _interval_text(difference.bootstrap, difference) if difference and difference.bootstrap else "-"


def _interval_text(interval: Interval, difference: Difference) -> str:
    return " to ".join(f"{bound:z.{_decimals(difference)}f}" for bound in interval)


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


def records(comparison: Comparison) -> Iterable[dict[str, Any]]:
    """Give a plain record for each group, for tables and files."""
    for group in comparison.groups:
        record: dict[str, Any] = {"group": group.name, **group.settings, "folds": len(group.folds)}
        record["diverged"] = len(group.diverged)
        for metric, figures in (("mae", group.mae), ("rmse", group.rmse)):
            record |= {f"{metric}_{name}": getattr(figures, name, None) for name in Statistics._fields}
        t_test = group.difference and group.difference.t_test
        bootstrap, interval = getattr(group.difference, "bootstrap", None), getattr(t_test, "interval", None)
        yield record | {
            "difference": getattr(group.difference, "mean", None),
            "difference_percent": getattr(group.difference, "percent", None),
            **dict(zip(("bootstrap_low", "bootstrap_high"), bootstrap or (None, None), strict=True)),
            **dict(zip(("t_test_low", "t_test_high"), interval or (None, None), strict=True)),
            "standard_error": getattr(t_test, "standard_error", None),
            "p": getattr(t_test, "p", None),
            "p_holm": group.p,
            "detectable": getattr(t_test, "detectable", None),
            "pairs": getattr(group.difference, "pairs", None),
            "test_sets": getattr(group.difference, "test_sets", None),
            "decision": group.decision,
            "verdict": group.verdict,
        }
