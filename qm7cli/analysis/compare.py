"""Comparing groups of runs: their errors, paired differences from a reference, and a verdict in words.

Two folds are a pair if they agree in everything but the settings that make the groups: the same fold, seed and test
molecules (`qm7cli.analysis.paired_difference`). The corrected resampled t-test decides; its p-values are corrected for
the number of groups compared. A difference that is not decided may exist all the same: the verdict says how large it
would have to be. `qm7cli.analysis.verdict` has the rules and the words.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from qm7cli.analysis.groups import Group, Statistics, count_text, find_reference, group_runs, training_lengths
from qm7cli.analysis.paired_difference import check_test_sets, holm, make_pair, paired_difference
from qm7cli.analysis.verdict import judge
from qm7cli.core.errors import QM7Error
from qm7cli.runs.collect import Run


class Comparison(NamedTuple):
    """Groups, and what is to be known of them: folds left out, trainings of different lengths."""

    groups: list[Group]
    notes: list[str]
    margin: float | None = None  # of equivalence, kcal/mol

    @property
    def explanation(self) -> str:
        """What the differences and their intervals are, and what decides; empty where there are none."""
        diverged = any(group.diverged for group in self.groups) and any(group.verdict for group in self.groups)
        divergence = "A fold that diverged is worse than any that did not, and decides before the test." * diverged
        if not any(group.difference for group in self.groups):
            return divergence
        reference = next(group.name for group in self.groups if not group.verdict)
        count = count_text(sum(group.p is not None for group in self.groups), "comparison")
        return (
            f"Difference: test MAE less that of {reference}, in kcal/mol, with the 95 % interval of the corrected "
            f"resampled t-test of each comparison alone. Holm p is corrected for {count} and decides at 0.05."
            f"{self._margin_explained}{divergence and f' {divergence}'}"
        )

    @property
    def _margin_explained(self) -> str:
        if self.margin is None:
            return ""
        within = "Equivalent within {0:g} kcal/mol is a group whose whole interval lies between -{0:g} and {0:g}."
        return f" {within.format(self.margin)}"

    @property
    def sentences(self) -> list[str]:
        """The verdict on each group but the reference, or which of its folds diverged if any did, and the notes."""
        said = [group.verdict or f"{group.name} {group.divergence}" for group in self.groups]
        told = [sentence for group, sentence in zip(self.groups, said, strict=True) if group.verdict or group.diverged]
        return [f"{sentence}." for sentence in (*told, *self.notes)]

    def records(self) -> list[dict[str, Any]]:
        """Return a plain record for each group, as for ``pandas.DataFrame``; it has what ``--format csv`` has."""
        return [self._record(group) for group in self.groups]

    def _record(self, group: Group) -> dict[str, Any]:
        record: dict[str, Any] = {"group": group.name, **group.settings, "folds": len(group.folds)}
        record["diverged"] = len(group.diverged)
        for metric, figures in (("mae", group.mae), ("rmse", group.rmse)):
            record |= {f"{metric}_{name}": getattr(figures, name, None) for name in Statistics._fields}
        difference, t_test = group.difference, group.difference and group.difference.t_test
        low, high = t_test.interval if t_test else (None, None)
        record |= {"difference": getattr(difference, "mean", None)}
        record |= {"difference_percent": getattr(difference, "percent", None), "t_test_low": low, "t_test_high": high}
        record |= {name: getattr(t_test, name, None) for name in ("standard_error", "p", "detectable")}
        record |= {name: getattr(difference, name, None) for name in ("pairs", "test_sets")} | {"p_holm": group.p}
        record |= {"decision": group.decision, "margin": self.margin, "equivalent": group.equivalent}
        return record | {"verdict": group.verdict}


def compare_groups(
    runs: Sequence[Run],
    by: Sequence[str] = (),
    reference: str | None = None,
    *,
    paired: bool = True,
    margin: float | None = None,
) -> Comparison:
    """Group runs, as `qm7cli.analysis.groups.group_runs` does, and compare each group with a reference.

    The `reference` is a group's name, a run's directory or ``KEY=VALUE`` with the value in YAML; default: the group of
    default settings, or the first. With a `margin`, a number above 0 in kcal/mol, verdicts also say which groups are
    equivalent to the reference within it. Unless `paired`, groups have no differences and no verdicts.

    Raises QM7Error if a setting or the reference does not exist, or a group has the same fold twice.
    """
    groups, notes = group_runs(runs, by)
    if not paired:
        return Comparison(groups, notes)
    comparison = compare_with(groups, find_reference(groups, reference), margin)
    return comparison._replace(notes=[*notes, *comparison.notes])


def compare_with(groups: Sequence[Group], reference: Group, margin: float | None = None) -> Comparison:
    """Return the groups, each but the reference, which is one of them, with its difference from it and the verdict."""
    notes: list[str] = []
    compared = [group if group is reference else _paired(group, reference, notes) for group in groups]
    tests = {k: group.difference.t_test for k, group in enumerate(compared) if group.difference}
    p_values = {k: test.p for k, test in tests.items() if test}
    for k, p in zip(p_values, holm(list(p_values.values())), strict=True):
        compared[k] = compared[k]._replace(p=p)
    judged = [each if each is reference else judge(each, reference, margin) for each in compared]
    return Comparison(judged, notes, margin)


def _paired(group: Group, reference: Group, notes: list[str]) -> Group:
    """Return a group with its difference from the reference, or with a verdict that says why it has none."""
    pairs = [(fold, reference.folds[key]) for key, fold in group.folds.items() if key in reference.folds]
    ours, theirs = group.ended, reference.ended
    shared, unpaired = ours.keys() & theirs.keys(), len(ours.keys() ^ theirs.keys())
    if shared and unpaired:
        folds = f"{count_text(unpaired, 'fold')} {'has' if unpaired == 1 else 'have'}"
        notes.append(f"{folds} no counterpart and no part in the difference of {group.name} and {reference.name}")
    lengths = training_lengths(fold for pair in pairs for fold in pair)
    if len(lengths) > 1:
        listed = " and ".join(map(str, sorted(lengths)))
        notes.append(f"{group.name} and {reference.name} were trained for different lengths, {listed} iterations")
    try:
        for key in sorted(shared):
            check_test_sets(ours[key], theirs[key])
        difference = None if shared and not pairs else paired_difference([make_pair(*pair) for pair in pairs])
    except QM7Error as error:
        return group._replace(verdict=f"{group.name} cannot be compared with {reference.name}: {error}")
    return group._replace(difference=difference)
