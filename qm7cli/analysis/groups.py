"""Groups of runs: those that agree in the settings that are compared, and what is to be said of each."""

import json
import os
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from qm7cli.analysis.paired_difference import Difference
from qm7cli.core.errors import QM7Error
from qm7cli.core.validation import suggestion
from qm7cli.core.yaml_text import parse_yaml
from qm7cli.model.baseline_names import HYPERPARAMETERS
from qm7cli.model.variants import CONTROLS, RULES, display_name
from qm7cli.runs.collect import Run, RunFold, differing_settings
from qm7cli.runs.experiment import DEFAULTS, NOT_IDENTITY, RECORDED_SETTINGS

NAMED: Final = ("variant", "baseline.model", "imported")  # settings whose values are names enough
PARTS: Final = {"engine": "network, encoder, target or training loop", "numpy": "numpy", "blas": "BLAS kernels"}
Decision = Literal["better", "worse", "equivalent", "inconclusive"]
Key = tuple[Any, ...]  # of a fold: its number, then the settings that neither make the groups nor are free


class Statistics(NamedTuple):
    """Mean and population standard deviations in kcal/mol; None where there is one value, or folds are missing."""

    mean: float
    over_folds: float | None  # of the folds' means over seeds
    over_seeds: float | None  # of the seeds' means over folds; None where more than the seed differs


class Group(NamedTuple):
    """Runs that agree in the settings that make the groups; the reference has no difference and no verdict."""

    name: str
    settings: dict[str, Any]
    folds: dict[Key, RunFold]  # complete
    diverged: dict[Key, RunFold]  # a result too
    mae: Statistics | None = None
    rmse: Statistics | None = None
    difference: Difference | None = None
    p: float | None = None  # of the difference, corrected for the number of differences
    decision: Decision | None = None
    equivalent: bool | None = None  # whether the difference is within the margin; None if none was given
    verdict: str = ""

    def __repr__(self) -> str:
        return f"Group({self.name!r}, {count_text(len(self.folds), 'fold')}, mae={self.mae and self.mae.mean})"

    @property
    def ended(self) -> dict[Key, RunFold]:
        """The folds that are complete or diverged."""
        return self.folds | self.diverged

    @property
    def folds_text(self) -> str:
        """How many folds are complete, as ``3 x 2 seeds`` if each was trained with the same several seeds."""
        numbers, others = ({key[part] for key in self.folds} for part in (slice(1), slice(1, None)))
        seeds = len({fold.run.settings.get("seed") for fold in self.folds.values()})
        crossed = 1 < seeds == len(others) and len(self.folds) == len(numbers) * seeds
        return f"{len(numbers)} x {seeds} seeds" if crossed else str(len(self.folds))

    @property
    def divergence(self) -> str:
        """How many folds diverged, when, and at what rates, as ``diverged in 2 of 5 folds (...)``; empty if none."""
        if not self.diverged:
            return ""
        ended = [fold.result for fold in self.diverged.values()]
        first, *more = sorted({result.diverged_at for result in ended if result.diverged_at})
        at = f"iterations {first} to {more[-1]}" if more else f"iteration {first}"
        rates = [f"{rate:g}" for rate in sorted({result.rate for result in ended if result.rate})]
        folds = f"{len(self.diverged)} of {count_text(len(self.ended), 'fold')}"
        return f"diverged in {folds} ({at}, learning rate{'s' if rates[1:] else ''} {', '.join(rates)})"


