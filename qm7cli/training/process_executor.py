"""Jobs in worker processes on this machine.

A worker is a fresh Python with one BLAS thread. It imports this module, never the program of its parent, which
would run once more in it. It reads one job after another from its connection and writes their outcomes to it. It
ignores the terminal's Ctrl-C and hang-up, and stops when it is asked to (SIGTERM) or its parent has ended, which ends
the connection.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import FrameType
from typing import Any

from qm7cli.core.errors import QM7Error, notice, notices_to
from qm7cli.core.signals import SIGNALS, StopRequest, signals_blocked, take_signals
from qm7cli.data.dataset import Dataset
from qm7cli.training.claim_fold import Progress, Report
from qm7cli.training.executor import Job, LostError, Outcome, do_job, is_stopped

STANDARD_ERROR = 2


class ProcessExecutor:
    """Does up to `workers` jobs at a time (`qm7cli.training.executor.Executor`); each worker belongs to a thread."""

    def __init__(self, workers: int, report: Report) -> None:
        self._threads = ThreadPoolExecutor(workers)
        self._report = report
        self._reporting = threading.Lock()
        self._stopping = threading.Event()
        self._of_thread = threading.local()  # its `worker`, if there is one
        self._workers: list[_Worker] = []  # all that were ever started

    def submit(self, job: Job, dataset: Dataset) -> Future[Outcome]:
        """Have a job done."""
        return self._threads.submit(self._do, job, dataset)

    def stop(self) -> None:
        """Have the jobs that are being done write their checkpoints and end, and cancel the others."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._stopping.set()
        for worker in tuple(self._workers):
            worker.stop()

    def close(self) -> None:
        """End whatever is still being done."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._stopping.set()
        for worker in tuple(self._workers):  # they have jobs after an exception only, a second Ctrl-C say
            worker.process.kill()
        self._threads.shutdown()
        for worker in self._workers:
            worker.end()

    def _do(self, job: Job, dataset: Dataset) -> Outcome:
        try:
            worker: _Worker = getattr(self._of_thread, "worker", None) or self._start_worker()
        except OSError as error:
            return QM7Error(f"{job}: cannot start a process for it: {error.strerror}")
        try:
            return worker.do(job, dataset, self._report_one)
        except BaseException:
            self._of_thread.worker = None
            worker.end()
            self._stopping.wait(0.3)  # a signal to the whole group may reach a worker before its parent
            raise

    def _start_worker(self) -> "_Worker":
        """Start a worker for this thread."""
        worker = self._of_thread.worker = _Worker()
        self._workers.append(worker)
        if self._stopping.is_set():  # `stop` may have come before the worker was in the list
            worker.stop()
        return worker

    def _report_one(self, progress: Progress) -> None:
        with self._reporting:
            self._report(progress)


class _Worker:
    """The parent's end of a worker process."""

    def __init__(self) -> None:
        self._asked = False  # to stop
        self._connection, theirs = Pipe()
        path = list(map(str, sys.path))
        program = f"import sys; sys.path[:] = {path!a}; from {__name__} import work; work({theirs.fileno()})"
        with theirs, signals_blocked():  # a signal that comes before the worker is ready waits until it is
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-c", program],
                stdin=subprocess.DEVNULL,
                stdout=STANDARD_ERROR,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )

    def do(self, job: Job, dataset: Dataset, report: Report) -> Outcome:
        """Have a job done; raises LostError if the process ends before the job."""
        try:
            self._connection.send((job, dataset))
            while isinstance(message := self._connection.recv(), Progress | str):
                if isinstance(message, str):
                    notice(message)
                else:
                    report(message)
        except (EOFError, OSError) as error:
            code = self.process.wait()
            how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
            raise LostError(f"its process ended {how}") from error
        outcome: Outcome = message
        if is_stopped(outcome) and not self._asked:
            raise LostError("its process was asked to stop")
        return outcome

    def stop(self) -> None:
        """Ask the process to end its job with a checkpoint, and itself."""
        self._asked = True
        self.process.terminate()

    def end(self) -> None:
        """End the process, whatever it does, and wait until it is gone."""
        self.process.kill()
        self.process.wait()
        self._connection.close()


def work(descriptor: int) -> None:
    """Do jobs as a worker process, until it is asked to stop or its parent has ended."""
    connection = Connection(descriptor)
    stop = StopRequest()
    jobs: SimpleQueue[tuple[Job, Dataset] | None] = SimpleQueue()

    def ask_to_stop(number: int = signal.SIGTERM, _: FrameType | None = None) -> None:
        stop.signal = number
        jobs.put(None)

    def send(message: Progress | str | Outcome) -> None:
        try:
            connection.send(message)
        except OSError:  # the parent has ended
            ask_to_stop()

    for number in SIGNALS:  # they come to the whole group; the parent asks for the stop
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, ask_to_stop)
    take_signals()
    threading.Thread(target=_listen, args=(connection, jobs.put, ask_to_stop), daemon=True).start()
    with notices_to(send):
        while (job := jobs.get()) is not None:
            send(do_job(*job, send, stop))


def _listen(connection: Any, take: Callable[[tuple[Job, Dataset]], None], ask_to_stop: Callable[[], None]) -> None:
    """Take jobs from the parent until it has ended."""
    with suppress(EOFError, OSError):
        while True:
            take(connection.recv())
    ask_to_stop()
