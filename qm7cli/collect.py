"""Runs that were made, found in directories, and their folds as one table."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from qm7cli.config import Experiment, idle, validate
from qm7cli.errors import QM7Error
from qm7cli.mistakes import flatten
from qm7cli.results import FoldResult, read_results

FOLD_COLUMNS: Final = (
    "fold",
    "status",
    "iterations",
    "mae",
    "rmse",
    "train_mae",
    "train_rmse",
    "seconds",
    "train_molecules",
    "test_molecules",
)


class Run(NamedTuple):
    """A run's directory and what its ``results.yaml`` holds.

    `settings` are all by dotted key, but the folds; the data set and a split file by their names, wherever they lie.
    Those that make no difference to the network or the baseline are left out.
    """

    path: Path
    settings: dict[str, Any]
    results: dict[str, Any]


class DatasetRecord(BaseModel):
    """What a run's results tell of its data set, as far as it is used here."""

    name: str
    sha256: str
    molecules: Annotated[int, Field(ge=1)] | None = None


class EnvironmentRecord(BaseModel):
    """What a run's results tell of where they were made, as far as it has a form: what differs by fold."""

    folds: dict[int, dict[str, Any]] = {}


class Results(BaseModel):
    """What is used here of a ``results.yaml``, beside the configuration."""

    dataset: DatasetRecord
    folds: Annotated[list[FoldResult], Field(min_length=1)]
    environment: EnvironmentRecord


def find_runs(paths: Iterable[Path]) -> list[Run]:
    """Return the runs at or below some paths, each once, in the order of the paths and of the names below.

    Raises
    ------
    QM7Error
        If there is none at or below a path, or a ``results.yaml`` is damaged.
    """
    found: dict[str, Path] = {}
    for path in paths:
        files = [path / "results.yaml"] if (path / "results.yaml").exists() else sorted(path.rglob("results.yaml"))
        if not files:
            raise QM7Error(f"{path} is no run, and there is none below it: there is no results.yaml")
        for file in files:
            found.setdefault(os.path.realpath(file.parent), file.parent)
    return [_read(run) for run in found.values()]


def _read(run: Path) -> Run:
    path, results = run / "results.yaml", read_results(run)
    experiment = validate(results.get("config"), f"{path}: config: ")
    try:
        checked = Results.model_validate(results)
    except ValidationError as error:
        first = error.errors()[0]
        raise QM7Error(f"{path} is damaged: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    settings = dict(flatten(experiment.model_dump(mode="json")))
    del settings["split.folds"]
    settings |= {"data": checked.dataset.name, "split.scheme": Path(experiment.split.scheme).name}
    for key in idle(experiment):
        del settings[key]
    return Run(run, settings, results | {"folds": [fold.record() for fold in checked.folds]})


def differing_settings(runs: Sequence[Run]) -> list[str]:
    """Return the dotted keys of the settings in which some runs differ."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for key, value in run.settings.items():
            values.setdefault(key, set()).add(json.dumps(value))
    order = [key for key, _ in flatten(Experiment().model_dump())]
    return sorted((key for key, different in values.items() if len(different) > 1), key=order.index)


def collect(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return a record for each fold of some runs: the run, the settings in which they differ, and the result."""
    keys = [key for key in differing_settings(runs) if key != "training.iterations"]  # a column of its own
    return [
        {
            "run": str(run.path),
            **{key: run.settings.get(key) for key in keys},
            **{name: fold.get(name) for name in FOLD_COLUMNS},
        }
        for run in runs
        for fold in run.results["folds"]
    ]
