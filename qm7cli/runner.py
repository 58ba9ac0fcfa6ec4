"""The folds of a run, one after the other in this process or several at a time in processes of their own.

A worker is a fresh process with one BLAS thread. It ignores the terminal's Ctrl-C and hang-up, and stops when its
parent asks it to (SIGTERM) or is no more. A fold's outcome is a result, or the error that says why there is none; the
others go on.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, cast

from qm7cli.config import Experiment
from qm7cli.dataset import Dataset
from qm7cli.errors import QM7Error
from qm7cli.results import FoldResult
from qm7cli.run_directory import open_run
from qm7cli.signals import SIGNALS
from qm7cli.splits import Fold, chosen_folds, pinned
from qm7cli.training import Progress, train_fold

Report = Callable[[Progress], None]
Outcome = FoldResult | QM7Error


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
    folds = chosen_folds(dataset, experiment.split)
    if stopped():
        return {}
    open_run(run, experiment, [fold.number for fold in folds], dataset, overwrite=overwrite)
    if jobs > 1 and len(folds) > 1:
        return _in_processes(experiment, dataset, folds, run, jobs, report, stopped)
    outcomes: dict[int, Outcome] = {}
    for fold in folds:
        if stopped():
            break
        outcomes[fold.number] = _attempt(experiment, dataset, fold, run, report, stopped)
    return outcomes


def _attempt(
    experiment: Experiment,
    dataset: Dataset,
    fold: Fold,
    run: Path,
    report: Report,
    stopped: Callable[[], bool],
) -> Outcome:
    """Train a fold; an error is returned, with its traceback as a note."""
    try:
        return train_fold(experiment, dataset, fold, run, report, stopped)
    except QM7Error as error:
        error.add_note(traceback.format_exc())
        return error
    except MemoryError:
        return QM7Error(f"fold {fold.number}: not enough memory for these settings")


def _in_processes(
    experiment: Experiment,
    dataset: Dataset,
    folds: Sequence[Fold],
    run: Path,
    jobs: int,
    report: Report,
    stopped: Callable[[], bool],
) -> dict[int, Outcome]:
    waiting = list(folds)
    running: dict[Connection, tuple[Fold, SpawnProcess]] = {}
    outcomes: dict[int, Outcome] = {}
    asked_to_stop = False
    try:
        while running or (waiting and not stopped()):
            free = 0 if stopped() else jobs - len(running)
            begun, waiting = waiting[:free], waiting[free:]
            workers, failures = _begin(experiment, dataset, begun, run)
            running |= workers
            outcomes |= failures
            if stopped() and not asked_to_stop:
                asked_to_stop = True
                for _, process in running.values():
                    process.terminate()
            for connection in cast("list[Connection]", wait(list(running), timeout=0.1)):
                fold, process = running[connection]
                message = _receive(connection)
                if isinstance(message, Progress):
                    report(message)
                elif message is not None:
                    outcomes[fold.number] = message
                else:
                    process.join()
                    del running[connection]
                    if not asked_to_stop:
                        outcomes[fold.number] = _verified(fold.number, outcomes.get(fold.number), process)
    finally:  # an exception here, a second Ctrl-C say, takes the workers along
        for _, process in running.values():
            process.kill()
    return outcomes


def _begin(
    experiment: Experiment, dataset: Dataset, folds: Sequence[Fold], run: Path
) -> tuple[dict[Connection, tuple[Fold, SpawnProcess]], dict[int, QM7Error]]:
    """Start a worker for each fold and send it its work; return the workers, and an error for each that did not start.

    All are on their way before the first is waited for.
    """
    workers, failures = {}, {}
    for fold in folds:
        try:
            connection, process = _start(fold.number)
        except OSError as error:
            failures[fold.number] = QM7Error(f"fold {fold.number}: no process for it: {error.strerror}")
        else:
            workers[connection] = fold, process
    for connection, (fold, _) in workers.items():
        with suppress(ConnectionError):  # if it is dead already, its end will be heard of
            connection.send((experiment, dataset, fold, run))
    return workers, failures


def _start(number: int) -> tuple[Connection, SpawnProcess]:
    """Start a worker, which waits to be sent its work."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), name=f"fold-{number}")
    resource_tracker.ensure_running()  # it would unblock the signals if it had to be started below
    # The worker inherits this mask: a signal that comes before it is ready waits until it is.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    theirs.close()
    return ours, process


def _receive(connection: Connection) -> Progress | Outcome | None:
    """Return the next message of a worker, or None if it has ended."""
    try:
        message: Progress | Outcome = connection.recv()
    except (EOFError, ConnectionError):
        return None
    return message


def _verified(number: int, outcome: Outcome | None, process: SpawnProcess) -> Outcome:
    """Return the outcome of a worker that ended unasked, or an error if it did not come to its end."""
    again = "the same command goes on from its last checkpoint"
    if outcome is None:
        code = process.exitcode or 0
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        return QM7Error(f"fold {number}: its process ended {how}; {again}")
    if isinstance(outcome, FoldResult) and outcome.status == "partial":
        return QM7Error(f"fold {number}: its process was asked to stop; {again}")
    return outcome


def _work(connection: Connection) -> None:
    """Train one fold in a worker."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGHUP):  # they come to the whole group; the parent asks for the stop
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=_outlive, args=(stop,), daemon=True).start()

    def send(message: Any) -> None:
        try:
            connection.send(message)
        except ConnectionError:  # the parent is no more
            stop.set()

    with suppress(EOFError, ConnectionError):  # the parent was no more before it could send
        experiment, dataset, fold, run = connection.recv()
        send(_attempt(experiment, dataset, fold, run, send, stop.is_set))


def _outlive(stop: threading.Event) -> None:
    """Ask for a stop when the parent has ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    stop.set()


def available_cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
