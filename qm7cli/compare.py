"""Comparing groups of runs: paired differences of the test MAE, with two 95 % intervals.

Two folds are a pair if they agree in everything but the settings that make the groups: the same fold, seed and test
molecules. A pair's difference is the mean over its molecules of the difference of the absolute errors.

- The *bootstrap* draws molecules within folds anew (percentiles). It holds the trained networks fixed: it tells how
  much the difference depends on which molecules were tested.
- The *corrected resampled t-test* takes the mean difference of P pairs to have the variance ``(1/P + n_test/n_train)
  s^2``, where s^2 is the sample variance over pairs: training sets overlap, so the pairs are not independent (Nadeau &
  Bengio, Machine Learning 52:239, 2003, section 3; for several seeds Bouckaert & Frank, PAKDD 2004). It decides.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from qm7cli.checkpoint import load_model
from qm7cli.collect import Run, differing_settings
from qm7cli.config import FREE, Experiment
from qm7cli.errors import QM7Error
from qm7cli.mistakes import flatten, suggestion
from qm7cli.results import fold_directory
from qm7cli.variants import Variant

LEVEL: Final = 0.95
RESAMPLES: Final = 9999
Interval = tuple[float, float]
Key = tuple[Any, ...]  # of a fold: its number, then the settings that neither make the groups nor are free


class FoldOf(NamedTuple):
    """A fold of a run: its record in ``results.yaml``."""

    run: Run
    record: dict[str, Any]


class Statistics(NamedTuple):
    """Mean and population standard deviations in kcal/mol.

    `over_folds` is of the folds' means over seeds, `over_seeds` of the seeds' means over folds; None where there is
    one, or not every seed has the same folds.
    """

    mean: float
    over_folds: float | None
    over_seeds: float | None


class Difference(NamedTuple):
    """Test MAE less the baseline's, kcal/mol, and its 95 % intervals; None where there are too few pairs."""

    mean: float
    pairs: int
    bootstrap: Interval | None
    interval: Interval | None


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
        A run's directory or ``KEY=VALUE``; without, the group of default settings, or the first.
    paired : bool
        Whether differences are worked out, which takes a while; else groups have none, and no verdict.

    Raises
    ------
    QM7Error
        If a setting or the baseline does not exist, or a group has the same fold twice.
    """
    differing = [key for key in differing_settings(runs) if key == "data" or key not in FREE]
    unknown = [key for key in by if key not in runs[0].settings]
    if unknown:
        raise QM7Error(f"there is no setting {unknown[0]}{suggestion(unknown[0], runs[0].settings)}")
    by = list(by) or [key for key in differing if key not in {"seed", "split.sha256"}]
    rest = [key for key in differing if key not in by]
    notes: list[str] = []
    members: dict[str, dict[Key, FoldOf]] = {}
    values: dict[str, dict[str, Any]] = {}
    for run in sorted(runs, key=lambda run: [_order(key, run.settings[key]) for key in by]):
        name = _name({key: run.settings[key] for key in by})
        values[name] = {key: run.settings[key] for key in by}
        _add_folds(members.setdefault(name, {}), run, rest, notes)
    groups = [
        Group(name, values[name], folds, _statistics(folds, "mae"), _statistics(folds, "rmse"))
        for name, folds in members.items()
    ]
    if paired:
        base = _baseline(groups, baseline)
        groups = [group if group is base else _compared(group, base, notes) for group in groups]
    return Comparison(groups, notes)


def _add_folds(members: dict[Key, FoldOf], run: Run, rest: Sequence[str], notes: list[str]) -> None:
    for record in run.results["folds"]:
        if record["status"] != "complete":
            notes.append(f"fold {record['fold']} of {run.path} is {record['status']} and left out")
            continue
        key = (record["fold"], *(_hashable(run.settings[setting]) for setting in rest))
        if key in members:
            other = members[key].run
            by_length = other.experiment.training.iterations != run.experiment.training.iterations
            hint = "; --by training.iterations keeps them apart" if by_length else ""
            raise QM7Error(f"{other.path} and {run.path} both have fold {record['fold']} of the same settings{hint}")
        members[key] = FoldOf(run, record)


def _order(key: str, value: Any) -> tuple[int, float, str]:
    """Return what puts values in order: variants as they are listed, numbers by size, no number last."""
    if key == "variant":
        return 0, get_args(Variant).index(value), ""
    if isinstance(value, int | float):
        return 0, value, ""
    return (2, 0, "") if value is None else (1, 0, str(value))


def _hashable(value: Any) -> Any:
    return str(value) if isinstance(value, list) else value


def _name(settings: dict[str, Any]) -> str:
    """Return how a group is called: a variant by its own name, other settings as KEY=VALUE."""
    parts = [str(value) if key == "variant" else f"{key}={value}" for key, value in settings.items()]
    return ", ".join(parts) or "all runs"


def _baseline(groups: Sequence[Group], wanted: str | None) -> Group:
    """Return the group that is the baseline."""
    if wanted is None:
        defaults = dict(flatten(Experiment().model_dump(mode="json")))
        usual = [group for group in groups if all(defaults[key] == value for key, value in group.settings.items())]
        return (usual or groups)[0]
    key, equals, text = wanted.partition("=")
    if equals and not Path(wanted).exists():
        fitting = [group for group in groups if str(group.settings.get(key)) == text]
    else:
        place = Path(wanted).resolve()
        fitting = [group for group in groups if place in {fold.run.path.resolve() for fold in group.folds.values()}]
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
        notes.append(
            f"{lonely} folds of {group.name} and {base.name} have no counterpart in the other and are left out"
        )
    lengths = {fold.record["iterations"] for pair in pairs for fold in pair}
    if len(lengths) > 1:
        told = " and ".join(map(str, sorted(lengths)))
        notes.append(f"{group.name} and {base.name} were trained for different lengths, {told} iterations")
    try:
        difference = paired_difference([_Pair.read(*pair) for pair in pairs])
    except QM7Error as error:
        return group._replace(verdict=f"{group.name} cannot be compared with {base.name}: {error}")
    return group._replace(difference=difference, verdict=_verdict(group.name, base.name, difference))


def _statistics(folds: dict[Key, FoldOf], metric: str) -> Statistics | None:
    if not folds:
        return None
    numbers, seeds = ({key[part] for key in folds} for part in (slice(1), slice(1, None)))
    values = {key: fold.record[metric] for key, fold in folds.items()}
    mean = statistics.fmean(values.values())
    if len(folds) < len(numbers) * len(seeds):
        return Statistics(mean, None, None)
    by_fold = [statistics.fmean(values[number + seed] for seed in seeds) for number in sorted(numbers)]
    by_seed = [statistics.fmean(values[number + seed] for number in sorted(numbers)) for seed in seeds]
    return Statistics(mean, *(statistics.pstdev(means) if len(means) > 1 else None for means in (by_fold, by_seed)))


class _Pair(NamedTuple):
    """The test molecules of two folds, the difference of their absolute errors, and n_test / n_train."""

    molecules: NDArray[np.intp]
    differences: NDArray[np.float64]
    ratio: float

    @classmethod
    def read(cls, fold: FoldOf, base: FoldOf) -> "_Pair":
        """Read the predictions of two folds; raises QM7Error if they are not of the same molecules."""
        ours, theirs = read_predictions(fold), read_predictions(base)
        if not np.array_equal(ours[:2], theirs[:2]):
            raise QM7Error(
                f"fold {fold.record['fold']} of {fold.run.path} and of {base.run.path} have different test molecules"
            )
        trained = (
            len(load_model(fold_directory(each.run.path, each.record["fold"]) / "model.npz").train)
            for each in (fold, base)
        )
        errors, base_errors = (np.abs(table[2] - table[1]) for table in (ours, theirs))
        return cls(ours[0].astype(np.intp), errors - base_errors, len(errors) / min(trained))


def read_predictions(fold: FoldOf) -> NDArray[np.float64]:
    """Return molecule, target and prediction (kcal/mol) of a fold's test molecules, (3, molecules).

    Raises
    ------
    QM7Error
        If ``predictions.csv`` is missing or damaged.
    """
    path = fold_directory(fold.run.path, fold.record["fold"]) / "predictions.csv"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
        table = np.loadtxt(lines, delimiter=",", usecols=(0, 1, 2), ndmin=2) if lines else np.empty((0, 3))
    except FileNotFoundError as error:
        raise QM7Error(f"{path} is missing") from error
    except (OSError, ValueError, IndexError) as error:
        raise QM7Error(f"{path} is damaged: {error}") from error
    if not len(table) or not np.isfinite(table).all():
        raise QM7Error(f"{path} is damaged: it lacks predictions")
    return table.T  # (3, molecules)


def paired_difference(pairs: Sequence[_Pair]) -> Difference:
    """Return the mean difference over pairs and its intervals; raises QM7Error if there is no pair."""
    if not pairs:
        raise QM7Error("no fold of one agrees with a fold of the other in number and all other settings")
    means = np.array([pair.differences.mean() for pair in pairs])
    interval = _corrected_t(means, statistics.fmean(pair.ratio for pair in pairs)) if len(pairs) > 1 else None
    return Difference(float(means.mean()), len(pairs), _bootstrap(pairs), interval)


def _corrected_t(means: NDArray[np.float64], ratio: float) -> Interval:
    """Return the interval of Nadeau & Bengio (2003) for the mean of the pairs' differences."""
    from scipy.special import stdtrit  # noqa: PLC0415

    error = math.sqrt((1 / len(means) + ratio) * means.var(ddof=1))
    margin = stdtrit(len(means) - 1, (1 + LEVEL) / 2) * error
    return float(means.mean() - margin), float(means.mean() + margin)


