"""A job, which is one fold of a run, and executors, which do jobs: in this process, in others or on a Dask cluster."""

import traceback
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from qm7cli.config import Experiment
from qm7cli.dataset import Dataset
from qm7cli.errors import QM7Error, StoppedError, shortage
from qm7cli.results import FoldResult
from qm7cli.splits import chosen_folds
from qm7cli.training import Progress, train_fold

Report = Callable[[Progress], None]
Outcome = FoldResult | QM7Error


class Job(NamedTuple):
    """A fold of a run, whose directory has been opened, and all settings of it."""

    run: Path
    experiment: Experiment
    fold: int


class LostError(QM7Error):
    """A worker has ended before its job; another may go on from the last checkpoint."""


class Executor(Protocol):
    """Does jobs, several at a time; leaving its context ends whatever is still being done.

    Progress is reported to what it was made with, from one thread at a time.
    """

    def submit(self, job: Job, dataset: Dataset) -> Future[Outcome]:
        """Have a job done; the future may raise LostError."""

    def stop(self) -> None:
        """Have the jobs that are being done write their checkpoints and end, and cancel the others."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SerialExecutor:
    """Does each job at once, in this process; see `Executor`.

    Parameters
    ----------
    report : callable
        Called with the progress.
    stopped : callable
        Asked often; when true, the job that is being done writes its checkpoint, and no other is begun.
    """

    def __init__(self, report: Report, stopped: Callable[[], bool]) -> None:
        self._report, self._stopped = report, stopped

    def submit(self, job: Job, dataset: Dataset) -> Future[Outcome]:
        """Do a job."""
        future: Future[Outcome] = Future()
        if self._stopped():
            future.cancel()
            return future
        try:
            future.set_result(do_job(job, dataset, self._report, self._stopped))
        except Exception as error:  # noqa: BLE001 - as what other executors do, it is raised by the future
            future.set_exception(error)
        return future

    def stop(self) -> None:
        """Do nothing: `stopped` has been asked."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def do_job(job: Job, dataset: Dataset, report: Report, stopped: Callable[[], bool]) -> Outcome:
    """Train a job's fold from where it stands, or fit a baseline; an error is returned, its traceback as a note."""
    try:
        (fold,) = chosen_folds(dataset, job.experiment.split.model_copy(update={"folds": [job.fold]}))
        if job.experiment.baseline.model:
            from qm7cli.baselines import fit_fold  # noqa: PLC0415 - a tenth of a second, for those who want one

            return fit_fold(job.experiment, dataset, fold, job.run, report, stopped)
        return train_fold(job.experiment, dataset, fold, job.run, report, stopped)
    except QM7Error as error:
        error.add_note(traceback.format_exc())
        return error


def is_stopped(outcome: Outcome) -> bool:
    """Say whether a job was stopped before its end."""
    return isinstance(outcome, StoppedError) or (isinstance(outcome, FoldResult) and outcome.status == "partial")


def failed(job: Job, error: Exception) -> QM7Error:
    """Return an error that is none of a user's as the outcome of a job, with its traceback as a note."""
    reason = shortage(error) or f"{type(error).__name__}: {error}"
    outcome = QM7Error(f"fold {job.fold} of {job.run}: {reason}")
    outcome.add_note("".join(traceback.format_exception(error)))
    return outcome
