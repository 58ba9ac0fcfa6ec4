"""Jobs on a Dask cluster, whose workers write to the shared file system and return small records.

When Dask loses a worker, another goes on with its job from the last checkpoint. A job whose worker is asked to end
writes its checkpoint first; so does one whose task was cancelled or has lost its client, and ends.
"""

import functools
import threading
import time
from concurrent.futures import Future
from typing import Any, Final
from uuid import uuid4

from threadpoolctl import threadpool_limits

from qm7cli.core.errors import BusyError, QM7Error, import_extra, notice
from qm7cli.data.dataset import BUNDLED, Dataset, load, locate
from qm7cli.training.claim_fold import Progress, Report
from qm7cli.training.executor import STOP_WITHIN, Job, Outcome, do_job, is_stopped

CONNECT_WITHIN: Final = 10.0  # seconds in which a scheduler must answer, also one that was lost
REPORT_EVERY: Final = 1.0  # seconds between a job's reports, at least: they all pass through the scheduler
LOCK_TIMEOUT: Final = 30.0  # seconds that a job waits for the fold's lock, which a lost worker may hold a little longer
_reading = threading.Lock()


class DaskExecutor:
    """Does jobs on the workers of a Dask scheduler (`Executor`); raises QM7Error if none answers at the address."""

    def __init__(self, scheduler: str, report: Report) -> None:
        dask = import_extra("distributed", "dask", "a scheduler needs")
        try:
            dask.comm.get_address_host_port(scheduler)  # a client for what is not an address would not end well
            self._client: Any = dask.Client(scheduler, timeout=CONNECT_WITHIN, set_as_default=False)
        except (OSError, ValueError) as error:
            raise QM7Error(f"no Dask scheduler answers at {scheduler}: {error}") from error
        self._scheduler, self._report = scheduler, report
        self._futures = self._client.get_executor(pure=False)
        self._jobs: list[Job] = []
        self._submitted: list[Future[Outcome]] = []
        self._running: set[int] = set()
        self._changed = threading.Condition()
        self._topic = f"qm7-{uuid4().hex}"
        self._client.subscribe_topic(self._topic, self._on_event)
        self._workers: set[str] = set()
        self._client.subscribe_topic("all", self._on_worker_event)
        self._workers |= self._client.nthreads().keys()
        if not self._workers:
            notice(f"no worker has come to {scheduler} yet: waiting")

    def submit(self, job: Job, dataset: Dataset) -> Future[Outcome]:
        """Have a job done; its paths and the data set's must be the same on the workers."""
        split = job.experiment.split
        if split.file:
            split = split.model_copy(update={"scheme": str(split.file.absolute())})
        there = Job(job.run.absolute(), job.experiment.model_copy(update={"split": split}), job.fold)
        data = dataset.name if dataset.path in BUNDLED.values() else str(dataset.path.absolute())
        number = len(self._jobs)
        self._jobs.append(job)
        future: Future[Outcome] = self._futures.submit(_do, there, data, dataset.sha256, self._topic, number)
        self._submitted.append(future)
        return future

    def stop(self) -> None:
        """Have the jobs that are being done write their checkpoints and end, and cancel the others."""
        for future in self._submitted:
            future.cancel()
        with self._changed:
            self._changed.wait_for(lambda: not self._running, timeout=STOP_WITHIN)

    def close(self) -> None:
        """Leave the cluster; what is still being done there writes its checkpoint and ends."""
        self._client.close()

    def _on_event(self, event: tuple[float, Any]) -> None:
        """Take a worker's event: a job's number and progress, or the number alone when the job has ended."""
        number, *progress = event[1]
        with self._changed:
            if progress:
                self._running.add(number)
                job = self._jobs[number]
                self._report(Progress(job.run, job.fold, *progress))
            else:
                self._running.discard(number)
                self._changed.notify()

    def _on_worker_event(self, event: tuple[float, Any]) -> None:
        """Keep the set of workers, and give a notice when the last one leaves and when one comes again."""
        match event[1]:
            case {"action": "add-worker", "worker": worker}:
                if not self._workers:
                    notice(f"a worker has come to {self._scheduler}")
                self._workers.add(worker)
            case {"action": "remove-worker", "worker": worker} if worker in self._workers:
                self._workers.remove(worker)
                if not self._workers:
                    notice(f"all workers have left {self._scheduler}: waiting for others")
                    with self._changed:
                        self._running.clear()
                        self._changed.notify()


def _do(job: Job, data: str, sha256: str, topic: str, number: int) -> Outcome:
    """Do a job in a thread of a Dask worker."""
    from distributed import Reschedule, Status, get_worker  # noqa: PLC0415 - an extra

    threadpool_limits(1)  # of the whole process, for good: threads of a worker that come and go must not change it
    worker = get_worker()
    key = worker.get_current_task()
    reported = 0.0

    def stopped() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled" or worker.status not in {Status.running, Status.paused}

    def report(progress: Progress) -> None:
        nonlocal reported
        if progress.mae is not None or time.monotonic() > reported + REPORT_EVERY:
            reported = time.monotonic()
            worker.log_event(topic, (number, *progress[2:]))  # without run and fold: the client knows its jobs

    try:
        with _reading:  # threads of one worker
            dataset = _read(data, sha256)
        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            outcome = do_job(job, dataset, report, stopped)
            if not isinstance(outcome, BusyError) or stopped() or time.monotonic() > deadline:
                break
            time.sleep(0.2)
    except QM7Error as error:
        return error
    finally:
        worker.log_event(topic, (number,))
    if is_stopped(outcome):
        raise Reschedule  # to a worker that is not about to end
    return outcome


@functools.lru_cache(maxsize=4)
def _read(data: str, sha256: str) -> Dataset:
    """Read a data set, as one with this SHA-256 once; raises QM7Error if it is another one here."""
    dataset = load(locate(data))
    if dataset.sha256 != sha256:
        raise QM7Error(f"{data} is another file on a worker: SHA-256 {dataset.sha256[:12]}..., not {sha256[:12]}...")
    return dataset