def _bootstrap(pairs: Sequence[_Pair]) -> Interval | None:
    """Return the interval of the mean difference with each fold's molecules drawn anew, for all seeds alike."""
    from scipy.stats import bootstrap  # noqa: PLC0415

    strata: dict[bytes, list[NDArray[np.float64]]] = {}
    for pair in pairs:
        strata.setdefault(pair.molecules.tobytes(), []).append(pair.differences)
    if any(len(members[0]) < 2 for members in strata.values()):
        return None
    samples = [np.mean(members, axis=0) for members in strata.values()]  # (molecules,) each
    weights = [len(members) / len(pairs) for members in strata.values()]

    def mean(*drawn: NDArray[np.float64], axis: int) -> Any:
        return sum(weight * sample.mean(axis=axis) for weight, sample in zip(weights, drawn, strict=True))

    result = bootstrap(
        samples, mean, n_resamples=RESAMPLES, batch=100, method="percentile", confidence_level=LEVEL, rng=0
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _verdict(name: str, base: str, difference: Difference) -> str:
    """Say in words what a difference shows."""
    better = difference.mean < 0
    if difference.mean == 0:
        return f"{name} has the same mean error as {base} ({difference.pairs} pairs): no difference shown"
    if difference.interval is None:
        digits = 2
        shown = "1 pair): one pair shows no difference"
    else:
        low, high = (-difference.interval[1], -difference.interval[0]) if better else difference.interval
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
        for name, interval in (("bootstrap", "bootstrap"), ("t_test", "interval")):
            bounds = getattr(group.difference, interval, None) or (None, None)
            record |= {f"{name}_low": bounds[0], f"{name}_high": bounds[1]}
        record |= {"pairs": getattr(group.difference, "pairs", None), "verdict": group.verdict}
        yield record
