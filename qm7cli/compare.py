"""Comparing groups of runs: their errors, paired differences from a reference, and a verdict in words.

Two folds are a pair if they agree in everything but the settings that make the groups: the same fold, seed and test
molecules (`qm7cli.pairs`). The corrected resampled t-test decides, its p-values corrected for the number of groups that
are compared. What is not decided may be there all the same, and the verdict says how large it would have to be.
"""

import json
import math
import os
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from qm7cli.collect import Run, differing_settings
from qm7cli.config import RESUMABLE_SETTINGS, Experiment
from qm7cli.errors import QM7Error
from qm7cli.mistakes import flatten, suggestion
from qm7cli.pairs import LEVEL, Difference, FoldOf, Interval, holm, paired_difference, predictions_file, read_pair
from qm7cli.sections import HYPERPARAMETERS
from qm7cli.variants import Variant
from qm7cli.yaml_text import parse_yaml

NAMED: Final = ("variant", "baseline.model")  # settings whose values are names enough
Decision = Literal["better", "worse", "not decided"]
Key = tuple[Any, ...]  # of a fold: its number, then the settings that neither make the groups nor are free


class Statistics(NamedTuple):
    """Mean and population standard deviations in kcal/mol.

    `over_folds` is of the folds' means over seeds (and over whatever else differs in the group), `over_seeds` of the
    seeds' means over folds; None where there is one, or not every seed has the same folds. `over_seeds` is also None
    where more than the seed differs in the group.
    """

    mean: float
    over_folds: float | None
    over_seeds: float | None


class Group(NamedTuple):
    """Runs that agree in the settings that make the groups; the reference has no difference and no verdict.

    `p` is that of the difference, corrected for the number of differences in the comparison; None without a test.
    """

    name: str
    settings: dict[str, Any]
    folds: dict[Key, FoldOf]
    mae: Statistics | None
    rmse: Statistics | None
    difference: Difference | None = None
    p: float | None = None
    verdict: str = ""

    @property
    def decision(self) -> Decision | None:
        """Whether the group is better or worse than the reference, if that is decided; None without a difference."""
        if self.difference is None:
            return None
        if self.p is None or self.p >= 1 - LEVEL:
            return "not decided"
        return "better" if self.difference.mean < 0 else "worse"


class Comparison(NamedTuple):
    """Groups, and what is to be known of them: folds left out, trainings of different lengths."""

    groups: list[Group]
    notes: list[str]

    @property
    def explanation(self) -> str:
        """What the differences and their intervals are, and what decides; empty where there are none."""
        differences = sum(group.difference is not None for group in self.groups)
        if not differences:
            return ""
        reference = next(group.name for group in self.groups if not group.verdict)
        tests = sum(group.p is not None for group in self.groups)
        count = f"{tests} comparison{'' if tests == 1 else 's'}"
        return (
            f"Difference: test MAE less that of {reference}, in kcal/mol, with the 95 % interval of the corrected "
            f"resampled t-test of each comparison alone. Holm p is corrected for {count} and decides at 0.05."
        )

    @property
    def sentences(self) -> list[str]:
        """The verdict on each group but the reference, and the notes."""
        verdicts = [group.verdict for group in self.groups if group.verdict]
        return [f"{sentence}." for sentence in (*verdicts, *self.notes)]


def compare(
    runs: Sequence[Run], by: Sequence[str] = (), baseline: str | None = None, *, paired: bool = True
) -> Comparison:
    """Group runs and compare each group with a reference.

    Parameters
    ----------
    runs : sequence of Run
        What `qm7cli.collect.find_runs` has found.
    by : sequence of str
        Settings, by dotted key, that make the groups; without, all in which the runs differ but the seed.
    baseline : str, optional
        The reference: a group's name, a run's directory or ``KEY=VALUE`` with the value in YAML; without, the group of
        default settings, or the first.
    paired : bool
        Whether differences are worked out, which takes a while; else groups have none, and no verdict.

    Raises
    ------
    QM7Error
        If a setting or the reference does not exist, or a group has the same fold twice.
    """
    differing = [key for key in differing_settings(runs) if key == "data" or key not in RESUMABLE_SETTINGS]
    known = {key for run in runs for key in run.settings}
    unknown = [key for key in by if key not in known]
    if unknown:
        raise QM7Error(f"there is no setting {unknown[0]}{suggestion(unknown[0], sorted(known))}")
    by = list(by) or [key for key in differing if key not in {"seed", "split.sha256"}]
    rest = [key for key in differing if key not in by]
    notes: list[str] = []
    members: dict[str, dict[Key, FoldOf]] = {}
    values: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    for run in sorted(runs, key=lambda run: [_order(key, run.settings.get(key)) for key in by]):
        own = {key: run.settings.get(key) for key in by}
        given = {key: own[key] for key in by if key in run.settings}
        name = _name(given, by)
        values[name] = own
        names[name] = _name(given, by, short=True)
        _add_folds(members.setdefault(name, {}), run, rest, notes)
    if len(set(names.values())) < len(names):
        names = {name: name for name in members}
    groups = [
        Group(names[name], values[name], folds, _statistics(folds, "mae", rest), _statistics(folds, "rmse", rest))
        for name, folds in members.items()
    ]
    for group in groups:
        lengths = _lengths(group.folds.values())
        if len(lengths) > 1:
            told = ", ".join(map(str, sorted(lengths)))
            notes.append(f"{group.name} has trainings of different lengths: {told} iterations")
    if paired:
        groups = _compared(groups, _baseline(groups, baseline), notes)
    return Comparison(groups, notes)