def count_text(number: int, what: str) -> str:
    """Return a number of things, as ``1 fold`` or ``2 folds``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def group_runs(
    runs: Sequence[Run], by: Sequence[str] = (), within: str | None = None
) -> Iterator[tuple[dict[str, Any], list[Group], list[str]]]:
    """Give each value of a setting `within` by its key, and the groups of its runs with notes on them; or those of all.

    The settings `by`, dotted keys, make the groups; default: all in which the runs differ but the seed. Raises QM7Error
    if a setting does not exist, or a group has the same fold twice.
    """
    known = {key for run in runs for key in run.settings}
    for key in {*by, *([within] if within else [])} - known:
        raise QM7Error(f"there is no setting {key}{suggestion(key, sorted(known))}")
    other = {"seed", within, *RECORDED_SETTINGS, *NOT_IDENTITY - {"training.iterations"}}
    by = list(by) or [key for key in differing_settings(runs) if key not in other]
    if "imported" in by and len({*by} & {*NAMED}) == 1:  # our own runs have names too
        named = [key for key in NAMED if any(run.settings.get(key) for run in runs)]
        by = [*named, *(key for key in by if key not in named)]
    parts: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: order(within or "", run.settings.get(within or ""))):
        parts.setdefault(json.dumps({within: run.settings.get(within)} if within else {}), []).append(run)
    for value, own in parts.items():
        yield json.loads(value), *_group_by(own, by)


def _group_by(runs: Sequence[Run], by: Sequence[str]) -> tuple[list[Group], list[str]]:
    pairing_keys = [key for key in differing_settings(runs) if key not in {*NOT_IDENTITY, *by}]
    notes: list[str] = []
    members: dict[str, Group] = {}  # by long name
    for run in sorted(runs, key=lambda run: [order(key, run.settings.get(key)) for key in ["imported", *by]]):
        given = {key: run.settings[key] for key in by if key in run.settings}
        new = Group(group_name(given, by, short=True), {key: run.settings.get(key) for key in by}, {}, {})
        _add_folds(members.setdefault(group_name(given, by), new), run, pairing_keys, notes)
    distinct = len({group.name for group in members.values()}) == len(members)
    groups = []
    for name, group in members.items():
        mae = _statistics({key: fold.mae for key, fold in group.folds.items()}, pairing_keys)
        rmse = _statistics({key: fold.rmse for key, fold in group.folds.items()}, pairing_keys)
        groups.append(group._replace(name=group.name if distinct else name, mae=mae, rmse=rmse))
    if "variant" not in by:
        controls = CONTROLS.intersection(run.settings.get("variant") for run in runs)
        notes += [f"there are runs of {variant}, which is a control" for variant in sorted(controls)]
    for group in groups:
        lengths = training_lengths(group.folds.values())
        if len(lengths) > 1:
            notes.append(f"{group.name} has trainings of different lengths: {', '.join(map(str, lengths))} iterations")
    return groups, [*notes, *_environment_notes(groups)]


def _add_folds(group: Group, run: Run, pairing_keys: Sequence[str], notes: list[str]) -> None:
    """Add the folds of a run to a group, those that ended well and those that diverged; the others to the notes."""
    for result in run.results.folds:
        if result.status == "partial":
            notes.append(f"fold {result.fold} of {run.path} is {result.status} and left out")
            continue
        settings = (run.settings.get(setting) for setting in pairing_keys)
        key = (result.fold, *(str(value) if isinstance(value, list) else value for value in settings))
        if key in group.ended:
            other = group.ended[key].run
            by_length = other.settings.get("training.iterations") != run.settings.get("training.iterations")
            hint = "; --by training.iterations keeps them apart" if by_length else ""
            raise QM7Error(f"{other.path} and {run.path} both have fold {result.fold} of the same settings{hint}")
        (group.diverged if result.status == "diverged" else group.folds)[key] = RunFold(run, result)


def order(key: str, value: Any) -> tuple[int, float, str]:
    """Return what sorts values: variants and baselines as listed, numbers by size, then texts, and None last."""
    listed: dict[str, list[Any]] = {"variant": [*RULES, None], "baseline.model": [*HYPERPARAMETERS]}
    if key in listed:
        return 0, listed[key].index(value), ""
    if key == "imported":  # after our own runs
        return 0, bool(value), value or ""
    if isinstance(value, int | float):
        return 0, value, ""
    return (2, 0, "") if value is None else (1, 0, str(value))


def short_keys(by: Iterable[str]) -> dict[str, str]:
    """Return the last part of each dotted key, where it tells them apart."""
    last = {key: key.rpartition(".")[2] for key in by}
    return {key: part if list(last.values()).count(part) == 1 else key for key, part in last.items()}


def group_name(settings: dict[str, Any], by: Sequence[str], *, short: bool = False) -> str:
    """Name a group: a variant or a baseline by its own name, a control as one, other settings as KEY=VALUE in YAML.

    A short name has no more of a key than tells it from the others, and of a text the text alone.
    """
    keys = short_keys(by) if short else {key: key for key in by}
    parts = []
    for key, value in settings.items():
        if key in NAMED:
            parts += [display_name(value or "network")] if value or key != "imported" else []
        elif short and isinstance(value, str):
            parts.append(value)
        else:
            parts.append(f"{keys[key]}={json.dumps(value)}")
    return ", ".join(parts).replace('"', "") or (f"without {', '.join(by)}" if by else "all runs")


def find_reference(groups: Sequence[Group], wanted: str | None, place: str = "") -> Group:
    """Return the reference, as `compare_groups` takes it; raises QM7Error if there is none, or several, in a place."""
    if wanted is None:
        odd = [{key for key, value in group.settings.items() if DEFAULTS[key] != value} for group in groups]
        default = [group for group, keys in zip(groups, odd, strict=True) if not keys]
        usual = [group for group, keys in zip(groups, odd, strict=True) if keys <= {"training.iterations"}]
        return (default or usual or [group for group in groups if group.folds] or groups)[0]
    given, equals, text = wanted.partition("=")
    fitting = [group for group in groups if wanted in {group.name, group.name.replace(" (control)", "")}]
    if not fitting and equals and not Path(wanted).exists():
        key = next((full for full, short in short_keys(groups[0].settings).items() if given in {full, short}), None)
        if key is None:
            raise QM7Error(f"the reference {wanted}: {given} is not one of the settings that make the groups")
        value = parse_yaml(text, f"the reference {wanted}")
        fitting = [group for group in groups if group.settings[key] == value]
    elif not fitting:
        path = os.path.realpath(wanted)
        paths = [{os.path.realpath(fold.run.path) for fold in group.ended.values()} for group in groups]
        fitting = [group for group, own in zip(groups, paths, strict=True) if path in own]
    if len(fitting) != 1:
        where = f"in {'several groups' if fitting else 'no group'}{place and f' with {place}'}"
        raise QM7Error(f"the reference {wanted} is {where}; there are: {'; '.join(group.name for group in groups)}")
    return fitting[0]


def training_lengths(folds: Iterable[RunFold]) -> list[int]:
    """Return for how many iterations folds were trained, in order; a baseline has none."""
    return sorted({fold.result.iterations for fold in folds} - {0})


def _statistics(values: Mapping[Key, float], pairing_keys: Sequence[str]) -> Statistics | None:
    """Return the figures of errors by fold, whose keys are the fold's number and the settings `pairing_keys`."""
    if not values:
        return None
    numbers, others = ({key[part] for key in values} for part in (slice(1), slice(1, None)))
    mean = statistics.fmean(values.values())
    if len(values) < len(numbers) * len(others):
        return Statistics(mean, None, None)
    by_fold = [statistics.fmean(values[number + other] for other in others) for number in sorted(numbers)]
    by_seed = [statistics.fmean(values[number + other] for number in sorted(numbers)) for other in others]
    over_seeds = statistics.pstdev(by_seed) if pairing_keys == ["seed"] and len(by_seed) > 1 else None
    return Statistics(mean, statistics.pstdev(by_fold) if len(by_fold) > 1 else None, over_seeds)


def _environment_notes(groups: Iterable[Group]) -> Iterator[str]:
    """Give a note for each part of the environment in which groups differ, and for each rule that has changed."""
    for part, what in PARTS.items():
        known = {group.name: values for group in groups if (values := _values(group.ended.values(), part))}
        if len(set(known.values())) > 1:
            told = "; ".join(f"{' and '.join(values)} in {name}" for name, values in list(known.items())[:4])
            yield f"the groups differ in {what}: {told}{'; ...' if len(known) > 4 else ''}"
    folds = [fold for group in groups for fold in group.ended.values()]
    for variant in dict.fromkeys(fold.run.settings.get("variant") for fold in folds):
        if len(_values((fold for fold in folds if fold.run.settings.get("variant") == variant), "rule")) > 1:
            yield f"the rule {variant} has changed between runs"


def _values(folds: Iterable[RunFold], part: str) -> tuple[str, ...]:
    """Return what is known of a part of the environments of folds."""
    return tuple(sorted(filter(None, {getattr(fold.result.environment, part, None) for fold in folds})))
