"""Training one fold of a run, from the start, from its checkpoint, or not at all if it is finished.

The evaluations on the way choose nothing: the model is the averaged network after the last iteration.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from qm7cli.core.errors import QM7Error, StoppedError
from qm7cli.data.dataset import Dataset
from qm7cli.data.splits import Fold
from qm7cli.model.model import save_model
from qm7cli.runs.experiment import Experiment
from qm7cli.runs.results import FoldResult, write_fold_alone
from qm7cli.training.claim_fold import FoldWork, Report, claim_fold, too_long
from qm7cli.training.fold_training import DivergenceError, FoldTraining


def train_fold(
    experiment: Experiment,
    dataset: Dataset,
    fold: Fold,
    run: Path,
    report: Report = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> FoldResult:
    """Train one fold of a run, or fit the experiment's baseline to it; return its result, as it is written.

    `qm7cli.runs.access.prepare_run` has prepared the run's directory. `report` is called about every tenth of a second,
    and after each evaluation. `stopped` is asked often; when true, the checkpoint is written, the result ``partial``.

    Raises QM7Error as `claim_fold`, and if a file of the fold is damaged or cannot be written.
    """
    with claim_fold(experiment, dataset, fold, run, report, stopped) as work:
        if work.finished is not None:
            return work.finished
        if experiment.baseline.model:
            from qm7cli.training.baselines import fit_baseline  # noqa: PLC0415 - slow to import, and seldom needed

            return fit_baseline(work)
        with np.errstate(all="ignore"):
            return _train_network(work)


def _train_network(work: FoldWork) -> FoldResult:
    training = _open_training(work)
    work.begin(_partial(work, training))
    try:
        _advance(work, training)
        result = _finish(work, training)
    except StoppedError:
        training.save(work.directory / "checkpoint.npz")
        result = _partial(work, training)
    except DivergenceError as error:
        place = {"diverged_at": error.iteration, "rate": error.rate}
        result = work.result("diverged", training.iteration, training.seconds, history=training.history, **place)
    work.write(result)
    work.report_progress(result.iterations, work.experiment.iterations, result.mae)
    return result


def _open_training(work: FoldWork) -> FoldTraining:
    """Return the training from its checkpoint, or from the start if the fold has none yet."""
    path, wanted = work.directory / "checkpoint.npz", work.experiment.iterations
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


def _advance(work: FoldWork, training: FoldTraining) -> None:
    """Train to the end, with evaluations and checkpoints on the way; raises StoppedError if stopped."""
    settings = work.experiment.training
    begun = time.perf_counter() - training.seconds
    reported = training.seconds
    if training.iteration < settings.iterations:
        _evaluate_if_due(work, training)  # a stop may have kept it from being done
    while training.iteration < settings.iterations:
        if work.stopped():
            raise StoppedError(f"fold {work.fold.number}: stopped after iteration {training.iteration}")
        training.iterate()
        training.seconds = time.perf_counter() - begun
        if training.iteration == settings.iterations:
            break
        _evaluate_if_due(work, training)
        if training.iteration % settings.checkpoint_every == 0:
            training.save(work.directory / "checkpoint.npz")
        if training.seconds > reported + 0.1:
            reported = training.seconds
            work.report_progress(training.iteration, settings.iterations)


def evaluation_due(iteration: int, every: int | None) -> bool:
    """Say whether an interim evaluation comes after `iteration`: 1, 2, 5 x 10^k from 1,000 on, and each `every`."""
    if every is None:
        return False
    return iteration % every == 0 or (iteration >= 1000 and str(iteration).rstrip("0") in {"1", "2", "5"})


def _evaluate_if_due(work: FoldWork, training: FoldTraining) -> None:
    """Evaluate the network as it is now, if that is due and not done yet, and add it to the history."""
    done = training.history[-1].iteration if training.history else 0
    if training.iteration == done or not evaluation_due(training.iteration, work.experiment.evaluation.every):
        return
    test, train = training.evaluate(work.stopped)
    training.history.append(training.history_row(test, train))
    write_fold_alone(work.run, _partial(work, training))
    work.report_progress(training.iteration, work.experiment.iterations, test.mae)


def _finish(work: FoldWork, training: FoldTraining) -> FoldResult:
    """Evaluate the trained network and write all files of the fold but its result; raises StoppedError if stopped."""
    test, train = training.evaluate(work.stopped)
    row = training.history_row(test, train)
    earlier = [old for old in training.history if old.iteration < training.iteration]
    # A longer training must find the rows that it would have had without this end.
    due = evaluation_due(training.iteration, work.experiment.evaluation.every)
    training.history = [*earlier, row] if due else earlier
    training.save(work.directory / "checkpoint.npz")
    work.write_model(save_model, training.model(), test)
    errors = test.errors("test") | train.errors("train")
    return work.result("complete", training.iteration, training.seconds, history=[*earlier, row], **errors)
