"""The folds of a run, one after the other in this process or several at a time in processes of their own.

A worker is a fresh process with one BLAS thread. It ignores the terminal's Ctrl-C and stops when its parent asks it
to (SIGTERM) or is no more. A fold's outcome is a result, or a sentence that says why there is none; the others go on.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any, cast

from qm7cli.config import Experiment
from qm7cli.dataset import Dataset
from qm7cli.errors import QM7Error
from qm7cli.results import FoldResult, open_run
from qm7cli.splits import Fold, chosen_folds
from qm7cli.training import Progress, train_fold

Report = Callable[[Progress], None]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class StopRequest:
    """What SIGINT and SIGTERM ask for; `signal` is the number of the one that came, or 0."""

    signal: int = 0

    def __call__(self) -> bool:
        """Say whether a signal came."""
        return bool(self.signal)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a request to stop; a second SIGINT interrupts at once."""
    request = StopRequest()

    def handle(number: int, _: FrameType | None) -> None:
        if request.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal = number

    before = [signal.signal(number, handle) for number in SIGNALS]
    try:
        yield request
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)


def train_run(
    experiment: Experiment,
    dataset: Dataset,
    run: Path,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    report: Report = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[int, FoldResult | str]:
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
        For each fold that was begun its result, or the sentence that says why there is none.

    Raises
    ------
    QM7Error
        If there is no such fold, or the directory cannot be used (`qm7cli.results.open_run`).
    """
    folds = chosen_folds(dataset, experiment.split)
    if stopped():
        return {}
    open_run(run, experiment, [fold.number for fold in folds], dataset, overwrite=overwrite)
    if jobs > 1 and len(folds) > 1:
        return _in_processes(experiment, dataset, folds, run, jobs, report, stopped)
    outcomes: dict[int, FoldResult | str] = {}
    for fold in folds:
        if stopped():
            break
        try:
            outcomes[fold.number] = train_fold(experiment, dataset, fold, run, report, stopped)
        except QM7Error as error:
            outcomes[fold.number] = str(error)
    return outcomes


def _in_processes(
    experiment: Experiment,
    dataset: Dataset,
    folds: Sequence[Fold],
    run: Path,
    jobs: int,
    report: Report,
    stopped: Callable[[], bool],
) -> dict[int, FoldResult | str]:
    waiting = list(folds)
    running: dict[Connection, tuple[int, SpawnProcess]] = {}
    outcomes: dict[int, FoldResult | str] = {}
    asked_to_stop = False
    try:
        while running or (waiting and not stopped()):
            while waiting and len(running) < jobs and not stopped():
                fold = waiting.pop(0)
                connection, process = _start(experiment, dataset, fold, run)
                running[connection] = fold.number, process
            if stopped() and not asked_to_stop:
                asked_to_stop = True
                for _, process in running.values():
                    process.terminate()
            for connection in cast("list[Connection]", wait(list(running), timeout=0.1)):
                number, process = running[connection]
                try:
                    message = connection.recv()
                except EOFError:  # the worker has ended
                    process.join()
                    del running[connection]
                    if number not in outcomes and not asked_to_stop:
                        outcomes[number] = f"fold {number}: its process ended {_how(process)}; run again to go on"
                    continue
                if isinstance(message, Progress):
                    report(message)
                else:
                    outcomes[number] = message
    finally:  # an exception here, a second Ctrl-C say, takes the workers along
        for _, process in running.values():
            process.kill()
    return outcomes


def _start(experiment: Experiment, dataset: Dataset, fold: Fold, run: Path) -> tuple[Connection, SpawnProcess]:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, experiment, dataset, fold, run), name=f"fold-{fold.number}")
    # The worker inherits this mask: a signal that comes before it is ready waits until it is.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    sender.close()
    return receiver, process


def _how(process: SpawnProcess) -> str:
    code = process.exitcode or 0
    return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with status {code}"


def _work(sender: Connection, experiment: Experiment, dataset: Dataset, fold: Fold, run: Path) -> None:
    """Train one fold in a worker."""
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=_outlive, args=(stop,), daemon=True).start()

    def send(message: Any) -> None:
        try:
            sender.send(message)
        except BrokenPipeError:  # the parent is no more
            stop.set()

    try:
        outcome: FoldResult | str = train_fold(experiment, dataset, fold, run, send, stop.is_set)
    except QM7Error as error:
        outcome = str(error)
    send(outcome)


def _outlive(stop: threading.Event) -> None:
    """Ask for a stop when the parent has ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    stop.set()


def available_cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
