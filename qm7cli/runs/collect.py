"""Runs that were made, found in directories, and their folds as one table."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from qm7cli.core.errors import QM7Error
from qm7cli.core.validation import flatten
from qm7cli.model.metrics import METRICS
from qm7cli.runs.access import trained_folds
from qm7cli.runs.experiment import DEFAULTS, unused_keys
from qm7cli.runs.results import FoldResult, RunResults, read_results

Read = TypeVar("Read")


class Run(NamedTuple):
    """A run's directory, its settings and its results."""

    path: Path
    settings: dict[str, Any]  # those of use but the folds, by dotted key; data set and split file without place
    results: RunResults

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.results!r})"


class RunFold(NamedTuple):
    """A fold of a run; it is complete where its errors are asked for, and may have diverged elsewhere."""

    run: Run
    result: FoldResult

    @property
    def mae(self) -> float:
        """Test MAE, kcal/mol."""
        return cast("float", self.result.mae)

    @property
    def rmse(self) -> float:
        """Test RMSE, kcal/mol."""
        return cast("float", self.result.rmse)


class Unusable(NamedTuple):
    """Why a run is left out, and whether its path was given, rather than found below one that was."""

    error: QM7Error
    given: bool


class Directories(NamedTuple):
    """The directories of runs, each with whether it was given, and what was given and has no run."""

    runs: dict[Path, bool]
    unusable: list[Unusable]


def find_directories(paths: Iterable[Path]) -> Directories:
    """Find the runs at or below some paths, each once, in the order of the paths and of the names below.

    A directory is a run if it has a ``results.yaml`` or the model of a fold; neither is read yet.
    """
    found: dict[str, tuple[Path, bool]] = {}
    unusable: list[Unusable] = []
    for path in paths:
        runs = _search(path)
        if not runs:
            reason = "is not a run, and there is none below it: there is no results.yaml and no fold-*/model.npz"
            if not path.is_dir():
                reason = f"is not a run: it {'is a file' if path.exists() else 'does not exist'}"
            unusable.append(Unusable(QM7Error(f"{path} {reason}"), given=True))
        for run in runs:
            place = os.path.realpath(run)
            first, given = found.get(place, (run, False))
            found[place] = first, given or runs == [path]  # not where a stray file above other runs makes it a run
    return Directories(dict(found.values()), unusable)


def _search(path: Path) -> list[Path]:
    """Return the runs at or below a path, by name; links that lead back above themselves are not followed."""
    found = []
    for directory, below, files in os.walk(path, followlinks=True):
        here = os.path.realpath(directory)
        below[:] = [name for name in below if not f"{here}/".startswith(os.path.realpath(f"{directory}/{name}") + "/")]
        if "results.yaml" in files or trained_folds(Path(directory)):
            found.append(Path(directory))
    return sorted(found)


def read_runs(directories: Directories, read: Callable[[Path], Read]) -> tuple[list[Read], list[Unusable]]:
    """Return what `read` makes of each run, and what is left out: also the runs where it raises QM7Error."""
    made: list[Read] = []
    unusable = [*directories.unusable]
    for run, given in directories.runs.items():
        try:
            made.append(read(run))
        except QM7Error as error:
            unusable.append(Unusable(error, given))
    return made, unusable


def find_runs(paths: Iterable[Path]) -> list[Run]:
    """Return the runs at or below some paths, in order; raises QM7Error if a path has none, or one is damaged."""
    runs, unusable = read_runs(find_directories(paths), read_run)
    if unusable:
        raise unusable[0].error
    return runs


def read_run(run: Path) -> Run:
    """Read the results of the run in a directory; raises QM7Error if there are none, or they are damaged."""
    return as_run(run, read_results(run))


def as_run(run: Path, results: RunResults) -> Run:
    """Return the run in a directory that has these results."""
    settings = dict(flatten(results.config.model_dump(mode="json")))
    settings |= {"data": results.dataset.name, "split.scheme": Path(results.config.split.scheme).name}
    unused = {"split.folds", *unused_keys(results.config)}
    return Run(run, {key: value for key, value in settings.items() if key not in unused}, results)


def differing_settings(runs: Sequence[Run]) -> list[str]:
    """Return the dotted keys of the settings in which some runs differ."""
    values: dict[str, set[str]] = {key: set() for key in DEFAULTS}
    for run in runs:
        for key, value in run.settings.items():
            values[key].add(json.dumps(value))
    return [key for key, different in values.items() if len(different) > 1]


def collect_folds(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return a record for each fold of some runs: the run, the settings in which they differ, and the result."""
    keys = [key for key in differing_settings(runs) if key != "training.iterations"]  # a column of its own
    columns = ("fold", "status", "iterations", *METRICS, "seconds", "train_molecules", "test_molecules")
    return [
        {
            "run": str(run.path),
            **{key: run.settings.get(key) for key in keys},
            **{name: getattr(result, name) for name in columns},
            "reason": result.reason,
        }
        for run in runs
        for result in run.results.folds
    ]
