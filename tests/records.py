"""Runs that are made in memory, number by number, where only what is said of them is tested."""

from pathlib import Path

from qm7cli.core.validation import flatten
from qm7cli.runs.access import DatasetRecord
from qm7cli.runs.collect import Run
from qm7cli.runs.experiment import resolve, unused_keys
from qm7cli.runs.results import FoldResult, HistoryRow, RunResults


def make_run(name, settings=(), maes=(), *, dataset="small", sha256="0", **changes):
    """Return a run with such test MAEs by fold; None is a fold that diverged.

    `maes` is a list, or a dictionary by fold; `changes` are of every fold's result.
    """
    experiment = resolve(None, list(settings), {})
    of_all = {"iterations": experiment.iterations, "seconds": 1, "train_molecules": 48, "test_molecules": 12}
    folds = [
        FoldResult(**{"fold": fold, "mae": mae, "rmse": mae, **of_all, **outcome(fold, mae), **changes})
        for fold, mae in (maes.items() if isinstance(maes, dict) else enumerate(maes))
    ]
    record = DatasetRecord(name=dataset, sha256=sha256, molecules=60)
    results = RunResults(dataset=record, folds=folds, config=experiment)
    known = dict(flatten(experiment.model_dump(mode="json"))) | {"data": dataset}
    left = {key: value for key, value in known.items() if key not in {"split.folds", *unused_keys(experiment)}}
    return Run(Path(name), left, results)


def outcome(fold, mae):
    """Return what a fold's result says of its end; a fold diverges a bit later than the one before."""
    if mae is not None:
        return {"status": "complete"}
    iteration = 12503 + fold
    return {"status": "diverged", "iterations": iteration - 1, "diverged_at": iteration, "rate": 0.01}


def change(run, fold, **changes):
    """Return a run in which a fold's result has other values."""
    folds = [each.model_copy(update=changes if each.fold == fold else {}) for each in run.results.folds]
    return run._replace(results=run.results.model_copy(update={"folds": folds}))


def evaluated(run, *histories):
    """Return a run whose folds were evaluated on the way; each history has the test MAE by iteration."""
    rows = [[HistoryRow(iteration, 0, *4 * [mae]) for iteration, mae in history.items()] for history in histories]
    folds = [fold.model_copy(update={"history": own}) for fold, own in zip(run.results.folds, rows, strict=True)]
    return run._replace(results=run.results.model_copy(update={"folds": folds}))
