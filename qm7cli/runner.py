"""Jobs to executors: the folds of a run, in this process or several at a time, and the many jobs of a sweep.

A job's outcome is a result, or the error that says why there is none; the others go on.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from operator import itemgetter
from pathlib import Path
from queue import Empty, SimpleQueue

from qm7cli.config import Experiment
from qm7cli.dataset import Dataset
from qm7cli.errors import BusyError, QM7Error
from qm7cli.jobs import Executor, Job, LostError, Outcome, Report, SerialExecutor, failed
from qm7cli.processes import ProcessExecutor
from qm7cli.results import FoldResult
from qm7cli.run_directory import open_run
from qm7cli.splits import chosen_folds, pinned


class FoldsError(QM7Error):
    """Folds of a run have no result.

    Attributes
    ----------
    errors : dict of int to QM7Error
        By fold, why there is none; a traceback is a note of it (`__notes__`).
    results : dict of int to FoldResult
        By fold, what the others have given.
    """

    def __init__(self, errors: dict[int, QM7Error], results: dict[int, FoldResult]) -> None:
        super().__init__("; ".join(map(str, errors.values())))
        self.errors, self.results = errors, results


def train_run(
    experiment: Experiment,
    dataset: Dataset,
    run: Path,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    report: Report = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[int, FoldResult]:
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
    dict of int to FoldResult
        By fold, in their order, the results; if stopped, of the folds that were begun.

    Raises
    ------
    FoldsError
        If a fold has no result: another process trains it, a file of it is damaged, its process was lost twice. The
        other folds are trained first.
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
    work = [(Job(run, experiment, fold), dataset) for fold in folds]
    at_once = min(jobs, len(folds))
    with ProcessExecutor(at_once, report) if at_once > 1 else SerialExecutor(report, stopped) as executor:
        outcomes = {job.fold: outcome for job, outcome in do_jobs(work, executor, stopped)}
    in_order = sorted(outcomes.items(), key=itemgetter(0))
    errors = {fold: outcome for fold, outcome in in_order if isinstance(outcome, QM7Error)}
    results = {fold: outcome for fold, outcome in in_order if not isinstance(outcome, QM7Error)}
    if errors:
        raise FoldsError(errors, results) from next(iter(errors.values()))
    return results


def do_jobs(
    work: Iterable[tuple[Job, Dataset]], executor: Executor, stopped: Callable[[], bool]
) -> Iterator[tuple[Job, Outcome]]:
    """Have jobs done, and give each with its outcome as it ends.

    One whose worker is lost is tried once more. One whose fold another process trains is come back to when all others
    have ended: the fold may be complete then, or free; if it is still busy, the outcome is that BusyError.

    Parameters
    ----------
    work : iterable of (Job, Dataset)
        The jobs, whose run directories have been opened, with the data set of each.
    executor : Executor
        What does them.
    stopped : callable
        Asked often; when true, jobs that are being done write their checkpoints, and no further job is begun.
    """
    busy = []
    for job, dataset, outcome in _do_once(work, executor, stopped):
        if isinstance(outcome, BusyError):
            busy.append((job, dataset))
        else:
            yield job, outcome
    if not stopped():
        for job, _, outcome in _do_once(busy, executor, stopped):
            yield job, outcome


def _do_once(
    work: Iterable[tuple[Job, Dataset]], executor: Executor, stopped: Callable[[], bool]
) -> Iterator[tuple[Job, Dataset, Outcome]]:
    """Have jobs done, each once, or twice if its worker is lost, and give them as they end."""
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
        yield job, dataset, outcome


def available_cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