def _add_folds(members: dict[Key, FoldOf], run: Run, rest: Sequence[str], notes: list[str]) -> None:
    for record in run.results["folds"]:
        if record["status"] != "complete":
            notes.append(f"fold {record['fold']} of {run.path} is {record['status']} and left out")
            continue
        key = (record["fold"], *(_hashable(run.settings.get(setting)) for setting in rest))
        if key in members:
            other = members[key].run
            by_length = other.settings.get("training.iterations") != run.settings.get("training.iterations")
            hint = "; --by training.iterations keeps them apart" if by_length else ""
            raise QM7Error(f"{other.path} and {run.path} both have fold {record['fold']} of the same settings{hint}")
        members[key] = FoldOf(run, record)


def _order(key: str, value: Any) -> tuple[int, float, str]:
    """Return what puts values in order: variants and baselines as they are listed, numbers by size, no number last."""
    if key == "variant" and value:
        return 0, get_args(Variant).index(value), ""
    if key == "baseline.model":
        return 0, list(HYPERPARAMETERS).index(value), ""
    if isinstance(value, int | float):
        return 0, value, ""
    return (2, 0, "") if value is None else (1, 0, str(value))


def _hashable(value: Any) -> Any:
    return str(value) if isinstance(value, list) else value


def short_keys(by: Iterable[str]) -> dict[str, str]:
    """Return the last part of each dotted key, where it tells them apart."""
    last = {key: key.rpartition(".")[2] for key in by}
    return {key: part if list(last.values()).count(part) == 1 else key for key, part in last.items()}


def _name(settings: dict[str, Any], by: Sequence[str], *, short: bool = False) -> str:
    """Return how a group is called: a variant or a baseline by its own name, other settings as KEY=VALUE in YAML.

    A short name has no more of a key than tells it from the others, and of a text the text alone.
    """
    keys = short_keys(by) if short else {key: key for key in by}
    parts = []
    for key, value in settings.items():
        if key in NAMED:
            parts.append(str(value or "network"))
        elif short and isinstance(value, str):
            parts.append(value)
        else:
            parts.append(f"{keys[key]}={json.dumps(value)}")
    return ", ".join(parts).replace('"', "") or (f"without {', '.join(by)}" if by else "all runs")


def _baseline(groups: Sequence[Group], wanted: str | None) -> Group:
    """Return the group that is the reference."""
    if wanted is None:
        defaults = dict(flatten(Experiment().model_dump(mode="json")))
        usual = [group for group in groups if all(defaults[key] == value for key, value in group.settings.items())]
        return (usual or groups)[0]
    key, equals, text = wanted.partition("=")
    named = [group for group in groups if group.name == wanted]
    if named or (equals and not Path(wanted).exists()):
        key = next((full for full, short in short_keys(groups[0].settings).items() if key in {full, short}), key)
        if not named and key not in groups[0].settings:
            raise QM7Error(f"the baseline {wanted}: {key} is none of the settings that make the groups")
        value = parse_yaml(text, f"the baseline {wanted}") if not named else None
        fitting = named or [group for group in groups if group.settings[key] == value]
    else:
        place = os.path.realpath(wanted)
        fitting = [
            group for group in groups if place in {os.path.realpath(fold.run.path) for fold in group.folds.values()}
        ]
    if len(fitting) != 1:
        where = "in several groups" if fitting else "in no group"
        raise QM7Error(f"the baseline {wanted} is {where}; there are: {'; '.join(group.name for group in groups)}")
    return fitting[0]


def _compared(groups: Sequence[Group], reference: Group, notes: list[str]) -> list[Group]:
    """Return the groups, each but the reference with its difference from it and the verdict."""
    unpredicted: dict[Path, None] = {}  # an ordered set
    compared = [group if group is reference else _paired(group, reference, notes, unpredicted) for group in groups]
    if unpredicted:
        first, *others = unpredicted
        more = f", and so are {len(others)} more" if others else ""
        notes.append(f"there is no bootstrap interval without predictions: {first} is missing{more}")
    tests = {k: group.difference.t_test for k, group in enumerate(compared) if group.difference}
    p_values = {k: test.p for k, test in tests.items() if test}
    for k, p in zip(p_values, holm(list(p_values.values())), strict=True):
        compared[k] = compared[k]._replace(p=p)
    return [group._replace(verdict=group.verdict or _verdict(group, reference.name)) for group in compared]


