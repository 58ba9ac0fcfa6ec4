"""Training one fold of a run, from the start, from its checkpoint, or not at all if it is finished.

    runs/NAME/fold-0/checkpoint.npz    all that an exact resume needs
    runs/NAME/fold-0/history.csv       errors on the way
    runs/NAME/fold-0/model.npz         the averaged network, when finished
    runs/NAME/fold-0/predictions.csv   of the test molecules, when finished

The evaluations on the way choose nothing: the model is the averaged network after the last iteration.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from qm7cli.config import Experiment
from qm7cli.dataset import Dataset
from qm7cli.directory import fold_directory
from qm7cli.domain import Domain
from qm7cli.engine import DivergenceError, FoldTraining
from qm7cli.errors import QM7Error, StoppedError
from qm7cli.evaluation import save_model
from qm7cli.history import write_history
from qm7cli.predictions import write_predictions
from qm7cli.results import FoldResult, read_fold, repair_results, write_fold
from qm7cli.run_directory import lock_fold, register_fold
from qm7cli.splits import Fold


class Progress(NamedTuple):
    """Where a fold's training stands, in iterations, or in another `unit`.

    `mae` is the test MAE in kcal/mol when an evaluation has just been done, else None.
    """

    run: Path
    fold: int
    iteration: int
    iterations: int
    mae: float | None = None
    unit: str = "iteration"


def evaluation_due(iteration: int, every: int) -> bool:
    """Say whether an interim evaluation comes after `iteration`: 1, 2, 5 x 10^k from 1,000 on, and each `every`."""
    return iteration % every == 0 or (iteration >= 1000 and str(iteration).rstrip("0") in {"1", "2", "5"})


def train_fold(
    experiment: Experiment,
    dataset: Dataset,
    fold: Fold,
    run: Path,
    report: Callable[[Progress], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> FoldResult:
    """Train one fold of a run: from the start, from its checkpoint, or not at all if it is finished.

    Parameters
    ----------
    experiment : Experiment
        The settings.
    dataset : Dataset
        The molecules.
    fold : Fold
        Which of them are held out.
    run : Path
        The run's directory, opened with `qm7cli.run_directory.prepare_run`.
    report : callable
        Called with the progress about every tenth of a second, and after each evaluation.
    stopped : callable
        Asked after each iteration and often in an evaluation; when true, the checkpoint is written and the result is
        ``partial``. An evaluation that this ends is done when the training goes on.

    Returns
    -------
    FoldResult
        As written to the fold's ``result.yaml``.

    Raises
    ------
    StoppedError
        If stopped while waiting for the run's lock: the same call goes on from what is there.
    QM7Error
        If another process trains this fold, a file of it is damaged or cannot be written, or it has been trained
        for longer than `experiment` asks.
    """
    directory = fold_directory(run, fold.number)
    wanted = experiment.training.iterations
    with lock_fold(run, fold.number), threadpool_limits(1), np.errstate(all="ignore"):
        before = read_fold(run, fold.number)
        if before is not None:
            if before.iterations > wanted:
                raise _too_long(run, before.fold, before.iterations, wanted)
            if before.status == "diverged" or (before.status == "complete" and before.iterations == wanted):
                repair_results(run, before, dataset, stopped)
                return before
            if before.iterations and not (directory / "checkpoint.npz").exists():
                raise QM7Error(f"{directory}/checkpoint.npz is missing; --overwrite trains this fold from the start")
        if (directory / "checkpoint.npz").exists():
            training = FoldTraining.resume(experiment, dataset, fold, directory / "checkpoint.npz")
        else:
            training = FoldTraining(experiment, dataset, fold)
        if training.iteration > wanted:
            raise _too_long(run, fold.number, training.iteration, wanted)
        register_fold(run, experiment, fold.number, dataset, stopped)
        write_fold(run, _partial(training), dataset, stopped)
        try:
            _advance(training, run, report, stopped)
            result = _finish(training, run, stopped)
        except StoppedError:
            training.save(directory / "checkpoint.npz")
            result = _partial(training)
        except DivergenceError as divergence:
            result = _partial(training).model_copy(update={"status": "diverged", "reason": str(divergence)})
        result = write_fold(run, result, dataset, stopped)
        report(Progress(run, fold.number, result.iterations, wanted, result.mae))
        return result


def _too_long(run: Path, fold: int, iterations: int, wanted: int) -> QM7Error:
    return QM7Error(
        f"fold {fold} of {run} has been trained for {iterations} iterations, more than the {wanted} asked for; "
        "choose another --out, or --overwrite it"
    )


def _partial(training: FoldTraining) -> FoldResult:
    return FoldResult(
        fold=training.fold.number,
        status="partial",
        iterations=training.iteration,
        seconds=round(training.seconds, 1),
        train_molecules=len(training.fold.train),
        test_molecules=len(training.fold.test),
    )


def _advance(
    training: FoldTraining, run: Path, report: Callable[[Progress], None], stopped: Callable[[], bool]
) -> None:
    """Train to the end, with evaluations and checkpoints on the way; raises StoppedError if stopped."""
    experiment, directory = training.experiment, fold_directory(run, training.fold.number)
    wanted = experiment.training.iterations
    begun = time.perf_counter() - training.seconds
    reported = training.seconds
    if training.iteration < wanted:
        _evaluate_if_due(training, run, report, stopped)  # a stop may have kept it from being done
    while training.iteration < wanted:
        if stopped():
            raise StoppedError(f"fold {training.fold.number}: stopped after iteration {training.iteration}")
        training.iterate()
        training.seconds = time.perf_counter() - begun
        if training.iteration == wanted:
            break
        _evaluate_if_due(training, run, report, stopped)
        if training.iteration % experiment.training.checkpoint_every == 0:
            training.save(directory / "checkpoint.npz")
        if training.seconds > reported + 0.1:
            reported = training.seconds
            report(Progress(run, training.fold.number, training.iteration, wanted))


def _evaluate_if_due(
    training: FoldTraining, run: Path, report: Callable[[Progress], None], stopped: Callable[[], bool]
) -> None:
    """Evaluate the network as it is now, if that is due and not done yet, and add it to the history."""
    experiment, fold = training.experiment, training.fold.number
    done = training.history[-1][0] if training.history else 0
    if training.iteration == done or not evaluation_due(training.iteration, experiment.evaluation.every):
        return
    test, train = training.evaluate(stopped)
    training.history.append(training.history_row(test, train))
    write_history(run, fold, training.history)
    report(Progress(run, fold, training.iteration, experiment.training.iterations, test.mae))


def _finish(training: FoldTraining, run: Path, stopped: Callable[[], bool]) -> FoldResult:
    """Evaluate the trained network and write all files of the fold but its result, the checkpoint first.

    If one cannot be written, those of a shorter training stay. Raises StoppedError, before any is written, if stopped.
    """
    directory = fold_directory(run, training.fold.number)
    test, train = training.evaluate(stopped)
    row = training.history_row(test, train)
    earlier = [old for old in training.history if old[0] < training.iteration]
    # A longer training must find the rows that it would have had without this end.
    due = evaluation_due(training.iteration, training.experiment.evaluation.every)
    training.history = [*earlier, row] if due else earlier
    training.save(directory / "checkpoint.npz")
    write_history(run, training.fold.number, [*earlier, row])
    domain = Domain.of(training.dataset, training.fold.train)
    save_model(directory / "model.npz", replace(training.model(), domain=domain))
    write_predictions(run, training.fold.number, test, training.dataset)
    return FoldResult(
        fold=training.fold.number,
        status="complete",
        mae=test.mae,
        rmse=test.rmse,
        train_mae=train.mae,
        train_rmse=train.rmse,
        iterations=training.iteration,
        seconds=round(training.seconds, 1),
        train_molecules=len(training.fold.train),
        test_molecules=len(training.fold.test),
    )
