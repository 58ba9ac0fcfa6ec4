"""Jobs in worker processes on this machine.

A worker is a fresh Python with one BLAS thread. It imports this module, never the program of its parent, which
would run once more in it. It reads one job after another from its standard input, each data set once, and
writes their outcomes to its standard output. It ignores the terminal's Ctrl-C and hang-up, and stops when its
parent says so or has ended, which ends the input, or when somebody else asks it to (SIGTERM).
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from types import FrameType
from typing import IO, cast

from qm7cli.core.errors import QM7Error, notice, notices_to
from qm7cli.core.signals import SIGNALS, StopRequest, signals_blocked, take_signals
from qm7cli.data.dataset import Dataset
from qm7cli.training.claim_fold import Progress, Report
from qm7cli.training.executor import Job, LostError, Outcome, do_job, is_stopped

Work = tuple[Job, str, Dataset | None]  # the data set's SHA-256, and itself if the worker doesn't have it yet
Message = Progress | str | Outcome  # a job's progress, a notice, or a job's outcome


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
        program = f"import sys; sys.path[:] = {list(map(str, sys.path))!a}; from {__name__} import work; work()"
        with signals_blocked():  # one that comes before the worker is ready waits until it is
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        self._input, self._output = cast("IO[bytes]", self.process.stdin), cast("IO[bytes]", self.process.stdout)
        self._sending = threading.Lock()
        self._known: set[str] = set()  # data sets that it has been sent, by SHA-256
        self._asked = False  # to stop

    def do(self, job: Job, dataset: Dataset, report: Report) -> Outcome:
        """Have a job done; raises LostError if the process ends before the job."""
        self._send((job, dataset.sha256, None if dataset.sha256 in self._known else dataset))
        self._known.add(dataset.sha256)
        while isinstance(message := self._receive(), Progress | str):
            if isinstance(message, str):
                notice(message)
            else:
                report(message)
        if is_stopped(message) and not self._asked:
            raise LostError("its process was asked to stop")
        return message

    def stop(self) -> None:
        """Ask the process to end its job with a checkpoint, and itself; it may be stopped and not hear of it."""
        self._asked = True
        threading.Thread(target=self._send, args=(None,), daemon=True).start()

    def end(self) -> None:
        """End the process, whatever it does, and wait until it is gone."""
        self.process.kill()
        self.process.wait()
        with self._sending, suppress(OSError):
            self._input.close()
        self._output.close()

    def _send(self, message: Work | None) -> None:
        with self._sending, suppress(OSError):  # a dead one is noticed where its answer is read
            if not self._input.closed:
                pickle.dump(message, self._input)
                self._input.flush()

    def _receive(self) -> Message:
        try:
            message: Message = pickle.load(self._output)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            code = self.process.wait()
            how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
            raise LostError(f"its process ended {how}") from error
        return message


def work() -> None:
    """Do jobs as a worker process, until it is asked to stop or its parent has ended."""
    stop = StopRequest()
    jobs: SimpleQueue[Work | None] = SimpleQueue()

    def ask_to_stop(number: int = signal.SIGTERM, _: FrameType | None = None) -> None:
        stop.signal = number
        jobs.put(None)

    for number in SIGNALS:  # they come to the whole group; the parent asks for the stop
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, ask_to_stop)
    take_signals()
    source, sink = _private_streams()

    def send(message: Message) -> None:
        try:
            pickle.dump(message, sink)
            sink.flush()
        except OSError:  # the parent has ended
            ask_to_stop()

    threading.Thread(target=_listen, args=(source, jobs.put, ask_to_stop), daemon=True).start()
    datasets: dict[str, Dataset] = {}
    with notices_to(send):
        while (message := jobs.get()) is not None:
            job, sha256, dataset = message
            if dataset is not None:
                datasets[sha256] = dataset
            send(do_job(job, datasets[sha256], send, stop))
    with suppress(OSError):  # likewise
        sink.close()


def _private_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Return standard input and output, and put /dev/null in their place, so that nothing else reads or writes them."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    sys.stdout = sys.stderr
    return source, sink


def _listen(source: IO[bytes], take: Callable[[Work], None], ask_to_stop: Callable[[], None]) -> None:
    """Take jobs from the parent until it asks for the stop or has ended."""
    with suppress(EOFError, pickle.UnpicklingError):
        while (message := pickle.load(source)) is not None:
            take(message)
    ask_to_stop()