def _paired(group: Group, reference: Group, notes: list[str], unpredicted: dict[Path, None]) -> Group:
    """Return a group with its difference from the reference, or a verdict that says why there is none.

    The files of predictions that are missing are added to `unpredicted`.
    """
    pairs = [(group.folds[key], reference.folds[key]) for key in group.folds if key in reference.folds]
    unpaired = len(group.folds) + len(reference.folds) - 2 * len(pairs)
    if pairs and unpaired:
        folds = "1 fold has" if unpaired == 1 else f"{unpaired} folds have"
        notes.append(f"{folds} no counterpart and no part in the difference of {group.name} and {reference.name}")
    lengths = _lengths(fold for pair in pairs for fold in pair)
    if len(lengths) > 1:
        told = " and ".join(map(str, sorted(lengths)))
        notes.append(f"{group.name} and {reference.name} were trained for different lengths, {told} iterations")
    try:
        difference = paired_difference([read_pair(*pair) for pair in pairs])
    except QM7Error as error:
        return group._replace(verdict=f"{group.name} cannot be compared with {reference.name}: {error}")
    unpredicted |= {path: None for pair in pairs for fold in pair if not (path := predictions_file(fold)).exists()}
    return group._replace(difference=difference)


def _lengths(folds: Iterable[FoldOf]) -> set[int]:
    """Return how many iterations folds were trained for; a baseline has none."""
    return {fold.record["iterations"] for fold in folds} - {0}


def _statistics(folds: dict[Key, FoldOf], metric: str, rest: Sequence[str]) -> Statistics | None:
    """Return the figures of a group whose folds' keys are the fold's number and the settings `rest`."""
    if not folds:
        return None
    numbers, others = ({key[part] for key in folds} for part in (slice(1), slice(1, None)))
    values = {key: fold.record[metric] for key, fold in folds.items()}
    mean = statistics.fmean(values.values())
    if len(folds) < len(numbers) * len(others):
        return Statistics(mean, None, None)
    by_fold = [statistics.fmean(values[number + other] for other in others) for number in sorted(numbers)]
    by_seed = [statistics.fmean(values[number + other] for number in sorted(numbers)) for other in others]
    over_seeds = statistics.pstdev(by_seed) if rest == ["seed"] and len(by_seed) > 1 else None
    return Statistics(mean, statistics.pstdev(by_fold) if len(by_fold) > 1 else None, over_seeds)


def _verdict(group: Group, reference: str) -> str:
    """Say in words what a difference shows; nothing of the reference, which has none."""
    difference = group.difference
    if difference is None:
        return ""
    decided = group.decision != "not decided"
    said = f"is {group.decision} than {reference}" if decided else f"against {reference} is not decided"
    facts = [
        f"{difference_text(difference)} kcal/mol",
        f"{percent_text(difference.percent)} of the MAE",
        f"{_count(difference.pairs, 'pair')} on {_count(difference.test_sets, 'test set')}",
    ]
    if difference.t_test is None:
        rest = difference.untested
    else:
        facts.append(f"Holm p {p_text(group.p)}")
        found = f"{difference.t_test.detectable:.{_decimals(difference)}f}"
        rest = f"such a comparison finds {found} in four of five cases"
    return f"{group.name} {said}: {', '.join(facts)}; {rest}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def difference_text(difference: Difference) -> str:
    """Return a mean difference with the interval of its t-test, if it has one, in kcal/mol."""
    mean, t_test = f"{difference.mean:z.{_decimals(difference)}f}", difference.t_test
    return f"{mean} ({_interval_text(t_test.interval, difference)})" if t_test else mean


def bootstrap_text(difference: Difference | None) -> str:
    """Return the bootstrap's interval of a difference in kcal/mol; a dash where there is none."""
    bounds = difference and difference.bootstrap
    return _interval_text(bounds, difference) if difference and bounds else "-"


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
        for metric in ("mae", "rmse"):
            figures: Statistics | None = getattr(group, metric)
            for name in Statistics._fields:
                record[f"{metric}_{name}"] = getattr(figures, name, None)
        t_test = group.difference and group.difference.t_test
        record["difference"] = getattr(group.difference, "mean", None)
        record["difference_percent"] = getattr(group.difference, "percent", None)
        for name, bounds in (
            ("bootstrap", getattr(group.difference, "bootstrap", None)),
            ("t_test", getattr(t_test, "interval", None)),
        ):
            record[f"{name}_low"], record[f"{name}_high"] = bounds or (None, None)
        for name in ("standard_error", "p"):
            record[name] = getattr(t_test, name, None)
        record["p_holm"] = group.p
        record["detectable"] = getattr(t_test, "detectable", None)
        for name in ("pairs", "test_sets"):
            record[name] = getattr(group.difference, name, None)
        record |= {"decision": group.decision, "verdict": group.verdict}
        yield record
