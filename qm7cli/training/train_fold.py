"""Training one fold of a run, from the start, from its checkpoint, or not at all if it is finished.

    runs/NAME/fold-0/result.yaml       status, errors, and those on the way
    runs/NAME/fold-0/checkpoint.npz    all that an exact resume needs
    runs/NAME/fold-0/model.npz         the averaged network, when finished
    runs/NAME/fold-0/predictions.csv   of the test molecules, when finished

The evaluations on the way choose nothing: the model is the averaged network after the last iteration.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from qm7cli.core.errors import QM7Error, StoppedError
from qm7cli.data.dataset import Dataset
from qm7cli.data.splits import Fold
from qm7cli.model.domain import Domain
from qm7cli.model.model import save_model
from qm7cli.runs.experiment import Experiment
from qm7cli.runs.predictions import write_predictions
from qm7cli.runs.results import FoldResult, write_fold_alone
from qm7cli.training.claim_fold import FoldWork, Progress, Report, claim_fold, too_long
from qm7cli.training.descent import DivergenceError
from qm7cli.training.fold_training import FoldTraining


def evaluation_due(iteration: int, every: int) -> bool:
    """Say whether an interim evaluation comes after `iteration`: 1, 2, 5 x 10^k from 1,000 on, and each `every`."""
    return iteration % every == 0 or (iteration >= 1000 and str(iteration).rstrip("0") in {"1", "2", "5"})


def train_fold(
    experiment: Experiment,
    dataset: Dataset,
    fold: Fold,
    run: Path,
    report: Report = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> FoldResult:
    """Train one fold of a run.

    Parameters
    ----------
    experiment, dataset, fold
        The settings, the molecules, and which of them are held out.
    run : Path
        The run's directory, prepared by `qm7cli.runs.access.prepare_run`.
    report : callable
        Called with the progress about every tenth of a second, and after each evaluation.
    stopped : callable
        Asked after each iteration and often in an evaluation; when true, the checkpoint is written and the result is
        ``partial``. An interrupted evaluation is done when the training goes on.

    Returns
    -------
    FoldResult
        As written to the fold's ``result.yaml``.

    Raises
    ------
    StoppedError
        If stopped while waiting for the run's lock.
    QM7Error
        If another process trains this fold, a file of it is damaged or cannot be written, or it has been trained
        for longer than `experiment` asks.
    """
    with claim_fold(experiment, dataset, fold, run, stopped) as work, np.errstate(all="ignore"):
        if work.finished is not None:
            return work.finished
        training = _open_training(work)
        work.begin(_partial(work, training))
        try:
            _advance(work, training, report)
            result = _finish(work, training)
        except StoppedError:
            training.save(work.directory / "checkpoint.npz")
            result = _partial(work, training)
        except DivergenceError as error:
            place = {"diverged_at": error.iteration, "rate": error.rate}
            result = work.result("diverged", training.iteration, training.seconds, history=training.history, **place)
        work.write(result)
        report(Progress(run, fold.number, result.iterations, experiment.training.iterations, result.mae))
        return result


def _open_training(work: FoldWork) -> FoldTraining:
    """Return the training from its checkpoint, or from the start if the fold has none yet."""
    path, wanted = work.directory / "checkpoint.npz", work.experiment.training.iterations
    if not path.exists():
        if work.before is not None and work.before.status == "complete":
            trained = f"the {work.before.iterations} iterations that are done cannot go on to {wanted}"
            raise QM7Error(f"{path} is missing: {trained}; --overwrite trains it from the start")
        return FoldTraining(work.experiment, work.dataset, work.fold)
    training = FoldTraining.resume(work.experiment, work.dataset, work.fold, path)
    if training.iteration > wanted:
        raise too_long(work.run, work.fold.number, training.iteration, wanted)
    return training


def _partial(work: FoldWork, training: FoldTraining) -> FoldResult:
    return work.result("partial", training.iteration, training.seconds, history=training.history)


def _advance(work: FoldWork, training: FoldTraining, report: Report) -> None:
    """Train to the end, with evaluations and checkpoints on the way; raises StoppedError if stopped."""
    settings = training.experiment.training
    begun = time.perf_counter() - training.seconds
    reported = training.seconds
    if training.iteration < settings.iterations:
        _evaluate_if_due(work, training, report)  # a stop may have kept it from being done
    while training.iteration < settings.iterations:
        if work.stopped():
            raise StoppedError(f"fold {work.fold.number}: stopped after iteration {training.iteration}")
        training.iterate()
        training.seconds = time.perf_counter() - begun
        if training.iteration == settings.iterations:
            break
        _evaluate_if_due(work, training, report)
        if training.iteration % settings.checkpoint_every == 0:
            training.save(work.directory / "checkpoint.npz")
        if training.seconds > reported + 0.1:
            reported = training.seconds
            report(Progress(work.run, work.fold.number, training.iteration, settings.iterations))


def _evaluate_if_due(work: FoldWork, training: FoldTraining, report: Report) -> None:
    """Evaluate the network as it is now, if that is due and not done yet, and add it to the history."""
    experiment = training.experiment
    done = training.history[-1][0] if training.history else 0
    if training.iteration == done or not evaluation_due(training.iteration, experiment.evaluation.every):
        return
    test, train = training.evaluate(work.stopped)
    training.history.append(training.history_row(test, train))
    write_fold_alone(work.run, _partial(work, training))
    report(Progress(work.run, work.fold.number, training.iteration, experiment.training.iterations, test.mae))


def _finish(work: FoldWork, training: FoldTraining) -> FoldResult:
    """Evaluate the trained network and write all files of the fold but its result, the checkpoint first.

    If one cannot be written, those of a shorter training stay. Raises StoppedError, before any is written, if stopped.
    """
    test, train = training.evaluate(work.stopped)
    row = training.history_row(test, train)
    earlier = [old for old in training.history if old[0] < training.iteration]
    # A longer training must find the rows that it would have had without this end.
    due = evaluation_due(training.iteration, training.experiment.evaluation.every)
    training.history = [*earlier, row] if due else earlier
    training.save(work.directory / "checkpoint.npz")
    domain = Domain.of(training.dataset, training.fold.train, training.fold.test)
    save_model(work.directory / "model.npz", replace(training.model(), domain=domain, interval=test.interval))
    write_predictions(work.run, work.fold.number, test, training.dataset)
    errors = test.errors("test") | train.errors("train")
    return work.result("complete", training.iteration, training.seconds, history=[*earlier, row], **errors)
