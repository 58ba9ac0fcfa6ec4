"""Jobs to executors: the folds of a run, in this process or several at a time, and the many jobs of a sweep.

A job's outcome is a result, or the error that says why there is none; the others go on.
"""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from operator import itemgetter
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from qm7cli.config import Experiment
from qm7cli.dataset import Dataset
from qm7cli.errors import BusyError, QM7Error, StoppedError
from qm7cli.jobs import Executor, Job, LostError, Outcome, Report, SerialExecutor, failed
from qm7cli.notices import SAY_AFTER, notice
from qm7cli.processes import ProcessExecutor
from qm7cli.results import RunResults, known_results, read_results
from qm7cli.run_directory import prepare_run
from qm7cli.splits import chosen_folds, pinned

STOP_WITHIN: Final = 10.0  # seconds that jobs have for their checkpoints; those that don't answer are given up


class FoldsError(QM7Error):
    """Folds of a run have no result.

    Attributes
    ----------
    errors : dict of int to QM7Error
        By fold, why there is none; a traceback is a note of it (`__notes__`).
    results : RunResults or None
        What the run has of all folds, None if that is nothing.
    """

    def __init__(self, errors: dict[int, QM7Error], results: RunResults | None) -> None:
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
) -> RunResults | None:
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
        Asked often; when true, folds in training write their checkpoints and no further fold is begun. A process that
        doesn't answer within `STOP_WITHIN` is killed.

    Returns
    -------
    RunResults or None
        As ``results.yaml`` has them, of all folds of the run so far; None if stopped before a fold was begun.

    Raises
    ------
    FoldsError
        If a fold has no result: another process trains it, a file of it is damaged, its process was lost twice. The
        other folds are trained first.
    QM7Error
        If there is no such fold, or the directory cannot be used (`qm7cli.run_directory.prepare_run`).
    """
    experiment = experiment.model_copy(update={"split": pinned(experiment.split)})
    chosen = chosen_folds(dataset, experiment.split)
    folds = [fold.number for fold in chosen]
    if stopped():
        return None
    if experiment.baseline.model:
        from qm7cli.baselines import refuse  # noqa: PLC0415 - slow to import, and seldom needed

        for fold in chosen:
            refuse(experiment, dataset, fold)
    try:
        prepare_run(run, experiment, folds, dataset, overwrite=overwrite, stopped=stopped)
    except StoppedError:
        return None
    work = [(Job(run, experiment, fold), dataset) for fold in folds]
    at_once = min(jobs, len(folds))
    with ProcessExecutor(at_once, report) if at_once > 1 else SerialExecutor(report, stopped) as executor:
        outcomes = sorted(((job.fold, outcome) for job, outcome in do_jobs(work, executor, stopped)), key=itemgetter(0))
    errors = {fold: outcome for fold, outcome in outcomes if isinstance(outcome, QM7Error)}
    if errors:
        raise FoldsError(errors, known_results(run)) from next(iter(errors.values()))
    return read_results(run) if (run / "results.yaml").exists() else None


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
        Asked often; when true, jobs that are being done write their checkpoints, and no further job is begun. Those
        that have not ended after `STOP_WITHIN` seconds are left to the executor, whose context ends them.
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
    for future in _as_they_end(pending, ended, executor, stopped):
        job, dataset, attempt = pending.pop(future)
        try:
            outcome = future.result()
        except (LostError, CancelledError) as error:
            if stopped():
                continue
            if attempt == 1:
                submit(job, dataset, 2)
                continue
            reason = str(error) or "its executor is no more"
            outcome = QM7Error(f"fold {job.fold} of {job.run}: {reason}; the same command goes on from its checkpoint")
        except Exception as error:  # noqa: BLE001 - whatever else befalls a job, the others go on
            outcome = failed(job, error)
        if not isinstance(outcome, StoppedError):
            yield job, dataset, outcome


def _as_they_end(
    pending: Mapping[Future[Outcome], tuple[Job, Dataset, int]],
    ended: SimpleQueue[Future[Outcome]],
    executor: Executor,
    stopped: Callable[[], bool],
) -> Iterator[Future[Outcome]]:
    """Give futures as they end, until none is pending, or those that are have not ended `STOP_WITHIN` a stop."""
    stopping, said = math.inf, False  # since when
    while pending:
        if stopping == math.inf and stopped():
            stopping = time.monotonic()
            executor.stop()
        try:
            yield ended.get(timeout=0.1)
        except Empty:
            waited = time.monotonic() - stopping
            if waited > STOP_WITHIN:
                notice(f"{_folds(pending.values())}: no answer; what came after the last checkpoint is lost")
                return
            if waited > SAY_AFTER and not said:
                notice(f"waiting up to {STOP_WITHIN:g} s for a checkpoint of {_folds(pending.values())}")
                said = True


def _folds(work: Iterable[tuple[Job, Dataset, int]]) -> str:
    """Name the folds of some jobs, if they are few."""
    names = [f"fold {job.fold} of {job.run}" for job, _, _ in work]
    return " and ".join(names) if len(names) < 3 else f"{names[0]} and {len(names) - 1} others"


def available_cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
