"""Jobs, each a fold of a run; executors, which do jobs in this process, in others or on a cluster; and the loop.

A job's outcome is its result or its error; after an error the other jobs go on.
"""

import math
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple, Protocol

from qm7cli.core.errors import BusyError, QM7Error, notice, shortage
from qm7cli.data.dataset import Dataset
from qm7cli.data.splits import select_folds
from qm7cli.runs.experiment import Experiment
from qm7cli.runs.results import FoldResult
from qm7cli.training.claim_fold import Report
from qm7cli.training.train_fold import train_fold

STOP_WITHIN: Final = 10.0  # seconds that jobs have for their checkpoints; those that don't answer are given up
Outcome = FoldResult | QM7Error


def available_cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Job(NamedTuple):
    """A fold of a run, whose directory has been prepared, with the run's settings."""

    run: Path
    experiment: Experiment
    fold: int

    def __str__(self) -> str:
        return f"fold {self.fold} of {self.run}"


class LostError(QM7Error):
    """A worker has ended before its job; another may go on from the last checkpoint."""


class Executor(Protocol):
    """Does jobs, one or several at a time, and reports their progress from one thread at a time."""

    def submit(self, job: Job, dataset: Dataset) -> Future[Outcome]:
        """Have a job done; the future may raise LostError."""

    def stop(self) -> None:
        """Have the jobs that are being done write their checkpoints and end, and cancel the others."""

    def close(self) -> None:
        """End whatever is still being done."""


class SerialExecutor:
    """Does each job at once, in this process (`Executor`); begins no other when `stopped` is true."""

    def __init__(self, report: Report, stopped: Callable[[], bool]) -> None:
        self._report, self._stopped = report, stopped

    def submit(self, job: Job, dataset: Dataset) -> Future[Outcome]:
        """Do a job."""
        future: Future[Outcome] = Future()
        if self._stopped():
            future.cancel()
        else:
            future.set_result(do_job(job, dataset, self._report, self._stopped))
        return future

    def stop(self) -> None:
        """Do nothing: `stopped` has been asked."""

    def close(self) -> None:
        """Do nothing: nothing is still being done."""


def do_job(job: Job, dataset: Dataset, report: Report, stopped: Callable[[], bool]) -> Outcome:
    """Train a job's fold from where it stands; return any error, with its traceback as a note."""
    try:
        (fold,) = select_folds(dataset, job.experiment.split.model_copy(update={"folds": [job.fold]}))
        return train_fold(job.experiment, dataset, fold, job.run, report, stopped)
    except Exception as error:  # noqa: BLE001 - whatever befalls a job, the others go on
        return as_outcome(job, error)


def as_outcome(job: Job, error: Exception) -> QM7Error:
    """Return an error as the outcome of a job, with its traceback as a note."""
    reason = shortage(error) or f"{type(error).__name__}: {error}"
    outcome = error if isinstance(error, QM7Error) else QM7Error(f"{job}: {reason}")
    outcome.add_note("".join(traceback.format_exception(error)))
    return outcome


def is_stopped(outcome: Outcome) -> bool:
    """Say whether a job was stopped before its end."""
    return isinstance(outcome, FoldResult) and outcome.status == "partial"


class _Attempt(NamedTuple):
    """A job that is being done."""

    job: Job
    dataset: Dataset
    lost: bool = False  # its worker was lost before
    busy: bool = False  # another process trained its fold before


def do_jobs(
    work: Iterable[tuple[Job, Dataset]], executor: Executor, stopped: Callable[[], bool]
) -> Iterator[tuple[Job, Outcome]]:
    """Have jobs done, each on its data set, and give each with its outcome as it ends.

    A job whose worker is lost is tried once more; one whose fold another process trains, when all others have ended.
    `stopped` is asked often; when true, jobs that are being done write their checkpoints, and no further job is begun.
    Those that have not ended after `STOP_WITHIN` seconds are left to the executor's `close`.
    """
    pending: dict[Future[Outcome], _Attempt] = {}
    ended: SimpleQueue[Future[Outcome]] = SimpleQueue()
    busy: list[_Attempt] = []

    def submit(attempt: _Attempt) -> None:
        future = executor.submit(attempt.job, attempt.dataset)
        pending[future] = attempt
        future.add_done_callback(ended.put)

    for job, dataset in work:
        submit(_Attempt(job, dataset))
    for future in _as_they_end(pending, ended, executor, stopped):
        attempt = pending.pop(future)
        outcome = _outcome(attempt.job, future)
        if isinstance(outcome, LostError) and not stopped():
            if not attempt.lost:
                submit(attempt._replace(lost=True))
                continue
            outcome = QM7Error(f"{outcome}; the same command resumes from its checkpoint")
        if isinstance(outcome, BusyError) and not attempt.busy:
            busy.append(attempt)
        elif not isinstance(outcome, LostError):
            yield attempt.job, outcome
        if busy and not pending and not stopped():
            for again in busy:
                submit(again._replace(lost=False, busy=True))
            busy = []


def _outcome(job: Job, future: Future[Outcome]) -> Outcome:
    """Return a job's outcome, LostError if it may be tried again."""
    try:
        return future.result()
    except (LostError, CancelledError) as error:
        return LostError(f"{job}: {str(error) or 'the executor shut down'}")
    except Exception as error:  # noqa: BLE001 - of the executor
        return as_outcome(job, error)


def _as_they_end(
    pending: Mapping[Future[Outcome], _Attempt],
    ended: SimpleQueue[Future[Outcome]],
    executor: Executor,
    stopped: Callable[[], bool],
) -> Iterator[Future[Outcome]]:
    """Give futures as they end, until none is pending, or `STOP_WITHIN` seconds after a stop."""
    deadline = math.inf
    while pending:
        if deadline == math.inf and stopped():
            deadline = time.monotonic() + STOP_WITHIN
            executor.stop()
        try:
            yield ended.get(timeout=0.1)
        except Empty:
            if time.monotonic() > deadline:
                names = " and ".join(str(attempt.job) for attempt in pending.values())
                notice(f"{names}: no answer; what came after the last checkpoint is lost")
                return
