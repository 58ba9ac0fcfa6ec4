"""Jobs in worker processes on this machine.

A worker is a fresh process with one BLAS thread, which is given one job after another and the data set once. It
ignores the terminal's Ctrl-C and hang-up, and stops when its parent asks it to (SIGTERM) or is no more.
"""

import multiprocessing
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from qm7cli.dataset import Dataset
from qm7cli.errors import QM7Error
from qm7cli.jobs import Job, LostError, Outcome, Report, do_job, failed
from qm7cli.results import FoldResult
from qm7cli.signals import SIGNALS
from qm7cli.training import Progress


class ProcessExecutor:
    """Does up to `workers` jobs at a time; see `qm7cli.jobs.Executor`. Each has a thread here that looks after it."""

    def __init__(self, workers: int, report: Report) -> None:
        self._threads = ThreadPoolExecutor(workers)
        self._report = report
        self._reporting = threading.Lock()
        self._stopping = threading.Event()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()

    def submit(self, job: Job, dataset: Dataset) -> Future[Outcome]:
        """Have a job done."""
        return self._threads.submit(self._do, job, dataset)

    def stop(self) -> None:
        """Have the jobs that are being done write their checkpoints and end, and cancel the others."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._stopping.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        for worker in tuple(self._busy):  # after an exception only, a second Ctrl-C say
            worker.process.kill()
        self._threads.shutdown()
        for worker in self._idle:
            worker.end()

    def _do(self, job: Job, dataset: Dataset) -> Outcome:
        try:
            worker = self._idle.pop() if self._idle else _Worker()
        except OSError as error:
            return QM7Error(f"fold {job.fold} of {job.run}: no process for it: {error.strerror}")
        self._busy.add(worker)
        try:
            outcome = worker.do(job, dataset, self._tell, self._stopping.is_set)
        except BaseException:
            worker.end()
            self._stopping.wait(0.3)  # a signal to the whole group may reach a worker before its parent
            raise
        finally:
            self._busy.remove(worker)
        self._idle.append(worker)
        return outcome

    def _tell(self, progress: Progress) -> None:
        with self._reporting:
            self._report(progress)


class _Worker:
    """The parent's end of a worker process."""

    starting = threading.Lock()

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs,), name="qm7-worker")
        self.known: set[str] = set()  # data sets that it has been sent, by SHA-256
        with self.starting:
            resource_tracker.ensure_running()  # it would unblock the signals if it had to be started below
            # The worker inherits this mask: a signal that comes before it is ready waits until it is.
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            try:
                self.process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        theirs.close()

    def do(self, job: Job, dataset: Dataset, report: Report, stopped: Callable[[], bool]) -> Outcome:
        """Have a job done, and ask the worker to stop when `stopped` says so."""
        with suppress(ConnectionError):  # if it is dead already, its end will be heard of
            self.connection.send((job, dataset.sha256, None if dataset.sha256 in self.known else dataset))
        self.known.add(dataset.sha256)
        asked = False
        while True:
            if stopped() and not asked:
                asked = True
                self.process.terminate()
            message = self._receive()
            if isinstance(message, Progress):
                report(message)
            elif isinstance(message, FoldResult) and message.status == "partial" and not asked:
                raise LostError("its process was asked to stop")
            elif message is not None:
                return message

    def end(self) -> None:
        """End the process, whatever it does, and wait until it is gone."""
        self.process.kill()
        self.process.join()

    def _receive(self) -> Progress | Outcome | None:
        """Return what the worker says next, or None if it says nothing for a while."""
        try:
            if not self.connection.poll(0.1):
                return None
            message: Progress | Outcome = self.connection.recv()
        except (EOFError, OSError) as error:
            self.process.join()
            code = self.process.exitcode or 0
            how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
            raise LostError(f"its process ended {how}") from error
        return message


def _work(connection: Connection) -> None:
    """Do jobs in a worker, until it is asked to stop or the parent is no more."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGHUP):  # they come to the whole group; the parent asks for the stop
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=_outlive, args=(stop,), daemon=True).start()
    datasets: dict[str, Dataset] = {}

    def send(message: Any) -> None:
        try:
            connection.send(message)
        except ConnectionError:  # the parent is no more
            stop.set()

    with suppress(EOFError, ConnectionError):  # likewise
        while True:
            job, sha256, dataset = connection.recv()
            datasets.setdefault(sha256, dataset)
            send(_outcome(job, datasets[sha256], send, stop.is_set))
            if stop.is_set():
                break


def _outcome(job: Job, dataset: Dataset, report: Report, stopped: Callable[[], bool]) -> Outcome:
    """Do a job; an unforeseen error is its outcome as well, and not taken for the worker's end."""
    try:
        return do_job(job, dataset, report, stopped)
    except Exception as error:  # noqa: BLE001
        return failed(job, error)


def _outlive(stop: threading.Event) -> None:
    """Ask for a stop when the parent has ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    stop.set()
