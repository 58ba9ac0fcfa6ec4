"""Comparing groups of runs: their errors, paired differences from a reference, and a verdict in words.

Two folds are a pair if they agree in everything but the settings that make the groups: the same fold, seed and test
molecules (`qm7cli.analysis.paired_difference`). The corrected resampled t-test decides; its p-values are corrected for
the number of groups compared. A difference that is not decided may exist all the same: the verdict says how large it
would have to be.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qm7cli.analysis.groups import Group, Key, Statistics, find_reference, group_runs, training_lengths
from qm7cli.analysis.paired_difference import (
    Difference,
    Interval,
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
        """The verdict on each group but the reference, and the notes."""
        verdicts = [group.verdict for group in self.groups if group.verdict]
        return [f"{sentence}." for sentence in (*verdicts, *self.notes)]

    def records(self) -> list[dict[str, Any]]:
        """Return a plain record for each group, as for ``pandas.DataFrame``; it has what ``--format csv`` has."""
        return list(records(self))


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
    return Comparison(
        [each._replace(verdict=each.verdict or _verdict(each, reference.name)) for each in compared], notes
    )


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
    unpaired = len(group.folds) + len(reference.folds) - 2 * len(pairs)
    if pairs and unpaired:
        folds = "1 fold has" if unpaired == 1 else f"{unpaired} folds have"
        notes.append(f"{folds} no counterpart and no part in the difference of {group.name} and {reference.name}")
    paired = [fold for pair in pairs.values() for fold in pair]
    lengths = training_lengths(paired)
    if len(lengths) > 1:
        listed = " and ".join(map(str, sorted(lengths)))
        notes.append(f"{group.name} and {reference.name} were trained for different lengths, {listed} iterations")
    try:
        made = []
        for key, (fold, base) in pairs.items():
            ours = predictions_if_any(fold)
            if key not in read:
                read[key] = predictions_if_any(base)
            made.append(make_pair(fold, base, ours, read[key]))
        difference = paired_difference(made)
    except QM7Error as error:
        return group._replace(verdict=f"{group.name} cannot be compared with {reference.name}: {error}")
    files = (predictions_file(fold.run.path, fold.result.fold) for fold in paired)
    without_predictions |= {path: None for path in files if not path.exists()}
    return group._replace(difference=difference)


def _verdict(group: Group, reference: str) -> str:
    """Say in words what a difference shows; nothing of the reference, which has none."""
    difference = group.difference
    if difference is None:
        return ""
    decided = group.decision != "not decided"
    decision = f"is {group.decision} than {reference}" if decided else f"against {reference} is not decided"
    facts = [
        f"{difference_text(difference)} kcal/mol",
        f"{percent_text(difference.percent)} of the MAE",
        f"{_count(difference.pairs, 'pair')} on {_count(difference.test_sets, 'test set')}",
    ]
    if difference.t_test is None:
        power = difference.untested
    else:
        facts.append(f"Holm p {p_text(group.p)}")
        detectable = f"{difference.t_test.detectable:.{_decimals(difference)}f}"
        power = f"such a comparison finds {detectable} in four of five cases"
    return f"{group.name} {decision}: {', '.join(facts)}; {power}"


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
