"""Comparing groups of runs: their errors, paired differences from a baseline, and a verdict in words.

Two folds are a pair if they agree in everything but the settings that make the groups: the same fold, seed and test
molecules (`qm7cli.pairs`). The corrected resampled t-test decides.
"""

import json
import math
import os
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from qm7cli.collect import Run, differing_settings
from qm7cli.config import FREE, HYPERPARAMETERS, Experiment
from qm7cli.errors import QM7Error
from qm7cli.files import parse_yaml
from qm7cli.mistakes import flatten, suggestion
from qm7cli.pairs import LEVEL, Difference, FoldOf, paired_difference, read_pair
from qm7cli.variants import Variant

NAMED: Final = ("variant", "baseline.model")  # settings whose values are names enough
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
    """Runs that agree in the settings that make the groups; the baseline has no difference and no verdict."""

    name: str
    settings: dict[str, Any]
    folds: dict[Key, FoldOf]
    mae: Statistics | None
    rmse: Statistics | None
    difference: Difference | None = None
    verdict: str = ""


class Comparison(NamedTuple):
    """Groups, and what is to be known of them: folds left out, trainings of different lengths."""

    groups: list[Group]
    notes: list[str]

    @property
    def sentences(self) -> list[str]:
        """The verdict on each group but the baseline, and the notes."""
        verdicts = [group.verdict for group in self.groups if group.verdict]
        return [f"{sentence}." for sentence in (*verdicts, *self.notes)]


def compare(
    runs: Sequence[Run], by: Sequence[str] = (), baseline: str | None = None, *, paired: bool = True
) -> Comparison:
    """Group runs and compare each group with a baseline.

    Parameters
    ----------
    runs : sequence of Run
        What `qm7cli.collect.find_runs` has found.
    by : sequence of str
        Settings, by dotted key, that make the groups; without, all in which the runs differ but the seed.
    baseline : str, optional
        A group's name, a run's directory or ``KEY=VALUE`` with the value in YAML; without, the group of default
        settings, or the first.
    paired : bool
        Whether differences are worked out, which takes a while; else groups have none, and no verdict.

    Raises
    ------
    QM7Error
        If a setting or the baseline does not exist, or a group has the same fold twice.
    """
    differing = [key for key in differing_settings(runs) if key == "data" or key not in FREE]
    known = {key for run in runs for key in run.settings}
    unknown = [key for key in by if key not in known]
    if unknown:
        raise QM7Error(f"there is no setting {unknown[0]}{suggestion(unknown[0], sorted(known))}")
    by = list(by) or [key for key in differing if key not in {"seed", "split.sha256"}]
    rest = [key for key in differing if key not in by]
    notes: list[str] = []
    members: dict[str, dict[Key, FoldOf]] = {}
    values: dict[str, dict[str, Any]] = {}
    for run in sorted(runs, key=lambda run: [_order(key, run.settings.get(key)) for key in by]):
        own = {key: run.settings.get(key) for key in by}
        name = _name({key: own[key] for key in by if key in run.settings}, by)
        values[name] = own
        _add_folds(members.setdefault(name, {}), run, rest, notes)
    groups = [
        Group(name, values[name], folds, _statistics(folds, "mae", rest), _statistics(folds, "rmse", rest))
        for name, folds in members.items()
    ]
    for group in groups:
        lengths = _lengths(group.folds.values())
        if len(lengths) > 1:
            told = ", ".join(map(str, sorted(lengths)))
            notes.append(f"{group.name} has trainings of different lengths: {told} iterations")
    if paired:
        base = _baseline(groups, baseline)
        groups = [group if group is base else _compared(group, base, notes) for group in groups]
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


def _name(settings: dict[str, Any], by: Sequence[str]) -> str:
    """Return how a group is called: a variant or a baseline by its own name, other settings as KEY=VALUE in YAML."""
    parts = [
        str(value or "network") if key in NAMED else f"{key.removeprefix('baseline.')}={json.dumps(value)}"
        for key, value in settings.items()
    ]
    return ", ".join(parts).replace('"', "") or (f"without {', '.join(by)}" if by else "all runs")


def _baseline(groups: Sequence[Group], wanted: str | None) -> Group:
    """Return the group that is the baseline."""
    if wanted is None:
        defaults = dict(flatten(Experiment().model_dump(mode="json")))
        usual = [group for group in groups if all(defaults[key] == value for key, value in group.settings.items())]
        return (usual or groups)[0]
    key, equals, text = wanted.partition("=")
    named = [group for group in groups if group.name == wanted]
    if named or (equals and not Path(wanted).exists()):
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


def _compared(group: Group, base: Group, notes: list[str]) -> Group:
    """Return a group with its difference from the baseline and the verdict."""
    keys = [key for key in group.folds if key in base.folds]
    pairs = [(group.folds[key], base.folds[key]) for key in keys]
    lonely = len(group.folds) + len(base.folds) - 2 * len(pairs)
    if pairs and lonely:
        alone = "1 fold has" if lonely == 1 else f"{lonely} folds have"
        notes.append(f"{alone} no counterpart and no part in the difference of {group.name} and {base.name}")
    lengths = _lengths(fold for pair in pairs for fold in pair)
    if len(lengths) > 1:
        told = " and ".join(map(str, sorted(lengths)))
        notes.append(f"{group.name} and {base.name} were trained for different lengths, {told} iterations")
    try:
        difference = paired_difference([read_pair(*pair) for pair in pairs])
    except QM7Error as error:
        return group._replace(verdict=f"{group.name} cannot be compared with {base.name}: {error}")
    return group._replace(difference=difference, verdict=_verdict(group.name, base.name, difference))


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


def _verdict(name: str, base: str, difference: Difference) -> str:
    """Say in words what a difference shows."""
    better = difference.mean < 0
    if difference.mean == 0:
        return f"{name} has the same mean error as {base} ({difference.pairs} pairs): no difference shown"
    if difference.t_test is None:
        digits = 3
        shown = "1 test set): one test set shows no difference"
    else:
        low, high = (-difference.t_test[1], -difference.t_test[0]) if better else difference.t_test
        digits = _digits((high - low) / 2)
        told = "a difference is shown" if low > 0 else "no difference shown"
        interval = f"{low:.{digits}f} to {high:.{digits}f}"
        shown = f"{LEVEL:.0%} interval {interval}, {difference.pairs} pairs): {told}".replace("%", " %")
    size = f"{abs(difference.mean):.{digits}f}"
    return f"{name} is {size} kcal/mol {'better' if better else 'worse'} than {base} ({shown}"


def _digits(margin: float) -> int:
    """Return the decimals that show two digits of a margin, at least two and at most six."""
    return min(max(2, 1 - math.floor(math.log10(margin))), 6) if margin > 0 else 2


def records(comparison: Comparison) -> Iterable[dict[str, Any]]:
    """Give a plain record for each group, for tables and files."""
    for group in comparison.groups:
        record: dict[str, Any] = {**group.settings} or {"group": group.name}
        record["folds"] = len(group.folds)
        for metric in ("mae", "rmse"):
            figures: Statistics | None = getattr(group, metric)
            for name in Statistics._fields:
                record[f"{metric}_{name}"] = getattr(figures, name, None)
        record |= {"difference": getattr(group.difference, "mean", None)}
        for name in ("bootstrap", "t_test"):
            bounds = getattr(group.difference, name, None) or (None, None)
            record |= {f"{name}_low": bounds[0], f"{name}_high": bounds[1]}
        record |= {"pairs": getattr(group.difference, "pairs", None), "verdict": group.verdict}
        yield record
