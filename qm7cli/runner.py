"""Jobs to executors: the folds of a run, in this process or several at a time, and the many jobs of a sweep.

A job's outcome is a result, or the error that says why there is none; the others go on.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from queue import Empty, SimpleQueue

from qm7cli.config import Experiment
from qm7cli.dataset import Dataset
from qm7cli.errors import QM7Error
from qm7cli.jobs import Executor, Job, LostError, Outcome, Report, do_job, failed
from qm7cli.processes import ProcessExecutor
from qm7cli.run_directory import open_run
from qm7cli.splits import chosen_folds, pinned


def train_run(
    experiment: Experiment,
    dataset: Dataset,
    run: Path,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    report: Report = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[int, Outcome]:
    """Train the folds of an experiment, each from where it stands.

    Parameters
    ----------
    experiment : Experiment
        The settings, `split.folds` included.
    dataset : Dataset
        The molecules.
    run : Path
        The run's directory, made if absent.
    jobs : int
        Folds trained at a time; 1 trains in this process, more in processes of their own.
    overwrite : bool
        Remove what the directory has of these folds first.
    report : callable
        Called with the progress of any fold, in this process.
    stopped : callable
        Asked often; when true, folds in training write their checkpoints and no further fold is begun.

    Returns
    -------
    dict
        For each fold that was begun its result, or the error that says why there is none.

    Raises
    ------
    QM7Error
        If there is no such fold, or the directory cannot be used (`qm7cli.run_directory.open_run`).
    """
    experiment = experiment.model_copy(update={"split": pinned(experiment.split)})
    chosen = chosen_folds(dataset, experiment.split)
    folds = [fold.number for fold in chosen]
    if stopped():
        return {}
    if experiment.baseline.model:
        from qm7cli.baselines import refuse  # noqa: PLC0415 - slow to import, and seldom needed

        for fold in chosen:
            refuse(experiment, dataset, fold)
    open_run(run, experiment, folds, dataset, overwrite=overwrite)
    work = [Job(run, experiment, fold) for fold in folds]
    if jobs > 1 and len(folds) > 1:
        with ProcessExecutor(min(jobs, len(folds)), report) as executor:
            return {job.fold: outcome for job, outcome in do_jobs(((job, dataset) for job in work), executor, stopped)}
    outcomes: dict[int, Outcome] = {}
    for job in work:
        if stopped():
            break
        outcomes[job.fold] = do_job(job, dataset, report, stopped)
    return outcomes


def do_jobs(
    work: Iterable[tuple[Job, Dataset]], executor: Executor, stopped: Callable[[], bool]
) -> Iterator[tuple[Job, Outcome]]:
    """Have jobs done, and give each with its outcome as it ends; one whose worker is lost is tried once more.

    Parameters
    ----------
    work : iterable of (Job, Dataset)
        The jobs, whose run directories have been opened, with the data set of each.
    executor : Executor
        What does them.
    stopped : callable
        Asked often; when true, jobs that are being done write their checkpoints, and no further job is begun.
    """
    pending: dict[Future[Outcome], tuple[Job, Dataset, int]] = {}
    ended: SimpleQueue[Future[Outcome]] = SimpleQueue()

    def submit(job: Job, dataset: Dataset, attempt: int) -> None:
        future = executor.submit(job, dataset)
        pending[future] = job, dataset, attempt
        future.add_done_callback(ended.put)

    for job, dataset in work:
        submit(job, dataset, 1)
    stopping = False
    while pending:
        if stopped() and not stopping:
            stopping = True
            executor.stop()
        try:
            future = ended.get(timeout=0.1)
        except Empty:
            continue
        job, dataset, attempt = pending.pop(future)
        try:
            outcome = future.result()
        except (LostError, CancelledError) as error:
            if stopping or stopped():
                continue
            if attempt == 1:
                submit(job, dataset, 2)
                continue
            reason = str(error) or "its executor is no more"
            outcome = QM7Error(f"fold {job.fold} of {job.run}: {reason}; the same command goes on from its checkpoint")
        except Exception as error:  # noqa: BLE001 - whatever else befalls a job, the others go on
            outcome = failed(job, error)
        yield job, outcome


def available_cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
