"""Runs that were made, found in directories, and their folds as one table.

A run that cannot be used does not stop the others::

    runs, unusable = read_runs(find_directories([Path("runs")]), read_run)
    records = collect_folds(runs)
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from qm7cli.core.errors import QM7Error
from qm7cli.core.validation import flatten
from qm7cli.model.metrics import METRICS
from qm7cli.runs.config import trained_folds
from qm7cli.runs.experiment import Experiment, unused_keys
from qm7cli.runs.results import FoldResult, RunResults, read_results

Read = TypeVar("Read")


class Run(NamedTuple):
    """A run's directory and its results.

    `settings` has all but the folds, by dotted key; the data set and a split file by their names, wherever they lie.
    Settings that the network or the baseline does not use are left out.
    """

    path: Path
    settings: dict[str, Any]
    results: RunResults


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
            unusable.append(Unusable(QM7Error(_no_run(path)), given=True))
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


def _no_run(path: Path) -> str:
    if not path.is_dir():
        return f"{path} is not a run: it {'is a file' if path.exists() else 'does not exist'}"
    return f"{path} is not a run, and there is none below it: there is no results.yaml and no fold-*/model.npz"


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
    results = read_results(run)
    settings = dict(flatten(results.config.model_dump(mode="json")))
    del settings["split.folds"]
    settings |= {"data": results.dataset.name, "split.scheme": Path(results.config.split.scheme).name}
    for key in unused_keys(results.config):
        del settings[key]
    return Run(run, settings, results)


def differing_settings(runs: Sequence[Run]) -> list[str]:
    """Return the dotted keys of the settings in which some runs differ."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for key, value in run.settings.items():
            values.setdefault(key, set()).add(json.dumps(value))
    order = [key for key, _ in flatten(Experiment().model_dump())]
    return sorted((key for key, different in values.items() if len(different) > 1), key=order.index)


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
