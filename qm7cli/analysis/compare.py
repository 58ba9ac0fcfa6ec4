"""Comparing groups of runs: their errors, paired differences from a reference, and a verdict in words.

Two folds are a pair if they agree in everything but the settings that make the groups: the same fold, seed and test
molecules (`qm7cli.analysis.paired_difference`). The corrected resampled t-test decides; its p-values are corrected for
all comparisons. An inconclusive one does not show that there is no difference: the verdict says what it could detect.

A fold that diverged is worse than any that did not. Where folds of one group diverged and the same folds of the other
ended well, that decides, whatever the difference on the other folds. Where each has folds that only the other came
through, the comparison is inconclusive.

With a margin M a group is *equivalent* to the reference where the whole 95% interval lies inside (-M, M): two
one-sided tests at 2.5% each (Schuirmann, J. Pharmacokinet. Biopharm. 15:657, 1987), not corrected for their number.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from qm7cli.analysis.groups import Decision, Group, Statistics, count_text, find_reference, group_runs, training_lengths
from qm7cli.analysis.paired_difference import LEVEL, Difference, check_test_sets, holm, make_pair, paired_difference
from qm7cli.core.errors import QM7Error, brief
from qm7cli.core.html import html_table
from qm7cli.runs.collect import Run


class Comparison(NamedTuple):
    """Groups, and what is to be known of them; within a setting, a part for each value, which its `within` has."""

    groups: list[Group]
    notes: list[str]
    margin: float | None = None  # of equivalence, kcal/mol
    within: Mapping[str, Any] = {}  # of a part
    parts: Sequence["Comparison"] = ()

    @property
    def place(self) -> str:
        """What the runs of a part have in common, as ``network.offset=2.0``; empty if it is no part."""
        return "".join(f"{key}={json.dumps(value)}".replace('"', "") for key, value in self.within.items())

    @property
    def explanation(self) -> str:
        """What the differences and their intervals are, and what decides; empty where there are none, and in a part."""
        if self.within:
            return ""
        told = []
        if any(group.difference for group in self.groups):
            reference = " or ".join(dict.fromkeys(group.name for group in self.groups if not group.verdict))
            reference += f" with the same {next(iter(self.parts[0].within))}" if self.parts else ""
            tests = sum(group.p is not None for group in self.groups)
            tested = (
                ", with its 95% interval (corrected resampled t-test). Holm p is corrected for "
                f"{count_text(tests, 'comparison')}; below 0.05 it decides"
            )
            told.append(
                f"+- is the standard deviation over folds. Difference: test MAE minus that of {reference}"
                f"{tested if tests else ''}."
            )
            if self.margin is not None:
                told.append(
                    f"Equivalent: the whole interval lies between -{self.margin:g} and {self.margin:g} kcal/mol."
                )
        if any(each.diverged for each in self.groups) and any(each.verdict for each in self.groups):
            told.append("A fold that diverged is worse than any that did not, and decides before the test.")
        return " ".join(told)

    @property
    def sentences(self) -> list[str]:
        """The verdict on each group but the reference, or which of its folds diverged if any did, and the notes."""
        if self.parts:
            return [f"{part.place}: {sentence}" for part in self.parts for sentence in part.sentences]
        told = [each for each in self.groups if each.verdict or each.diverged]
        said = [each.verdict or f"{each.name} {each.divergence}" for each in told]
        return [f"{sentence}." for sentence in (*said, *self.notes)]

    def __repr__(self) -> str:
        names = ", ".join(group.name for group in self.groups)
        return brief(f"Comparison({count_text(len(self.groups), 'group')}: {names})")

    def _repr_html_(self) -> str:
        header = ("group", "folds", "MAE, kcal/mol", "difference (95%)", "Holm p", "decision")
        rows = []
        for each in self.groups:
            mae = f"{each.mae.mean:.3f}" if each.mae else "-"
            difference = difference_text(each.difference) if each.difference else "-"
            rows.append((each.name, len(each.folds), mae, difference, p_text(each.p), each.decision or "-"))
        return html_table(header, rows) + "".join(f"<p>{escape(sentence)}</p>" for sentence in self.sentences)

    def to_records(self) -> list[dict[str, Any]]:
        """Return a plain record for each group, as for ``pandas.DataFrame``; it has what ``--format csv`` has."""
        return [part._record(group) for part in self.parts or [self] for group in part.groups]  # noqa: SLF001

    def _record(self, group: Group) -> dict[str, Any]:
        record: dict[str, Any] = {"group": group.name, **self.within, **group.settings, "folds": len(group.folds)}
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
    within: str | None = None,
) -> Comparison:
    """Group runs, as `qm7cli.analysis.groups.group_runs` does, and compare each group with a reference.

    The `reference` is a group's name, a run's directory or ``KEY=VALUE`` with the value in YAML; default: the group of
    default settings, or the first. Verdicts also say which groups are equivalent within a `margin` above 0, kcal/mol.
    Unless `paired`, there are no differences and no verdicts. Each value of a setting `within` has its own reference.

    Raises QM7Error if a setting or the reference does not exist, or a group has the same fold twice.
    """
    parts = [Comparison(groups, notes, margin, value) for value, groups, notes in group_runs(runs, by, within)]
    if not paired:
        return parts[0]
    bases = [find_reference(part.groups, reference, part.place) for part in parts]
    for part, base in zip(parts, bases, strict=True):
        part.groups[:] = [each if each is base else _paired(each, base, part.notes) for each in part.groups]
    tests = [group.difference.t_test for part in parts for group in part.groups if group.difference]
    p_values = iter(holm([test.p for test in tests if test]))
    for part, base in zip(parts, bases, strict=True):
        part.groups[:] = [each if each is base else _judged(each, base, margin, p_values) for each in part.groups]
    if within is None:
        return parts[0]
    notes = [f"{part.place}: {note}" for part in parts for note in part.notes]
    return Comparison([group for part in parts for group in part.groups], notes, margin, parts=parts)


def _paired(group: Group, reference: Group, notes: list[str]) -> Group:
    """Return a group with its difference from the reference, or with a verdict that says why it has none."""
    pairs = [(fold, reference.folds[key]) for key, fold in group.folds.items() if key in reference.folds]
    ours, theirs = group.ended, reference.ended
    shared, unpaired = ours.keys() & theirs.keys(), len(ours.keys() ^ theirs.keys())
    if shared and unpaired:
        folds = f"{count_text(unpaired, 'fold')} {'has' if unpaired == 1 else 'have'}"
        notes.append(f"{folds} no counterpart and no part in the difference of {group.name} and {reference.name}")
    lengths = training_lengths(fold for pair in pairs for fold in pair)
    if len(lengths) > 1 and "training.iterations" not in group.settings:  # which its name tells
        listed = " and ".join(map(str, lengths))
        notes.append(f"{group.name} and {reference.name} were trained for different lengths, {listed} iterations")
    try:
        for key in sorted(shared):
            check_test_sets(ours[key], theirs[key])
        difference = None if shared and not pairs else paired_difference([make_pair(*pair) for pair in pairs])
    except QM7Error as error:
        return group._replace(verdict=f"{group.name} cannot be compared with {reference.name}: {error}")
    return group._replace(difference=difference)


def _judged(group: Group, reference: Group, margin: float | None, p_values: Iterator[float]) -> Group:
    """Return a paired group with its decision, its verdict and, if it was tested, the next of the p-values."""
    divergences = _divergences(group, reference)
    if group.verdict:  # which says why it is not compared
        return group._replace(verdict="; ".join(filter(None, [group.verdict, divergences])))
    t_test = group.difference and group.difference.t_test
    if t_test:
        group = group._replace(p=next(p_values))
    if margin is not None:
        inside = t_test is not None and -margin < t_test.interval[0] and t_test.interval[1] < margin
        group = group._replace(equivalent=inside and not divergences)
    group = group._replace(decision=_decided_by_divergence(group, reference) or _decided_by_test(group))
    return group._replace(verdict=_verdict(group, reference, margin))


def _decided_by_test(group: Group) -> Decision | None:
    if group.difference is None:
        return None
    if group.p is None or group.p >= 1 - LEVEL:
        return "equivalent" if group.equivalent else "inconclusive"
    return "better" if group.difference.mean < 0 else "worse"


def _decided_by_divergence(group: Group, reference: Group) -> Decision | None:
    """Return what the folds decide in which one group diverged and the other did not; None if there are none.

    A fold in which the other has no result yet cannot make a group worse, but keeps it from being better.
    """
    ours, theirs = (group.diverged.keys() - reference.diverged, reference.diverged.keys() - group.diverged)
    if not ours and not theirs:
        return None if group.difference or not group.diverged else "inconclusive"
    if not theirs and ours & reference.folds.keys():
        return "worse"
    return "better" if not ours and theirs & group.folds.keys() else "inconclusive"


def _finding(group: Group, reference: str, margin: float | None) -> str:
    within = f"within {margin:g} kcal/mol" if margin is not None else ""
    if group.decision in {"better", "worse"}:
        also = f", but equivalent {within}" if group.equivalent else ""
        return f"{group.name} is {group.decision} than {reference}{also}"
    if group.decision == "equivalent":
        return f"{group.name} is equivalent to {reference} {within}"
    neither = f", neither different nor equivalent {within}" if within else ""
    return f"{group.name} against {reference} is inconclusive{neither}"


def _verdict(group: Group, reference: Group, margin: float | None) -> str:
    """Say what the divergences of two groups and the difference of their errors show, then how sure that is."""
    difference, divergences = group.difference, _divergences(group, reference)
    finding = _finding(group, reference.name, margin)
    if difference is None:
        return f"{finding}: {divergences}"
    figures = f"{difference_text(difference)} kcal/mol, {percent_text(difference.percent)}"
    pairs = f"{count_text(difference.pairs, 'pair')} on {count_text(difference.test_sets, 'test set')}"
    if divergences:
        left_out = count_text(len({*group.diverged, *reference.diverged}), "fold")
        finding, figures = f"{finding}: {divergences}", f"Without the {left_out} that diverged: {figures}"
    told = f"{finding}{'. ' if divergences else ': '}{figures}"
    if difference.t_test is None:
        return f"{told}. {pairs}; {difference.untested}"
    told = f"{told}. Holm p {'' if (p := p_text(group.p)).startswith('<') else '= '}{p}, {pairs}"
    if group.decision != "inconclusive":
        return told
    return f"{told}; detectable with 80% power: {difference.t_test.detectable:.{_decimals(difference)}f}"


def _divergences(group: Group, reference: Group) -> str:
    """Say of a group and the reference in how many of their folds they diverged, and when; empty if in none."""
    if not group.diverged:
        told = f"{reference.name} {reference.divergence}, {group.name} in none of {len(group.ended)}"
        return told if reference.diverged else ""
    theirs = f"in none of {len(reference.ended)}" if not reference.diverged else reference.divergence
    return f"it {group.divergence}, {reference.name} {theirs}"


def difference_text(difference: Difference) -> str:
    """Return a mean difference with the interval of its t-test, if it has one, in kcal/mol."""
    values = [difference.mean, *(difference.t_test.interval if difference.t_test else ())]
    mean, *interval = (f"{value:z.{_decimals(difference)}f}" for value in values)
    return f"{mean} ({' to '.join(interval)})" if interval else mean


def percent_text(percent: float | None) -> str:
    """Return a part in per cent; a dash where it is not known."""
    return "-" if percent is None else f"{percent:z.{2 if abs(percent) < 10 else 0}f}%"


def p_text(p: float | None) -> str:
    """Return a p-value with three decimals; a dash where there is none."""
    return "-" if p is None else f"{p:.3f}" if p >= 0.001 else "<0.001"


def _decimals(difference: Difference) -> int:
    """Return the decimals that show two digits of the interval's half, at least two and at most six."""
    if difference.t_test is None:
        return 3
    low, high = difference.t_test.interval
    return min(max(2, 1 - math.floor(math.log10((high - low) / 2))), 6) if high > low else 6
